"""Softmax regression: the same numbers as a torch loop, and an error where training diverges."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.heads.rows import StoredRows, balanced_rows
from eos.heads.softmax import HeadConfig, class_balanced_draw, fit, log_prior, logits, predictions
from tests.helpers import head_config


def blobs(n: int = 300, d: int = 6, n_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    centres = rng.normal(size=(n_classes, d))
    return (centres[labels] + 0.7 * rng.normal(size=(n, d))).astype(np.float32), labels


def torch_loop(
    features: np.ndarray, labels: np.ndarray, n_classes: int, config: HeadConfig, seed: int
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Train `torch.nn.Linear` with `torch.optim.SGD` from the same draws, the plain way."""
    prior = torch.bincount(torch.tensor(labels), minlength=n_classes) / len(labels)
    draw = class_balanced_draw(labels)
    rng = np.random.default_rng(seed)
    n, d = features.shape
    layer = torch.nn.Linear(d, n_classes)
    bound = float(layer.weight.detach().abs().max())
    assert bound <= 1 / np.sqrt(d)  # the range that torch itself draws from
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.uniform(-1 / np.sqrt(d), 1 / np.sqrt(d), (n_classes, d))))
        layer.bias.copy_(torch.tensor(rng.uniform(-1 / np.sqrt(d), 1 / np.sqrt(d), n_classes)))
    optimizer = torch.optim.SGD(
        layer.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    x, y = torch.tensor(features), torch.tensor(labels)
    losses = []
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.milestones), config.decay)
    for epoch in range(1, config.epochs + 1):
        warm = epoch <= config.warmup_epochs
        if warm:
            optimizer.param_groups[0]["lr"] = config.learning_rate * epoch / config.warmup_epochs
        total = 0.0
        order = draw(rng) if config.class_balanced else rng.permutation(n)
        for batch in torch.tensor(order).split(config.batch_size):
            optimizer.zero_grad()
            adjusted = layer(x[batch]) + config.logit_adjustment * prior.log()
            loss = torch.nn.functional.cross_entropy(adjusted, y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / n)
        scheduler.step()
    return layer.weight.detach().numpy(), layer.bias.detach().numpy(), losses


@pytest.mark.parametrize(
    "config",
    [
        head_config(),
        head_config(epochs=7, warmup_epochs=0, momentum=0.0, weight_decay=0.0),
        head_config(epochs=4, learning_rate=0.05, batch_size=7, weight_decay=0.05, warmup_epochs=2),
        head_config(epochs=3, batch_size=1000, warmup_epochs=10),
        head_config(epochs=9, milestones=(6, 8), decay=0.2),
        head_config(class_balanced=True),
        head_config(logit_adjustment=1.0),
        head_config(epochs=6, class_balanced=True, milestones=(5,), logit_adjustment=0.5),
    ],
    ids=["paper", "plain", "small batches", "one batch", "milestones", "balanced", "adjusted", "all"],
)
def test_equals_a_torch_loop(config: HeadConfig) -> None:
    features, labels = blobs()
    losses: list[float] = []
    weight, bias = fit(features, labels, 4, config, 3, on_epoch=lambda _e, _w, _b, loss: losses.append(loss))
    expected_weight, expected_bias, expected_losses = torch_loop(features, labels, 4, config, 3)
    np.testing.assert_allclose(weight, expected_weight, atol=1e-4)
    np.testing.assert_allclose(bias, expected_bias, atol=1e-4)
    np.testing.assert_allclose(losses, expected_losses, atol=1e-4)
    assert weight.dtype == bias.dtype == np.float32


