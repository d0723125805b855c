"""A cell's own values come before the general ones."""

from pathlib import Path

import pytest

from eos.cells import architecture, neighbors, settings, training_recipe
from eos.parameters import Parameters, load


@pytest.fixture
def parameters() -> Parameters:
    return load(Path(__file__).parents[1] / "params.yaml")


def test_training_recipe(parameters: Parameters) -> None:
    recipe = training_recipe(parameters, "digits")
    own = parameters.datasets["digits"].training.model_dump(exclude_none=True)
    assert own.keys() >= {"epochs", "crop_padding"}
    general = parameters.training.model_dump()
    assert own["epochs"] != general["epochs"]
    assert recipe.model_dump() == general | own


def test_architecture(parameters: Parameters) -> None:
    assert architecture(parameters, "digits", "ce") == parameters.datasets["digits"].architecture
    networks = dict(parameters.networks)
    networks["ce"] = networks["ce"].model_copy(update={"architecture": "resnet56"})
    assert architecture(parameters.model_copy(update={"networks": networks}), "digits", "ce") == "resnet56"


def test_settings(parameters: Parameters) -> None:
    assert settings(parameters, "eos") == "K = 10, toward, step size 1"
    assert settings(parameters, "smote") == ""


def test_neighbors(parameters: Parameters) -> None:
    assert (neighbors(parameters, "eos"), neighbors(parameters, "eos_k300")) == (10, 300)
