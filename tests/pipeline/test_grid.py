"""Training side by side: what is trained together, in which order, and what DVC then knows."""

import hashlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from eos.config.schema import Parameters
from eos.errors import InputError
from eos.pipeline import grid
from tests.helpers import parameters
from tests.test_end_to_end import Clone, copied


def with_axes(**axes: Any) -> Parameters:
    return parameters().model_copy(update={"axes": parameters().axes.model_copy(update=axes)})


def targets(known: Parameters) -> list[grid.Target]:
    """Return every training of the axes, in the order of dvc.yaml."""
    axes = known.axes
    parts: dict[str, list[Any]] = {
        "train": [axes.networks],
        "train_augmented": [axes.pixel_samplers, axes.pixel_networks],
        "train_generated": [axes.generators, axes.generator_networks],
    }
    return [
        grid.target(f"{stage}@{'-'.join(map(str, cell))}")
        for stage, rest in parts.items()
        for cell in product(axes.datasets, axes.cuts, *rest)
    ]


def names(group: list[grid.Target]) -> list[str]:
    return [one.name for one in group]


def test_a_name_tells_what_is_trained_and_where() -> None:
    plain, balanced = grid.target("train@digits-10-ce"), grid.target("train_generated@digits-0-gamo-la_mixup")
    assert (plain.folder, plain.needs) == (
        Path("models/networks/digits-10/ce"),
        ["prepare@digits", "split@digits-10"],
    )
    assert plain.script == ("train", "digits-10-ce")
    assert balanced.folder == Path("models/generated/digits-0/gamo/la_mixup")
    assert balanced.needs == ["prepare@digits", "split@digits-0", "generate@digits-0-gamo"]
    assert balanced.script == ("train_balanced", "generated-digits-0-gamo-la_mixup")


def test_whole_tables_come_first() -> None:
    known = with_axes(
        cuts=(0, 10),
        networks=("vs", "densenet", "remix", "ce", "asl"),
        pixel_samplers=("eos",),
        generators=("gamo",),
        generator_networks=("ce",),
    )
    assert names(grid.ordered(known, targets(known))) == [
        *("train@digits-0-ce", "train@digits-0-asl", "train@digits-10-ce", "train@digits-10-asl"),
        *("train@digits-0-densenet", "train@digits-10-densenet"),
        *("train@digits-0-remix", "train@digits-10-remix"),
        *("train_augmented@digits-0-eos-ce", "train_augmented@digits-10-eos-ce"),
        *("train_generated@digits-0-gamo-ce", "train_generated@digits-10-gamo-ce"),
        *("train@digits-0-vs", "train@digits-10-vs"),
    ]


def test_a_group_is_of_one_data_set_and_one_length() -> None:
    known = with_axes(datasets=("digits", "cifar10"), networks=("ce", "asl", "resnet56", "bbn", "remix"))
    plain = [one for one in targets(known) if not one.kind]
    assert [names(group) for group in grid.grouped(known, plain, 3)] == [
        ["train@digits-0-ce", "train@digits-0-asl", "train@digits-0-remix"],
        ["train@cifar10-0-ce", "train@cifar10-0-asl", "train@cifar10-0-remix"],
        ["train@digits-0-resnet56"],
        ["train@cifar10-0-resnet56"],
        ["train@digits-0-bbn"],
        ["train@cifar10-0-bbn"],
    ]


def test_other_lengths_of_a_table_join_only_where_all_of_one_fit() -> None:
    known = with_axes(cuts=(0, 10), networks=("resnet56", "wideresnet", "densenet"))
    plain = [one for one in targets(known) if not one.kind]
    found = [{one.network for one in group} for group in grid.grouped(known, plain, 5)]
    assert found == [{"resnet56", "wideresnet"}, {"densenet"}]
    assert [len(group) for group in grid.grouped(known, plain, 8)] == [6]


@pytest.mark.parametrize("together", [1, 4, None])
def test_every_training_is_in_one_group(together: int | None) -> None:
    """Of digits, which is portable, one at a time by default."""
    groups = grid.grouped(parameters(), targets(parameters()), together)
    assert sorted(name for group in groups for name in names(group)) == sorted(names(targets(parameters())))
    assert max(map(len, groups)) == (together or 1)