def test_weights_are_factors_of_the_losses() -> None:
    features, labels = blobs(n=50, d=3, n_classes=3)
    factors = np.random.default_rng(0).random(50)
    config = head_config(epochs=1, batch_size=50, momentum=0.0, weight_decay=0.0)
    start, events = fit(features, labels, 3, config, 0, sample_weight=np.zeros(50)), []
    weight, bias = fit(
        features, labels, 3, config, 0, sample_weight=factors, on_epoch=lambda *event: events.append(event)
    )
    layer = torch.nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(start[0]))
        layer.bias.copy_(torch.tensor(start[1]))
    losses = torch.nn.functional.cross_entropy(
        layer(torch.tensor(features)), torch.tensor(labels), reduction="none"
    )
    loss = (losses * torch.tensor(factors)).mean()
    loss.backward()
    rate = config.learning_rate / config.warmup_epochs
    for got, before, parameter in zip((weight, bias), start, layer.parameters(), strict=True):
        np.testing.assert_allclose(got, before - rate * np.asarray(parameter.grad), atol=1e-6)
    assert events[0][3] == pytest.approx(loss.item(), rel=1e-5)


def test_one_full_batch_step_follows_the_written_gradient() -> None:
    features, labels = blobs(n=50, d=3, n_classes=3)
    config = head_config(epochs=1, batch_size=50, learning_rate=0.5, weight_decay=0.1, warmup_epochs=2)
    rng = np.random.default_rng(0)
    weight = rng.uniform(-1 / np.sqrt(3), 1 / np.sqrt(3), (3, 3))
    bias = rng.uniform(-1 / np.sqrt(3), 1 / np.sqrt(3), 3)
    exponentials = np.exp(features.astype(np.float64) @ weight.T + bias)
    error = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    rate = 0.5 * 1 / 2
    expected_weight = weight - rate * (error.T @ features / 50 + 0.1 * weight)
    expected_bias = bias - rate * (error.mean(axis=0) + 0.1 * bias)
    got_weight, got_bias = fit(features, labels, 3, config, 0)
    np.testing.assert_allclose(got_weight, expected_weight, atol=1e-6)
    np.testing.assert_allclose(got_bias, expected_bias, atol=1e-6)


