"""Every generative over-sampler by name, with its parameters, behind one function.

Adding one is a function and a line in `GENERATORS`. Torch is imported when one is used.
"""

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eos.errors import InputError, unknown_name
from eos.kinds import Rate
from eos.validation import class_numbers

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from eos.generators.base import Data, HistoryRow, Model, Progress
    from eos.training.checkpoints import Checkpoint

SMALLEST_SIDE, LARGEST_SIDE = 8, 64
GENERATOR_SIDES = f"a multiple of 4 from {SMALLEST_SIDE} to {LARGEST_SIDE}"


@dataclass(frozen=True, eq=False)
class Generated:
    """What a generative over-sampler adds to a data set.

    Attributes
    ----------
    images : ndarray of uint8, shape (m, side, side, channels)
        The synthetic images only, in the order of their labels.
    labels : ndarray of int64, shape (m,)
    history : tuple of HistoryRow
        The losses: epochs or steps done, name, value.
    notes : tuple of str
        One sentence for each thing that may surprise.
    """

    images: np.ndarray
    labels: np.ndarray
    history: "tuple[HistoryRow, ...]"
    notes: tuple[str, ...]


def generate(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    n_classes: int,
    seed: int,
    device: str = "auto",
    checkpoint: "Checkpoint | None" = None,
    on_progress: "Callable[[Progress], None] | None" = None,
    **parameters: Any,
) -> Generated:
    """Train the generative model called `name`, and bring every class to the size of the largest with it.

    Parameters
    ----------
    name : str
        A key of `GENERATORS`.
    images : ndarray of uint8, shape (n, side, side, channels)
        The side is a multiple of 4 from 8 to 64; there are 1 or 3 channels.
    labels : ndarray of int, shape (n,)
        From 0 to ``n_classes - 1``; every class has an image.
    n_classes : int
        Number of classes.
    seed : int
        Of all random draws, not negative.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a GPU where there is one.
    checkpoint : Checkpoint, optional
        Is saved to now and then. What it holds is taken up: it must come from the same arguments.
    on_progress : callable, optional
        Is given a `Progress` after every epoch, or every few steps.
    **parameters
        Parameters of the model (see `generator_parameters`); those not given keep their defaults.

    Returns
    -------
    Generated
        On a CPU the same bytes for the same arguments and number of threads, stopped and resumed or not.

    Raises
    ------
    InputError
        If the model, a parameter or its value is unknown, the images are of another type or size, a class has
        no image, there is no such device, or the training diverges.
    """
    place = f"generator {name}"
    parameters = _checked_parameters(name, place, parameters)
    _check_images(images, place)
    labels = class_numbers(labels, f"{place}: labels", n_classes, len(images)).astype(np.int64)
    counts = np.bincount(labels, minlength=n_classes)
    if (counts == 0).any():
        raise InputError(
            f"{place}: class {counts.argmin()} of {n_classes} has no image; every class needs at least one"
        )
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise InputError(f"{place}: seed {seed!r}; give a whole number, 0 or more")
    filled = np.flatnonzero(counts < counts.max())
    if not len(filled):
        note = f"every class has {counts.max()} images: nothing was generated"
        return Generated(images[:0].copy(), labels[:0], (), (note,))

    import torch

    from eos.devices import pick_device
    from eos.generators.base import Data, run

    where = pick_device(device)
    data = Data(
        torch.tensor(images, device=where).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(labels, device=where),
        tuple(counts.tolist()),
    )
    generator = GENERATORS[name]
    model = generator.build(data, torch.Generator(where).manual_seed(int(seed)), parameters)
    made, history = run(model, place, where, checkpoint, on_progress)
    return Generated(
        images=np.concatenate([made[label] for label in filled.tolist()]),
        labels=np.repeat(filled, (counts.max() - counts)[filled]).astype(np.int64),
        history=tuple(history),
        notes=tuple(
            f"class {label} has 1 image: {generator.single}"
            for label in filled.tolist()
            if counts[label] == 1
        ),
    )


def generator_parameters(name: str) -> dict[str, Any]:
    """Return the parameters that the generative model accepts, with their defaults.

    Raises
    ------
    InputError
        If there is no generative model of that name.
    """
    if name not in GENERATORS:
        raise unknown_name(name, GENERATORS, what="generator", place="generators")
    return dict(GENERATORS[name].defaults)


def fits_generators(side: int) -> bool:
    """Return whether the generative models can draw square images of this side."""
    return side % 4 == 0 and SMALLEST_SIDE <= side <= LARGEST_SIDE


