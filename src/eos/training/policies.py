"""Stronger augmentation of whole batches: Cutout and AutoAugment.

Each draws first, from a generator on the CPU, and then changes uint8 images, cropped and flipped already, on
whatever device they are.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from eos.data.torchvision_import import import_torchvision
from eos.models.devices import sent


class Augmentation(Protocol):
    """A way to change images, each by itself."""

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Return what is drawn for `n` images of a size: `(n, anything)`, on the CPU."""

    def __call__(self, images: Tensor, drawn: Tensor, fill: Tensor) -> Tensor:
        """Return changed images, uint8 `(n, height, width, channels)`, as the given ones.

        `drawn` has a row of draws for each image and is on the CPU; `fill` is the mean colour of the training
        images, uint8 `(channels,)`, on the device of the images.
        """


class Cutout:
    """Cutout (DeVries and Taylor 2017): a square of the mean colour, `size` pixels wide, over each image.

    Its centre is uniform over the image's pixels, so that a part of it may lie outside.
    """

    def __init__(self, *, size: int) -> None:
        self.size = size

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Return the row and the column of each centre, `(n, 2)`."""
        return torch.cat(
            [torch.randint(length, (n, 1), generator=generator) for length in (height, width)], dim=1
        )

    def __call__(self, images: Tensor, drawn: Tensor, fill: Tensor) -> Tensor:
        """Return the images with a square each."""
        _, height, width, _ = images.shape
        centers = sent(drawn, images.device)
        rows, columns = (
            self._covered(centers[:, [axis]], length) for axis, length in enumerate((height, width))
        )
        return torch.where((rows[:, :, None] & columns[:, None, :])[..., None], fill, images)

    def _covered(self, centers: Tensor, length: int) -> Tensor:
        start = centers - self.size // 2
        place = torch.arange(length, device=centers.device)
        return (place >= start) & (place < start + self.size)


class AutoAugment:
    """AutoAugment (Cubuk et al. 2019): two operations for each image, by torchvision's policies.

    Each image draws one of the 25 sub-policies; each of its two operations is done with its probability, with
    a random sign where it has one. Images that need the same operation are done together.

    Parameters
    ----------
    policy : {"cifar10", "svhn", "imagenet"}
        Which of torchvision's policies.
    """

    def __init__(self, *, policy: str) -> None:
        transforms = import_torchvision("transforms")
        self.policies = transforms.AutoAugment(transforms.AutoAugmentPolicy(policy)).policies
        self.functional: Any = import_torchvision("transforms.v2.functional")

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Return sub-policy, two chances and two signs for each image, `(n, 5)` float32."""
        policies = torch.randint(len(self.policies), (n, 1), generator=generator)
        chances = torch.rand((n, 2), generator=generator)
        negative = torch.randint(2, (n, 2), generator=generator)
        return torch.cat((policies, chances, negative), dim=1)

    def __call__(self, images: Tensor, drawn: Tensor, fill: Tensor) -> Tensor:
        """Return the images, each changed by the operations it has drawn."""
        policies = drawn[:, 0].long().tolist()
        chances, negative = drawn[:, 1:3].tolist(), drawn[:, 3:].tolist()
        planes = images.permute(0, 3, 1, 2).contiguous()
        for step in range(2):
            together: dict[tuple[str, float], list[int]] = {}
            for image, policy in enumerate(policies):
                operation, probability, level = self.policies[policy][step]
                if chances[image][step] > probability:
                    continue
                size = 0.0 if level is None else magnitude(operation, level, planes.shape[-2:])
                if operation in SIGNED and negative[image][step]:
                    size = -size
                together.setdefault((operation, size), []).append(image)
            for (operation, size), members in together.items():
                rows = sent(torch.tensor(members), images.device)
                planes[rows] = OPERATIONS[operation](self.functional, planes[rows], size)
        return planes.permute(0, 2, 3, 1)


SIGNED = {
    "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"
}  # fmt: skip


def magnitude(operation: str, level: int, shape: Sequence[int]) -> float:
    """Return how strong an operation is at a level from 0 to 9, on images of a height and a width."""
    height, width = shape
    ends = {
        "ShearX": (0.0, 0.3),
        "ShearY": (0.0, 0.3),
        "TranslateX": (0.0, 150 / 331 * width),
        "TranslateY": (0.0, 150 / 331 * height),
        "Rotate": (0.0, 30.0),
        "Brightness": (0.0, 0.9),
        "Color": (0.0, 0.9),
        "Contrast": (0.0, 0.9),
        "Sharpness": (0.0, 0.9),
        "Solarize": (255.0, 0.0),
    }
    if operation == "Posterize":
        return 8.0 - round(level / (9 / 4))
    # As torchvision has them, to the last digit: a threshold may lie on a grey level.
    return float(torch.linspace(*ends[operation], 10)[level].item())


def _moved(functional: Any, images: Tensor, *, x: float = 0, y: float = 0) -> Tensor:
    shift = [int(x), int(y)]
    done: Tensor = functional.affine(images, angle=0.0, translate=shift, scale=1.0, shear=[0.0, 0.0])
    return done


def _sheared(functional: Any, images: Tensor, *, x: float = 0, y: float = 0) -> Tensor:
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    # About the upper left corner, as torchvision does it.
    done: Tensor = functional.affine(
        images, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0]
    )
    return done


#: By name, functions of torchvision's functional module, uint8 images (n, channels, height, width), a size.
OPERATIONS: dict[str, Callable[[Any, Tensor, float], Tensor]] = {
    "ShearX": lambda functional, images, size: _sheared(functional, images, x=size),
    "ShearY": lambda functional, images, size: _sheared(functional, images, y=size),
    "TranslateX": lambda functional, images, size: _moved(functional, images, x=size),
    "TranslateY": lambda functional, images, size: _moved(functional, images, y=size),
    "Rotate": lambda functional, images, size: functional.rotate(images, size),
    "Brightness": lambda functional, images, size: functional.adjust_brightness(images, 1 + size),
    "Color": lambda functional, images, size: functional.adjust_saturation(images, 1 + size),
    "Contrast": lambda functional, images, size: functional.adjust_contrast(images, 1 + size),
    "Sharpness": lambda functional, images, size: functional.adjust_sharpness(images, 1 + size),
    "Posterize": lambda functional, images, size: functional.posterize(images, int(size)),
    "Solarize": lambda functional, images, size: functional.solarize(images, size),
    "AutoContrast": lambda functional, images, size: functional.autocontrast(images),
    "Equalize": lambda functional, images, size: functional.equalize(images),
    "Invert": lambda functional, images, size: functional.invert(images),
}
