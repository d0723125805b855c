"""A cell's own values come before the general ones, and a portable data set's machine before both."""

from typing import Any

import pytest

from eos.config.cells import (
    architecture,
    branches,
    cuts_of,
    eos_settings,
    generator_on,
    head_labels,
    heads_of,
    machine,
    neighbors,
    networks_of,
    settings,
    shown_network,
    shown_networks,
    step,
    synthetic_from,
    training_settings,
)
from eos.config.schema import AUTO, Parameters
from eos.training.recipe import fitted
from tests import helpers


@pytest.fixture
def parameters() -> Parameters:
    return helpers.parameters()


def changed(parameters: Parameters, section: str, name: str, **values: Any) -> Parameters:
    """Return the parameters with other values in a definition."""
    definitions = dict(getattr(parameters, section))
    definitions[name] = definitions[name].model_copy(update=values)
    return parameters.model_copy(update={section: definitions})


PORTABLE = {"device": "cpu", "precision": "fp32", "cpu_threads": 1}


@pytest.mark.parametrize("portable", [True, False])
def test_training_settings(portable: bool, parameters: Parameters) -> None:
    parameters = changed(parameters, "datasets", "digits", portable=portable)
    own = parameters.datasets["digits"].training.model_dump(exclude_none=True)
    assert own.keys() >= {"epochs", "crop_padding"}
    general = parameters.training.model_dump()
    assert own["epochs"] != general["epochs"]
    expected = general | own | (PORTABLE if portable else {})
    assert training_settings(parameters, "digits", "ce", rows=404).model_dump() == expected


def test_epochs_are_shares_of_the_datasets(parameters: Parameters) -> None:
    """200 epochs on CIFAR-10; WideResNet half of them, as in the paper; digits less on balanced images."""
    assert training_settings(parameters, "cifar10", "ce", rows=404).epochs == 200
    assert training_settings(parameters, "cifar10", "wideresnet", rows=404).epochs == 100
    assert training_settings(parameters, "cifar10", "ce", rows=404, balanced=True).epochs == 200
    digits = parameters.datasets["digits"].training
    assert digits.epochs is not None
    assert digits.balanced_epochs_share is not None
    balanced = training_settings(parameters, "digits", "ce", rows=404, balanced=True)
    assert balanced.epochs == round(digits.epochs * digits.balanced_epochs_share)
    short = parameters.model_copy(update={"training": parameters.training.model_copy(update={"epochs": 1})})
    assert training_settings(short, "cifar10", "wideresnet", rows=404).epochs == 1


@pytest.mark.parametrize("rows", [200, 2000, 20_000])
def test_what_is_auto_goes_with_the_number_of_images(rows: int, parameters: Parameters) -> None:
    automatic: dict[str, Any] = dict.fromkeys(AUTO, "auto")
    own = parameters.datasets["cifar10"].training.model_copy(update=automatic)
    parameters = changed(parameters, "datasets", "cifar10", training=own)
    general = training_settings(helpers.parameters(), "cifar10", "ce", rows=rows)
    for network, share in (("ce", 1), ("wideresnet", 0.5)):
        found = training_settings(parameters, "cifar10", network, rows=rows)
        steps = fitted(rows, epochs="auto", batch_size="auto", learning_rate="auto")
        assert found.epochs == round(steps.epochs * share)
        assert (found.batch_size, found.learning_rate) == (steps.batch_size, steps.learning_rate)
        assert found.model_dump(exclude=set(AUTO)) == general.model_dump(exclude=set(AUTO))


def test_a_portable_dataset_is_made_on_one_thread_of_the_cpu_in_float32(parameters: Parameters) -> None:
    assert machine(parameters, "digits") == PORTABLE
    assert machine(parameters, "cifar10") == {"device": "auto", "precision": "auto", "cpu_threads": None}
    own = parameters.datasets["cifar10"].training.model_copy(update={"cpu_threads": 3})
    assert machine(changed(parameters, "datasets", "cifar10", training=own), "cifar10")["cpu_threads"] == 3


def test_a_dataset_changes_some_of_a_generators_parameters(parameters: Parameters) -> None:
    own, general = (
        parameters.datasets["digits"].generators["cgan"],
        parameters.generators["cgan"].model_dump(exclude={"synthetic_from"}),
    )
    assert own
    assert own.keys() < general.keys()
    assert generator_on(parameters, "digits", "cgan").model_dump() == general | own
    assert generator_on(parameters, "cifar10", "cgan").model_dump() == general


