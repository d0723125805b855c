"""The tasks that tools/grid.py makes of DVC's graph."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
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
