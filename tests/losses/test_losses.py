"""The losses: each agrees with its formula, written out in float64 here."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.losses.base import Loss, build_loss, find_loss
from eos.losses.ldam import LDAMLoss
from eos.registry import LOSSES
from tests.helpers import given

COUNTS = [500, 120, 31, 4]
Batch = tuple[np.ndarray, np.ndarray]


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, dtype=np.float64)
    z = z - z.max()
    return z - np.log(np.exp(z).sum())


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(np.mean([-log_softmax(z)[y] for z, y in zip(logits, targets, strict=True)]))


def asl(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    gamma_positive: float,
    gamma_negative: float,
    label_smoothing: float,
) -> float:
    losses = []
    for z, y in zip(logits, targets, strict=True):
        log_p, total = log_softmax(z), 0.0
        for j, log_pj in enumerate(log_p):
            pj = np.exp(log_pj)
            target = label_smoothing / len(log_p) + (1 - label_smoothing if j == y else 0)
            focus = (1 - pj) ** gamma_positive if j == y else pj**gamma_negative
            total -= target * focus * log_pj
        losses.append(total)
    return float(np.mean(losses))


def focal(logits: np.ndarray, targets: np.ndarray, *, gamma: float) -> float:
    losses = []
    for z, y in zip(logits, targets, strict=True):
        log_p = log_softmax(z)[y]
        losses.append(-((1 - np.exp(log_p)) ** gamma) * log_p)
    return float(np.mean(losses))


def ldam(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    max_margin: float,
    scale: float,
    weights: np.ndarray | None = None,
    **deferred: float,  # what says when there are weights
) -> float:
    margins = np.array(COUNTS) ** -0.25
    margins *= max_margin / margins.max()
    weights = np.ones(len(COUNTS)) if weights is None else weights
    total = 0.0
    for z, y in zip(logits.astype(np.float64), targets, strict=True):
        z[y] -= margins[y]
        total -= weights[y] * log_softmax(scale * z)[y]
    return float(total / weights[targets].sum())


def vector_scaling(logits: np.ndarray, targets: np.ndarray, *, gamma: float, tau: float) -> float:
    counts = np.array(COUNTS, dtype=np.float64)
    factors, offsets = (counts / counts.max()) ** gamma, tau * np.log(counts / counts.sum())
    return cross_entropy(logits.astype(np.float64) * factors + offsets, targets)


def logit_adjusted(logits: np.ndarray, targets: np.ndarray, *, tau: float) -> float:
    return vector_scaling(logits, targets, gamma=0.0, tau=tau)


def oltr(logits: np.ndarray, targets: np.ndarray, **of_memory: float) -> float:
    """Without distances to a memory, as in the first stage."""
    return cross_entropy(logits, targets)


FORMULAS: dict[str, Any] = {
    "ce": cross_entropy,
    "asl": asl,
    "focal": focal,
    "ldam": ldam,
    "oltr": oltr,
    "logit_adjusted": logit_adjusted,
    "vector_scaling": vector_scaling,
}
OTHER_PARAMETERS: dict[str, dict[str, Any]] = {
    "ce": {},
    "asl": {"gamma_positive": 1.5, "gamma_negative": 2.0, "label_smoothing": 0.2},
    "focal": {"gamma": 0.5},
    "ldam": {"max_margin": 0.3, "scale": 12.0, "reweight_from": 1.0, "beta": 0.99},
    "oltr": {
        "first_stage": 0.5,
        "length": 8.0,
        "reach": 2.0,
        "largest_reach": 3.0,
        "memory_weight": 0.5,
        "repulsion_weight": 0.1,
        "margin": 5.0,
        "backbone_rate": 0.2,
        "memory_rate": 0.3,
    },
    "logit_adjusted": {"tau": 1.7},
    "vector_scaling": {"gamma": 0.1, "tau": 0.6},
}


@pytest.fixture
def batch() -> Batch:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, (20, 4)).astype(np.float32)
    return cosines, rng.integers(0, 4, 20)


def value(loss: Loss, logits: np.ndarray, targets: np.ndarray) -> float:
    return loss(torch.tensor(logits), torch.tensor(targets)).item()


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_its_formula(name: str, batch: Batch) -> None:
    logits, targets = batch
    factor = 1 if name == "ldam" else 5
    for parameters in (given("loss", name), OTHER_PARAMETERS[name]):
        loss = build_loss(name, COUNTS, parameters)
        expected = FORMULAS[name](factor * logits, targets, **parameters)
        assert value(loss, factor * logits, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("parameters", ["given", "other"])
def test_loss_and_gradient_are_finite_for_confident_logits(name: str, parameters: str) -> None:
    loss = build_loss(name, COUNTS, OTHER_PARAMETERS[name] if parameters == "other" else given("loss", name))
    loss.begin_epoch(0.9)
    logits = torch.tensor([[200.0, 0, 0, 0], [0, 0, 0, 200.0], [-200.0, 0, 0, 0]], requires_grad=True)
    mean = loss(logits, torch.tensor([0, 0, 0]))
    mean.backward()
    assert torch.isfinite(mean)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_slope_of_the_formula(name: str, batch: Batch) -> None:
    logits, targets = batch
    tensor = torch.tensor(logits, requires_grad=True)
    parameters = given("loss", name)
    build_loss(name, COUNTS, parameters)(tensor, torch.tensor(targets)).backward()
    step = np.zeros_like(logits, dtype=np.float64)
    step[3, targets[3]] = 1e-6
    above, below = (FORMULAS[name](logits + sign * step, targets, **parameters) for sign in (1, -1))
    assert tensor.grad is not None
    assert tensor.grad[3, targets[3]].item() == pytest.approx((above - below) / 2e-6, rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_computes_in_float32_under_autocast(name: str, batch: Batch) -> None:
    logits, targets = torch.tensor(batch[0]).bfloat16(), torch.tensor(batch[1])
    parameters = given("loss", name)
    loss = build_loss(name, COUNTS, parameters)
    with torch.autocast("cpu", torch.bfloat16):
        mean = loss(logits, targets)
    assert mean.dtype == torch.float32
    expected = FORMULAS[name](logits.float().numpy(), batch[1], **parameters)
    assert mean.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("far", [0.1, 30.0])  # nearer than the margin on average, and beyond it
def test_oltr_keeps_images_near_their_row_and_off_the_others(far: float, batch: Batch) -> None:
    logits, targets = batch
    rng, settings = np.random.default_rng(1), OTHER_PARAMETERS["oltr"]
    distances = far * rng.uniform(0, 2, logits.shape).astype(np.float32)
    attraction = repulsion = 0.0
    for row, own in zip(distances.astype(np.float64), targets, strict=True):
        for label, distance in enumerate(row):
            if label == own:
                attraction += distance / 2 / len(targets)
            else:
                repulsion += distance / (len(targets) * len(COUNTS))
    expected = cross_entropy(logits, targets) + 0.5 * (attraction + 0.1 * max(5.0 - repulsion, 0))
    assert (repulsion < 5) == (far == 0.1)
    loss = build_loss("oltr", COUNTS, settings)
    assert value(loss, np.hstack([logits, distances]), targets) == pytest.approx(expected, rel=1e-5)


def test_classifiers_that_losses_want() -> None:
    kinds = {name: find_loss(name).classifier for name in LOSSES}
    assert kinds == dict.fromkeys(LOSSES, "linear") | {"ldam": "cosine", "oltr": "unit"}


def test_ldam_margins() -> None:
    margins = LDAMLoss([10_000, 625, 1], **given("loss", "ldam") | {"max_margin": 0.4}).margins
    # n ** (-1/4) is 0.1, 0.2 and 1.
    np.testing.assert_allclose(margins, np.array([0.04, 0.08, 0.4]), rtol=1e-6)


def test_ldam_weights_are_exact_for_many_images() -> None:
    """beta ** n is close to 1 here: in float32 only three digits of 1 - beta ** n would be left."""
    counts = np.array([5000, 50, 2])
    weights = LDAMLoss(counts.tolist(), **given("loss", "ldam") | {"beta": 0.99999}).balanced_weights
    expected = (1 - 0.99999) / (1 - 0.99999**counts)
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-6)


def test_ldam_reweights_late(batch: Batch) -> None:
    parameters = OTHER_PARAMETERS["ldam"] | {"beta": 0.99, "reweight_from": 0.8}
    loss = build_loss("ldam", COUNTS, parameters)
    weights = np.array([(1 - 0.99) / (1 - 0.99**n) for n in COUNTS])
    weights *= len(COUNTS) / weights.sum()
    plain = ldam(*batch, **parameters)
    weighted = ldam(*batch, **parameters, weights=weights)
    assert abs(plain - weighted) > 0.01
    measured = []
    for epoch in range(1, 201):
        loss.begin_epoch((epoch - 1) / 200)
        measured.append(value(loss, *batch))
    # The authors' code turns to the weights at its epoch 160, counted from 0.
    np.testing.assert_allclose(measured[:160], plain, rtol=1e-5)
    np.testing.assert_allclose(measured[160:], weighted, rtol=1e-5)


@pytest.mark.parametrize("epochs", [1, 7, 200])
def test_ldam_reweighting_can_be_turned_off(epochs: int, batch: Batch) -> None:
    parameters = given("loss", "ldam") | {"reweight_from": 1.0}
    loss = build_loss("ldam", COUNTS, parameters)
    loss.begin_epoch((epochs - 1) / epochs)
    assert value(loss, *batch) == pytest.approx(ldam(*batch, **parameters), rel=1e-5)


def test_asl_without_focus_is_cross_entropy(batch: Batch) -> None:
    parameters = {"gamma_positive": 0.0, "gamma_negative": 0.0, "label_smoothing": 0.0}
    loss = build_loss("asl", COUNTS, parameters)
    assert value(loss, *batch) == pytest.approx(cross_entropy(*batch), rel=1e-5)


def test_logit_adjusted_with_tau_1_is_balanced_softmax(batch: Batch) -> None:
    logits, targets = batch
    balanced = cross_entropy(logits + np.log(COUNTS), targets)
    assert value(build_loss("logit_adjusted", COUNTS, {"tau": 1.0}), logits, targets) == pytest.approx(
        balanced, rel=1e-5
    )


def test_losses_with_nothing_to_adjust_are_cross_entropy(batch: Batch) -> None:
    for name, parameters in (
        ("logit_adjusted", {"tau": 0.0}),
        ("vector_scaling", {"gamma": 0.0, "tau": 0.0}),
    ):
        assert value(build_loss(name, COUNTS, parameters), *batch) == pytest.approx(
            cross_entropy(*batch), rel=1e-5
        )


SOFT = ["ce", "logit_adjusted", "vector_scaling"]


def test_the_losses_that_take_shares_of_classes_say_so() -> None:
    """The others refuse them, or (focal) make something else of them than the shares of their losses."""
    assert [name for name in LOSSES if find_loss(name).soft_targets] == SOFT


@pytest.mark.parametrize("name", SOFT)
def test_soft_targets_are_shares_of_the_losses(name: str, batch: Batch) -> None:
    loss, logits = build_loss(name, COUNTS, given("loss", name)), torch.tensor(batch[0])
    labels, others = torch.tensor(batch[1]), (torch.tensor(batch[1]) + 1) % 4
    one, other = (torch.nn.functional.one_hot(rows, 4).float() for rows in (labels, others))
    mixed = loss(logits, 0.3 * one + 0.7 * other).item()
    assert mixed == pytest.approx(
        0.3 * loss(logits, labels).item() + 0.7 * loss(logits, others).item(), rel=1e-5
    )


def test_unknown_loss() -> None:
    with pytest.raises(InputError, match=r"unknown loss 'focl'; did you mean 'focal'\?"):
        build_loss("focl", COUNTS, {})
