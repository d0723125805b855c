"""tools/grid.py on the real pipeline, cut down: the bytes of `dvc repro`, and networks in one process."""

from pathlib import Path

import pytest
import yaml

from tests.clones import Clone, copied

pytestmark = pytest.mark.slow

NEEDED = ("src", "stages", "tools", "dvc.yaml", "params.yaml", ".dvc", ".dvcignore", ".gitignore")

SIDE_BY_SIDE = """
from types import SimpleNamespace
from tools import grid
from eos.pipeline.grid import dvc

names = ["train@digits-0-ce", "train@digits-0-asl"]
resources = {"train": SimpleNamespace(cpus=1, gpus=1.0, retries=0)}
(task,) = grid.planned(grid.graph(), names, resources, gpu={"digits": True}, groups=[names])
board = SimpleNamespace(started=SimpleNamespace(remote=lambda name: None))
shared = {"checkpoints": "SCRATCH/checkpoints", "logs": "SCRATCH/logs", "scratch": "SCRATCH"}
setting = grid.Setting(key="test", config="", cache=dvc("cache", "dir").strip(), **shared)
done = grid.work(grid.packed(), setting, task, board)
print(done.log)
print(done.state, *sorted(done.entries))
"""


def small(folder: Path) -> Clone:
    """Return a project of two short networks with four heads, and one on over-sampled pixels."""
    clone = copied(folder, *NEEDED)
    parameters = yaml.safe_load((folder / "params.yaml").read_text())
    parameters["axes"] |= {
        "embeddings": [],
        "networks": ["ce", "asl"],
        "pixel_samplers": ["smote"],
        "generators": [],
    }
    parameters["datasets"]["digits"]["training"]["epochs"] = 2
    for network in ("ce", "asl"):
        parameters["networks"][network]["heads"] = ["own", "none", "smote", "eos"]
    parameters["head_training"] |= {"epochs": 2, "curve_epochs": 3, "warmup_epochs": 1}
    clone.change_parameters(**parameters)
    for place in ("data/predictions", "metrics/augmented", "metrics/generated"):  # which `tables` lists
        (folder / place).mkdir(parents=True)
    clone.commit()
    return clone


def test_the_grid_makes_the_bytes_of_dvc_repro(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    plain, grid = small(tmp_path / "plain"), small(tmp_path / "grid")
    plain.succeed("dvc", "repro")
    printed = grid.succeed("python", "tools/grid.py", "--jobs", "2")
    assert "3 of 3 tasks done" in printed
    assert grid.stages_run("dvc", "repro") == []
    assert not grid.changed_stages()
    compared = [name for name in made(plain) if name.parts[0] in ("dvc.lock", "metrics", "plots")]
    assert len(compared) > 40
    assert made(grid) == made(plain)
    for name in compared:
        assert (grid.folder / name).read_bytes() == (plain.folder / name).read_bytes(), name


def made(clone: Clone) -> list[Path]:
    """Return the files of results, without the run times."""
    places = [clone.folder / place for place in ("data", "metrics", "models", "plots")]
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    names = [path.relative_to(clone.folder) for path in (*found, clone.folder / "dvc.lock")]
    return sorted(name for name in names if name.parts[:2] != ("data", "seconds"))


def test_networks_train_side_by_side_in_one_task(tmp_path: Path) -> None:
    clone = small(tmp_path / "clone")
    clone.succeed("dvc", "repro", "prepare", "split")
    script = SIDE_BY_SIDE.replace("SCRATCH", str(tmp_path / "scratch"))
    *told, last = clone.succeed("python", "-c", script, PYTHONPATH="src:.").strip().splitlines()
    assert "group 1 of 1: trains 2 of 2" in told
    expected = ["check", "prepare@digits", "split@digits-0", "train@digits-0-asl", "train@digits-0-ce"]
    assert last.split() == ["done", *expected]
    assert not list((tmp_path / "scratch" / "clones").iterdir())
