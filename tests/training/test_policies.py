"""Cutout and AutoAugment on whole batches, and batches that are drawn class by class."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eos.data.torchvision_import import import_torchvision
from eos.training.epoch import class_balanced_rows
from eos.training.policies import OPERATIONS, AutoAugment, Cutout, magnitude
from tests.helpers import same_losses
from tests.training.test_mixing import CONFIG, run
from tests.training.test_mixing import parts as parts  # noqa: PLC0414 - a fixture

FILL = torch.tensor([10, 20, 30], dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def change(augmentation: Any, images: Tensor, fill: Tensor, source: torch.Generator) -> Tensor:
    n, height, width, _ = images.shape
    changed: Tensor = augmentation(images, augmentation.draw(n, height, width, source), fill)
    return changed


def pictures(n: int, *, height: int = 12, width: int = 10, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (n, height, width, 3), dtype=torch.uint8, generator=generator(seed))


@pytest.mark.parametrize("size", [1, 4, 5, 30])
def test_cutout_covers_a_square_around_a_pixel(size: int) -> None:
    images = pictures(400) | 128  # no pixel has the colour of the square
    result = change(Cutout(size=size), images, FILL, generator())
    covered = (result == FILL).all(dim=3)
    assert torch.equal(result[~covered], images[~covered])
    for one in covered:
        rows, columns = one.any(dim=1).nonzero().flatten(), one.any(dim=0).nonzero().flatten()
        assert one.sum() == len(rows) * len(columns) > 0  # a rectangle
        assert len(rows) == rows.max() - rows.min() + 1 <= size
        assert len(columns) <= size
        # Cut off only where it reaches the border.
        assert len(rows) == size or rows.min() == 0 or rows.max() == 11
    if size == 1:  # each pixel is the centre equally often
        assert covered.any(dim=2).sum(dim=0).min() > 400 / 12 * 0.4


@pytest.mark.parametrize("policy", ["cifar10", "svhn", "imagenet"])
def test_operations_are_those_of_torchvision(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's own class, an image at a time, given the draws that ours made.

    It has the older functions, whose rounding differs; here ours has them, too.
    """
    transforms = import_torchvision("transforms")
    n = 60
    images = pictures(n, seed=3)
    ours = AutoAugment(policy=policy)
    ours.functional = import_torchvision("transforms.functional")
    result = change(ours, images, FILL, generator(7))
    theirs = transforms.AutoAugment(transforms.AutoAugmentPolicy(policy))
    draws = generator(7)
    drawn = torch.randint(len(ours.policies), (n,), generator=draws)
    chances = torch.rand((n, 2), generator=draws)
    negative = torch.randint(2, (n, 2), generator=draws)
    changed = 0
    for image in range(n):
        # torchvision negates a magnitude where its draw is 0.
        flipped: Any = (int(drawn[image]), chances[image], 1 - negative[image])
        monkeypatch.setattr(theirs, "get_params", lambda count, given=flipped: given)
        expected = theirs(images[image].permute(2, 0, 1)).permute(1, 2, 0)
        assert torch.equal(result[image], expected), image
        changed += not torch.equal(result[image], images[image])
    assert changed > n / 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_old_and_new_functions_differ_by_rounding_alone(operation: str) -> None:
    old, new = (import_torchvision(f"transforms.{name}functional") for name in ("", "v2."))
    planes, sized = pictures(8).permute(0, 3, 1, 2), operation not in ("AutoContrast", "Equalize", "Invert")
    size = magnitude(operation, 4, (12, 10)) if sized else 0.0
    one, other = (OPERATIONS[operation](functional, planes, size).int() for functional in (old, new))
    assert (one - other).abs().max() <= 1


def test_every_operation_has_a_magnitude_and_a_function() -> None:
    transforms = import_torchvision("transforms")
    for policy in transforms.AutoAugmentPolicy:
        named = {step for pair in transforms.AutoAugment(policy).policies for step in pair}
        for operation, _, level in named:
            assert operation in OPERATIONS
            if level is not None:
                assert magnitude(operation, level, (32, 32)) >= 0


def test_grey_images_are_augmented() -> None:
    images = pictures(50)[..., :1]
    result = change(AutoAugment(policy="cifar10"), images, FILL[:1], generator())
    assert result.shape == images.shape
    assert result.dtype == torch.uint8


@pytest.mark.parametrize("augmentation", [Cutout(size=4), AutoAugment(policy="cifar10")])
def test_every_draw_comes_from_the_generator(augmentation: Any) -> None:
    images, before = pictures(40), torch.get_rng_state()
    first, again, other = (change(augmentation, images, FILL, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(images, pictures(40))  # not changed in place


def test_augmentations_change_a_training_and_repeat(parts: Any) -> None:
    changes = [Cutout(size=3), AutoAugment(policy="cifar10")]
    first, second, plain = (
        run(parts, mixing=None, augmentations=some).history for some in (changes, changes, [])
    )
    same_losses([one.loss for one in first], [one.loss for one in second])
    assert first[0].loss != plain[0].loss


def test_classes_are_drawn_evenly() -> None:
    labels = torch.tensor([1] * 50 + [0] * 5 + [2])[torch.randperm(56, generator=generator())]
    draw = generator()
    rows = torch.cat([class_balanced_rows(labels, draw) for _ in range(200)])
    counts = torch.bincount(labels[rows]).double()
    np.testing.assert_allclose(counts / len(rows), 1 / 3, atol=0.02)  # 4 deviations: 0.018
    of_five = torch.bincount(rows, minlength=56)[labels == 0].double()
    np.testing.assert_allclose(of_five / of_five.sum(), 0.2, atol=0.03)


def test_resampling_begins_when_it_is_due(parts: Any) -> None:
    plain, late, early = (
        [one.loss for one in run(parts, mixing=None, config=replace(CONFIG, resample_from=start)).history]
        for start in (1.0, 0.5, 0.0)
    )
    same_losses(plain[:2], late[:2])  # of four epochs
    assert plain[2:] != late[2:]
    assert plain[0] != early[0]
