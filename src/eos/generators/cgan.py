"""CGAN: one small DCGAN for every class to be filled.

The paper's CGAN is SA-CGAN (Dong, Xiao and Dong, Neurocomputing 2022), which has no released code; the paper
says that it "trains a separate generative model for each class". This is the simplest model of that kind, a
DCGAN (Radford, Metz and Chintala, arXiv:1511.06434).
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.generators.base import Data, Model, adam, from_uint8, frozen, means
from eos.storage.files import Arrays

STEPS_PER_REPORT = 50


class Cgan(Model):
    """A DCGAN for one class after another, each with a random generator of its own.

    So a class does not depend on the others.

    Images are halved twice, and again while the side is even and at least 4 would be left of it: to a side
    of 2 for 8 pixels, 4 for 16, 32 and 64, 7 for 28, 6 for 48. With k halvings and `width` w, the generator
    is latent → w 2^(k-1) maps → … → 2w → w → image: one linear layer, then k transposed convolutions (4x4,
    stride 2), batch normalisation and ReLU between, and tanh. The discriminator is image → w → 2w → … → one
    logit: k convolutions (4x4, stride 2), LeakyReLU of 0.2, and one linear layer. It has no batch
    normalisation: a class may have one image, whose batch has no variance.

    Both losses are cross-entropies, the generator's is the non-saturating one. Every step draws a batch of
    the class with replacement. Weights begin normal, of standard deviation 0.02.

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

    unit = "steps"
    single = "its network has learned from nothing else"

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
        self.classes = list(data.shortfalls)
        super().__init__(
            data, random, steps * len(self.classes), batch_size=batch_size, latent_size=latent_size
        )
        self.steps = steps
        self.learning_rate = learning_rate
        self.width = width
        self.seeds = torch.randint(2**62, (self.n_classes,), generator=random, device=self.device).tolist()
        self.finished: dict[int, np.ndarray] = {}
        self._begin_class()

    def advance(self) -> dict[str, float]:
        """Train for some steps of one class; at its last, draw its images."""
        self.networks.train()
        n_steps = min(STEPS_PER_REPORT, self.steps - self.done % self.steps)
        losses = means([self._step() for _ in range(n_steps)])
        named = {f"class {self.label} {name}": value for name, value in losses.items()}
        self.done += n_steps
        if self.done % self.steps == 0:
            self._finish_class()
        return named

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images, uint8 (m, side, side, channels), that each class lacks, by class."""
        while len(self.finished) < len(self.classes):  # no step was asked for
            self._finish_class()
        return self.finished

    def pack(self) -> Arrays:
        """Return all that changes while training: the class in training, and the images of those before."""
        return super().pack() | {f"finished.{label}": images for label, images in self.finished.items()}

    def unpack(self, arrays: Arrays) -> None:
        """Put a fresh model where the packed one was, bit for bit."""
        keys = {label: f"finished.{label}" for label in self.classes}
        self.finished = {label: arrays[key] for label, key in keys.items() if key in arrays}
        self._begin_class()
        super().unpack(arrays)

    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of the class in training."""
        return self.generator(self.noise(count))

    def _begin_class(self) -> None:
        """Make the networks of the first class that has no images yet, where there is one."""
        if len(self.finished) == len(self.classes):
            return
        self.label = self.classes[len(self.finished)]
        self.images = self.data.images[self.data.labels == self.label]
        self.random = torch.Generator(self.device).manual_seed(self.seeds[self.label])
        channels, side, _ = self.images.shape[1:]
        halvings = n_halvings(side)
        start = side >> halvings
        maps = [channels, *(self.width << level for level in range(halvings))]
        self.generator = _generator(self.latent_size, maps[::-1], start)
        self.discriminator = _discriminator(maps, start)
        self.networks = nn.ModuleDict({"generator": self.generator, "discriminator": self.discriminator})
        _initialize(self.networks, self.random)
        self.optimizers = {name: adam(network, self.learning_rate) for name, network in self.networks.items()}

    def _finish_class(self) -> None:
        self.finished[self.label] = self.drawn(self.label, self.data.shortfalls[self.label])
        self._begin_class()

    def _step(self) -> dict[str, Tensor]:
        rows = torch.randint(len(self.images), (self.batch_size,), generator=self.random, device=self.device)
        fake = self.generator(self.noise(self.batch_size))
        judged = self.discriminator(torch.cat([from_uint8(self.images[rows]), fake.detach()]))
        real, faked = judged.squeeze(1).split(self.batch_size)
        loss = functional.softplus(-real).mean() + functional.softplus(faked).mean()
        discriminator = self.step("discriminator", loss)
        with frozen(self.discriminator):
            loss = functional.softplus(-self.discriminator(fake)).mean()
        return {"discriminator": discriminator, "generator": self.step("generator", loss)}


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
