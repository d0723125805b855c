"""Phase 3 as an experiment: fit a head, follow it over the epochs, keep the epoch the rule selects."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from eos.heads import softmax
from eos.heads.rows import RowSource
from eos.metrics.scores import score
from eos.metrics.selection import selected_epoch


def retrain(
    train: tuple[np.ndarray | RowSource, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    n_classes: int,
    config: softmax.HeadConfig,
    curve_epochs: int,
    rule: str,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit a fresh linear head on (balanced) embeddings and score it after every epoch.

    Parameters
    ----------
    train, test, validation
        Features (n, d) and labels (n,). `validation` may have no rows. The features of `train` may be a
        source of rows, as for `eos.heads.softmax.fit`.
    n_classes
        C, the number of classes.
    config
        The config. The head is taken from its epochs.
    curve_epochs
        Train on to this epoch, at least the config's, for the learning curves alone.
    rule
        `last`, `validation` or `test`: which epoch's weights are kept.
    seed
        Of the initial weights and the order of the rows.

    Returns
    -------
    dict of str to ndarray
        `weight` (C, d), `bias` (C,), `epoch` () the selected one, from 1; `test_logits` (n_test, C); and the
        curves `loss`, `train_BAC`, `test_BAC`, each (curve_epochs,). Training accuracy is on the
        rows that the head is fitted on.

    Raises
    ------
    InputError
        If the rule is unknown or has nothing to select by, or a feature is not finite.
    """
    curves: dict[str, list[float]] = {"loss": [], "train_BAC": [], "test_BAC": []}
    f1: dict[str, list[float]] = {"test": [], "validation": []}
    snapshots: list[tuple[np.ndarray, np.ndarray]] = []

    # Checked once, not after every epoch.
    sources = {
        name: (softmax.row_source(features), labels)
        for name, (features, labels) in {"train": train, "test": test, "validation": validation}.items()
    }

    def scored(part: str, weight: np.ndarray, bias: np.ndarray) -> dict[str, float]:
        source, labels = sources[part]
        return score(labels, softmax.predictions(source, weight, bias), n_classes)

    def after_epoch(epoch: int, weight: np.ndarray, bias: np.ndarray, loss: float) -> None:
        test_scores = scored("test", weight, bias)
        curves["loss"].append(loss)
        curves["train_BAC"].append(scored("train", weight, bias)["BAC"])
        curves["test_BAC"].append(test_scores["BAC"])
        if epoch <= config.epochs:
            snapshots.append((weight, bias))
            f1["test"].append(test_scores["FM"])
            if len(validation[1]):
                f1["validation"].append(scored("validation", weight, bias)["FM"])

    # The rate is constant after the warm-up, so training on does not change the epochs before.
    longer = replace(config, epochs=curve_epochs)
    # These products are small: more threads are slower, and would make the sums depend on their number.
    with threadpool_limits(limits=1, user_api="blas"):
        softmax.fit(*sources["train"], n_classes, longer, seed, on_epoch=after_epoch)
    chosen = selected_epoch(rule, test_scores=f1["test"], validation_scores=f1["validation"] or None)
    weight, bias = snapshots[chosen]
    return {
        "weight": weight,
        "bias": bias,
        "epoch": np.array(chosen + 1),
        "test_logits": softmax.logits(test[0], weight, bias),
        **{name: np.array(values) for name, values in curves.items()},
    }
