"""EOSCV: the choice against a plain loop, the shared search, splits, heads, scikit-learn's checks."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from eos.errors import InputError
from eos.heads.eos_cv import EOSCV, log_probability
from eos.heads.linear_head import LinearHead
from eos.samplers.eos import EOS
from eos.samplers.neighbors import ExactNeighbors
from tests.samplers.test_eos import blobs

GRID: dict[str, Any] = {"k_neighbors": [4, 15, "all"], "step_size": [0.3, 1.0]}


def data() -> tuple[np.ndarray, np.ndarray]:
    X, y = blobs([90, 30, 12], spread=0.8)
    return X, np.array(["often", "sometimes", "rarely"])[y]


@pytest.mark.slow
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        EOSCV(k_neighbors=[3, "all"], step_size=[1.0], cv=2, random_state=0),
        EOSCV(k_neighbors=["all"], step_size=[0.5, 1], head=LogisticRegression(), cv=2, random_state=0),
    ]
)
def test_scikit_learn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("head", [None, LogisticRegression(max_iter=500)])
def test_equals_a_plain_loop(head: Any) -> None:
    X, y = data()
    model = EOSCV(**GRID, head=head, cv=3, scoring="balanced_accuracy", random_state=5).fit(X, y)
    folds = list(StratifiedKFold(3).split(X, y))
    used = LinearHead(random_state=5) if head is None else head
    expected, settings = [], []
    for k in GRID["k_neighbors"]:
        for step in GRID["step_size"]:
            scores = []
            for train, test in folds:
                sampler = EOS(k_neighbors=k, step_size=step, random_state=5)
                fitted = clone(used).fit(*sampler.fit_resample(X[train], y[train]))
                scores.append(balanced_accuracy_score(y[test], fitted.predict(X[test])))
            expected.append(scores)
            settings.append({"k_neighbors": k, "step_size": step})
    results = model.cv_results_
    assert results["params"] == settings
    assert results["param_k_neighbors"].tolist() == [setting["k_neighbors"] for setting in settings]
    assert results["param_step_size"].tolist() == [setting["step_size"] for setting in settings]
    assert np.array_equal([results[f"split{fold}_test_score"] for fold in range(3)], np.transpose(expected))
    means = np.mean(expected, axis=1)
    assert np.allclose(results["mean_test_score"], means)
    assert np.allclose(results["std_test_score"], np.std(expected, axis=1))
    assert model.n_splits_ == 3

    best = settings[int(means.argmax())]
    assert (model.best_k_neighbors_, model.best_step_size_) == tuple(best.values())
    assert model.best_score_ == pytest.approx(means.max())
    assert results["rank_test_score"][means.argmax()] == 1
    again = clone(used).fit(*EOS(**best, random_state=5).fit_resample(X, y))
    assert np.array_equal(model.predict(X), again.predict(X))
    assert np.array_equal(model.predict_proba(X), again.predict_proba(X))
    assert np.array_equal(model.decision_function(X), again.decision_function(X))
    assert model.classes_.tolist() == ["often", "rarely", "sometimes"]
    assert type(model.head_) is type(used)
    assert model.sampler_.get_params() == EOS(**best, random_state=5).get_params()
    assert model.sampler_.k_neighbors_ == best["k_neighbors"]


def test_chooses_by_the_held_out_rows_and_then_draws_from_all() -> None:
    X, y = data()
    held_out = np.random.RandomState(0).permutation(len(y))[:40]
    split = PredefinedSplit(np.where(np.isin(np.arange(len(y)), held_out), 0, -1))
    model = EOSCV(**GRID, cv=split, random_state=0).fit(X, y)
    assert model.n_splits_ == 1
    X_all, y_all = EOS(**model.cv_results_["params"][0], random_state=0).fit_resample(X, y)
    assert len(y_all) == 3 * 90
    assert np.array_equal(X_all[: len(X)], X)
    # Labels of rows that are trained on alone decide nothing about the scores' rows, and the other way round:
    # another order of the held-out labels changes the scores.
    other = y.copy()
    other[held_out] = np.roll(other[held_out], 7)
    assert not np.array_equal(
        EOSCV(**GRID, cv=split, random_state=0).fit(X, other).cv_results_["mean_test_score"],
        model.cv_results_["mean_test_score"],
    )


def test_one_search_for_each_split_and_one_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data()
    asked, search = [], ExactNeighbors._nearest

    def counted(self: ExactNeighbors, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
        asked.append(n_neighbors)
        return search(self, queries, n_neighbors)

    monkeypatch.setattr(ExactNeighbors, "_nearest", counted)
    model = EOSCV(k_neighbors=[4, 15, 7], step_size=[0.5, 1], cv=3, random_state=0).fit(X, y)
    assert asked == [16, 16, 16, model.best_k_neighbors_ + 1]


def test_takes_the_first_of_equal_scores() -> None:
    X, y = blobs([40, 12], spread=30)  # so easy that all settings are right
    model = EOSCV(
        k_neighbors=["all", 3],
        step_size=[0.4, 0.2],
        head=LogisticRegression(),
        cv=3,
        scoring="balanced_accuracy",
        random_state=0,
    ).fit(X, y)
    assert model.best_score_ == 1
    assert (model.best_k_neighbors_, model.best_step_size_) == ("all", 0.4)
    ranks = model.cv_results_["rank_test_score"]  # as of GridSearchCV: all are first
    assert (ranks.dtype, ranks.tolist()) == (np.int32, [1, 1, 1, 1])


def test_scoring_by_name_or_function() -> None:
    X, y = data()
    by_name = EOSCV(**GRID, cv=3, scoring="f1_macro", random_state=0).fit(X, y)
    by_function = EOSCV(**GRID, cv=3, scoring=make_scorer(balanced_accuracy_score), random_state=0).fit(X, y)
    plain = EOSCV(**GRID, cv=3, scoring="balanced_accuracy", random_state=0).fit(X, y)
    scores = [model.cv_results_["mean_test_score"] for model in (by_name, by_function, plain)]
    assert np.array_equal(scores[1], scores[2])
    assert not np.array_equal(scores[0], scores[1])


def test_scores_by_log_probability() -> None:
    X, y = data()
    model = EOSCV(
        k_neighbors=["all"],
        step_size=["auto"],
        head=GaussianNB(),
        cv=3,
        random_state=0,
    ).fit(X, y)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        sampler = EOS(k_neighbors="auto", step_size="auto", random_state=0)
        head = GaussianNB().fit(*sampler.fit_resample(X[train], y[train]))
        # scikit-learn's log-loss at the best temperature, with weights that give every class the same share.
        sizes = {label: (y[test] == label).sum() for label in np.unique(y)}
        weights = [1 / sizes[label] for label in y[test]]
        outputs = np.log(np.maximum(head.predict_proba(X[test]), np.finfo(float).eps))
        loss = min(
            log_loss(y[test], softmax(factor * outputs, axis=1), sample_weight=weights)
            for factor in 2.0 ** np.arange(-6, 4.5, 0.5)
        )
        assert model.cv_results_[f"split{fold}_test_score"] == pytest.approx([-loss])


def test_a_class_that_the_head_does_not_know_costs_much() -> None:
    X, y = data()
    head = GaussianNB().fit(X[y != "rarely"], y[y != "rarely"])
    some = np.r_[np.flatnonzero(y == "rarely")[:2], np.flatnonzero(y == "often")[:3]]
    known = log_probability(head, X[some[2:]], y[some[2:]])
    assert known > log_probability(head, X[some], y[some]) > np.log(np.finfo(np.float64).eps)


def test_a_head_without_probabilities_is_scored_by_balanced_accuracy() -> None:
    X, y = data()
    plain, named = (
        EOSCV(k_neighbors=["all"], head=LinearSVC(random_state=0), scoring=scoring, cv=3, random_state=0).fit(
            X, y
        )
        for scoring in (None, "balanced_accuracy")
    )
    np.testing.assert_array_equal(*(one.cv_results_["mean_test_score"] for one in (plain, named)))


def test_large_k_is_quiet_until_it_is_chosen() -> None:
    X, y = blobs([40, 12], spread=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EOSCV(k_neighbors=["all", 1000], step_size=[1.0], cv=3, head=GaussianNB(), random_state=0).fit(X, y)


def test_methods_are_those_of_the_head() -> None:
    X, y = data()
    assert hasattr(EOSCV(), "predict_proba")
    assert not hasattr(EOSCV(head=LinearSVC()), "predict_proba")
    assert not hasattr(EOSCV(head=GaussianNB()), "decision_function")
    model = EOSCV(k_neighbors=["all"], step_size=[0.5], head=LinearSVC(), cv=3, random_state=0).fit(X, y)
    assert model.decision_function(X).shape == (len(X), 3)
    assert not hasattr(model, "predict_proba")


def test_sparse_rows() -> None:
    X, y = data()
    X = np.where(np.abs(X) < 0.6, 0, X)
    dense = EOSCV(**GRID, cv=3, random_state=0).fit(X, y)
    model = EOSCV(**GRID, cv=3, random_state=0).fit(sparse.csr_array(X), y)
    assert np.allclose(model.cv_results_["mean_test_score"], dense.cv_results_["mean_test_score"], atol=0.02)
    assert (model.predict(sparse.csr_array(X)) == dense.predict(X)).mean() > 0.97


def test_the_least_and_the_largest_of_the_grid_are_taken() -> None:
    model = EOSCV(k_neighbors=[1], step_size=[1.0], head=GaussianNB(), cv=2, random_state=0).fit(*data())
    assert (model.sampler_.k_neighbors_, model.sampler_.step_size_) == (1, 1.0)


def test_as_a_step_of_a_search() -> None:
    X, y = data()
    base = EOSCV(k_neighbors=["all"], step_size=[0.5], head=LogisticRegression(), cv=2, random_state=0)
    search = GridSearchCV(base, {"head__C": [0.01, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_["head__C"] in (0.01, 1.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k_neighbors": [10, 0]}, "k_neighbors: 0 is in the grid"),
        ({"k_neighbors": [2.5]}, "k_neighbors: 2.5 is in the grid"),
        ({"k_neighbors": ["some"]}, "k_neighbors: 'some' is in the grid"),
        ({"k_neighbors": []}, "k_neighbors: the grid is empty"),
        ({"step_size": [0.5, 1.5]}, "step_size: 1.5 is in the grid"),
        ({"step_size": []}, "step_size: the grid is empty"),
    ],
)
def test_bad_grids(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EOSCV(**parameters).fit(*data())


@pytest.mark.parametrize(
    "parameters",
    [
        {"k_neighbors": 10},
        {"step_size": 0.5},
        {"cv": 1.5},
        {"scoring": "no"},
        {"head": 3},
        {"random_state": "seed"},
    ],
)
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises((InvalidParameterError, ValueError), match="parameter of EOSCV"):
        EOSCV(**parameters).fit(*data())


def test_a_split_with_one_class_to_train_on() -> None:
    X, y = blobs([20, 5])
    split = [(np.flatnonzero(y == 0), np.flatnonzero(y == 1))]
    with pytest.raises(InputError, match="cv: split 0 has rows of one class only"):
        EOSCV(cv=split).fit(X, y)


def test_one_class() -> None:
    with pytest.raises(InputError, match=r"y: only one class \(a\)"):
        EOSCV().fit(np.ones((10, 2)), ["a"] * 10)


@pytest.mark.parametrize("cv", [[], PredefinedSplit(np.full(64, -1))])
def test_nothing_held_out(cv: Any) -> None:
    X, y = blobs([48, 16], spread=1)
    with pytest.raises(InputError, match=r"cv: no row is held out; give a split with held-out rows"):
        EOSCV(cv=cv).fit(X, y)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None, "good"])
def test_a_score_that_is_no_number(score: Any) -> None:
    X, y = blobs([48, 16], spread=1)
    with pytest.raises(InputError, match=f"scoring: the score {score!r} is not finite"):
        EOSCV(k_neighbors=["all"], cv=3, scoring=lambda *given: score).fit(X, y)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([3], "cannot unpack .*; give splits of the 64 rows"),
        ([(np.arange(40),)], "not enough values .*; give splits of the 64 rows"),
        (65, "Cannot have number of splits n_splits=65 .*; give splits of the 64 rows"),
        *(
            (
                [(np.arange(64), held_out)],
                "split 0 is not numbers from 0 to 63 of rows to train on and of rows",
            )
            for held_out in ([], [64], [-65], [0.5], [[1]], ["a"])
        ),
    ],
)
def test_splits_that_are_none(cv: Any, message: str) -> None:
    X, y = blobs([48, 16], spread=1)
    with pytest.raises(InputError, match=f"cv: {message}"):
        EOSCV(k_neighbors=["all"], cv=cv).fit(X, y)
