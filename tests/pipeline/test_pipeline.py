"""dvc.yaml says what the stages really do."""

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from eos.config.schema import Parameters, load
from eos.models import inference as embeddings
from eos.training.config import TrainConfig
from eos.training.loop import Images, train

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]

# The sections of the parameters that a call of `eos.config.cells` reads.
READ_BY_CELLS = {
    "training_recipe": {"datasets", "networks", "training"},
    "architecture": {"datasets", "networks"},
    "neighbors": {"heads"},
    "step": {"heads"},
    "cpu_threads": {"datasets", "training"},
    "generator_on": {"datasets", "generators"},
}
READ_BY_RESULTS = {"read_results": {"axes"}, "read_balanced": {"axes", "selection"}}


def paths(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.fixture(scope="module")
def stages() -> Iterator[ModuleType]:
    """The stage `check`, as its script sees itself: in the project's folder, beside its neighbours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.syspath_prepend(str(ROOT / "stages"))
        yield importlib.import_module("check")


@pytest.mark.parametrize("name", set(STAGES) - {"check"})
def test_every_stage_depends_on_what_is_noted_of_its_cell(name: str, stages: ModuleType) -> None:
    script = re.fullmatch(r"python stages/(\w+)\.py((?: \$\{item\.\w+\})*)", STAGES[name]["cmd"])
    assert script is not None
    assert script[1] == name
    cell = "-".join(f"${{item.{kind}}}" for kind in stages.STAGES_READ[name].cell) or "all"
    assert f"data/checked/{name}/{cell}.json" in paths(STAGES[name]["deps"])
    assert set(stages.STAGES_READ[name].cell) <= set(STAGES[name].get("matrix", ()))


def test_check_knows_every_stage_and_no_other(stages: ModuleType) -> None:
    assert set(stages.STAGES_READ) == set(STAGES) - {"check"}


@pytest.mark.parametrize("name", set(STAGES) - {"check"})
def test_every_stage_notes_the_parameters_it_reads(name: str, stages: ModuleType) -> None:
    files = [path for path in stages.sources(Path("stages") / f"{name}.py") if path.startswith("stages/")]
    files = [path for path in files if path != "stages/results.py"]  # whose functions read on their own
    text = "\n".join((ROOT / file).read_text() for file in files)
    read = set(re.findall(r"parameters(?:\(\))?\.(\w+)", text))
    for function, sections in READ_BY_CELLS.items():
        if f"{function}(parameters" in text:
            read |= sections
    for function, sections in READ_BY_RESULTS.items():
        if f"{function}(" in text:
            read |= sections
    noted = {path.split(".")[0] for path in stages.STAGES_READ[name].parameters}
    assert noted == {section for section in read if section in Parameters.model_fields}


def noted(stages: ModuleType, parameters: Parameters, stage: str, **names: str) -> dict[str, Any]:
    """Return the parameters that are noted of a cell."""
    values = parameters.model_dump(mode="json")
    texts = stages.STAGES_READ[stage].parameters
    found = [path for text in texts for path in stages.expanded(text, parameters, names)]
    return {path: stages.look_up(values, path) for path in found}


def test_a_changed_head_concerns_only_the_networks_that_have_it(stages: ModuleType) -> None:
    before = load(ROOT / "params.yaml")
    heads = before.heads | {"eos_k300": before.heads["eos_k300"].model_copy(update={"k_neighbors": 7})}
    after = before.model_copy(update={"heads": heads})
    for stage in ("oversample", "retrain"):
        changed = {
            network
            for network in before.networks
            if noted(stages, before, stage, network=network) != noted(stages, after, stage, network=network)
        }
        assert changed == {"ce"}


def test_a_training_depends_on_its_own_architecture_and_loss_only(stages: ModuleType) -> None:
    files = stages.sources(Path("stages/train.py"), architecture="densenet", loss="ce")
    assert {"src/eos/densenet.py", "src/eos/training.py", "stages/fitting.py"} <= set(files)
    assert not {"src/eos/resnet.py", "src/eos/registry.py", "src/eos/gap.py"} & set(files)
    every = stages.sources(Path("stages/train.py"))
    assert {"src/eos/densenet.py", "src/eos/resnet.py", "src/eos/wideresnet.py"} <= set(every)


def test_what_stands_behind_a_name_is_noted(stages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, names = load(ROOT / "params.yaml"), {"dataset": "cifar10", "network": "ldam"}
    before = stages.meant(parameters, names)
    assert before == {"architecture": "eos.models.resnet:resnet32", "loss": "eos.losses.base:LDAMLoss"}
    monkeypatch.setitem(stages.LOSSES, "ldam", stages.LOSSES["focal"])
    assert stages.meant(parameters, names) != before
    generator = stages.meant(parameters, {"dataset": "digits", "generator": "cgan"})["generator"]
    assert (generator["steps"], generator["latent_size"]) == (150, 100)  # the data set's own, the general one


def test_code_is_noted_by_its_content(
    stages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = importlib.import_module("sources")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").mkdir()
    (tmp_path / "src/eos").mkdir(parents=True)
    (tmp_path / "stages/one.py").write_text("def f():\n    from eos.two import g\n")
    (tmp_path / "src/eos/two.py").write_text("import numpy\n")
    script = Path("stages/one.py")
    before = sources.sources(script)
    assert list(before) == ["src/eos/two.py", "stages/one.py"]
    (tmp_path / "src/eos/two.py").write_text("import numpy  # another\n")
    after = sources.sources(script)
    assert before["stages/one.py"] == after["stages/one.py"]
    assert before["src/eos/two.py"] != after["src/eos/two.py"]


def test_the_seconds_are_in_no_declared_output() -> None:
    """dvc.lock would otherwise be another one in every clone, and name files that no cache has."""
    assert "seconds" not in (ROOT / "dvc.lock").read_text()


def test_cached_outputs_lie_in_ignored_folders_and_committed_ones_do_not() -> None:
    for stage in STAGES.values():
        for entry in stage["outs"]:
            committed = isinstance(entry, dict) and next(iter(entry.values())).get("cache") is False
            path = re.sub(r"\$\{item\.\w+\}", "x", paths([entry])[0])
            # A file inside stands for a folder: git matches "/folder/" to nothing that is not there yet.
            path = path if Path(path).suffix else f"{path}/file"
            ignored = (
                subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0
            )
            assert ignored != committed, path


def run(*command: str, folder: Path = ROOT) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def dvc(*arguments: str, folder: Path = ROOT) -> str:
    return run(sys.executable, "-m", "dvc", *arguments, folder=folder)


def test_stage_names_are_unique() -> None:
    names = [line.split()[0] for line in dvc("stage", "list", "--name-only").splitlines()]
    assert len(names) == len(set(names))
    parameters = load(ROOT / "params.yaml")
    axes = parameters.axes
    cells = len(axes.datasets) * len(axes.cuts) * len(axes.networks)
    assert sum(name.startswith("train@") for name in names) == cells


def test_the_committed_lock_is_that_of_the_committed_code(tmp_path: Path) -> None:
    """`dvc repro` has nothing to run: every result in the repository was made by the code beside it."""
    # In a copy without the ignored files: cached outputs of an older commit would count as changed.
    for path in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if path and (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, tmp_path / path)
    run("git", "init", "--quiet", folder=tmp_path)
    output = dvc("repro", "--dry", "--allow-missing", folder=tmp_path)
    assert "Running stage" not in output
    assert "up to date" in output


def test_networks_on_balanced_images_are_scored_in_the_precision_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such a network's score is the one that its history has of the epoch."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "stages"))
    balanced = importlib.import_module("balanced")
    used = []

    def extract(*arguments: Any, precision: str = "fp32", **settings: Any) -> Any:
        used.append(precision)
        return embeddings.extract(*arguments, precision=precision, **settings)

    monkeypatch.setattr(balanced, "extract", extract)
    random = np.random.default_rng(0)
    images = Images(random.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8), np.arange(20) % 2)
    trained = train(
        images,
        images,
        n_classes=2,
        architecture="resnet8",
        loss="ce",
        config=TrainConfig(epochs=1, batch_size=10, precision="bf16"),
        device="cpu",
    )
    cell = SimpleNamespace(dataset="digits", network="ce", class_names=np.array(["a", "b"]), test=images)
    assert balanced.test_scores(cell, trained, "last")["BAC"] == trained.history[-1].test_BAC
    assert used == ["bf16"]