def test_a_seed_decides_everything_and_a_generator_is_advanced() -> None:
    features, labels = blobs()
    first, second = (fit(features, labels, 4, head_config(epochs=2), 5) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert not np.array_equal(first[0], fit(features, labels, 4, head_config(epochs=2), 6)[0])
    generator = np.random.default_rng(5)
    np.testing.assert_array_equal(first[0], fit(features, labels, 4, head_config(epochs=2), generator)[0])
    assert not np.array_equal(first[0], fit(features, labels, 4, head_config(epochs=2), generator)[0])


def test_inputs_are_left_alone_and_their_type_does_not_matter() -> None:
    features, labels = blobs()
    features_before, labels_before = features.copy(), labels.copy()
    weight, _ = fit(features, labels, 4, head_config(epochs=2), 0)
    np.testing.assert_array_equal(features, features_before)
    np.testing.assert_array_equal(labels, labels_before)
    others, _ = fit(features.astype(np.float64), labels.astype(np.int8), 4, head_config(epochs=2), 0)
    np.testing.assert_array_equal(weight, others)


def test_rows_that_are_computed_batch_by_batch_give_the_bytes_of_their_array() -> None:
    features, labels = blobs()
    rng = np.random.default_rng(1)
    base, partner, step = rng.integers(0, 300, 500), rng.integers(0, 300, 500), rng.random(500)
    source, balanced = balanced_rows(features, base, partner, step), np.concatenate([labels, labels[base]])
    array = source.block(0, 800).copy()
    seen: list[list[tuple[Any, ...]]] = [[], []]
    fit(source, balanced, 4, head_config(epochs=3), 0, on_epoch=lambda *event: seen[0].append(event))
    fit(array, balanced, 4, head_config(epochs=3), 0, on_epoch=lambda *event: seen[1].append(event))
    for ours, expected in zip(*seen, strict=True):
        for value, other in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("n", [1, 2047, 2048, 5000])
def test_predictions_are_the_largest_outputs(n: int) -> None:
    features, _ = blobs(n)
    weight, bias = fit(*blobs(), 4, head_config(epochs=1), 0)
    expected = logits(features, weight, bias).argmax(axis=1)
    np.testing.assert_array_equal(predictions(StoredRows(features), weight, bias), expected)


def test_epochs_are_reported_from_one_with_copies() -> None:
    features, labels = blobs()
    seen: list[tuple[Any, ...]] = []
    weight, bias = fit(
        features, labels, 4, head_config(epochs=3), 0, on_epoch=lambda *event: seen.append(event)
    )
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    assert not np.array_equal(seen[0][1], seen[1][1])
    np.testing.assert_array_equal(seen[-1][1], weight)
    np.testing.assert_array_equal(seen[-1][2], bias)
    assert seen[-1][3] < seen[0][3]


def test_learns_separable_classes_and_leaves_an_absent_one_unlikely() -> None:
    features, labels = blobs(seed=1)
    weight, bias = fit(features * 2, labels, 5, head_config(epochs=30), 0)
    predictions = logits(features * 2, weight, bias).argmax(axis=1)
    assert (predictions == labels).mean() > 0.9
    assert 4 not in predictions


def test_logits_are_the_linear_layer() -> None:
    weight, bias = np.array([[1, 2], [3, 4], [0, 1]], np.float32), np.array([0, 1, -1], np.float32)
    result = logits(np.array([[1.0, 1.0], [2.0, 0.0]]), weight, bias)
    np.testing.assert_array_equal(result, [[3, 8, 0], [2, 7, -1]])
    assert result.dtype == np.float32


def test_divergence_is_named() -> None:
    features, labels = blobs(n=100)
    with pytest.raises(InputError, match=r"diverged in epoch 1.*learning_rate"):
        fit(features * np.float32(1e37), labels, 4, head_config(), 0)


def test_the_rate_falls_after_each_milestone() -> None:
    config = head_config(epochs=9, learning_rate=1.0, warmup_epochs=2, milestones=(3, 6), decay=0.5)
    rates = [config.rate(epoch) for epoch in range(1, 10)]
    assert rates == [0.5, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_draws_have_classes_and_their_rows_equally_often() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 2, 5], [3000, 300, 30]))
    draw, rng = class_balanced_draw(labels), np.random.default_rng(1)
    drawn = np.concatenate([draw(rng) for _ in range(60)])
    assert len(drawn) == 60 * 3330
    times = np.bincount(drawn, minlength=3330)
    for label, count in ((0, 3000), (2, 300), (5, 30)):
        mine = times[labels == label]
        share = mine.sum() / len(drawn)
        assert abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / len(drawn))
        # Each row equally often: chi-square within five standard deviations of its mean.
        mean = mine.sum() / count
        chi_square = ((mine - mean) ** 2 / mean).sum()
        assert abs(chi_square - (count - 1)) < 5 * np.sqrt(2 * (count - 1))


def test_log_prior_is_of_rows_or_weights_and_leaves_an_absent_class_alone() -> None:
    labels = np.array([0, 0, 0, 2])
    np.testing.assert_allclose(log_prior(labels, 4), [np.log(0.75), 0, np.log(0.25), 0])
    weights = np.array([1, 1, 0, 2], np.float32)
    np.testing.assert_allclose(log_prior(labels, 3, weights), [np.log(0.5), 0, np.log(0.5)])


def test_an_absent_class_stays_unlikely_with_adjusted_logits() -> None:
    features, labels = blobs(seed=1)
    weight, bias = fit(features * 2, labels, 5, head_config(epochs=30, logit_adjustment=1.0), 0)
    assert 4 not in predictions(StoredRows(features * 2), weight, bias)


def test_weights_count_as_rows_in_the_adjustment() -> None:
    features, labels = blobs(n=50, n_classes=3)
    times = np.where(labels == 0, 3, 1)
    config = head_config(batch_size=1000, logit_adjustment=1.0)
    repeated = fit(features.repeat(times, axis=0), labels.repeat(times), 3, config, 0)
    weighted = fit(features, labels, 3, config, 0, sample_weight=(times / times.mean()).astype(np.float32))
    np.testing.assert_allclose(weighted[0], repeated[0], atol=1e-5)
