"""Rival heads: what else a person could put on frozen embeddings, each from one function of the same form.

Every function takes the embeddings of one network (`Embedded`), the seeds of the heads, the recipe of the
paper's head, the seed of samplers and its own parameters, and returns a `Rival`. Parameters come with their
published default and with values to choose from. One rule chooses for all of them (`choose`): the class-mean
loss on the validation rows, which the network was not trained on. Test rows are in sight of none.

A head that over-fits on rows which the network has learned by heart would be chosen by those, so without
validation rows nothing is chosen: the default is taken.
"""

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.heads import rules, softmax
from eos.heads.rows import RowSource, balanced_rows
from eos.heads.softmax import HeadConfig
from eos.metrics.calibration import class_mean_loss

if TYPE_CHECKING:
    from eos.samplers.eos import Interpolations

Value = float | int | str

# Of logistic regression: more iterations than it takes, and the largest gradient at which it has converged,
# scikit-learn's own. With a hundredth of it, balanced accuracy on photographs was the same within .0012, in
# up to seven times the time.
_MOST_ITERATIONS, _TOLERANCE = 100_000, 1e-4


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a network, without its test rows.

    Attributes
    ----------
    features : ndarray of float32, shape (n, d)
        The training rows.
    labels : ndarray of int, shape (n,)
        Their classes, 0 to ``n_classes - 1``, all of which are met.
    validation_features, validation_labels : ndarray of shape (v, d) and (v,)
        Rows that the network was not trained on; v may be 0.
    weight, bias : ndarray of shape (C, d) and (C,)
        The network's own linear classifier; (0, d) and (0,) where there is none.
    validation_logits : ndarray of shape (v, C)
        Outputs of the own classifier, of whatever form, such that their softmax is its probability; (v, 0)
        where there are none.
    n_classes : int
        C, the number of classes.

    Raises
    ------
    InputError
        If a class has no training rows.
    """

    features: np.ndarray
    labels: np.ndarray
    validation_features: np.ndarray
    validation_labels: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    validation_logits: np.ndarray
    n_classes: int

    def __post_init__(self) -> None:
        absent = np.flatnonzero(self.counts == 0)
        if len(absent):
            raise InputError(
                f"no training rows of class{'es' if len(absent) > 1 else ''} {', '.join(map(str, absent))}; "
                "a head needs at least one row of each class"
            )

    @property
    def counts(self) -> np.ndarray:
        """The training rows of each class, (C,)."""
        return np.bincount(self.labels, minlength=self.n_classes)

    def all_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features and labels of training and validation rows, in this order."""
        return (
            np.concatenate([self.features, self.validation_features.astype(self.features.dtype)]),
            np.concatenate([self.labels, self.validation_labels.astype(self.labels.dtype)]),
        )


@dataclass(frozen=True, eq=False)
class Rival:
    """A head that was fitted.

    Attributes
    ----------
    weight : ndarray of float32, shape (S, C, d)
        One layer for each of the S seeds; S is 1 where nothing is random. With `own_logits` the network's
        linear classifier with the adjusted bias, (1, 0, d) where there is none.
    bias : ndarray of float32, shape (S, C)
    center : ndarray of float32, shape (d,) or (0,)
        What features are centred by before they are brought to unit length and go into the layer; (0,) where
        they go into the layer as they are.
    own_logits : tuple of two ndarrays of float32, shape (C,), or None
        Factor and offset if the outputs are ``own logits * factor + offset``, else None.
    chosen : dict
        The values of the parameters that had more than one value to choose from.
    held_out_predicted : ndarray of int, shape (S, v)
        What the layers that were fitted on training rows alone, at these values, predict of the validation
        rows; -1 where it is not known.
    """

    weight: np.ndarray
    bias: np.ndarray
    center: np.ndarray
    own_logits: tuple[np.ndarray, np.ndarray] | None
    chosen: dict[str, Value]
    held_out_predicted: np.ndarray

    def logits(self, features: np.ndarray, own_logits: np.ndarray) -> np.ndarray:
        """Return the outputs for features (n, d), or for the own classifier's logits (n, C): (S, n, C)."""
        if self.own_logits is not None:
            factor, offset = self.own_logits
            return (own_logits.astype(np.float32) * factor + offset)[np.newaxis]
        if len(self.center):
            features = rules.unit_rows(features, self.center)
        return np.stack(
            [softmax.logits(features, *layer) for layer in zip(self.weight, self.bias, strict=True)]
        )


