"""`from eos import EOS` is for people who only want the sampler: light, and in step with imbalanced-learn."""

import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.datasets import make_classification
from sklearn.model_selection import cross_val_score

import eos
from eos import EOS, BalancedSVM, LinearHead, generalization_gap
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
    assert not loaded & {"torch", "torchvision", "dvc", "dvclive", "pydantic", "matplotlib", "safetensors"}


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
    X_train, y_train = EOS(random_state=0).fit_resample(X[:half], y[:half])
    before = generalization_gap(X[:half], y[:half], X[half:], y[half:])
    after = generalization_gap(X_train, y_train, X[half:], y[half:])
    assert before.shape == (3,)
    assert (after <= before).all()
    assert np.all(after[1:] < before[1:])  # the two classes that were extended


# What a plain `pip install .` does not bring.
NOT_INSTALLED = (
    "torch", "torchvision", "pandas", "pydantic", "ruamel", "yaml", "dvc", "dvclive", "matplotlib", "PIL",
    "safetensors",
)  # fmt: skip

WITHOUT_THEM = """
import sys
from importlib import import_module

missing, *modules = (argument.split() for argument in sys.argv[1:])


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in missing):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotInstalled())
for module in modules[0]:
    try:
        import_module(module)
    except ImportError as error:
        print(f"{module}: {error}")
"""


def packages() -> dict[str, bool]:
    """Return whether each package is shipped by a plain installation, as pyproject.toml says."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    source = ROOT / settings["where"][0]
    found = [".".join(init.parent.relative_to(source).parts) for init in source.rglob("__init__.py")]
    return {name: any(fnmatchcase(name, one) for one in settings["include"]) for name in found}


def test_every_module_of_a_plain_installation_can_be_imported() -> None:
    shipped = [name for name, there in packages().items() if there]
    assert {"eos", "eos.samplers", "eos.heads", "eos.metrics"} <= set(shipped)
    modules = [
        f"{name}.{path.stem}".removesuffix(".__init__")
        for name in shipped
        for path in (ROOT / "src" / name.replace(".", "/")).glob("*.py")
    ]
    absent = [*NOT_INSTALLED, *(name for name, there in packages().items() if not there)]
    command = [sys.executable, "-c", WITHOUT_THEM, " ".join(absent), " ".join(modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_what_is_said_to_be_missing_really_is() -> None:
    """Else the test above would find nothing."""
    command = [sys.executable, "-c", WITHOUT_THEM, "torch eos.models", "torch.nn eos.models.network numpy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["torch.nn", "eos.models.network"]
