"""Softmax regression by stochastic gradient descent: the paper's classifier head, in NumPy.

A fresh linear layer on frozen feature embeddings is small enough that its gradient fits in five lines, and a
training run takes less time than importing a deep-learning framework.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eos.errors import InputError
from eos.heads.rows import RowSource, StoredRows

EpochCallback = Callable[[int, np.ndarray, np.ndarray, float], None]

# Rows whose outputs are in memory at a time, few enough for the processor's cache.
_BLOCK = 2048


@dataclass(frozen=True)
class HeadConfig:
    """How a head is trained: the parameters of `eos.LinearHead`, which says what they are.

    Those of the paper's recipe have to be given. The others are off by default: they make rivals of it.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    momentum: float
    weight_decay: float
    warmup_epochs: int
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    class_balanced: bool = False
    logit_adjustment: float = 0.0

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        warm = self.learning_rate * min(1.0, epoch / max(1, self.warmup_epochs))
        return warm * self.decay ** sum(epoch > milestone for milestone in self.milestones)


def fit(
    features: np.ndarray | RowSource,
    labels: np.ndarray,
    n_classes: int,
    config: HeadConfig,
    random_state: int | np.random.Generator,
    *,
    sample_weight: np.ndarray | None = None,
    dtype: npt.DTypeLike = np.float32,
    on_epoch: EpochCallback | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Train a fresh linear layer with softmax cross-entropy.

    The result is that of a plain PyTorch loop: ``torch.nn.Linear`` with its default initialisation,
    mini-batches in a new random order every epoch, the mean cross-entropy of each, ``torch.optim.SGD``.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), or RowSource
        Feature embeddings, finite, at least one row; used as they are (the paper does not normalise them). A
        source, as from `eos.heads.rows.balanced_rows`, is read a batch at a time; the result is that of the
        array of its rows.
    labels : ndarray of int, shape (n_samples,)
        Classes 0 to ``n_classes - 1``; a class may be without rows.
    n_classes : int
        Number of outputs.
    config : HeadConfig
        Epochs, learning rate and so on.
    random_state : int or numpy.random.Generator
        Drawn from in this order: the weight, the bias, and per epoch one permutation of the rows, or, where
        they are drawn balanced by class, all of their classes and then all of their places in these.
    sample_weight : ndarray of shape (n_samples,), optional
        Factors of the rows' losses; the mean over a batch still divides by its number of rows. In `dtype`.
        The class shares of a logit adjustment are shares of the weights. How often a row is drawn does not
        depend on them.
    dtype : float32 or float64, default=float32
        Of the computation and of the result. The rows of a source have it already.
    on_epoch : callable, optional
        Called after each epoch with the epoch (from 1), copies of weight and bias, and the mean loss of the
        epoch's rows as they were met (before the step that used them).

    Returns
    -------
    weight : ndarray of shape (n_classes, n_features)
    bias : ndarray of shape (n_classes,)

    Raises
    ------
    InputError
        If training diverges.

    References
    ----------
    Dablain et al., "Efficient Augmentation for Imbalanced Deep Learning", third phase of the framework
    (classifier retraining). Class-balanced draws: Kang et al. 2020. Logit adjustment: Ren et al. 2020, Menon
    et al. 2021.
    """
    source = row_source(features, dtype)
    n_samples, n_features = source.shape
    rng = np.random.default_rng(random_state)
    layer = _linear_init(rng, n_classes, n_features).astype(dtype)
    momentum_buffer = np.zeros_like(layer)
    offset = None
    if config.logit_adjustment:
        with np.errstate(over="ignore"):
            offset = (config.logit_adjustment * log_prior(labels, n_classes, sample_weight)).astype(dtype)
        if not np.isfinite(offset).all():
            raise InputError(
                f"logit_adjustment: {config.logit_adjustment:g} times the logarithms of the classes' shares "
                f"overflows {np.dtype(dtype)}; give a smaller factor, 1 is that of the paper"
            )
    draw = class_balanced_draw(labels) if config.class_balanced else None
    for epoch in range(1, config.epochs + 1):
        order = rng.permutation(n_samples) if draw is None else draw(rng)
        loss = _run_epoch(
            layer,
            momentum_buffer,
            source,
            labels,
            order,
            sample_weight=sample_weight,
            offset=offset,
            rate=config.rate(epoch),
            config=config,
        )
        if not np.isfinite(layer).all():
            # A step shrinks the weights by learning_rate * weight_decay of themselves.
            decays = config.learning_rate * config.weight_decay > 1
            also = f", weight_decay ({config.weight_decay:g})" if decays else ""
            raise InputError(
                f"training diverged in epoch {epoch}: the weights are no longer finite; "
                f"lower learning_rate ({config.learning_rate:g}){also} or standardise the features"
            )
        if on_epoch is not None:
            on_epoch(epoch, *_weight_and_bias(layer), loss)
    return _weight_and_bias(layer)


def logits(features: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the outputs of a linear layer (C, d), (C,) for features (n, d): float32 of shape (n, C)."""
    outputs = features.astype(np.float32, copy=False) @ weight.T
    outputs += bias
    return outputs