@dataclass(frozen=True)
class Choice:
    """The values that a head's parameters take, and those of them that there was a choice of."""

    values: dict[str, Any]
    chosen: dict[str, Value]


def choose(
    held_out: Callable[..., float], *, rows: int, **candidates: tuple[Value, Sequence[Value]]
) -> Choice:
    """Choose the values of a head's parameters: the one rule for all heads.

    The lowest class-mean loss on the validation rows wins (`class_mean_loss`). Of equal ones the nearest to
    the published default wins (by the first parameter, then the second; a word is farther than any number),
    and of those the first in the list.

    Balanced accuracy itself is coarse where the rarest classes have few validation rows: with five rows one
    of them is a fifth of a recall. On four networks' embeddings of photographs, five heads and thirty draws
    of a tenth of the rows, values chosen by balanced accuracy were on average .0057 of test balanced accuracy
    below the best value, those chosen by the loss .0028.

    Parameters
    ----------
    held_out
        Called with a value for each parameter, it returns the loss.
    rows
        How many validation rows there are. Without any, the defaults are taken.
    **candidates
        For each parameter its published default and the values to choose from; without values it is the
        default. A default that is not among the values is taken only without validation rows.
    """
    default = {name: value for name, (value, _) in candidates.items()}
    several = [name for name, (_, values) in candidates.items() if len(values) > 1]
    best = default
    if rows:
        grid = [
            dict(zip(candidates, values, strict=True))
            for values in itertools.product(*(values or (value,) for value, values in candidates.values()))
        ]
        losses = [held_out(**values) for values in grid]
        # Rounded, so that the order in which the seeds are added up decides nothing.
        ranks = [
            (round(loss, 6), [_distance(values[name], default[name]) for name in values], place)
            for place, (values, loss) in enumerate(zip(grid, losses, strict=True))
        ]
        best = grid[min(ranks)[-1]]
    return Choice(best, {name: best[name] for name in several})


def _distance(value: Value, default: Value) -> float:
    if value == default:
        return 0.0
    if isinstance(value, str) or isinstance(default, str):
        return float("inf")
    return float(abs(value - default))


def ncm(data: Embedded, *, seeds: tuple[int, ...], recipe: HeadConfig, random_state: int) -> Rival:
    """Return the nearest-class-mean classifier (Kang et al. 2020); see `eos.NearestClassMean`.

    The means are those of the training rows. Nothing is random or chosen.
    """
    with threadpool_limits(limits=1):
        *layer, center = rules.nearest_mean_layer(data.features, data.labels, data.n_classes)
        return _with_held_out(data, _rival([layer], center=center))


def tau_norm(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    tau: float,
    tau_choices: Sequence[float],
) -> Rival:
    """Return the own classifier, each row over the tau-th power of its norm, without bias (Kang et al. 2020).

    Parameters
    ----------
    tau, tau_choices
        The published default (1 in use for CIFAR), and what is chosen from.

    Raises
    ------
    InputError
        If the network has no classifier of its own.
    """
    weight = _own(data, "tau_norm")[0]
    return _by_formula(data, lambda tau: rules.tau_normalized(weight, tau), tau=(tau, tau_choices))


def row_scaling(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    gamma: float,
    gamma_choices: Sequence[float],
) -> Rival:
    """Return the own classifier, re-scaled by class size, without bias ("Baseline+RS" of Kim and Kim 2020).

    Parameters
    ----------
    gamma, gamma_choices
        The power of a class's size over the largest (published: 0.5), and what is chosen from.

    Raises
    ------
    InputError
        If the network has no classifier of its own.
    """
    weight = _own(data, "row_scaling")[0]
    return _by_formula(
        data, lambda gamma: rules.row_scaled(weight, data.counts, gamma), gamma=(gamma, gamma_choices)
    )


