"""The learning rates of a training, against the released code."""

import numpy as np
import pytest

from eos.training.config import learning_rate
from tests.helpers import train_config


def released_rate(epoch: int) -> float:
    """Return the rate of the released code, written out; epochs from 1."""
    if epoch <= 5:
        return 0.1 * epoch / 5
    if epoch > 180:
        return 0.1 * 0.0001
    if epoch > 160:
        return 0.1 * 0.01
    return 0.1


def test_schedule_of_200_epochs_is_the_released_one() -> None:
    rates = [learning_rate(train_config(), epoch) for epoch in range(1, 201)]
    assert rates == [released_rate(epoch) for epoch in range(1, 201)]


@pytest.mark.parametrize("epochs", [40, 100, 400, 1000])
def test_schedule_scales_with_the_epochs(epochs: int) -> None:
    config = train_config(epochs=epochs, learning_rate=0.2)
    rates = np.array([learning_rate(config, epoch) for epoch in range(1, epochs + 1)]) / 0.2
    assert np.flatnonzero(np.isclose(rates, 0.01, rtol=1e-9)).tolist() == list(
        range(epochs * 8 // 10, epochs * 9 // 10)
    )
    assert np.flatnonzero(np.isclose(rates, 0.0001, rtol=1e-9)).tolist() == list(
        range(epochs * 9 // 10, epochs)
    )
    warmup = np.minimum(np.arange(1, epochs + 1) / (epochs / 40), 1)
    np.testing.assert_allclose(rates[: epochs * 8 // 10], warmup[: epochs * 8 // 10])


@pytest.mark.parametrize("epochs", [1, 2, 5, 13])
def test_schedule_of_few_epochs_is_sane(epochs: int) -> None:
    rates = [learning_rate(train_config(epochs=epochs), epoch) for epoch in range(1, epochs + 1)]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)


def test_schedule_without_warmup_or_milestones() -> None:
    config = train_config(warmup=0.0, milestones=(), factors=())
    assert {learning_rate(config, epoch) for epoch in range(1, 201)} == {0.1}
