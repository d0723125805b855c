"""The tasks that tools/grid.py makes of DVC's graph."""

import errno
import fcntl
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from tools import grid

from eos.config.loading import load
from eos.errors import InputError
from tests.helpers import ROOT

PLAIN = SimpleNamespace(cpus=1, gpus=0.0, retries=2)
ON_GPU = SimpleNamespace(cpus=1, gpus=0.5, retries=2)
RESOURCES: Mapping[str, Any] = {
    "train": ON_GPU,
    "extract": ON_GPU,
    "oversample": PLAIN,
    "retrain": PLAIN,
    "generate": ON_GPU,
    "train_generated": ON_GPU,
}
# As dvc.yaml's: two networks, and a generator whose images two networks train on.
GRAPH: Mapping[str, Sequence[str]] = {
    "check": [],
    "prepare@d": ["check"],
    "split@d-0": ["prepare@d"],
    "train@d-0-a": ["prepare@d", "split@d-0"],
    "train@d-0-b": ["prepare@d", "split@d-0"],
    "extract@d-0-a": ["split@d-0", "train@d-0-a"],
    "extract@d-0-b": ["split@d-0", "train@d-0-b"],
    "gap@d-0": ["extract@d-0-a", "extract@d-0-b"],
    "oversample@d-0-a": ["extract@d-0-a"],
    "oversample@d-0-b": ["extract@d-0-b"],
    "retrain@d-0-a": ["extract@d-0-a", "oversample@d-0-a"],
    "retrain@d-0-b": ["extract@d-0-b", "oversample@d-0-b"],
    "generate@d-0-g": ["split@d-0"],
    "train_generated@d-0-g-a": ["generate@d-0-g"],
    "train_generated@d-0-g-b": ["generate@d-0-g"],
    "score@d-0": ["gap@d-0", "retrain@d-0-a", "retrain@d-0-b"],
}


def stages(tasks: Sequence[grid.Task]) -> list[str]:
    return [" ".join(one.stages) for one in tasks]


def test_a_network_is_one_task_where_all_of_it_runs_on_processors() -> None:
    tasks = grid.planned(GRAPH, GRAPH, RESOURCES, gpu={"d": False})
    assert stages(tasks) == [
        "train@d-0-a extract@d-0-a oversample@d-0-a retrain@d-0-a",
        "train@d-0-b extract@d-0-b oversample@d-0-b retrain@d-0-b",
        "generate@d-0-g",
        "train_generated@d-0-g-a",
        "train_generated@d-0-g-b",
    ]
    assert {one.gpus for one in tasks} == {0.0}
    assert [one.after for one in tasks] == [(), (), (), ("generate@d-0-g",), ("generate@d-0-g",)]
    assert tasks[0].needs == ("prepare@d", "split@d-0")
    assert tasks[3].needs == ("generate@d-0-g",)


def test_heads_do_not_keep_a_gpu_busy() -> None:
    tasks = grid.planned(GRAPH, GRAPH, RESOURCES, gpu={"d": True})
    assert stages(tasks)[:4] == [
        "train@d-0-a extract@d-0-a",
        "train@d-0-b extract@d-0-b",
        "oversample@d-0-a retrain@d-0-a",
        "oversample@d-0-b retrain@d-0-b",
    ]
    assert [one.gpus for one in tasks[:4]] == [0.5, 0.5, 0, 0]
    assert tasks[2].after == (tasks[0].name,)
    assert tasks[2].needs == ("extract@d-0-a",)


def test_networks_that_train_side_by_side_are_one_task() -> None:
    groups = [["train@d-0-a", "train@d-0-b"]]
    tasks = grid.planned(GRAPH, GRAPH, RESOURCES, gpu={"d": True}, groups=groups)
    assert stages(tasks)[:3] == ["train@d-0-a train@d-0-b", "extract@d-0-a", "extract@d-0-b"]
    assert tasks[0].side_by_side == ("train@d-0-a", "train@d-0-b")
    assert tasks[1].after == (tasks[0].name,)


@pytest.mark.parametrize("changed", [["retrain@d-0-a"], ["score@d-0"], ["extract@d-0-b"], []])
def test_only_what_is_out_of_date_and_what_needs_it(changed: list[str]) -> None:
    tasks = grid.planned(GRAPH, changed, RESOURCES, gpu={"d": False})
    expected = {
        "retrain@d-0-a": ["retrain@d-0-a"],
        "extract@d-0-b": ["extract@d-0-b oversample@d-0-b retrain@d-0-b"],
    }
    assert stages(tasks) == [one for name in changed for one in expected.get(name, [])]
    assert all(one.after == () for one in tasks)


def test_every_stage_of_this_project_is_in_one_task_after_what_it_needs() -> None:
    parameters = load(ROOT / "params.yaml")
    dot = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before = grid.edges(dot.stdout)
    tasks = grid.planned(before, before, parameters.cluster.stages, gpu={})
    planned = [name for one in tasks for name in one.stages]
    assert len(set(planned)) == len(planned)
    assert set(planned) == {name for name in before if name.partition("@")[0] in parameters.cluster.stages}
    here = grid.roots(before, parameters.cluster.stages)
    made: set[str] = set(here)
    for task in tasks:
        assert all(one in {other.name for other in tasks} for one in task.after)
        assert set(task.needs) <= made
        made |= set(task.stages)