def test_only_generated_images_can_start_late(parameters: Parameters) -> None:
    late = parameters.generators["cgan"].model_copy(update={"synthetic_from": 0.8})
    parameters = parameters.model_copy(update={"generators": parameters.generators | {"smote": late}})
    cells = [
        ("generated", "smote"),
        ("augmented", "smote"),
        ("generated", "gamo"),
        ("", ""),
        ("generated", "x"),
    ]
    assert [synthetic_from(parameters, *cell) for cell in cells] == [0.8, 0, 0, 0, 0]


def test_architecture(parameters: Parameters) -> None:
    own = parameters.datasets["digits"].architecture.model_copy(update={"weights": "resnet8.safetensors"})
    parameters = changed(parameters, "datasets", "digits", architecture=own)
    assert architecture(parameters, "digits", "ce") == own
    other = parameters.networks["resnet56"].architecture
    parameters = changed(parameters, "networks", "ce", architecture=other)
    assert architecture(parameters, "digits", "ce") == other
    assert other is not None
    assert other.weights is None  # which belong to the data set's own


def test_a_network_that_mixes_pairs_has_two_branches(parameters: Parameters) -> None:
    found = {name: branches(parameters, name) for name in ("ce", "remix", "la_mixup", "bbn")}
    assert found == {"ce": 1, "remix": 1, "la_mixup": 1, "bbn": 2}


def test_what_an_eos_head_is_run_with(parameters: Parameters) -> None:
    assert (neighbors(parameters, "eos"), neighbors(parameters, "eos_k300")) == (10, 300)
    assert neighbors(parameters, "smote") is None
    assert step(parameters, "eos") == "toward, step size 1"
    assert step(parameters, "smote") == ""
    assert settings(parameters, ("smote", "eos")) == {"eos": "K = 10, toward, step size 1"}


def test_legends_say_what_eos_is_run_with(parameters: Parameters) -> None:
    assert head_labels(parameters, ("own", "eos", "eos_k300_half")) == {
        "own": "Own classifier",
        "eos": "EOS (K = 10)",
        "eos_k300_half": "EOS (K = 300, step 0.5)",
    }
    other = changed(parameters, "heads", "eos", k_neighbors=7, step_size=0.25, variant="released")
    assert head_labels(other, ["eos"]) == {"eos": "EOS (K = 7, step 0.25, released)"}
    assert (
        eos_settings(other)["eos"].items()
        >= {"k_neighbors": 7, "step_size": 0.25, "variant": "released"}.items()
    )
    assert "smote" not in eos_settings(other)


def test_networks_of_the_axis_that_no_table_lists_are_shown_everywhere(parameters: Parameters) -> None:
    axes = parameters.axes.model_copy(update={"networks": ("ce", "resnet56", "mine", "remix")})
    known = parameters.model_copy(update={"axes": axes})
    assert shown_networks(known, "digits", ("ldam", "ce")) == ("ldam", "ce", "mine")
    assert [shown_network(known, "digits", name) for name in ("ce", "asl")] == ["ce", "mine"]


def test_a_set_of_embeddings_has_networks_heads_and_one_cut_of_its_own(parameters: Parameters) -> None:
    known = helpers.with_embeddings()
    assert networks_of(known, "plants") == ("ce", "dinov2")
    assert heads_of(known, "plants", "dinov2") == ("own", "smote", "eos")
    assert cuts_of(known, "plants") == (0,)
    assert networks_of(known, "digits") == parameters.axes.networks
    assert heads_of(known, "digits", "remix") == parameters.networks["remix"].heads
    assert cuts_of(known, "digits") == parameters.axes.cuts


def test_what_tables_and_figures_show_of_a_set_of_embeddings() -> None:
    known = helpers.with_embeddings()
    assert shown_networks(known, "plants", ("ce", "asl")) == ("ce", "dinov2")
    assert shown_networks(known, "digits", ("ce", "asl")) == ("ce", "asl")
    assert [shown_network(known, "plants", name) for name in ("dinov2", "asl")] == ["dinov2", "ce"]
    assert shown_network(known, "digits", "asl") == "asl"
