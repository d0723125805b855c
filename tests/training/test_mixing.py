"""mixup, rebalanced mixup and ReMix: batches, mixtures with soft labels, and trainings on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from eos.losses.cross_entropy import CrossEntropy
from eos.training.checkpoints import FileCheckpoint
from eos.training.loop import EpochRecord, Images, Trained, train
from eos.training.mixing import Mixing, Mixup, RebalancedMixup, Remix, balanced_batch
from tests.helpers import DEVICE, given, same_training, train_config

CONFIG = train_config(epochs=4, batch_size=16, learning_rate=0.02, crop_padding=1, horizontal_flip=False)


COUNTS = torch.tensor([60, 20, 5])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LABELS = torch.tensor([7] * 9 + [2] * 4 + [0] * 2 + [5])[torch.randperm(16, generator=generator())]


def test_all_classes_are_filled_up_to_the_largest() -> None:
    rows = balanced_batch(LABELS, 4 * 9, generator())
    assert torch.bincount(LABELS[rows]).tolist() == [9, 0, 9, 0, 0, 9, 0, 9]
    assert set(rows.tolist()) == set(range(16))  # every image is there before any is doubled
    assert torch.bincount(rows)[LABELS == 7].tolist() == [1] * 9  # of the largest class none is


def test_a_batch_keeps_its_size_and_is_balanced_on_average() -> None:
    draw = generator()
    counts = torch.stack(
        [torch.bincount(LABELS[balanced_batch(LABELS, 16, draw)], minlength=8) for _ in range(500)]
    )
    assert (counts.sum(dim=1) == 16).all()
    assert counts.max() <= 9  # without replacement
    means = counts.double().mean(dim=0)
    # Of 36 rows, 9 of each class, 16 are drawn: hypergeometric, deviation 1.3 a batch and 0.06 in the mean.
    torch.testing.assert_close(means[[0, 2, 5, 7]], torch.full((4,), 4.0).double(), atol=0.25, rtol=0)
    assert counts[:, 0].double().var().item() == pytest.approx(16 * 0.25 * 0.75 * 20 / 35, rel=0.25)


def test_members_are_drawn_evenly_and_in_random_order() -> None:
    labels, draw = torch.tensor([0] * 50 + [1] * 3), generator()
    rows = torch.cat([balanced_batch(labels, 100, draw) for _ in range(100)])
    assert torch.bincount(rows)[:50].tolist() == [100] * 50
    # Each of the three is there 100 times by itself, and shares 4700 draws with the other two.
    assert torch.bincount(rows)[50:].double().numpy() == pytest.approx(100 + 4700 / 3, abs=4 * 33)
    assert labels[rows.view(100, 100)].double().mean(dim=0).std() < 0.1


@pytest.mark.parametrize("labels", [[3], [1, 1, 1, 1], [0, 1, 2, 3]])
def test_a_batch_that_is_balanced_is_only_shuffled(labels: list[int]) -> None:
    rows = balanced_batch(torch.tensor(labels), len(labels), generator())
    assert sorted(rows.tolist()) == list(range(len(labels)))


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_lambda_is_beta_distributed(alpha: float) -> None:
    draw, n = generator(), 4000
    values = np.array([Remix(alpha=alpha).share(draw) for _ in range(n)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert ((values >= 0) & (values <= 1)).all()
    assert values.mean() == pytest.approx(0.5, abs=4 * np.sqrt(variance / n))
    # The deviation of (x - 1/2)^2, which is at most 1/4, is below 1/8.
    assert ((values - 0.5) ** 2).mean() == pytest.approx(variance, abs=4 / 8 / np.sqrt(n))
    assert len(set(values)) > 0.9 * n


def mix(
    mixing: Mixing, images: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor, source: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return mixing.mixed(images, labels, counts, mixing.draw(len(labels), 0.0, source))


def test_every_draw_comes_from_the_generator() -> None:
    images, labels = torch.rand(16, 1, 4, 4), torch.arange(16) % 3
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]

    def draws(seed: int) -> list[torch.Tensor]:
        source = generator(seed)
        return [balanced_batch(LABELS, 16, source), *mix(Remix(alpha=0.2), images, labels, COUNTS, source)]

    one, again, other = draws(1), draws(1), draws(2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_mixing_is_a_weighted_mean(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Remix, "share", lambda self, generator: share)
    values = torch.tensor([[0.0, 8.0], [4.0, 4.0], [8.0, 0.0]])
    partners = torch.randperm(3, generator=generator(1))
    assert partners.tolist() != [0, 1, 2]
    result, targets, main = mix(Remix(alpha=0.2), values, torch.arange(3), COUNTS, generator(1))
    expected = [
        [share * a + (1 - share) * b for a, b in zip(*pair, strict=True)]
        for pair in zip(values.tolist(), values[partners].tolist(), strict=True)
    ]
    assert result.tolist() == expected
    assert torch.equal(targets, share * torch.eye(3) + (1 - share) * torch.eye(3)[partners])
    assert torch.equal(main, torch.arange(3) if share > 0.5 else partners)


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_and_its_soft_label_are_of_the_same_two_images(seed: int) -> None:
    """Image i is i everywhere, label i too: the soft label says what the mixture must be."""
    labels = torch.arange(12)
    images = labels.float()[:, None, None, None].expand(12, 2, 3, 3)
    result, targets, main = mix(Remix(alpha=0.2), images, labels, torch.ones(14), generator(seed))
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(12))
    assert ((targets > 0).sum(dim=1) <= 2).all()
    assert (targets >= 0).all()
    expected = (targets[:, :12] @ labels.float())[:, None, None, None].expand_as(images)
    torch.testing.assert_close(result, expected)
    assert torch.equal(main, targets.argmax(dim=1))
    shares = targets.max(dim=1).values
    torch.testing.assert_close(shares[shares < 1], shares.min().expand(int((shares < 1).sum())))
    # Every image is once the first and once the second of a mixture.
    torch.testing.assert_close(targets.sum(dim=0)[:12], torch.ones(12))


def test_a_mixture_within_a_class_has_a_hard_label() -> None:
    images, labels = torch.rand(6, 1, 2, 2), torch.ones(6, dtype=torch.int64)
    _, targets, _ = mix(Remix(alpha=1.0), images, labels, COUNTS, generator())
    torch.testing.assert_close(targets, torch.tensor([[0.0, 1.0, 0.0]]).expand(6, 3))


def test_mixtures_stay_channels_last() -> None:
    images = torch.rand(6, 4, 4, 3).permute(0, 3, 1, 2)
    result, _, _ = mix(Remix(alpha=0.2), images, torch.arange(6) % 2, COUNTS[:2], generator())
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_cross_entropy_of_soft_labels() -> None:
    logits = torch.randn(5, 4, generator=generator())
    labels, partners = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([4, 3, 2, 1, 0])
    loss = CrossEntropy([1] * 4)
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    soft = 0.3 * one_hot + 0.7 * one_hot[partners]
    expected = 0.3 * loss(logits, labels) + 0.7 * loss(logits, labels[partners])
    torch.testing.assert_close(loss(logits, soft), expected)


@pytest.fixture(scope="module")
def parts() -> list[Images]:
    """Training images of three classes, 40, 10 and 4 of them, and 60 test images."""
    bunch = load_digits(n_class=3)
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    members = [np.flatnonzero(bunch.target == label) for label in range(3)]
    rows = np.concatenate([rows[:count] for rows, count in zip(members, (40, 10, 4), strict=True)])
    test = np.concatenate([rows[-20:] for rows in members])
    return [Images(images[part], bunch.target[part]) for part in (rows, test)]


def run(parts: list[Images], **options: Any) -> Trained:
    settings: dict[str, Any] = {"architecture": "resnet8", "loss": "ce", "config": CONFIG, "device": DEVICE}
    settings |= {"mixing": Remix(alpha=0.2)} | options
    return train(
        parts[0],
        parts[1],
        n_classes=3,
        loss_parameters=given("loss", settings["loss"]),
        **settings,
    )


def test_training_learns(parts: list[Images]) -> None:
    history = run(parts, config=replace(CONFIG, epochs=12)).history
    losses = [record.loss for record in history]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert (history[-1].test_BAC or 0) > 0.6  # chance: 1/3
    assert 0 <= history[-1].train_BAC <= 1


def test_without_mixing_batches_are_plain(parts: list[Images]) -> None:
    plain, mixed = (run(parts, mixing=mixing).history for mixing in (None, Remix(alpha=0.2)))
    assert plain[0].loss != mixed[0].loss
    assert plain[0].train_BAC != mixed[0].train_BAC


class StoppedError(Exception):
    pass


def test_resumed_is_uninterrupted(tmp_path: Path, parts: list[Images]) -> None:
    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise StoppedError

    whole = run(parts)
    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")
    with pytest.raises(StoppedError):
        run(parts, checkpoint=checkpoint, on_epoch=stop)
    resumed = run(parts, checkpoint=checkpoint)
    same_training(whole, resumed)


def test_mixup_takes_the_batch_as_it_is() -> None:
    assert Mixup(alpha=1.0).chosen(LABELS, generator()).tolist() == list(range(16))


def test_mixup_is_remix_without_the_balanced_batch() -> None:
    images, labels = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
    both = [mix(kind(alpha=0.4), images, labels, COUNTS, generator(5)) for kind in (Mixup, Remix)]
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.49, 0.5, 0.51, 0.8, 1.0])
@pytest.mark.parametrize("tau", [0.5, 0.4, 0.0])
def test_rebalanced_mixup_follows_the_rule_of_its_paper(
    share: float, tau: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    kappa, mixing = 3.0, RebalancedMixup(alpha=1.0, kappa=3.0, tau=tau)
    monkeypatch.setattr(mixing, "share", lambda generator: share)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 2])
    partners = torch.randperm(len(labels), generator=generator(3))
    _, targets, _ = mix(mixing, torch.rand(8, 1, 2, 2), labels, COUNTS, generator(3))
    for row, (own, other) in enumerate(zip(labels.tolist(), labels[partners].tolist(), strict=True)):
        ratio = COUNTS[own].item() / COUNTS[other].item()
        if ratio >= kappa and share < tau:
            expected = 0.0
        elif ratio <= 1 / kappa and 1 - share < tau:
            expected = 1.0
        else:
            expected = share
        target = np.zeros(3)
        target[own] += expected
        target[other] += 1 - expected
        np.testing.assert_allclose(targets[row].numpy(), target, atol=1e-6)


@pytest.mark.parametrize("mixing", [Mixup(alpha=1.0), RebalancedMixup(alpha=1.0, kappa=3.0, tau=0.5)])
def test_mixtures_are_trained_on(parts: list[Images], mixing: Mixing) -> None:
    first, second = (run(parts, mixing=mixing) for _ in range(2))
    same_training(first, second)
    plain = run(parts, mixing=None).weights["last"]
    assert not torch.equal(first.weights["last"]["classifier.weight"], plain["classifier.weight"])
