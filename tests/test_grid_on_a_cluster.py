"""tools/grid.py on Ray clusters of this machine, with a small project of stages that sleep."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.helpers import ROOT

pytestmark = pytest.mark.slow

NETWORKS = ("a", "b", "c", "d")
EPOCHS = 24  # of a quarter of a second: the middle is left time to be seen, and to be killed in

STAGE = """
import os, sys, time
from pathlib import Path
kind, network, journal = sys.argv[1], sys.argv[2], Path(sys.argv[3])
def note(epoch):
    with journal.open("a") as file:
        file.write(f"{kind} {network} {epoch} {os.getpid()}\\n")
if kind == "train":
    if (journal.parent / f"fails-{network}").exists():
        sys.exit(f"no {network} today")
    checkpoint = Path(".checkpoints", network)
    checkpoint.parent.mkdir(exist_ok=True)
    epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
    while epoch < EPOCHS:
        note(epoch)
        time.sleep(0.25)
        epoch += 1
        checkpoint.with_suffix(".tmp").write_text(str(epoch))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
    checkpoint.unlink()
else:
    note(0)
out = Path(f"data/{kind}/{network}.txt")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(f"{kind} {network}\\n")
"""


class Project:
    """A repository whose stages sleep and keep a journal of what they do."""

    def __init__(self, folder: Path, journal: Path) -> None:
        self.folder, self.journal = folder, journal
        (folder / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "grid.py", folder / "tools")
        (folder / "stage.py").write_text(STAGE.replace("EPOCHS", str(EPOCHS)))
        (folder / ".gitignore").write_text(
            "/data/check/\n/data/train/\n/data/retrain/\n/.checkpoints/\n/.grid/\n"
        )
        parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
        one = {"cpus": 1, "gpus": 0, "retries": 3}
        parameters["cluster"] = {"together": 1, "stages": {"train": one, "retrain": one}}
        (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))

        def stage(kind: str, cell: str, *deps: str, cached: bool = True) -> dict[str, Any]:
            out = f"data/{kind}/{cell}.txt"
            return {
                "cmd": f"python stage.py {kind} {cell} {journal}",
                "deps": ["stage.py", *deps],
                "outs": [out if cached else {out: {"cache": False}}],
            }

        matrix = {"matrix": {"dataset": ["digits"], "cut": [0], "network": list(NETWORKS)}}
        cell = "${item.network}"
        heads = [f"data/retrain/{name}.txt" for name in NETWORKS]
        stages = {
            "check": stage("check", "all"),
            "train": matrix | stage("train", cell, "data/check/all.txt"),
            "retrain": matrix | stage("retrain", cell, f"data/train/{cell}.txt"),
            "score": stage("score", "all", *heads, cached=False),
        }
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        for command in ("git init --quiet", "dvc init --quiet", "git add ."):
            self.succeed(*command.split())

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "GIT_CONFIG_GLOBAL": os.devnull}

    def succeed(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "tools/grid.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def noted(self, kind: str = "train") -> list[tuple[str, int, int]]:
        """Return what stages of a kind did: network, epoch, process."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        fields = [line.split() for line in lines]
        return [(name, int(epoch), int(pid)) for one, name, epoch, pid in fields if one == kind]


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for a thing to be so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Three nodes of one processor each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    size: Any = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    found = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    for _ in range(2):
        found.add_node(**size)
    yield found
    found.shutdown()


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Two nodes of one processor each, that have no folder in common."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    size: Any = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    found = Cluster()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.add_node(**size, env_vars={"TMPDIR": str(tmp_path / name)}, include_dashboard=False)
    yield found
    found.shutdown()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A remote on a server of this machine that speaks S3."""
    import boto3
    from moto.server import ThreadedMotoServer

    keys = {"access_key_id": "test", "secret_access_key": "test"}
    for name, value in keys.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="store")
    yield {"url": "s3://store/eos", "endpointurl": endpoint, "region": "us-east-1", **keys}
    server.stop()


@pytest.mark.parametrize("kind", ["directory", "s3"])
def test_machines_without_a_disk_in_common(
    kind: str, apart: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain = Project(tmp_path / "plain", tmp_path / "journal.txt")
    plain.succeed("dvc", "repro")
    project = Project(tmp_path / "project", tmp_path / "journal.txt")
    remote = {"url": "../../store"} if kind == "directory" else request.getfixturevalue("bucket")
    for (
        key,
        value,
    ) in remote.items():  # what only this clone knows, or counts from it, has to reach the workers
        project.succeed("dvc", "config", "--local", f"remote.store.{key}", value)
    project.succeed("dvc", "config", "core.remote", "store")
    project.journal.unlink()

    running = project.start("--address", apart.address, "--remote")
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    for name in ("dvc.lock", "data/score/all.txt", *(f"data/retrain/{one}.txt" for one in NETWORKS)):
        assert (project.folder / name).read_bytes() == (plain.folder / name).read_bytes()
    assert len(project.noted()) == EPOCHS * len(NETWORKS)  # nothing ran twice
    for name in ("one", "two"):  # and both took part, each with a cache of its own
        assert list((tmp_path / name).glob("eos-grid-*/cache/files/md5/*"))
        assert not list((tmp_path / name).glob("eos-grid-*/clones/*"))


def worker_and_node(process: int, cluster: Any) -> tuple[psutil.Process, Any] | None:
    """Return the Ray worker that a stage's process is of, and the node of that."""
    try:
        above = psutil.Process(process).parents()
    except psutil.NoSuchProcess:
        return None
    for node in cluster.list_all_nodes():
        (raylet,) = (one.process.pid for one in node.all_processes["raylet"])
        for worker, parent in pairwise(above):
            if parent.pid == raylet:
                return worker, node
    return None


