"""Rival heads: each against its formula or another library, and one rule of choice that sees no test row."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from threadpoolctl import threadpool_info, threadpool_limits

from eos import CCR, EOS, LinearHead, NearestClassMean, TauNormalized
from eos.errors import InputError
from eos.heads import rivals
from eos.heads.rivals import Embedded, Rival, choose
from eos.heads.softmax import class_balanced_draw, fit, logits
from eos.metrics.calibration import class_mean_loss
from eos.samplers.neighbors import ExactNeighbors
from tests.helpers import given, head_config

COUNTS, HELD_OUT = (120, 40, 15), (40, 14, 6)
SEEDS = (3, 4)
SCHEDULE: dict[str, Any] = {
    "epochs": 6,
    "learning_rate": 0.05,
    "weight_decay": 5e-4,
    "milestones": [3, 5],
    "warmup_epochs": 2,
}
TAUS = (0.5, 1.0, 2.0)
PARAMETERS: dict[str, dict[str, Any]] = {
    "ncm": {},
    "balanced_softmax": {},
    "tau_norm": {"tau": 1.0, "tau_choices": TAUS},
    "row_scaling": {"gamma": 0.5, "gamma_choices": (0.25, 0.5, 1.0)},
    "post_hoc": {"tau": 1.0, "tau_choices": TAUS},
    "crt": SCHEDULE,
    "lws": SCHEDULE,
    "logit_adjusted": {"tau": 1.0, "tau_choices": TAUS},
    "logistic": {
        "C": 1.0,
        "C_choices": (0.01, 1.0),
        "sampler": {"sampler": "smote", "k_neighbors": 3},
    },
    "eos_cv": {
        "k_neighbors": 5,
        "k_neighbors_choices": (5, 20),
        "step_size": 1.0,
        "step_size_choices": (0.5, 1.0),
    },
}
FITTED_AGAIN = {"logit_adjusted", "logistic", "eos_cv"}
OF_OWN_WEIGHT = {"tau_norm", "row_scaling", "lws"}


def rows(counts: tuple[int, ...], seed: int, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(9).normal(size=(len(counts), d))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (centres[labels] + 1.5 * rng.normal(size=(len(labels), d))).astype(np.float32), labels


def embedded(counts: tuple[int, ...] = COUNTS, held_out: tuple[int, ...] = HELD_OUT) -> Embedded:
    features, labels = rows(counts, 0)
    validation, validation_labels = rows(held_out, 1)
    weight, bias = fit(features, labels, len(counts), head_config(), 0)
    return Embedded(
        features=features,
        labels=labels,
        validation_features=validation,
        validation_labels=validation_labels,
        weight=weight,
        bias=bias,
        validation_logits=logits(validation, weight, bias),
        n_classes=len(counts),
    )


def without_validation(data: Embedded) -> Embedded:
    return replace(
        data,
        validation_features=data.validation_features[:0],
        validation_labels=data.validation_labels[:0],
        validation_logits=data.validation_logits[:0],
    )


def head(name: str, data: Embedded, **changed: Any) -> Rival:
    function: Callable[..., Rival] = getattr(rivals, name)
    parameters = PARAMETERS[name] | changed
    return function(data, seeds=SEEDS, recipe=head_config(), random_state=7, **parameters)


def loss(data: Embedded, outputs: np.ndarray) -> float:
    """The class-mean cross-entropy at the best temperature, by scikit-learn; the mean over the seeds."""
    labels = data.validation_labels
    weights = 1 / np.bincount(labels)[labels]

    def at(factor: float, one: np.ndarray) -> float:
        return log_loss(labels, softmax(factor * one.astype(float), axis=1), sample_weight=weights)

    factors = 2.0 ** np.arange(-6, 4.5, 0.5)
    return float(np.mean([min(at(factor, one) for factor in factors) for one in outputs]))


TEST = rows((30, 30, 30), 2)[0]


def outputs_of(data: Embedded, rival: Rival, features: np.ndarray = TEST) -> np.ndarray:
    return rival.logits(features, logits(features, data.weight, data.bias))


# What every head promises


@pytest.mark.parametrize("name", PARAMETERS)
def test_shapes_types_and_determinism(name: str) -> None:
    data = embedded()
    made, again = head(name, data), head(name, data)
    n_layers = len(SEEDS) if name in {"crt", "lws", "balanced_softmax", "logit_adjusted", "eos_cv"} else 1
    assert made.weight.shape == (n_layers, 3, 6)
    assert made.bias.shape == (n_layers, 3)
    assert made.weight.dtype == made.bias.dtype == made.center.dtype == np.float32
    assert made.center.shape == ((6,) if name == "ncm" else (0,))
    assert (made.own_logits is None) == (name != "post_hoc")
    outputs = outputs_of(data, made)
    assert outputs.shape == (n_layers, len(TEST), 3)
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs, outputs_of(data, again))
    expected = {
        parameter.removesuffix("_choices") for parameter in PARAMETERS[name] if "_choices" in parameter
    }
    assert made.chosen.keys() == expected
    assert made.chosen == again.chosen
    assert made.held_out_predicted.shape == (n_layers, sum(HELD_OUT))
    assert balanced_accuracy_score(data.validation_labels, made.held_out_predicted[0]) > 0.4


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - {"post_hoc"}))  # which multiplies nothing
def test_heads_are_computed_on_one_thread(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More would add up in another order, and the same head would differ from machine to machine."""
    seen: list[int] = []

    def watched(**fields: Any) -> Rival:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return Rival(**fields)

    data = embedded()
    monkeypatch.setattr(rivals, "Rival", watched)
    with threadpool_limits(limits=2, user_api="blas"):
        head(name, data)
    assert set(seen) == {1}