def test_costly_stages_have_cached_outputs_only() -> None:
    """Of a stage with another one DVC keeps nothing that another clone could take."""
    defined = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for kind in load(ROOT / "params.yaml").cluster.stages:
        assert all(isinstance(out, str) for out in defined[kind]["outs"]), kind


def test_a_cheap_stage_between_costly_ones_is_refused() -> None:
    resources = {kind: one for kind, one in RESOURCES.items() if kind != "oversample"}
    with pytest.raises(
        InputError, match=r"params.yaml: cluster.stages: oversample is not in it, but .*retrain@d-0-a"
    ):
        grid.planned(GRAPH, GRAPH, resources, gpu={})


def test_what_is_told_of_the_progress() -> None:
    done = [grid.Outcome(name, "done", 10.0, "") for name in "ab"]
    assert grid.progress(6, done, {"a", "b", "c"}, 20.0) == (
        "2 of 6 tasks done, 1 running, 0 failed, about 40 s left"
    )
    failed = grid.Outcome("c", "failed", 1.0, "")
    skipped = grid.Outcome("d", "skipped", 0.0, "")
    assert grid.progress(4, [*done, failed, skipped], set("abc"), 20.0) == (
        "2 of 4 tasks done, 0 running, 1 failed, 1 skipped"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--jobs", "2", "--address", "auto"],
            "--jobs 2: is for this machine alone; leave it out, or --address",
        ),
        (["--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["trian"], "dvc.yaml: unknown stage 'trian'; did you mean 'train"),
        (["--address", "127.0.0.1:1", "check"], "--address 127.0.0.1:1: "),
    ],
)
def test_a_mistake_ends_in_one_line(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "tools/grid.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_stages_are_named_by_their_entry_where_all_of_it_is_meant() -> None:
    every = [
        "check",
        "train@digits-0-ce",
        "train@digits-0-ldam",
        "extract@digits-0-ce",
        "extract@digits-0-ldam",
    ]
    assert grid.as_entries([], every) == []
    assert grid.as_entries(["check"], every) == ["check"]
    named = ["train@digits-0-ce", "extract@digits-0-ce", "train@digits-0-ldam"]
    assert grid.as_entries(named, every) == ["train", "extract@digits-0-ce"]


def test_what_trains_side_by_side_brings_all_that_it_needs() -> None:
    """`train-grid` asks DVC about the stages before it, and DVC about those before them."""
    tasks = grid.planned(GRAPH, GRAPH, RESOURCES, gpu={"d": True}, groups=[["train@d-0-a", "train@d-0-b"]])
    assert tasks[0].stages == ("train@d-0-a", "train@d-0-b")
    assert tasks[0].needs == ("check", "prepare@d", "split@d-0")


def test_a_task_that_no_machine_can_run_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 8.0}}]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    fits, does_not = (grid.Task((f"train@d-0-{cpus}",), cpus, 0, 1) for cpus in (2, 4))
    grid.fit([fits], lasting=True)
    with pytest.raises(InputError, match=r"cluster\.stages\.train: 4 processors and 0 GPUs.*ask for less"):
        grid.fit([fits, does_not], lasting=True)
    assert not capsys.readouterr().out
    grid.fit([does_not], lasting=False)
    assert "its tasks wait for one that has" in capsys.readouterr().out


def test_links_to_other_places_are_brought_as_links(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("data/given/own/ce.npz")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere.npz")
        archive.addfile(link)
    grid.unpack(buffer.getvalue(), tmp_path / "clone")
    assert (tmp_path / "clone/data/given/own/ce.npz").readlink() == tmp_path / "elsewhere.npz"


def test_what_killed_workers_left_is_removed_on_their_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="n1.cluster.local"))
    gone = 2**22 + 1  # above the largest process number
    names = [f"train@d-0-a.n1.cluster.local.{process}" for process in (gone, os.getpid())]
    names.append(f"train@d-0-a.n2.cluster.local.{gone}")
    for name in names:
        (tmp_path / name).mkdir()
    grid.sweep(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(names[1:])


def test_a_disk_without_locks_is_not_told_as_a_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with grid.alone(), pytest.raises(InputError, match="another one runs in this clone"), grid.alone():
        pass
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"), grid.alone():
        pass


def test_results_that_are_older_than_those_here_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[str, ...]] = []

    def dvc(*arguments: str) -> str:
        calls.append(arguments)
        return ""

    monkeypatch.setattr(grid, "dvc", dvc)
    grid.write_lock(grid.LOCK, {"train@a": {"cmd": "newer"}, "train@b": {"cmd": "old"}})
    (tmp_path / ".grid/entries").mkdir(parents=True)
    (tmp_path / ".grid/entries/one.json").write_text(
        '{"train@a": {"cmd": "older"}, "train@b": {"cmd": "new"}}'
    )
    grid.take_in(through_remote=False, wanted={"train@b"})
    assert grid.lock_entries(grid.LOCK) == {"train@a": {"cmd": "newer"}, "train@b": {"cmd": "new"}}
    assert calls == [("checkout", "--force", "--allow-missing", "train")]
    assert not list((tmp_path / ".grid/entries").iterdir())
