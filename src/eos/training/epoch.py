"""One epoch: its draws, made on the CPU in the order of its batches, and the images that they make.

Drawing and making are apart. The draws are the same on every device; the images are made where they are
needed, a batch at a time on a CPU, whose caches hold one, and many batches at once on a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eos.models.devices import sent
from eos.models.inference import normalizer
from eos.training.augmentation import crop, draw_crops
from eos.training.config import TrainConfig, sees_synthetic
from eos.training.mixing import Mixing, Mixture
from eos.training.policies import Augmentation


@dataclass(frozen=True)
class Draws:
    """What is drawn for an epoch, on the CPU: a row for each image that is met, batch after batch.

    The images that make one input of the network, one for each of its branches, are next to each other.

    Attributes
    ----------
    sizes : list of int
        Inputs of the network per batch.
    rows : Tensor of int64, shape (n,)
        Which training image.
    crops : Tensor of int64, shape (n, 3)
        See `eos.training.augmentation.draw_crops`.
    changes : list of Tensor
        What each augmentation has drawn.
    mixture : Mixture or None
        Of the inputs. Its partners are inputs of the epoch, of the same batch.
    """

    sizes: list[int]
    rows: Tensor
    crops: Tensor
    changes: list[Tensor]
    mixture: Mixture | None


class EpochImages:
    """The training images on a device, and all that is done to them before the network sees them.

    Parameters
    ----------
    images : Tensor of uint8, shape (n, height, width, channels)
    labels : Tensor of int64, shape (n,)
        Both on the CPU.
    n_synthetic : int
        How many of them, the last ones, are synthetic.
    n_classes : int
    mean, std : sequence of float
        The normalisation.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        n_synthetic: int = 0,
        n_classes: int,
        config: TrainConfig,
        mixing: Mixing | None,
        augmentations: Sequence[Augmentation],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
    ) -> None:
        self.config = config
        self.mixing = mixing
        self.branches = 1 if mixing is None else mixing.branches
        self.augmentations = augmentations
        self.device = device
        self.on_cpu = labels
        self.n_real = len(labels) - n_synthetic
        self.images = images.to(device)
        self.labels = labels.to(device)
        self.counts = self.labels.bincount(minlength=n_classes)
        self.fill = (torch.tensor(mean, device=device) * 255).round().to(torch.uint8)
        self.normalize = normalizer(mean, std, device)

    def draw(self, epoch: int, generator: torch.Generator) -> Draws:
        """Draw all of an epoch, counted from 1."""
        _, height, width, _ = self.images.shape
        labels = self.on_cpu if sees_synthetic(self.config, epoch) else self.on_cpu[: self.n_real]
        progress = (epoch - 1) / self.config.epochs
        if progress >= self.config.resample_from:
            order = class_balanced_rows(labels, generator)
        else:
            order = torch.randperm(len(labels), generator=generator)
        if self.mixing is not None:
            order = self.mixing.pairs(order, labels, generator)
        rows, crops, changes, mixtures, start = [], [], [], [], 0
        batches = batches_of(order, self.config.batch_size)
        for batch in batches:
            n = len(batch)
            if self.mixing is not None:
                batch = batch[self.mixing.chosen(self.on_cpu[batch[:, 0]], generator)]  # noqa: PLW2901
            rows.append(batch.flatten())
            crops.append(
                draw_crops(
                    n * self.branches,
                    crop_padding=self.config.crop_padding,
                    horizontal_flip=self.config.horizontal_flip,
                    generator=generator,
                )
            )
            changes.append(
                [change.draw(n * self.branches, height, width, generator) for change in self.augmentations]
            )
            if self.mixing is not None:
                drawn = self.mixing.draw(n, progress, generator)
                mixtures.append((drawn.partners + start, drawn.own, drawn.other))
            start += n
        return Draws(
            sizes=[len(batch) for batch in batches],
            rows=torch.cat(rows),
            crops=torch.cat(crops),
            changes=[torch.cat(parts) for parts in zip(*changes, strict=True)],
            mixture=Mixture(*map(torch.cat, zip(*mixtures, strict=True))) if mixtures else None,
        )

    def make(self, drawn: Draws, start: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Make the inputs of the network from `start` to `end` of an epoch, whole batches.

        Returns
        -------
        inputs : Tensor of float32, shape (n, channels, height, width)
            What the network takes; for one of two branches pairs, `(n, 2, channels, height, width)`.
        targets : Tensor
            What the loss takes: classes, `(n,)` int64, or shares of them, `(n, n_classes)` float32.
        classes : Tensor of int64, shape (n,)
            The class of each input, or the one with the larger share.
        """
        inputs_part, part = slice(start, end), slice(start * self.branches, end * self.branches)
        rows = sent(drawn.rows[part], self.device)
        views = crop(
            self.images[rows], sent(drawn.crops[part], self.device), crop_padding=self.config.crop_padding
        )
        for change, changes in zip(self.augmentations, drawn.changes, strict=True):
            views = change(views, changes[part], self.fill)
        inputs, labels = self.normalize(views), self.labels[rows]
        if self.mixing is None or drawn.mixture is None:
            return inputs, labels, labels
        mixture = Mixture(
            sent(drawn.mixture.partners[inputs_part] - start, self.device),
            sent(drawn.mixture.own[inputs_part], self.device),
            sent(drawn.mixture.other[inputs_part], self.device),
        )
        return self.mixing.mixed(inputs, labels, self.counts, mixture)


def class_balanced_rows(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return as many rows as there are, each of a class drawn uniformly and a member of it drawn uniformly.

    Deferred re-sampling (DRS, Cao et al. 2019) takes them in place of a permutation late in training.
    `labels`, `(n,)`, are on the CPU, and every class from 0 to the largest has a row.
    """
    classes = torch.randint(int(labels.max()) + 1, (len(labels),), generator=generator)
    return members(classes, labels, generator)


def members(classes: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a row for each of the classes, `(n,)`, a member of it drawn uniformly, with replacement."""
    counts, by_class = labels.bincount(), labels.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    places = torch.rand(len(classes), dtype=torch.float64, generator=generator) * counts[classes]
    return by_class[starts[classes] + places.long()]


def batches_of(order: Tensor, batch_size: int) -> list[Tensor]:
    """Divide the rows into batches; a last one of less than a quarter of the size joins the one before.

    Batch normalisation would take its statistics, once every epoch, from a handful of images: with 4 of 128 a
    training that otherwise reaches 92 % ended at 58 %, and one image shrunk to one pixel has none at all.
    """
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) < batch_size / 4:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