@pytest.mark.parametrize("name", PARAMETERS)
def test_without_held_out_rows_the_default_is_taken(name: str) -> None:
    data = without_validation(embedded())
    made = head(name, data)
    assert made.held_out_predicted.shape[1] == 0
    assert made.chosen == {parameter: PARAMETERS[name][parameter] for parameter in made.chosen}
    alone = {key: () for key in PARAMETERS[name] if key.endswith("_choices")}
    np.testing.assert_array_equal(outputs_of(data, made), outputs_of(data, head(name, data, **alone)))


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - {"ncm", "crt", "lws", "balanced_softmax"}))
def test_what_is_chosen_is_best_on_held_out_rows(name: str) -> None:
    """Each choice by itself, on training rows alone."""
    data = embedded()
    made = head(name, data)
    names = list(made.chosen)
    grid = (
        np.array(np.meshgrid(*(PARAMETERS[name][f"{one}_choices"] for one in names)))
        .reshape(len(names), -1)
        .T
    )
    scores = {}
    for values in grid.tolist():
        typed = {one: type(PARAMETERS[name][one])(value) for one, value in zip(names, values, strict=True)}
        alone = {f"{one}_choices": () for one in names}
        plain = head(name, without_validation(data), **typed, **alone)
        outputs = plain.logits(data.validation_features, data.validation_logits)
        scores[tuple(typed.values())] = loss(data, outputs), outputs.argmax(axis=2)
    best = scores[tuple(made.chosen.values())]
    np.testing.assert_array_equal(made.held_out_predicted, best[1])
    assert best[0] == pytest.approx(min(score for score, _ in scores.values()), abs=1e-6)
    assert len({score for score, _ in scores.values()}) > 1  # there is something to choose


@pytest.mark.parametrize("name", PARAMETERS)
def test_without_a_choice_held_out_rows_are_not_fitted_to(name: str) -> None:
    data = embedded()
    single = {key: () for key in PARAMETERS[name] if key.endswith("_choices")}
    with_them, without = head(name, data, **single), head(name, without_validation(data), **single)
    np.testing.assert_array_equal(with_them.weight, without.weight)
    np.testing.assert_array_equal(with_them.bias, without.bias)
    assert with_them.chosen == {}
    outputs = without.logits(data.validation_features, data.validation_logits)
    np.testing.assert_array_equal(with_them.held_out_predicted, outputs.argmax(axis=2))


@pytest.mark.parametrize("name", sorted(FITTED_AGAIN))
def test_after_a_choice_training_and_held_out_rows_are_fitted_to(name: str) -> None:
    data = embedded()
    made = head(name, data)
    features, labels = data.all_rows()
    all_rows = without_validation(replace(data, features=features, labels=labels))
    single: dict[str, Any] = {key: () for key in PARAMETERS[name] if key.endswith("_choices")}
    expected = head(name, all_rows, **single | made.chosen)
    np.testing.assert_allclose(made.weight, expected.weight, rtol=1e-5, atol=1e-6)
    assert not np.allclose(made.weight, head(name, without_validation(data), **single | made.chosen).weight)


def test_post_hoc_of_logits_alone_has_no_layer() -> None:
    data = embedded()
    bare = replace(data, weight=data.weight[:0], bias=data.bias[:0])
    made = head("post_hoc", bare)
    assert np.isnan(made.weight).all()
    assert made.weight.shape == (1, 3, 6)
    unknown = replace(data, validation_logits=np.full_like(data.validation_logits, np.nan))
    made = head("post_hoc", unknown)
    assert made.chosen == {"tau": PARAMETERS["post_hoc"]["tau"]}
    assert (made.held_out_predicted == -1).all()


