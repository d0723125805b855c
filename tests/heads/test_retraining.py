"""The retrained head is a plain fit, followed over its epochs."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import balanced_accuracy_score, f1_score
from threadpoolctl import threadpool_info, threadpool_limits

from eos.errors import InputError
from eos.heads import softmax
from eos.heads.retraining import retrain
from eos.heads.rows import balanced_rows
from eos.storage.files import Arrays
from tests.helpers import head_config

CONFIG = head_config(epochs=6, learning_rate=0.01, batch_size=16)
Rows = tuple[np.ndarray, np.ndarray]
NO_ROWS: Rows = (np.empty((0, 5), np.float32), np.empty(0, np.int64))


@pytest.fixture(scope="module")
def parts() -> tuple[Rows, Rows, Rows]:
    features, labels = make_blobs(240, n_features=5, centers=4, cluster_std=6, random_state=0)
    train, test, validation = (slice(i, None, 3) for i in range(3))
    data = [(features[rows].astype(np.float32), labels[rows]) for rows in (train, test, validation)]
    return data[0], data[1], data[2]


def fitted(parts: tuple[Rows, Rows, Rows], rule: str, *, curve_epochs: int = 9, seed: int = 3) -> Arrays:
    train, test, validation = parts
    return retrain(
        train,
        test,
        validation,
        n_classes=4,
        config=CONFIG,
        curve_epochs=curve_epochs,
        rule=rule,
        seed=seed,
    )


def test_the_last_epoch_is_the_config_s_whatever_the_curve_s(parts: tuple[Rows, Rows, Rows]) -> None:
    train, test, _ = parts
    weight, bias = softmax.fit(*train, 4, CONFIG, 3)
    head = fitted(parts, "last")
    np.testing.assert_array_equal(head["weight"], weight)
    np.testing.assert_array_equal(head["bias"], bias)
    assert head["epoch"] == 6
    assert head["loss"].shape == head["train_BAC"].shape == head["test_BAC"].shape == (9,)
    np.testing.assert_allclose(head["test_logits"], test[0] @ weight.T + bias, rtol=1e-5)


def test_the_curves_are_the_accuracies_after_each_epoch(parts: tuple[Rows, Rows, Rows]) -> None:
    train, test, _ = parts
    head = fitted(parts, "last")
    for epochs in (1, 4, 9):
        config = head_config(epochs=epochs, learning_rate=0.01, batch_size=16)
        weight, bias = softmax.fit(*train, 4, config, 3)
        for name, (features, labels) in {"train_BAC": train, "test_BAC": test}.items():
            predicted = (features @ weight.T + bias).argmax(axis=1)
            assert head[name][epochs - 1] == pytest.approx(balanced_accuracy_score(labels, predicted))


@pytest.mark.parametrize("rule", ["test", "validation"])
def test_selection_takes_the_best_macro_f1_of_the_config_s_epochs(
    parts: tuple[Rows, Rows, Rows], rule: str
) -> None:
    train, test, validation = parts
    features, labels = test if rule == "test" else validation
    chosen = set()
    for seed in range(6):
        scores = []
        for epochs in range(1, 7):
            config = head_config(epochs=epochs, learning_rate=0.01, batch_size=16)
            weight, bias = softmax.fit(*train, 4, config, seed)
            predicted = (features @ weight.T + bias).argmax(axis=1)
            scores.append(f1_score(labels, predicted, average="macro"))
        head = fitted(parts, rule, seed=seed)
        assert head["epoch"] == np.argmax(scores) + 1
        chosen.add(int(head["epoch"]))
    assert len(chosen) > 1  # the data does not make every choice the same


def test_validation_needs_rows(parts: tuple[Rows, Rows, Rows]) -> None:
    with pytest.raises(InputError, match=r"split\.validation_fraction"):
        fitted((parts[0], parts[1], NO_ROWS), "validation")


def test_the_rows_may_be_computed_batch_by_batch(parts: tuple[Rows, Rows, Rows]) -> None:
    (features, labels), test, validation = parts
    rng = np.random.default_rng(0)
    base, partner = rng.integers(0, len(labels), (2, 60))
    source = balanced_rows(features, base, partner, rng.random(60))
    balanced = np.concatenate([labels, labels[base]])
    heads = [
        retrain(
            (rows, balanced),
            test,
            validation,
            n_classes=4,
            config=CONFIG,
            curve_epochs=9,
            rule="last",
            seed=0,
        )
        for rows in (source, source.block(0, len(balanced)))
    ]
    for name, array in heads[0].items():
        np.testing.assert_array_equal(array, heads[1][name])


def test_heads_are_fitted_on_one_thread(
    parts: tuple[Rows, Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More would add up in another order, and the same head would differ from machine to machine."""
    seen: list[int] = []
    fit = softmax.fit

    def watched(*given: Any, **named: Any) -> tuple[np.ndarray, np.ndarray]:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return fit(*given, **named)

    monkeypatch.setattr(softmax, "fit", watched)
    with threadpool_limits(limits=2, user_api="blas"):
        fitted(parts, "last")
    assert set(seen) == {1}


def test_training_heads_loads_no_large_library() -> None:
    large = "{'torch', 'sklearn', 'scipy', 'pandas'}"
    program = f"import sys, eos.heads.retraining; print({large} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
