"""Heads that are classifiers of their own: what the pipeline hands to them, and what it stores of them."""

from typing import Any

import numpy as np
import pytest

from eos.config.cells import is_classifier
from eos.config.schema import Parameters
from eos.heads.softmax import fit, logits
from eos.pipeline.rivals import HELD_OUT, PUBLISHED, embedded, fit_classifier
from eos.registry import CLASSIFIERS
from eos.storage.layouts import HEAD
from tests import helpers
from tests.helpers import head_config

SIZES, WIDTH = (60, 20, 8), 5
CLASSIFIER_HEADS = [name for name in helpers.parameters().heads if is_classifier(helpers.parameters(), name)]
CHOOSING_HEADS = [
    name
    for name in CLASSIFIER_HEADS
    if any(key.endswith("_choices") for key in helpers.parameters().heads[name].model_dump())
]


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    known = helpers.parameters()
    short = known.head_training.model_copy(update={"epochs": 3, "seeds": (4, 2)})
    return known.model_copy(update={"head_training": short})


def data(held_out: tuple[int, ...] = (6, 4, 3)) -> dict[str, Any]:
    """Return embeddings of three classes that overlap, and a classifier that was fitted to them."""
    rng = np.random.default_rng(3)
    arrays: dict[str, Any] = {}
    for part, sizes in (("train", SIZES), ("validation", held_out), ("test", (30, 30, 30))):
        labels = rng.permutation(np.repeat(np.arange(3), sizes))
        means = 1.2 * np.eye(3, WIDTH)
        arrays[f"{part}_labels"] = labels
        arrays[f"{part}_features"] = (means[labels] + rng.normal(size=(len(labels), WIDTH))).astype(
            np.float32
        )
    weight, bias = fit(arrays["train_features"], arrays["train_labels"], 3, head_config(), 0)
    arrays |= {"weight": weight, "bias": bias}
    for part in ("train", "validation", "test"):
        arrays[f"{part}_logits"] = logits(arrays[f"{part}_features"], weight, bias)
    return arrays


def test_every_registered_classifier_is_a_head() -> None:
    heads = helpers.parameters().heads
    assert {heads[name].classifier for name in CLASSIFIER_HEADS} == set(CLASSIFIERS)


@pytest.mark.parametrize("head", CLASSIFIER_HEADS)
def test_what_is_stored(head: str, parameters: Parameters) -> None:
    stored, told = fit_classifier(parameters, "digits", "ce", head, data())
    assert stored.keys() == set(HEAD)
    assert stored["seeds"].tolist() in ([0], [4, 2])
    runs = len(stored["seeds"])
    assert stored["weight"].shape == (runs, 3, WIDTH)
    assert stored["test_logits"].shape == (runs, 90, 3)
    assert stored["held_out_predicted"].shape == (runs, 13)
    definition = parameters.heads[head].model_dump()
    choices = {name.removesuffix("_choices") for name in definition if name.endswith("_choices")}
    assert told["chosen"].keys() == choices
    for name, one in told["chosen"].items():
        assert one["rule"] == HELD_OUT
        assert one["value"] in [
            value if isinstance(value, str) else f"{value:g}" for value in definition[f"{name}_choices"]
        ]


@pytest.mark.parametrize("head", CLASSIFIER_HEADS)
def test_permuted_test_labels_change_nothing_that_is_chosen_or_fitted(
    head: str, parameters: Parameters
) -> None:
    plain, other = data(), data()
    rng = np.random.default_rng(0)
    other["test_labels"] = rng.permutation(other["test_labels"])
    rows = rng.permutation(len(other["test_labels"]))
    other["test_features"], other["test_logits"] = (
        other[f"test_{one}"][rows] for one in ("features", "logits")
    )
    (one, told), (another, told_then) = (
        fit_classifier(parameters, "digits", "ce", head, given) for given in (plain, other)
    )
    assert told == told_then
    for name in ("weight", "bias", "center", "held_out_predicted"):
        np.testing.assert_array_equal(one[name], another[name])
    np.testing.assert_array_equal(one["test_logits"][:, rows], another["test_logits"])


@pytest.mark.parametrize("head", CHOOSING_HEADS)
def test_other_held_out_rows_may_change_what_is_chosen(head: str, parameters: Parameters) -> None:
    """The test above could not fail if nothing were chosen by any rows."""
    chosen = set()
    for seed in range(8):
        given = data((30, 12, 9))
        rng = np.random.default_rng(seed)
        labels = given["validation_labels"]
        given["validation_labels"] = rng.permutation(labels) if seed else labels
        chosen.add(str(fit_classifier(parameters, "digits", "ce", head, given)[1]["chosen"]))
    assert len(chosen) > 1


def test_without_held_out_rows_it_is_the_published_default(parameters: Parameters) -> None:
    _, told = fit_classifier(parameters, "digits", "ce", "tau_norm", data((0, 0, 0)))
    assert told["chosen"] == {"tau": {"value": "1", "rule": PUBLISHED}}


def test_cosines_are_brought_to_the_scale_of_their_softmax(parameters: Parameters) -> None:
    given = data()
    scale = parameters.networks["ldam"].loss.scale
    np.testing.assert_array_equal(
        embedded(parameters, "digits", "ldam", given).validation_logits,
        np.float32(scale) * given["validation_logits"],
    )
    stored, told = fit_classifier(parameters, "digits", "ldam", "post_hoc", given)
    tau = float(told["chosen"]["tau"]["value"])
    offset = -tau * np.log(np.array(SIZES) / sum(SIZES))
    np.testing.assert_allclose(stored["test_logits"][0], scale * given["test_logits"] + offset, rtol=1e-5)
    assert stored["center"].shape == (WIDTH,)  # a linear layer of features at unit length


def test_a_sampler_that_does_something_else_is_noted(parameters: Parameters) -> None:
    few = data()
    keep = np.flatnonzero(few["train_labels"] != 2)[:70]
    keep = np.concatenate([keep, np.flatnonzero(few["train_labels"] == 2)[:3]])
    few |= {f"train_{name}": few[f"train_{name}"][keep] for name in ("features", "labels", "logits")}
    few |= {f"validation_{name}": few[f"validation_{name}"][:0] for name in ("features", "labels", "logits")}
    _, told = fit_classifier(parameters, "digits", "ce", "logistic_smote", few)
    assert any("k_neighbors was reduced from 5 to 2" in note for note in told["notes"])
