"""CGAN: one small DCGAN for every class to be filled.

The paper's CGAN is SA-CGAN (Dong, Xiao and Dong, Neurocomputing 2022), which has no released code; the paper
says that it "trains a separate generative model for each class". This is the simplest model of that kind, a
DCGAN (Radford, Metz and Chintala, arXiv:1511.06434).
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.generators.base import (
    Data,
    Networks,
    adam,
    from_uint8,
    frozen,
    means,
    own_random,
    take_step,
)

STEPS_PER_REPORT = 50


class Cgan:
    """One `Dcgan` after another. Each draws from a generator of its own: classes do not affect each other.

    Parameters
    ----------
    data : Data
    random : torch.Generator
        Where the seeds of the classes are drawn from.
    steps : int
        Of every class: an epoch of a class of one image would be one step.
    batch_size, latent_size, width : int
    learning_rate : float
    """

    single = "its network has learned from nothing else"

    unit = "steps"

    def __init__(
        self,
        data: Data,
        random: torch.Generator,
        *,
        steps: int,
        batch_size: int,
        learning_rate: float,
        latent_size: int,
        width: int,
    ) -> None:
        self.data = data
        self.steps = steps
        self.settings = {
            "batch_size": batch_size,
            "latent_size": latent_size,
            "width": width,
        }
        self.learning_rate = learning_rate
        n_classes = len(data.counts)
        seeds = torch.randint(2**62, (n_classes,), generator=random, device=random.device)
        self.seeds = seeds.tolist()
        self.device = random.device
        self.finished: dict[int, np.ndarray] = {}
        self._begin_class()

    @property
    def done(self) -> int:
        """Return the steps taken."""
        return len(self.finished) * self.steps + (self.current.done if self.unfinished else 0)

    @property
    def total(self) -> int:
        """Return the steps to take for all classes together."""
        return len(self.data.shortfalls) * self.steps

    @property
    def unfinished(self) -> list[int]:
        """Return the classes that have no images yet; the first is in training."""
        return [label for label in self.data.shortfalls if label not in self.finished]

    def advance(self) -> dict[str, float]:
        """Train for some steps of one class; at its last, draw its images."""
        label = self.unfinished[0]
        losses = self.current.advance()
        if self.current.done == self.steps:
            self._finish_class()
        return {f"class {label} {name}": value for name, value in losses.items()}

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images that each class lacks, by class."""
        while self.unfinished:  # no step was asked for
            self._finish_class()
        return self.finished

    def pack(self) -> dict[str, np.ndarray]:
        """Return all that changes while training: the class in training, and the images of those before."""
        arrays = {f"finished.{label}": images for label, images in self.finished.items()}
        return arrays | (self.current.pack() if self.unfinished else {})

    def unpack(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a fresh model where the packed one was."""
        labels = [label for label in self.data.shortfalls if f"finished.{label}" in arrays]
        self.finished = {label: arrays[f"finished.{label}"] for label in labels}
        self._begin_class()
        if self.unfinished:
            self.current.unpack(arrays)

    def _begin_class(self) -> None:
        if self.unfinished:
            label = self.unfinished[0]
            members = self.data.labels == label
            own = Data(self.data.images[members], self.data.labels[members], self.data.counts)
            random = torch.Generator(self.device).manual_seed(self.seeds[label])
            self.current = Dcgan(own, random, self.steps, self.learning_rate, **self.settings)

    def _finish_class(self) -> None:
        label = self.unfinished[0]
        self.finished[label] = self.current.drawn(label, self.data.shortfalls[label])
        self._begin_class()


class Dcgan(Networks):
    """A generator and a discriminator of the images of one class.

    Images are halved twice, and again while the side is even and at least 4 would be left of it: to a side
    of 2 for 8 pixels, 4 for 16, 32 and 64, 7 for 28, 6 for 48. With k halvings and `width` w, the generator
    is latent → w 2^(k-1) maps → … → 2w → w → image: one linear layer, then k transposed convolutions (4x4,
    stride 2), batch normalisation and ReLU between, and tanh. The discriminator is image → w → 2w → … → one
    logit: k convolutions (4x4, stride 2), LeakyReLU of 0.2, and one linear layer. It has no batch
    normalisation: a class may have one image, whose batch has no variance.

    Both losses are cross-entropies, the generator's is the non-saturating one. Every step draws a batch of
    the class with replacement. Weights begin normal, of standard deviation 0.02.
    """

    unit = "steps"

    def __init__(
        self,
        data: Data,
        random: torch.Generator,
        steps: int,
        learning_rate: float,
        *,
        batch_size: int,
        latent_size: int,
        width: int,
    ) -> None:
        super().__init__(data, random, steps)
        self.batch_size = batch_size
        self.latent_size = latent_size
        channels, side, _ = data.images.shape[1:]
        halvings = n_halvings(side)
        start = side >> halvings
        maps = [channels, *(width << level for level in range(halvings))]
        with own_random():
            self.generator = _generator(latent_size, maps[::-1], start)
            self.discriminator = _discriminator(maps, start)
        self.networks.update({"generator": self.generator, "discriminator": self.discriminator})
        _initialize(self.networks, random)
        self.optimizers = {name: adam(network, learning_rate) for name, network in self.networks.items()}

    def advance(self) -> dict[str, float]:
        """Train for some steps."""
        self.networks.train()
        n_steps = min(STEPS_PER_REPORT, self.total - self.done)
        losses = [self._step() for _ in range(n_steps)]
        self.done += n_steps
        return means(losses)

    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of the class."""
        images: Tensor = self.generator(self.noise(count, self.latent_size))
        return images

    def _step(self) -> dict[str, Tensor]:
        device, n_images = self.random.device, len(self.data.images)
        rows = torch.randint(n_images, (self.batch_size,), generator=self.random, device=device)
        fake = self.generator(self.noise(self.batch_size, self.latent_size))
        judged = self.discriminator(torch.cat([from_uint8(self.data.images[rows]), fake.detach()]))
        real, faked = judged.squeeze(1).split(self.batch_size)
        loss = functional.softplus(-real).mean() + functional.softplus(faked).mean()
        discriminator = take_step(self.optimizers["discriminator"], loss)
        with frozen(self.discriminator):
            loss = functional.softplus(-self.discriminator(fake)).mean()
        return {
            "discriminator": discriminator,
            "generator": take_step(self.optimizers["generator"], loss),
        }


def n_halvings(side: int) -> int:
    """Return how often images of this side, a multiple of 4, are halved."""
    halvings = 2
    while (side >> halvings) % 2 == 0 and side >> (halvings + 1) >= 4:
        halvings += 1
    return halvings


def _generator(latent_size: int, maps: list[int], start: int) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Linear(latent_size, maps[0] * start * start, bias=False),
        nn.Unflatten(1, (maps[0], start, start)),
    ]
    for n_in, n_out in pairwise(maps):
        layers += [nn.BatchNorm2d(n_in), nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, 2, 1)]
    return nn.Sequential(*layers, nn.Tanh())


def _discriminator(maps: list[int], end: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(maps):
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(maps[-1] * end * end, 1))


@torch.no_grad()
def _initialize(networks: nn.Module, random: torch.Generator) -> None:
    networks.to(random.device)
    for layer in networks.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02, generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean=1, std=0.02, generator=random)
