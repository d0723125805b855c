"""Manifold-based over-sampling: its formulas, manifolds that are known, and classes that are too small."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network import MLPRegressor
from sklearn.utils._param_validation import InvalidParameterError
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.samplers import manifold
from eos.samplers.manifold import ManifoldOverSampler
from eos.samplers.oversampling import oversample
from tests.helpers import given

FORMS: list[dict[str, Any]] = [
    {"form": "pca"},
    {"form": "pca", "pooled_rows": 0},
    {"form": "autoencoder", "steps": 30},
    {"form": "autoencoder", "steps": 30, "per_class": True},
]


def classes(sizes: tuple[int, ...] = (60, 20, 9), width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes with covariances of their own; some features correlate."""
    rng = np.random.RandomState(1)
    parts = [rng.normal(size=(size, width)) @ rng.normal(size=(width, width)) / 2 + rng.normal(size=width)
             for size in sizes]  # fmt: skip
    return np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes)


def added(X: np.ndarray, y: np.ndarray, **parameters: Any) -> np.ndarray:
    """Return the synthetic rows; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ManifoldOverSampler(**{"random_state": 0} | parameters).fit_resample(X, y)[0][len(X) :]


# Principal axes


@pytest.mark.parametrize("pooled_rows", [0.0, 7.5])
@pytest.mark.parametrize("variance", [0.6, 0.9, 1.0])
def test_axes_are_the_formula(variance: float, pooled_rows: float) -> None:
    X, y = classes()
    new = added(X, y, variance=variance, pooled_rows=pooled_rows, noise=0.3)
    random, expected = np.random.RandomState(0), []
    scatters = [(count - 1) * np.cov(X[y == label].T) for label, count in enumerate((60, 20, 9))]
    pooled = sum(scatters) / (59 + 19 + 8)
    for label, n_samples in ((1, 40), (2, 51)):
        members = X[y == label]
        weight = pooled_rows / (pooled_rows + len(members) - 1)
        covariance = (1 - weight) * scatters[label] / (len(members) - 1) + weight * pooled
        axes, values, _ = np.linalg.svd(covariance)
        shares = np.cumsum(values) / values.sum()
        kept = next(number + 1 for number in range(4) if shares[number] >= variance - 1e-12)
        chosen = random.randint(len(members), size=n_samples)
        normal = random.standard_normal((n_samples, 4))
        for member, draw in zip(members[chosen], normal, strict=True):
            x = members.mean(axis=0)
            for axis, value in zip(axes.T[:kept], values[:kept], strict=True):
                x = x + axis * (axis @ (member - members.mean(axis=0)))
                x = x + axis * 0.3 * np.sqrt(value) * (axis @ draw)
            expected.append(x)
    np.testing.assert_allclose(new, expected, rtol=1e-9, atol=1e-9)


def test_a_line_stays_a_line() -> None:
    rng = np.random.RandomState(0)
    along = np.concatenate([rng.normal(size=4000), np.linspace(-2, 2, 5)])
    direction = np.array([3.0, 0.0, 4.0]) / 5
    X, y = along[:, np.newaxis] * direction + [1.0, 2.0, 3.0], np.repeat([0, 1], [4000, 5])
    new = added(X, y, pooled_rows=0, noise=0.2) - [1.0, 2.0, 3.0]
    places = new @ direction
    np.testing.assert_allclose(new, places[:, np.newaxis] * direction, atol=1e-12)
    # Five members at -2, -1, ..., 2, each with noise of 0.2 standard deviations, which are sqrt(2.5).
    assert places.std() == pytest.approx(np.sqrt(2 + 0.04 * 2.5), rel=0.05)


def test_the_fewest_axes_that_explain_the_share() -> None:
    covariance = np.diag([6.0, 90.0, 4.0])
    for share, kept in ((0.5, [1]), (0.9, [1]), (0.91, [0, 1]), (0.96, [0, 1]), (1.0, [0, 1, 2])):
        onto, spread = manifold._axes(covariance, share)
        used = np.isin(range(3), kept)
        np.testing.assert_allclose(onto, np.diag(used), atol=1e-15)
        np.testing.assert_allclose(spread, np.diag(used * np.sqrt([6.0, 90.0, 4.0])), atol=1e-14)


def test_a_class_of_one_sample_has_the_pooled_covariance() -> None:
    X, y = classes((20_000, 50, 1))
    new = added(X, y, noise=0.5, variance=1.0, sampling_strategy={2: 20_000})
    pooled = (19_999 * np.cov(X[y == 0].T) + 49 * np.cov(X[y == 1].T)) / (19_999 + 49)
    np.testing.assert_allclose(new.mean(axis=0), X[-1], atol=0.03)
    np.testing.assert_allclose(np.cov(new.T), 0.25 * pooled, atol=0.02)


# The auto-encoder


@pytest.mark.parametrize("per_class", [False, True])
def test_the_autoencoder_pulls_noisy_points_to_the_manifold(per_class: bool) -> None:
    rng = np.random.RandomState(0)
    angle = np.linspace(0, 2 * np.pi, 700)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    plane, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    X, y = circle @ plane[:2], np.repeat([0, 1], [400, 300])
    noise = 0.4
    new = added(X, y, form="autoencoder", per_class=per_class, noise=noise, sampling_strategy={1: 1000})

    def off_the_plane(rows: np.ndarray) -> float:
        return float(np.square(rows - rows @ plane[:2].T @ plane[:2]).sum(axis=1).mean())

    start = X[y == 1][rng.randint(300, size=700)] + noise * X.std(axis=0) * rng.normal(size=(700, 10))
    assert off_the_plane(new) < 0.1 * off_the_plane(start)
    assert 0.3 < np.linalg.norm(new, axis=1).mean() < 1.2


def test_training_rows_are_noisy_and_of_each_class_equally_many(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    partial_fit = MLPRegressor.partial_fit

    def watched(self: MLPRegressor, X: np.ndarray, y: np.ndarray) -> MLPRegressor:
        seen.append((X, y))
        return partial_fit(self, X, y)

    monkeypatch.setattr(MLPRegressor, "partial_fit", watched)
    X, y = np.zeros((100, 2)), np.repeat([3, 5], [90, 10])
    X[:, 0], X[y == 5, 1] = np.arange(100), 1.0
    added(X, y, form="autoencoder", steps=150, noise=0.5)
    assert [len(rows) for rows, _ in seen] == [32 * 128] * 4 + [22 * 128]
    noisy, clean = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    standardised = (X - X.mean(axis=0)) / X.std(axis=0)
    places = np.abs(clean[:, :1] - standardised[:, 0]).argmin(axis=1)
    np.testing.assert_allclose(clean, standardised[places], atol=1e-12)
    counts = np.bincount(places, minlength=100)
    assert counts[90:].sum() == pytest.approx(9600, abs=300)
    assert counts[:90].min() > 0.6 * 9600 / 90
    assert counts[90:].min() > 0.8 * 960
    assert (noisy - clean).std() == pytest.approx(0.5, rel=0.03)


def test_samples_start_at_noisy_members_and_pass_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[np.ndarray] = []

    def halved(self: Any, rows: np.ndarray) -> np.ndarray:
        calls.append(rows)
        return rows / 2

    monkeypatch.setattr(manifold._Autoencoder, "__call__", halved)
    X, y = classes((4000, 3))
    X[y == 1] = [[5, 5, 5, 5], [5, 5, 5, 6], [6, 5, 5, 5]]
    new = added(X, y, form="autoencoder", steps=1, noise=0.2, passes=3)
    assert len(calls) == 3
    start = calls[0] * X.std(axis=0) + X.mean(axis=0)
    np.testing.assert_allclose(new, calls[0] / 8 * X.std(axis=0) + X.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(start.mean(axis=0), X[y == 1].mean(axis=0), atol=0.06)
    np.testing.assert_allclose(start.var(axis=0), X[y == 1].var(axis=0) + 0.04 * X.var(axis=0), rtol=0.1)


@pytest.mark.parametrize(("width", "size"), [(1, 2), (4, 2), (10, 3), (20, 6)])
def test_the_hidden_layer_is_a_share_of_the_features(
    width: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[Any] = []
    predict = MLPRegressor.predict

    def watched(self: MLPRegressor, X: np.ndarray) -> np.ndarray:
        sizes.append([weight.shape for weight in self.coefs_])
        return predict(self, X)

    monkeypatch.setattr(MLPRegressor, "predict", watched)
    assert np.isfinite(added(*classes(width=width), form="autoencoder", steps=2)).all()
    assert sizes == [[(width, size), (size, width)]] * 2


# Features and classes that do not vary


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_dead_features_change_nothing_and_stay(parameters: dict[str, Any]) -> None:
    X, y = classes()
    dead = np.insert(X, [0, 2, 4], [0.0, 7.25, 1e200], axis=1)
    new = added(dead, y, **parameters)
    np.testing.assert_array_equal(new[:, [0, 3, 6]], np.tile([0, 7.25, 1e200], (len(new), 1)))
    np.testing.assert_array_equal(new[:, [1, 2, 4, 5]], added(X, y, **parameters))


@pytest.mark.parametrize("parameters", [FORMS[1], FORMS[3]], ids=str)
def test_features_that_are_dead_in_a_class_stay_where_it_stands_alone(parameters: dict[str, Any]) -> None:
    X, y = classes((40, 8))
    X[y == 1, 1] = 1 / 3
    np.testing.assert_allclose(added(X, y, **parameters)[:, 1], 1 / 3, rtol=1e-12)


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_classes_of_one_sample(parameters: dict[str, Any]) -> None:
    X, y = classes((30, 30, 1))
    if parameters in (FORMS[0], FORMS[2]):
        new = added(X, y, **parameters)
        assert len(np.unique(new, axis=0)) == len(new) == 29
    else:
        sampler = ManifoldOverSampler(random_state=0, **parameters)
        with pytest.warns(UserWarning, match=r"^samples are copies of members, .* does not vary: class 2$"):
            new = sampler.fit_resample(X, y)[0][len(X) :]
        np.testing.assert_allclose(new, np.tile(X[-1], (29, 1)), rtol=1e-15)


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_nothing_varies(parameters: dict[str, Any]) -> None:
    sampler = ManifoldOverSampler(random_state=0, **parameters)
    with pytest.warns(UserWarning, match="samples are copies, because all rows are the same"):
        rows = sampler.fit_resample(np.full((5, 3), 2.5), [0, 0, 0, 1, 1])[0]
    np.testing.assert_array_equal(rows, np.full((6, 3), 2.5))
    X = np.array([[0.0, 1.0]] * 4 + [[3.0, 5.0]])
    if parameters != FORMS[2]:  # which moves between the classes
        with pytest.warns(UserWarning, match=r"does not vary: class 1$"):
            rows = sampler.fit_resample(X, [0, 0, 0, 0, 1])[0]
        np.testing.assert_array_equal(rows[5:], X[[4, 4, 4]])


# What all samplers promise


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_counts_and_sampling_strategy(parameters: dict[str, Any]) -> None:
    X, y = classes()
    sampler = ManifoldOverSampler(random_state=0, sampling_strategy={2: 30}, **parameters)
    assert Counter(sampler.fit_resample(X, y)[1].tolist()) == {0: 60, 1: 20, 2: 30}
    assert len(added(X, y, **parameters)) == 91


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_labels_of_any_kind(parameters: dict[str, Any]) -> None:
    X, y = classes()
    new = added(X, y, **parameters)
    for labels in (np.array(list("abc"))[y], np.datetime64("2020-01-01") + y):
        np.testing.assert_array_equal(added(X, labels, **parameters), new)


@pytest.mark.parametrize("parameters", FORMS, ids=str)
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: Any, parameters: dict[str, Any]) -> None:
    X, y = classes()
    result = ManifoldOverSampler(random_state=0, **parameters).fit_resample(make(X), y)[0]
    assert isinstance(result, make)
    np.testing.assert_array_equal(result.toarray()[len(X) :], added(X, y, **parameters))


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_threads_change_nothing(parameters: dict[str, Any]) -> None:
    X, y = classes((700, 300), 40)
    with threadpool_limits(2):
        two = added(X, y, **parameters)
    with threadpool_limits(1):
        assert added(X, y, **parameters).tobytes() == two.tobytes()


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_the_unit_of_the_features_does_not_count(parameters: dict[str, Any]) -> None:
    X, y = classes()
    new = added(X, y, **parameters)
    for power in (-900, 300, 1010):
        np.testing.assert_array_equal(added(np.ldexp(X, power), y, **parameters), np.ldexp(new, power))


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_clipping_is_of_features_that_are_never_negative(parameters: dict[str, Any]) -> None:
    X, y = classes()
    X[:, :2] = np.maximum(X[:, :2], 0)
    parameters = parameters | {"noise": 0.5}
    plain, clipped = added(X, y, **parameters), added(X, y, clip=True, **parameters)
    assert (plain[:, :2] < 0).any() or parameters["form"] == "autoencoder"
    np.testing.assert_array_equal(clipped[:, :2], np.maximum(plain[:, :2], 0))
    np.testing.assert_array_equal(clipped[:, 2:], plain[:, 2:])


def test_samples_that_overflow_are_refused() -> None:
    X, y = classes()
    X = (X / np.abs(X).max() * 3.3e38).astype(np.float32)
    with pytest.raises(InputError, match=r"X: samples of values as large as .* overflow float32; scale"):
        ManifoldOverSampler(random_state=0, noise=9).fit_resample(X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"form": "dae"},
        {"noise": -1.0},
        {"variance": 0.0},
        {"pooled_rows": -1},
        {"hidden_share": 1.5},
        {"steps": 0},
        {"per_class": "yes"},
        {"passes": 0},
        {"clip": None},
    ],
    ids=str,
)
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        ManifoldOverSampler(**parameters).fit_resample(*classes())


@pytest.mark.parametrize("form", ["pca", "autoencoder"])
def test_the_named_sampler_is_the_class_and_notes_its_warnings(form: str) -> None:
    X, y = classes((30, 12, 1))
    changed = {"form": form, "steps": 3, "pooled_rows": 0.0, "per_class": True, "passes": 2, "variance": 0.5}
    parameters = given("sampler", "manifold") | changed
    made = oversample("manifold", X, y, random_state=5, **parameters)
    with pytest.warns(UserWarning, match="class 2"):
        rows, labels = ManifoldOverSampler(random_state=5, **parameters).fit_resample(X, y)
    np.testing.assert_array_equal(made.features, rows[len(X) :])
    np.testing.assert_array_equal(made.labels, labels)
    assert made.notes == ("samples are copies of members, because the class does not vary: class 2",)