def test_a_group_is_expected_to_last_as_long_as_those_of_its_length() -> None:
    ce, asl, dense = (grid.target(f"train@digits-0-{name}") for name in ("ce", "asl", "densenet"))
    expected: Callable[..., float] = lambda *group, by: grid._expected(parameters(), group, by)  # noqa: E731
    assert expected(ce, by=[]) == 0
    assert expected(asl, by=[([ce], 10.0), ([dense], 70.0)]) == 10
    assert expected(dense, by=[([ce], 10.0)]) == 10
    assert expected(ce, asl, by=[([ce], 10.0)]) == 20
    assert expected(ce, by=[([ce, asl], 10.0)]) == 10


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of two small trainings, of which one diverges: numbers of 1e38 add up to no finite one."""
    clone = copied(tmp_path_factory.mktemp("clone"))
    content = yaml.safe_load((clone.folder / "params.yaml").read_text())
    content["datasets"]["digits"]["training"]["epochs"] = 1
    content["networks"]["ldam"]["loss"]["scale"] = 1e38
    registry = clone.folder / "src/eos/registry.py"  # which refuses such a number: here it is let in
    registry.write_text(registry.read_text().replace("Interval(gt=0, le=10**6)", "Interval(gt=0)"))
    empty: dict[str, Any] = {"embeddings": [], "pixel_samplers": [], "generators": []}
    clone.change_parameters(
        axes=content["axes"] | empty | {"networks": ["ldam", "ce"]},
        datasets=content["datasets"],
        networks=content["networks"],
    )
    clone.commit()
    return clone


def train_grid(clone: Clone, *arguments: str) -> tuple[int, str, str]:
    done = clone.run("python", "-m", "eos", "train-grid", *arguments, PYTHONPATH="src")
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_training_that_diverges_costs_its_neighbour_nothing(clone: Clone) -> None:
    """This one comes first; the others start from what it trained."""
    status, told, error = train_grid(clone, "--together", "2")
    assert status == 1
    assert "group 1 of 1: train@digits-0-ldam train@digits-0-ce\n" in told
    assert "\ntrain@digits-0-ce: epoch 1/1" in told
    last = error.splitlines()[-1]
    assert last.startswith("error: 1 of 2 networks were not trained: train@digits-0-ldam: ")
    assert "training diverged" in last
    assert {"train@digits-0-ldam"} == {name for name in clone.changed_stages() if name.startswith("train")}


@pytest.mark.slow
def test_the_network_is_the_stages_own(clone: Clone) -> None:
    folder = clone.folder / "models/networks/digits-0/ce"
    before = digests(folder)
    seconds = clone.folder / "data/seconds/train/digits-0-ce.json"
    keys = list(yaml.safe_load(seconds.read_text()))
    clone.succeed("python", "stages/train.py", "digits", "0", "ce", PYTHONPATH="src")
    assert digests(folder) == before
    assert "last.safetensors" in before
    assert list(yaml.safe_load(seconds.read_text())) == keys


@pytest.mark.slow
def test_what_is_trained_is_not_trained_again(clone: Clone) -> None:
    status, told, _ = train_grid(clone, "train@digits-0-ce")
    assert (status, told) == (0, "nothing to train: 1 of 1 networks are up to date\n")
    assert clone.stages_run("dvc", "repro", "--dry", "--single-item", "train@digits-0-ce") == []


@pytest.mark.slow
def test_an_unknown_training_is_named(clone: Clone) -> None:
    status, told, error = train_grid(clone, "train@digits-0-cee")
    assert (status, told) == (1, "")
    assert error.startswith(
        "error: dvc.yaml: unknown training 'train@digits-0-cee'; did you mean 'train@digits-0-ce'? known: "
    )


@pytest.mark.slow
def test_what_was_trained_with_other_parameters_is_not_recorded(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone.folder)
    path, lock = Path("params.yaml"), Path("dvc.lock").read_bytes()
    (one,) = grid._chosen(["train@digits-0-ce"])
    before = {one.name: grid._origin(one)}
    whole = path.read_text()
    path.write_text(whole.replace("momentum: 0.9\n", "momentum: 0.8\n"))
    with pytest.raises(InputError, match=r"not recorded: train@digits-0-ce \(params\.yaml: training\)"):
        grid._commit([one], before)
    assert Path("dvc.lock").read_bytes() == lock
    path.write_text(whole + "# a comment\n")
    grid._commit([one], before)
    path.write_text(whole)