def post_hoc(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    tau: float,
    tau_choices: Sequence[float],
) -> Rival:
    """Return the own classifier less tau times the logarithm of each class's share (Menon et al. 2021).

    It needs no layer, only the own classifier's logits, so it works for a classifier of any form. Where the
    network has none for the validation rows, the default is taken.

    Parameters
    ----------
    tau, tau_choices
        The published default (1, for which the adjusted probabilities are those for classes of the same
        size), and what is chosen from.
    """
    log_prior = softmax.log_prior(data.labels, data.n_classes)

    def adjusted(tau: float) -> Rival:
        offset = (-tau * log_prior).astype(np.float32)
        factor = np.ones(data.n_classes, dtype=np.float32)
        return replace(_rival([(weight, bias + offset)]), own_logits=(factor, offset))

    weight, bias = data.weight, data.bias
    if not len(weight):  # only logits are known
        weight = np.full((data.n_classes, data.features.shape[1]), np.nan)
        bias = np.full(data.n_classes, np.nan)
    known = data.validation_logits.shape[1] and np.isfinite(data.validation_logits).all()
    rows = len(data.validation_labels) if known else 0
    choice = choose(lambda tau: _held_out_loss(data, adjusted(tau)), rows=rows, tau=(tau, tau_choices))
    rival = replace(adjusted(**choice.values), chosen=choice.chosen)
    if rows:
        return _with_held_out(data, rival)
    return replace(rival, held_out_predicted=np.full((1, len(data.validation_labels)), -1))


def crt(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    milestones: Sequence[int],
    warmup_epochs: int,
) -> Rival:
    """Return a fresh layer trained on class-balanced draws of the training rows (cRT, Kang et al. 2020).

    Parameters
    ----------
    epochs, learning_rate, weight_decay, milestones, warmup_epochs
        Its own schedule, see `eos.LinearHead`; batch size, momentum and decay are the recipe's.
    """
    config = replace(
        recipe,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        milestones=tuple(milestones),
        warmup_epochs=warmup_epochs,
        class_balanced=True,
    )
    with threadpool_limits(limits=1):
        return _with_held_out(
            data, _rival(_trained(data.features, data.labels, data.n_classes, config, seeds))
        )


def lws(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    milestones: Sequence[int],
    warmup_epochs: int,
) -> Rival:
    """Return the own classifier with a learned scale for each class (LWS, Kang et al. 2020).

    The outputs of the frozen layer, its bias included (as in the published code; in the text it is the weight
    alone), are multiplied by one factor a class. Of a cosine classifier the layer is that of its unit rows,
    so it does not start at the classifier itself. The factors start at 1 and are trained on class-balanced
    draws of the training rows, the schedule as for `crt`; the weight decay acts on them.

    Raises
    ------
    InputError
        If the network has no classifier of its own, or training diverges.
    """
    weight, bias = _own(data, "lws")
    config = replace(
        recipe,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        milestones=tuple(milestones),
        warmup_epochs=warmup_epochs,
        class_balanced=True,
    )
    with threadpool_limits(limits=1):
        scales = [_learned_scales(data.features, data.labels, (weight, bias), config, seed) for seed in seeds]
        return _with_held_out(
            data, _rival([(weight * scale[:, np.newaxis], bias * scale) for scale in scales])
        )


def logit_adjusted(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    tau: float,
    tau_choices: Sequence[float],
) -> Rival:
    """Return a fresh layer trained by the recipe with the logit-adjusted loss (Menon et al. 2021).

    With tau 1 alone it is balanced softmax (Ren et al. 2020). After the choice it is fitted again on training
    and validation rows: the network has not seen the latter, so they show the head what new rows look like.

    Parameters
    ----------
    tau, tau_choices
        The published default (1), and what is chosen from.
    """

    def layers(features: np.ndarray, labels: np.ndarray, tau: float) -> "_Layers":
        return _trained(features, labels, data.n_classes, replace(recipe, logit_adjustment=tau), seeds)

    return _fitted_again(data, layers, tau=(tau, tau_choices))


def balanced_softmax(
    data: Embedded, *, seeds: tuple[int, ...], recipe: HeadConfig, random_state: int
) -> Rival:
    """Return `logit_adjusted` with tau 1, balanced softmax (Ren et al. 2020): nothing is chosen."""
    return logit_adjusted(
        data, seeds=seeds, recipe=recipe, random_state=random_state, tau=1.0, tau_choices=()
    )