def test_outputs_of_the_own_classifier_are_scaled_and_moved() -> None:
    factor, offset = np.array([2.0, 0.5, 1.0], np.float32), np.array([0.0, 1.0, -3.0], np.float32)
    made = replace(head("post_hoc", embedded()), own_logits=(factor, offset))
    np.testing.assert_array_equal(made.logits(TEST[:1], np.array([[1.0, 4.0, 0.0]])), [[[2.0, 3.0, -3.0]]])


@pytest.mark.parametrize("name", sorted(OF_OWN_WEIGHT))
def test_a_network_without_a_classifier_is_refused(name: str) -> None:
    data = embedded()
    bare = replace(data, weight=data.weight[:0], bias=data.bias[:0])
    with pytest.raises(InputError, match=f"head {name}: the network has no classifier of its own"):
        head(name, bare)


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - OF_OWN_WEIGHT))
def test_the_others_need_no_classifier(name: str) -> None:
    data = embedded()
    bare = replace(data, weight=data.weight[:0], bias=data.bias[:0])
    np.testing.assert_array_equal(head(name, bare).held_out_predicted, head(name, data).held_out_predicted)


def test_a_class_without_training_rows_is_refused() -> None:
    with pytest.raises(InputError, match="no training rows of class 1; a head needs"):
        embedded((10, 0, 5))


# The rule of choice


def chosen(scores: dict[Any, float], default: Any, *, rows: int = 5) -> Any:
    return choose(lambda x: -scores[x], rows=rows, x=(default, tuple(scores))).values["x"]


def test_the_highest_wins_wherever_the_default_is() -> None:
    assert chosen({1.0: 0.3, 2.0: 0.5, 3.0: 0.4}, 1.0) == 2.0


def test_of_equals_the_nearest_to_the_default_wins_then_the_first() -> None:
    assert chosen({0.1: 0.5, 3.0: 0.5, 0.5: 0.5, 1.5: 0.5, 1.0: 0.2}, 1.0) == 0.5
    assert chosen({3.0: 0.5, 1.5: 0.5, 0.5: 0.5}, 1.0) == 1.5
    assert chosen({"all": 0.5, 1000: 0.5, 10: 0.1}, 10) == 1000
    assert chosen({"all": 0.5, 1000: 0.5}, "all") == "all"
    assert chosen({1.0: 1 / 3 + 1e-16, 2.0: 1 / 3}, 2.0) == 2.0  # rounding is no difference


def test_a_scale_of_the_outputs_does_not_change_their_loss() -> None:
    data = embedded()
    plain = class_mean_loss(data.validation_labels, data.validation_logits)
    assert plain == class_mean_loss(data.validation_labels, data.validation_logits * 4)
    assert plain == pytest.approx(loss(data, data.validation_logits[np.newaxis]), abs=1e-6)
    assert plain < class_mean_loss(data.validation_labels, data.validation_logits[::-1])


def test_of_equal_pairs_the_first_parameter_counts_first() -> None:
    equal = choose(lambda a, b: 0.5, rows=1, a=(1.0, (3.0, 2.0)), b=(1.0, (9.0, 1.5)))
    assert equal.values == {"a": 2.0, "b": 1.5}
    assert equal.chosen == equal.values


def test_without_rows_nothing_is_tried() -> None:
    assert chosen({}, 4.0, rows=0) == 4.0


def test_one_value_is_no_choice() -> None:
    made = choose(lambda tau: 1.0, rows=1, tau=(1.0, (2.0,)))
    assert (made.values, made.chosen) == ({"tau": 2.0}, {})


# Each head