def test_a_lost_node_a_lost_worker_and_a_cell_that_fails(cluster: Any, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", tmp_path / "journal.txt")
    (tmp_path / "fails-d").touch()
    running = project.start("--address", cluster.address)
    try:
        lost: dict[str, int] = {}

        def in_the_middle_on(head: bool) -> Any:
            newest = {name: (epoch, process) for name, epoch, process in project.noted()}
            for name, (epoch, process) in newest.items():
                if name not in lost and 3 <= epoch < EPOCHS // 2:
                    found = worker_and_node(process, cluster)
                    if found and (found[1] is cluster.head_node) == head:
                        return name, epoch, *found
            return None

        name, epoch, _, node = until(lambda: in_the_middle_on(head=False))
        lost[name] = epoch
        cluster.remove_node(node, allow_graceful=False)
        name, epoch, worker, _ = until(lambda: in_the_middle_on(head=True))
        lost[name] = epoch
        worker.send_signal(signal.SIGKILL)
        output, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 1, output
    assert "train@digits-0-d+1: failed; .grid/logs/train@digits-0-d+1.log" in output
    assert "no d today" in output
    assert "3 of 4 tasks done, 0 running, 1 failed" in output
    done = {name for name in NETWORKS if (project.folder / f"data/retrain/{name}.txt").exists()}
    assert done == {"a", "b", "c"}

    assert len(lost) == 2
    for name in "abc":
        noted = [(epoch, process) for network, epoch, process in project.noted() if network == name]
        processes = list(dict.fromkeys(process for _, process in noted))
        assert len(processes) == 1 + (name in lost)  # no orphan went on, and nothing else began again
        assert {epoch for epoch, _ in noted} == set(range(EPOCHS))
        if name in lost:  # it went on from the last checkpoint: at most the epoch of then is twice there
            assert min(epoch for epoch, process in noted if process == processes[1]) >= lost[name]

    (tmp_path / "fails-d").unlink()
    before = len(project.noted())
    again = project.start("--address", cluster.address)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert {name for name, _, _ in project.noted()[before:]} == {"d"}
    assert "1 of 1 tasks done" in output
    assert [line for line in output.splitlines() if "Running stage" in line] == ["Running stage 'score':"]
    assert json.loads(project.succeed("dvc", "status", "--json")) == {}


def test_a_remote_is_needed_for_going_through_one(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", tmp_path / "journal.txt")
    running = project.start("--remote")
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert output == (
        "error: --remote: DVC has no default remote; `dvc remote add --default NAME URL` names one\n"
    )