def logistic(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    C: float,
    C_choices: Sequence[float],
    sampler: Mapping[str, Any] | None,
) -> Rival:
    """Return scikit-learn's `LogisticRegression`, fitted to convergence on what a sampler makes.

    After the choice it is fitted again on training and validation rows, which the network has not seen, and
    what the sampler makes of both.

    Parameters
    ----------
    C, C_choices
        The inverse strength of the L2 penalty (scikit-learn's default: 1), and what is chosen from.
    sampler
        A registered sampler's name as ``sampler``, and its parameters; None: the rows as they are.

    Warns
    -----
    UserWarning
        If the sampler does something else than it was asked for, in its words.
    """

    def balanced(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if sampler is None:
            return features, labels
        from eos.samplers.oversampling import oversample

        parameters = dict(sampler)
        made = oversample(
            parameters.pop("sampler"), features, labels, random_state=random_state, **parameters
        )
        for note in made.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return made.rows(features), made.labels

    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def layers(features: np.ndarray, labels: np.ndarray, C: float) -> "_Layers":
        if len(labels) not in kept:  # the same rows for all values of C
            kept[len(labels)] = balanced(features, labels)
        return [_regression(*kept[len(labels)], data.n_classes, C)]

    return _fitted_again(data, layers, C=(C, C_choices))


def eos_cv(
    data: Embedded,
    *,
    seeds: tuple[int, ...],
    recipe: HeadConfig,
    random_state: int,
    k_neighbors: int | str,
    k_neighbors_choices: Sequence[int | str],
    step_size: float | str,
    step_size_choices: Sequence[float | str],
) -> Rival:
    """Return the paper's head behind EOS, whose K and step size are chosen.

    After the choice EOS draws from training and validation rows, which the network has not seen, and the head
    is fitted to what it makes of both.

    Parameters
    ----------
    k_neighbors, k_neighbors_choices
        K where nothing is held out, and what is chosen from; ``"all"`` draws from all enemies.
    step_size, step_size_choices
        The same of the step size; ``"auto"`` goes by the size of each class.

    Warns
    -----
    UserWarning
        What EOS has to say about the final fit.
    """
    from eos.samplers.eos import EOS
    from eos.samplers.neighbors import ExactNeighbors, SharedLists

    most = max((K for K in (k_neighbors, *k_neighbors_choices) if not isinstance(K, str)), default=0)
    # One search serves every K, and one draw every step size: only the steps' lengths differ.
    shared = SharedLists(most + 1)
    drawn: dict[tuple[int, int | str, bool], Interpolations] = {}

    def layers(
        features: np.ndarray, labels: np.ndarray, k_neighbors: int | str, step_size: float | str
    ) -> "_Layers":
        by_class = isinstance(step_size, str)
        key = len(labels), k_neighbors, by_class
        if key not in drawn:
            search = (
                k_neighbors
                if isinstance(k_neighbors, str)
                else ExactNeighbors(k_neighbors + 1, shared=shared)
            )
            sampler = EOS(
                k_neighbors=search, step_size="auto" if by_class else 1.0, random_state=random_state
            )
            drawn[key] = sampler.fit_interpolations(features, labels)
        made = drawn[key]
        steps = made.step if isinstance(step_size, str) else made.step * step_size
        rows = balanced_rows(features, made.base, made.partner, steps)
        return _trained(rows, np.concatenate([labels, made.labels]), data.n_classes, recipe, seeds)

    return _fitted_again(
        data,
        layers,
        k_neighbors=(k_neighbors, k_neighbors_choices),
        step_size=(step_size, step_size_choices),
    )


_Layers = Sequence[Sequence[np.ndarray]]  # weight and bias, once per seed


def _own(data: Embedded, head: str) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of the network's own classifier."""
    if not len(data.weight):
        raise InputError(
            f"head {head}: the network has no classifier of its own, whose weight this head changes; leave "
            "the head out, or give the classifier's weight and bias"
        )
    return data.weight, data.bias


def _trained(
    features: np.ndarray | RowSource,
    labels: np.ndarray,
    n_classes: int,
    config: HeadConfig,
    seeds: tuple[int, ...],
) -> _Layers:
    return [softmax.fit(features, labels, n_classes, config, seed) for seed in seeds]


def _rival(layers: _Layers, *, center: np.ndarray | None = None) -> Rival:
    """Return the head of one layer per seed, as yet without what was chosen."""
    weights, biases = zip(*layers, strict=True)
    return Rival(
        weight=np.stack(weights).astype(np.float32),
        bias=np.stack(biases).astype(np.float32),
        center=(np.empty(0) if center is None else center).astype(np.float32),
        own_logits=None,
        chosen={},
        held_out_predicted=np.empty((len(weights), 0), dtype=np.intp),
    )


def _with_held_out(data: Embedded, rival: Rival) -> Rival:
    """Return the head with what it predicts of the validation rows."""
    outputs = rival.logits(data.validation_features, data.validation_logits)
    return replace(rival, held_out_predicted=outputs.argmax(axis=2))


def _held_out_loss(data: Embedded, rival: Rival) -> float:
    """Return the class-mean loss on the validation rows, the mean over the seeds."""
    outputs = rival.logits(data.validation_features, data.validation_logits)
    return float(np.mean([class_mean_loss(data.validation_labels, one) for one in outputs]))


def _by_formula(
    data: Embedded,
    weight: Callable[[float], np.ndarray],
    **candidates: tuple[float, Sequence[float]],
) -> Rival:
    """Choose the one parameter of a weight without bias."""

    def rival(value: float) -> Rival:
        return _rival([(weight(value), np.zeros(data.n_classes))])

    with threadpool_limits(limits=1):
        choice = choose(
            lambda **values: _held_out_loss(data, rival(*values.values())),
            rows=len(data.validation_labels),
            **candidates,
        )
        made = rival(*choice.values.values())
        return _with_held_out(data, replace(made, chosen=choice.chosen))


def _fitted_again(data: Embedded, layers: Callable[..., _Layers], **candidates: Any) -> Rival:
    """Choose by layers on the training rows; after a choice fit to training and validation rows."""
    predicted: dict[tuple[Any, ...], np.ndarray] = {}

    def held_out(**values: Any) -> float:
        with warnings.catch_warnings():  # what counts is what the final fit has to say
            warnings.simplefilter("ignore", UserWarning)
            rival = _rival(layers(data.features, data.labels, **values))
        predicted[tuple(values.values())] = _with_held_out(data, rival).held_out_predicted
        return _held_out_loss(data, rival)

    with threadpool_limits(limits=1):
        choice = choose(held_out, rows=len(data.validation_labels), **candidates)
        listed = any(values for _, values in candidates.values())
        rows = data.all_rows() if listed else (data.features, data.labels)
        made = replace(_rival(layers(*rows, **choice.values)), chosen=choice.chosen)
    known = predicted.get(tuple(choice.values.values()))
    return made if known is None else replace(made, held_out_predicted=known)


def _learned_scales(
    features: np.ndarray,
    labels: np.ndarray,
    layer: tuple[np.ndarray, np.ndarray],
    config: HeadConfig,
    seed: int,
) -> np.ndarray:
    """Train one factor per class of a frozen layer's outputs, (C,), by the plain loop of `softmax.fit`."""
    rng, draw = np.random.default_rng(seed), softmax.class_balanced_draw(labels)
    scale = np.ones(len(layer[0]))
    momentum_buffer = np.zeros_like(scale)
    with np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(1, config.epochs + 1):
            order = draw(rng)
            for start in range(0, len(order), config.batch_size):
                chosen = order[start : start + config.batch_size]
                outputs = softmax.logits(features[chosen], *layer).astype(np.float64)
                scores = outputs * scale
                scores -= scores.max(axis=1, keepdims=True)
                np.exp(scores, out=scores)
                scores /= scores.sum(axis=1, keepdims=True)
                scores[np.arange(len(chosen)), labels[chosen]] -= 1.0
                gradient = (scores * outputs).mean(axis=0) + config.weight_decay * scale
                momentum_buffer = config.momentum * momentum_buffer + gradient
                scale -= config.rate(epoch) * momentum_buffer
            if not np.isfinite(scale).all():
                raise InputError(
                    f"head lws: training diverged in epoch {epoch}; lower its learning_rate "
                    f"({config.learning_rate:g})"
                )
    return scale


def _regression(
    features: np.ndarray, labels: np.ndarray, n_classes: int, C: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (C, d) and bias (C,) of a logistic regression that has converged."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C, tol=_TOLERANCE, max_iter=_MOST_ITERATIONS)
    model.fit(features.astype(np.float64), labels)
    if n_classes == 2:  # a single row stands for the second class against the first
        return np.insert(model.coef_, 0, 0, axis=0), np.insert(model.intercept_, 0, 0)
    return model.coef_, model.intercept_