def test_ncm_is_the_estimator() -> None:
    data = embedded()
    estimator = NearestClassMean().fit(data.features, data.labels)
    made = head("ncm", data)
    np.testing.assert_allclose(outputs_of(data, made)[0], estimator.decision_function(TEST), atol=1e-6)
    np.testing.assert_allclose(made.center, data.features.mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(made.held_out_predicted[0], estimator.predict(data.validation_features))


def test_tau_norm_is_the_estimator() -> None:
    data = embedded()
    own = LinearHead(random_state=0).fit(data.features, data.labels)
    np.testing.assert_array_equal(own.coef_, data.weight)
    estimator = TauNormalized(LinearHead(random_state=0), tau=2.0).fit(data.features, data.labels)
    outputs = outputs_of(data, head("tau_norm", data, tau_choices=(2.0,)))
    np.testing.assert_allclose(outputs[0], estimator.decision_function(TEST), rtol=1e-5, atol=1e-5)


def test_row_scaling_divides_by_the_power_of_the_share_of_the_largest() -> None:
    data = embedded()
    made = head("row_scaling", data, gamma_choices=(0.25,))
    for row, own, count in zip(made.weight[0], data.weight, COUNTS, strict=True):
        np.testing.assert_allclose(row, own / (count / 120) ** 0.25, rtol=1e-6)
    assert not made.bias.any()


def test_post_hoc_subtracts_the_logarithms_of_the_shares() -> None:
    data = embedded()
    made = head("post_hoc", data, tau_choices=(2.0,))
    own = logits(TEST, data.weight, data.bias)
    expected = own - 2 * np.log(np.array(COUNTS) / sum(COUNTS))
    np.testing.assert_allclose(made.logits(TEST, own)[0], expected, rtol=1e-5)
    # The layer that a linear own classifier becomes gives the same.
    np.testing.assert_allclose(logits(TEST, made.weight[0], made.bias[0]), expected, rtol=1e-4, atol=1e-5)


def test_post_hoc_is_for_logits_of_any_classifier_and_chooses_nothing_without() -> None:
    data = embedded()
    squared = replace(
        data, validation_logits=data.validation_logits**2, weight=data.weight[:0], bias=data.bias[:0]
    )
    made = head("post_hoc", squared, tau_choices=(2.0,))
    expected = data.validation_logits**2 - 2 * np.log(np.array(COUNTS) / sum(COUNTS))
    np.testing.assert_array_equal(made.held_out_predicted[0], expected.argmax(axis=1))
    unknown = head("post_hoc", replace(data, validation_logits=np.empty((sum(HELD_OUT), 0), np.float32)))
    assert unknown.chosen == {"tau": 1.0}
    assert (unknown.held_out_predicted == -1).all()


def test_crt_is_the_linear_head_on_class_balanced_draws() -> None:
    data = embedded()
    made = head("crt", data)
    for weight, bias, seed in zip(made.weight, made.bias, SEEDS, strict=True):
        linear = LinearHead(class_balanced=True, random_state=seed, **SCHEDULE).fit(
            data.features, data.labels
        )
        np.testing.assert_array_equal(weight, linear.coef_)
        np.testing.assert_array_equal(bias, linear.intercept_)


def test_lws_equals_a_torch_loop() -> None:
    data = embedded()
    made = head("lws", data)
    config = head_config()
    rates = [0.05 / 2, 0.05, 0.05, 0.005, 0.005, 0.0005]
    outputs, labels = torch.tensor(logits(data.features, data.weight, data.bias)), torch.tensor(data.labels)
    for layer, bias, seed in zip(made.weight, made.bias, SEEDS, strict=True):
        scale = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([scale], lr=1.0, momentum=config.momentum, weight_decay=5e-4)
        rng, draw = np.random.default_rng(seed), class_balanced_draw(data.labels)
        for rate in rates:
            optimizer.param_groups[0]["lr"] = rate
            for batch in torch.tensor(draw(rng)).split(config.batch_size):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(outputs[batch] * scale, labels[batch]).backward()
                optimizer.step()
        scales = scale.detach().numpy()
        assert np.abs(scales - 1).max() > 0.05
        np.testing.assert_allclose(layer, data.weight * scales[:, np.newaxis], rtol=1e-4)
        np.testing.assert_allclose(bias, data.bias * scales, rtol=1e-4)


def test_lws_that_diverges_is_named() -> None:
    data = embedded()
    with pytest.raises(InputError, match=r"head lws: training diverged in epoch \d; lower its learning_rate"):
        head("lws", replace(data, weight=data.weight * np.float32(1e30)), learning_rate=1e300)


def test_logit_adjusted_is_the_linear_head_on_all_rows() -> None:
    data = embedded()
    made = head("logit_adjusted", data, tau_choices=(2.0,))
    features, labels = data.all_rows()
    np.testing.assert_array_equal(features[sum(COUNTS) :], data.validation_features)
    for weight, seed in zip(made.weight, SEEDS, strict=True):
        linear = LinearHead(logit_adjustment=2.0, random_state=seed).fit(features, labels)
        np.testing.assert_array_equal(weight, linear.coef_)


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_logistic_is_scikit_learns_on_the_samplers_rows(C: float) -> None:
    data = embedded()
    features, labels = data.all_rows()
    resampled = SMOTE(random_state=7, k_neighbors=3).fit_resample(features, labels)
    expected = LogisticRegression(C=C, tol=1e-9, max_iter=10**5).fit(resampled[0].astype(float), resampled[1])
    made = head("logistic", data, C_choices=(C,))
    np.testing.assert_allclose(made.weight[0], expected.coef_, atol=1e-2)
    plain = head("logistic", data, C_choices=(C,), sampler=None)
    bare = LogisticRegression(C=C, tol=1e-9, max_iter=10**5).fit(features.astype(float), labels)
    np.testing.assert_allclose(plain.weight[0], bare.coef_, atol=1e-2)
    assert not np.allclose(plain.weight[0], expected.coef_, atol=5e-2)


def test_logistic_is_fitted_to_the_rows_that_a_sampler_moved() -> None:
    data = embedded()
    features, labels = data.all_rows()
    settings = given("sampler", "ccr") | {"cleaning": "translate", "energy": 2.0}
    rows, of_rows = CCR(random_state=7, **settings).fit_resample(features, labels)
    assert (rows[: len(features)] != features).any()
    expected = LogisticRegression(C=1.0, tol=1e-9, max_iter=10**5).fit(rows.astype(float), of_rows)
    made = head("logistic", data, C_choices=(1.0,), sampler={"sampler": "ccr", **settings})
    np.testing.assert_allclose(made.weight[0], expected.coef_, atol=1e-2)


def test_logistic_of_two_classes_has_two_rows() -> None:
    data = embedded((60, 20), (20, 8))
    made = head("logistic", data, C_choices=(1.0,), sampler=None)
    features, labels = data.all_rows()
    expected = LogisticRegression(tol=1e-9, max_iter=10**5).fit(features.astype(float), labels)
    outputs = made.logits(features, np.empty((len(features), 0)))[0]
    difference = outputs[:, 1] - outputs[:, 0]
    np.testing.assert_allclose(difference, expected.decision_function(features.astype(float)), atol=1e-2)


def test_eos_cv_is_the_linear_head_on_eos_of_all_rows() -> None:
    data = embedded()
    made = head("eos_cv", data, k_neighbors_choices=(20,), step_size_choices=(0.5,))
    sampler = EOS(k_neighbors=20, step_size=0.5, random_state=7)
    rows = sampler.fit_resample(*data.all_rows())
    for weight, seed in zip(made.weight, SEEDS, strict=True):
        np.testing.assert_array_equal(weight, LinearHead(random_state=seed).fit(*rows).coef_)


def test_eos_cv_searches_once_for_all_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once among the training rows, and once among all rows."""
    asked, search = [], ExactNeighbors._nearest

    def counted(self: ExactNeighbors, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
        asked.append(n_neighbors)
        return search(self, queries, n_neighbors)

    monkeypatch.setattr(ExactNeighbors, "_nearest", counted)
    head("eos_cv", embedded(), k_neighbors_choices=(4, 20, 7))
    assert asked == [21, 21]


def test_only_the_final_fit_says_what_it_did() -> None:
    data = embedded()
    with pytest.warns(UserWarning, match="reduced") as told:
        made = head("eos_cv", data, k_neighbors_choices=(10**6,), step_size_choices=())
    assert len(told) == 1
    n = sum(COUNTS) + sum(HELD_OUT)
    assert f"to {n - 1}" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fewer = head("eos_cv", data, k_neighbors_choices=(n - 1,), step_size_choices=())
    np.testing.assert_array_equal(made.weight, fewer.weight)


def test_a_samplers_note_is_a_warning_once() -> None:
    data = embedded((120, 40, 3), (*HELD_OUT[:2], 1))
    with pytest.warns(UserWarning, match="k_neighbors") as told:
        head("logistic", data, sampler={"sampler": "smote", "k_neighbors": 30})
    assert [str(one.message) for one in told] == [
        "k_neighbors was reduced from 30 to 3, because class 2 has 4 samples"
    ]


@pytest.mark.parametrize(("k_neighbors", "step_size"), [("all", "auto"), (7, "auto"), ("all", 0.4), (7, 0.4)])
def test_eos_cv_is_eos_and_the_recipe(k_neighbors: Any, step_size: Any) -> None:
    data = without_validation(embedded())
    made = head(
        "eos_cv",
        data,
        k_neighbors=k_neighbors,
        step_size=step_size,
        k_neighbors_choices=(),
        step_size_choices=(),
    )
    sampler = EOS(k_neighbors=k_neighbors, step_size=step_size, random_state=7)
    features, labels = sampler.fit_resample(data.features, data.labels)
    weight, bias = fit(features, labels, 3, head_config(), SEEDS[0])
    np.testing.assert_allclose(made.weight[0], weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(made.bias[0], bias, rtol=1e-4, atol=1e-5)
