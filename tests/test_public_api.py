"""`from eos import EOS` is for people who only want the sampler: light, and in step with imbalanced-learn."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.model_selection import cross_val_score

import eos
from eos import EOS, BalancedSVM, LinearHead, generalization_gap
from eos.classifier.folder import BACKBONE, HEAD, write_folder
from eos.models.network import build_network
from tests.classifier.test_classifier import BIAS, IMAGES, WEIGHT, description, parts
from tests.helpers import ROOT


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_eos_costs_nothing() -> None:
    assert not modules_after("import eos") & {"numpy", "sklearn", "torch", "pandas"}


def test_the_public_names_need_neither_torch_nor_the_pipeline() -> None:
    loaded = modules_after(f"from eos import {', '.join(eos.__all__)}")
    assert "imblearn" in loaded
    assert not loaded & {"torch", "torchvision", "dvc", "dvclive", "pydantic", "vl_convert", "safetensors"}


def test_unknown_names() -> None:
    assert set(eos.__all__) <= set(dir(eos))
    with pytest.raises(AttributeError, match="no attribute 'EOZ'"):
        eos.EOZ  # noqa: B018


def test_the_names_work_together() -> None:
    X, y = make_classification(
        n_samples=600, n_informative=6, n_classes=3, weights=[0.8, 0.15, 0.05], class_sep=2.0, random_state=0
    )
    for sampler in (EOS(random_state=0), BalancedSVM(random_state=0)):
        model = make_pipeline(sampler, LinearHead(random_state=0))
        assert cross_val_score(model, X, y, cv=3, scoring="balanced_accuracy").mean() > 0.6  # chance: 1/3
    half = len(X) // 2
    # Whole steps to the nearest enemies, the paper's setting, widen both classes; short ones need not.
    paper = EOS(k_neighbors=10, step_size=1.0, random_state=0)
    X_train, y_train = paper.fit_resample(X[:half], y[:half])
    before = generalization_gap(X[:half], y[:half], X[half:], y[half:])
    after = generalization_gap(X_train, y_train, X[half:], y[half:])
    assert before.shape == (3,)
    assert (after <= before).all()
    assert np.all(after[1:] < before[1:])  # the two classes that were extended


# What `pip install .` does not bring, and what the extra `predict` brings of it.
NOT_INSTALLED = {
    "torch", "torchvision", "pandas", "pydantic", "ruamel", "yaml", "dvc", "dvclive", "vl_convert", "PIL",
    "safetensors", "timm", "polars",
}  # fmt: skip
PREDICT = {"torch", "torchvision", "PIL", "safetensors"}

WITHOUT = """
import sys
from importlib import import_module
from importlib.machinery import PathFinder

missing, code = sys.argv[1:]


class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in missing.split() else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
exec(code)
"""

IMPORT = """
for module in {modules}:
    try:
        import_module(module)
    except ImportError as error:
        print(f"{{module}}: {{error}}")
"""


def run_without(missing: set[str], code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run code where some libraries are missing, outside the repository."""
    command = [sys.executable, "-c", WITHOUT, " ".join(missing), code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def modules_of(*packages: str) -> list[str]:
    folders = {name: ROOT / "src" / name.replace(".", "/") for name in packages}
    return [
        f"{name}.{path.stem}".removesuffix(".__init__")
        for name, folder in folders.items()
        for path in folder.glob("*.py")
    ]


@pytest.mark.parametrize(
    ("missing", "packages"),
    [
        (
            NOT_INSTALLED,
            ("eos", "eos.samplers", "eos.heads", "eos.metrics", "eos.classifier", "eos.commands"),
        ),
        (NOT_INSTALLED - PREDICT, ("eos.data", "eos.losses", "eos.models", "eos.storage")),
    ],
    ids=["plain", "predict"],
)
def test_modules_can_be_imported_without_the_libraries_of_other_extras(
    missing: set[str], packages: tuple[str, ...], tmp_path: Path
) -> None:
    modules = modules_of(*packages)
    assert len(modules) > 15
    assert run_without(missing, IMPORT.format(modules=modules), tmp_path).stdout == ""


def test_what_is_said_to_be_missing_really_is(tmp_path: Path) -> None:
    """Else the test above would find nothing."""
    done = run_without(
        {"torch"}, IMPORT.format(modules=["torch.nn", "eos.models.network", "numpy"]), tmp_path
    )
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["torch.nn", "eos.models.network"]


def test_prediction_needs_no_more_than_its_extra(tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name.partition(">")[0] for name in extras["predict"]] == [
        "pillow",
        "safetensors",
        "torch",
        "torchvision",
    ]
    network = build_network("resnet8", channels=3, n_classes=3)
    arrays = {BACKBONE: parts(network)[0], HEAD: {"weight": WEIGHT, "bias": BIAS}}
    write_folder(tmp_path / "model", description(), arrays)
    Image.fromarray(IMAGES[0]).save(tmp_path / "one.png")
    predict = "from eos.__main__ import main; main(['predict', 'model', 'one.png'])"
    done = run_without(NOT_INSTALLED - PREDICT, predict, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one.png\t")
    for library in PREDICT - {"torchvision"}:  # which this architecture does not need
        done = run_without({library}, predict, tmp_path)
        expected = f"error: no library {library!r}; pip install 'eos-imbalanced[predict]'\n"
        assert (done.returncode, done.stderr) == (1, expected)


def test_a_wheel_has_all_of_the_code() -> None:
    """An extra adds libraries; it cannot add files."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["packages"]["find"] == {"where": ["src"]}
    others = {
        path.relative_to(ROOT / "src/eos").as_posix()
        for path in (ROOT / "src/eos").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert others == set(settings["package-data"]["eos"])
    for folder in {path.parent for path in (ROOT / "src/eos").rglob("*.py")}:
        assert (folder / "__init__.py").exists(), folder
