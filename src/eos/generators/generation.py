"""Balancing images by a registered generative model. Torch is imported when one is used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eos.errors import InputError
from eos.registry import GENERATOR_SIDES, GENERATORS, find, fits_generators

if TYPE_CHECKING:
    from eos.generators.base import HistoryRow, Progress
    from eos.training.checkpoints import FileCheckpoint


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
    checkpoint: "FileCheckpoint | None" = None,
    on_progress: "Callable[[Progress], None] | None" = None,
    **parameters: Any,
) -> Generated:
    """Train the generative model called `name`, and bring every class to the size of the largest with it.

    Parameters
    ----------
    name : str
        A name in `eos.registry.GENERATORS`.
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
    checkpoint : FileCheckpoint, optional
        Is saved to now and then. What it holds is taken up: it must come from the same arguments.
    on_progress : callable, optional
        Is given a `Progress` after every epoch, or every few steps.
    **parameters
        Parameters of the model, as registered.

    Returns
    -------
    Generated
        On a CPU the same bytes for the same arguments and number of threads, stopped and resumed or not.

    Raises
    ------
    InputError
        If the model is unknown, the images are of another size, a class has no image, there is no such
        device, or the training diverges.
    """
    place, entry = f"generator {name}", find(GENERATORS, name, what="generator")
    height, width = images.shape[1:3]
    if height != width or not fits_generators(height):
        raise InputError(
            f"{place}: images of {height}x{width} pixels; needed are square images whose side is "
            f"{GENERATOR_SIDES}: resize them"
        )
    counts = np.bincount(labels, minlength=n_classes).tolist()
    if 0 in counts:
        raise InputError(
            f"{place}: class {counts.index(0)} of {n_classes} has no image; every class needs at least one"
        )
    if len(set(counts)) == 1:
        note = f"every class has {counts[0]} images: nothing was generated"
        return Generated(images[:0], labels[:0], (), (note,))

    import torch

    from eos.generators.base import Data, run
    from eos.models.devices import pick_device

    where = pick_device(device)
    data = Data(
        torch.tensor(images, device=where).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(labels, device=where),
        tuple(counts),
    )
    # Layers draw weights as they are built; the models draw them again, from their own generator.
    with torch.random.fork_rng(devices=[]):
        model = entry.load()(data, torch.Generator(where).manual_seed(seed), **parameters)
        made, history = run(model, place, checkpoint, on_progress)
    return Generated(
        images=np.concatenate(list(made.values())),
        labels=np.repeat(list(made), [len(drawn) for drawn in made.values()]),
        history=tuple(history),
        notes=(
            *(f"class {label} has 1 image: {model.single}" for label in made if counts[label] == 1),
            *model.notes,
        ),
    )