def generator_kinds(name: str) -> dict[str, Any]:
    """Return the kind of each parameter, for the check of `params.yaml`."""
    return {
        parameter: Annotated[int, Field(ge=_LEAST.get(parameter, 1))] if isinstance(default, int) else Rate
        for parameter, default in generator_parameters(name).items()
    }


def sample_sheet(images: np.ndarray, labels: np.ndarray, *, n_classes: int, per_class: int = 10) -> "Image":
    """Return a picture of the first images of every class, one row per class.

    Small images are enlarged, to about 32 pixels. The row of a class without images, and the rest of a row of
    fewer than `per_class`, is empty. Equal arguments give equal pictures.

    Parameters
    ----------
    images : ndarray of uint8, shape (m, side, side, channels)
    labels : ndarray of int, shape (m,)
    n_classes, per_class : int
        Rows and columns.
    """
    from PIL import Image

    side, channels = images.shape[1], images.shape[3]
    factor = max(1, 32 // side)
    cell = factor * side + 2  # with a margin
    sheet = np.full((n_classes * cell + 2, per_class * cell + 2, channels), 96, dtype=np.uint8)
    for label in range(n_classes):
        for column, image in enumerate(images[labels == label][:per_class]):
            top, left = label * cell + 2, column * cell + 2
            large = image.repeat(factor, axis=0).repeat(factor, axis=1)
            sheet[top : top + len(large), left : left + len(large)] = large
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def _check_images(images: np.ndarray, place: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        found = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images)
        raise InputError(f"{place}: images: {found}; give uint8 of shape (n, side, side, channels)")
    height, width, channels = images.shape[1:]
    if height != width or not fits_generators(height):
        raise InputError(
            f"{place}: images of {height}x{width} pixels; needed are square images whose side is "
            f"{GENERATOR_SIDES}: resize them"
        )
    if channels not in (1, 3):
        raise InputError(f"{place}: images of {channels} channels; needed are 1 (grey) or 3 (colour)")


# The least value of a whole-number parameter; 1 where it is not named. Zero epochs is the untrained model.
_LEAST = {"epochs": 0, "autoencoder_epochs": 0, "steps": 0, "batch_size": 2}


def _checked_parameters(name: str, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters, those not given with their defaults."""
    defaults = generator_parameters(name)
    for parameter, value in given.items():
        if parameter not in defaults:
            raise unknown_name(parameter, defaults, what="parameter", place=place)
        if isinstance(defaults[parameter], int):
            least = _LEAST.get(parameter, 1)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
                raise InputError(f"{place}: {parameter} {value!r}; give a whole number, {least} or more")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InputError(f"{place}: {parameter} {value!r}; give a positive number")
    return {**defaults, **given}


def _gamo(data: "Data", random: "torch.Generator", parameters: Mapping[str, Any]) -> "Model":
    from eos.generators.gamo import Gamo

    return Gamo(data, random, **parameters)


def _bagan(data: "Data", random: "torch.Generator", parameters: Mapping[str, Any]) -> "Model":
    from eos.generators.bagan import Bagan

    return Bagan(data, random, **parameters)


def _cgan(data: "Data", random: "torch.Generator", parameters: Mapping[str, Any]) -> "Model":
    from eos.generators.cgan import Cgan

    return Cgan(data, random, **parameters)


@dataclass(frozen=True)
class Generator:
    """How a generative model is made, its parameters with defaults, and what a class of one image gets."""

    build: "Callable[[Data, torch.Generator, Mapping[str, Any]], Model]"
    defaults: Mapping[str, Any]
    single: str


# What one epoch or step is, and what the parameters do, is said in the classes that they are given to.
GENERATORS: dict[str, Generator] = {
    "gamo": Generator(
        _gamo,
        {"epochs": 64, "batch_size": 32, "learning_rate": 0.0002, "latent_size": 100},
        "its samples are copies of it",
    ),
    "bagan": Generator(
        _bagan,
        {
            "autoencoder_epochs": 150,
            "epochs": 150,
            "batch_size": 128,
            "learning_rate": 0.00005,
            "autoencoder_learning_rate": 0.00005,
            "latent_size": 100,
            "width": 128,
            "prior_size": 10.0,
        },
        "its samples vary as those of the other classes do",
    ),
    "cgan": Generator(
        _cgan,
        {"steps": 5000, "batch_size": 64, "learning_rate": 0.0002, "latent_size": 100, "width": 64},
        "its network has learned from nothing else",
    ),
}