def log_prior(labels: np.ndarray, n_classes: int, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """Return the logarithm of each class's share of the rows, or of their weights: float64 (n_classes,).

    It is 0 for a class without rows, which has no share to adjust by.
    """
    weights = None if sample_weight is None else sample_weight.astype(np.float64)
    totals = np.bincount(labels, weights, minlength=n_classes).astype(np.float64)
    return np.log(np.divide(totals, totals.sum(), out=np.ones(n_classes), where=totals > 0))


def class_balanced_draw(labels: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Return what draws as many rows as there are: a class, each equally likely, then one of its rows.

    It is the class-balanced sampling of Kang et al. 2020 (with replacement). Classes without rows are not
    drawn.
    """
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    starts = np.cumsum(counts) - counts

    def draw(rng: np.random.Generator) -> np.ndarray:
        classes = rng.integers(len(counts), size=len(labels))
        return by_class[starts[classes] + rng.integers(counts[classes])]

    return draw


def row_source(features: np.ndarray | RowSource, dtype: npt.DTypeLike = np.float32) -> RowSource:
    """Return `features` if it is a source of rows, else a source of its rows in that dtype."""
    if isinstance(features, RowSource):
        return features
    return StoredRows(features.astype(dtype, copy=False))


def predictions(source: RowSource, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the class with the largest output of a linear layer (C, d), (C,) for each of n rows: (n,)."""
    winners = np.empty(source.shape[0], dtype=np.intp)
    for start in range(0, len(winners), _BLOCK):
        outputs = source.block(start, start + _BLOCK) @ weight.T
        outputs += bias
        outputs.argmax(axis=1, out=winners[start : start + _BLOCK])
    return winners


def _run_epoch(
    layer: np.ndarray,
    momentum_buffer: np.ndarray,
    source: RowSource,
    labels: np.ndarray,
    order: np.ndarray,
    *,
    sample_weight: np.ndarray | None,
    offset: np.ndarray | None,
    rate: float,
    config: HeadConfig,
) -> float:
    """Take one epoch's steps, updating `layer` and `momentum_buffer` in place; return the mean loss."""
    n_samples, size = len(order), min(config.batch_size, len(order))
    # A column of ones makes the bias one more weight: one product per step instead of two.
    room = np.ones((size, layer.shape[1]), dtype=layer.dtype)
    # Where the output for its own class stands, for each row in its batch's outputs (classes, rows).
    widths = np.full(n_samples, size)
    widths[n_samples - n_samples % size :] = n_samples % size
    own = labels[order] * widths + np.arange(n_samples) % size
    # The loss is the sum of these logarithms less these outputs, taken once for all batches.
    own_outputs = np.empty(n_samples, dtype=layer.dtype)
    sums = np.empty_like(own_outputs)
    # What overflows here ends in weights that are not finite, for which `fit` has a clear message.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, n_samples, size):
            part = slice(start, start + size)
            chosen = order[part]
            batch = room[: len(chosen)]
            source.copy_rows(chosen, batch[:, :-1])
            # Classes are rows here: NumPy reduces over a long last axis much faster than over ten classes.
            scores = layer @ batch.T
            if offset is not None:
                scores += offset[:, np.newaxis]
            scores -= scores.max(axis=0)
            flat = scores.reshape(-1)
            flat.take(own[part], out=own_outputs[part], mode="clip")
            np.exp(scores, out=scores)
            scores.sum(axis=0, out=sums[part])

            # Cross-entropy: the gradient of the scores is (probability - one-hot) / batch rows.
            scores /= sums[part]
            flat[own[part]] -= 1.0
            if sample_weight is not None:
                scores *= sample_weight[chosen]
            gradient = scores @ batch
            gradient /= len(chosen)
            gradient += config.weight_decay * layer
            momentum_buffer *= config.momentum
            momentum_buffer += gradient
            layer -= rate * momentum_buffer
        logs = np.log(sums)
        if sample_weight is not None:
            logs *= sample_weight[order]
            own_outputs *= sample_weight[order]
        losses = _batch_sums(logs, size) - _batch_sums(own_outputs, size)
    return float(losses.sum()) / n_samples


def _batch_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Return the sum of each batch's values, as float64: no digit of their sum is lost."""
    whole = len(values) - len(values) % size
    sums = values[:whole].reshape(-1, size).sum(axis=1)
    return np.append(sums, values[whole:].sum()).astype(np.float64)


def _linear_init(rng: np.random.Generator, n_classes: int, n_features: int) -> np.ndarray:
    """Return weight and, as the last column, bias: uniform within 1/sqrt(n_features), PyTorch's default."""
    bound = 1.0 / np.sqrt(n_features)
    weight = rng.uniform(-bound, bound, (n_classes, n_features))
    bias = rng.uniform(-bound, bound, n_classes)
    return np.column_stack([weight, bias])


def _weight_and_bias(layer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return layer[:, :-1].copy(), layer[:, -1].copy()
