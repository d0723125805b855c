"""A cell's own values come before the general ones."""

from pathlib import Path

import pytest

from eos.config.cells import architecture, cpu_threads, neighbors, step, training_recipe
from eos.config.schema import Parameters, load


@pytest.fixture
def parameters() -> Parameters:
    return load(Path(__file__).parents[1] / "params.yaml")


def test_training_recipe(parameters: Parameters) -> None:
    recipe = training_recipe(parameters, "digits", "ce")
    own = parameters.datasets["digits"].training.model_dump(exclude_none=True)
    assert own.keys() >= {"epochs", "crop_padding"}
    general = parameters.training.model_dump()
    assert own["epochs"] != general["epochs"]
    assert config.model_dump() == general | own


def test_epochs_are_shares_of_the_datasets(parameters: Parameters) -> None:
    """200 epochs on CIFAR-10; WideResNet half of them, as in the paper; digits less on balanced images."""
    assert training_recipe(parameters, "cifar10", "ce").epochs == 200
    assert training_recipe(parameters, "cifar10", "wideresnet").epochs == 100
    assert training_recipe(parameters, "cifar10", "ce", balanced=True).epochs == 200
    digits = parameters.datasets["digits"].training
    assert digits.epochs is not None
    assert digits.balanced_epochs_share is not None
    balanced = training_recipe(parameters, "digits", "ce", balanced=True)
    assert balanced.epochs == round(digits.epochs * digits.balanced_epochs_share)
    short = parameters.model_copy(update={"training": parameters.training.model_copy(update={"epochs": 1})})
    assert training_recipe(short, "cifar10", "wideresnet").epochs == 1


def test_threads(parameters: Parameters) -> None:
    assert cpu_threads(parameters, "digits") == 1
    assert cpu_threads(parameters, "cifar10") is None


def test_architecture(parameters: Parameters) -> None:
    assert architecture(parameters, "digits", "ce") == parameters.datasets["digits"].architecture
    networks = dict(parameters.networks)
    networks["ce"] = networks["ce"].model_copy(update={"architecture": "resnet56"})
    assert architecture(parameters.model_copy(update={"networks": networks}), "digits", "ce") == "resnet56"


def test_what_an_eos_head_is_run_with(parameters: Parameters) -> None:
    assert (neighbors(parameters, "eos"), neighbors(parameters, "eos_k300")) == (10, 300)
    assert neighbors(parameters, "smote") is None
    assert step(parameters, "eos") == "toward, step size 1"
    assert step(parameters, "smote") == ""
