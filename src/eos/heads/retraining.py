"""Phase 3 as an experiment: fit a head, follow it over the epochs, keep the epoch the rule selects."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from eos.heads import softmax
from eos.heads.rows import RowSource
from eos.metrics.scores import score
from eos.metrics.selection import BestEpochs


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
        The head is taken from its epochs.
    curve_epochs
        Train on to this epoch, at least the config's, for the learning curves alone.
    rule
        Which epoch's weights are kept; see `eos.metrics.selection`.
    seed
        Of the initial weights and the order of the rows.

    Returns
    -------
    dict of str to ndarray
        `weight` (C, d), `bias` (C,), `epoch` () the selected one, from 1; `held_out_predicted`
        (n_validation,), what it predicts of the validation rows; `test_logits` (n_test, C); and the curves
        `loss`, `train_BAC`, `test_BAC`, each (curve_epochs,). Training accuracy is on the rows that the head
        is fitted on.

    Raises
    ------
    InputError
        If the rule has nothing to select by, or training diverges.
    """
    curves: dict[str, list[float]] = {"loss": [], "train_BAC": [], "test_BAC": []}
    best, kept = BestEpochs(), {}
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
            held_out = scored("validation", weight, bias)["FM"] if len(validation[1]) else None
            improved = best.update(test_score=test_scores["FM"], validation_score=held_out)
            kept.update(dict.fromkeys(improved, (weight, bias)))

    # The rate is constant after the warm-up, so training on does not change the epochs before.
    longer = replace(config, epochs=curve_epochs)
    # These products are small: more threads are slower, and would make the sums depend on their number.
    with threadpool_limits(limits=1, user_api="blas"):
        softmax.fit(*sources["train"], n_classes, longer, seed, on_epoch=after_epoch)
    epoch = best.epoch(rule)
    weight, bias = kept[rule]
    return {
        "weight": weight,
        "bias": bias,
        "epoch": np.array(epoch + 1),
        "held_out_predicted": softmax.predictions(sources["validation"][0], weight, bias),
        "test_logits": softmax.logits(test[0], weight, bias),
        **{name: np.array(values) for name, values in curves.items()},
    }
