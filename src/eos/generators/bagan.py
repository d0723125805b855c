"""BAGAN: an autoencoder of all classes, made into a generator that the rare classes profit from.

Mariani, Scheidegger, Istrate, Bekas and Malossi, "BAGAN: Data augmentation with balancing GAN"
(arXiv:1803.09655).
"""

from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.generators.base import Data, Dropout, Model, adam, from_uint8, frozen, glorot, means


class Bagan(Model):
    """An autoencoder, then a generator and a discriminator that begin as its two halves.

    First the autoencoder learns to reproduce all images (mean squared error). Its decoder becomes the
    generator, and the trunk of its encoder that of the discriminator. The encoder's outputs give every class
    a normal distribution, from which the generator's input is drawn from now on. The discriminator tells the
    classes and the generated images apart (C + 1 outputs). The generator wants its images taken for the class
    they were drawn for, and draws all classes equally often.

    An epoch passes over the real images once. For every batch of b, the discriminator takes a step on it and
    on b / C generated images, and the generator takes one on b + b / C.

    A class of few images has a poor covariance, one of a single image has none. So every covariance is drawn
    toward the mean within-class covariance of all classes, which counts as `prior_size` images.

    Layers, for images of side s and a `width` of 128: latent → 1024 → 128 x s/4 x s/4 → upsample, 256 →
    upsample, 128 → image, by 5x5 convolutions (the last is 3x3), ReLU, and tanh at the end; image → 32
    (stride 2) → 64 → 128 (stride 2) → 256, by 3x3 convolutions, LeakyReLU and dropout of 0.3, then one linear
    layer.

    Parameters
    ----------
    data : Data
    random : torch.Generator
    autoencoder_epochs, epochs, batch_size, latent_size : int
    width : int
        Scales the layers of the generator.
    learning_rate, autoencoder_learning_rate : float
    prior_size : float
        Images that the mean covariance counts as.
    """

    single = "its samples vary as those of the other classes do"

    def __init__(
        self,
        data: Data,
        random: torch.Generator,
        *,
        autoencoder_epochs: int,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        autoencoder_learning_rate: float,
        latent_size: int,
        width: int,
        prior_size: float,
    ) -> None:
        super().__init__(
            data, random, autoencoder_epochs + epochs, batch_size=batch_size, latent_size=latent_size
        )
        self.autoencoder_epochs = autoencoder_epochs
        self.prior_size = prior_size
        channels, side, _ = data.images.shape[1:]
        n_features = 256 * (side // 4) ** 2
        self.networks["generator"] = self.generator = _generator(latent_size, width, side, channels)
        self.networks["encoder"] = self.encoder = nn.Sequential(
            _trunk(channels, random), nn.Linear(n_features, latent_size)
        )
        self.networks["discriminator"] = self.discriminator = nn.Sequential(
            _trunk(channels, random), nn.Linear(n_features, self.n_classes + 1)
        )
        glorot(self.networks, random)
        # Each class's normal distribution: its mean, and the symmetric root of its covariance.
        self.means = torch.zeros(self.n_classes, latent_size, device=self.device)
        self.roots = torch.zeros(self.n_classes, latent_size, latent_size, device=self.device)
        self.networks.register_buffer("means", self.means)
        self.networks.register_buffer("roots", self.roots)
        autoencoder = nn.Sequential(self.encoder, self.generator)
        self.optimizers = {
            "autoencoder": adam(autoencoder, autoencoder_learning_rate),
            "discriminator": adam(self.discriminator, learning_rate),
            "generator": adam(self.generator, learning_rate),
        }

    def advance(self) -> dict[str, float]:
        """Train for one epoch: the autoencoder at first, then the generator against the discriminator."""
        if self.done == self.autoencoder_epochs:
            self._begin_adversarial()
        step = self._reproduce if self.done < self.autoencoder_epochs else self._compete
        self.networks.train()
        losses = [step(rows) for rows in self.batches()]
        self.done += 1
        return means(losses)

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images, uint8 (m, side, side, channels), that each class lacks, by class."""
        if self.done == self.autoencoder_epochs:  # no adversarial epoch was asked for
            self._begin_adversarial()
        return super().fill()

    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of a class."""
        labels = torch.full((count,), label, device=self.device)
        return self.generator(self._latent(labels))

    def _reproduce(self, rows: Tensor) -> dict[str, Tensor]:
        images = from_uint8(self.data.images[rows])
        loss = functional.mse_loss(self.generator(self.encoder(images)), images)
        return {"autoencoder": self.step("autoencoder", loss)}

    def _compete(self, rows: Tensor) -> dict[str, Tensor]:
        real, labels = from_uint8(self.data.images[rows]), self.data.labels[rows]
        n_fake = ceil(len(rows) / self.n_classes)
        with torch.no_grad():
            fake = self.generator(self._latent(self._any_labels(n_fake)))
        truth = torch.cat([labels, torch.full((n_fake,), self.n_classes, device=labels.device)])
        judged = self.discriminator(torch.cat([real, fake]))
        discriminator = self.step("discriminator", functional.cross_entropy(judged, truth))
        wanted = self._any_labels(len(rows) + n_fake)
        with frozen(self.discriminator):
            judged = self.discriminator(self.generator(self._latent(wanted)))
            loss = functional.cross_entropy(judged, wanted)
        generator = self.step("generator", loss)
        return {"discriminator": discriminator, "generator": generator}

    def _any_labels(self, count: int) -> Tensor:
        return torch.randint(self.n_classes, (count,), generator=self.random, device=self.device)

    def _latent(self, labels: Tensor) -> Tensor:
        deviations = torch.einsum("nij,nj->ni", self.roots[labels], self.noise(len(labels)))
        return self.means[labels] + deviations

    @torch.no_grad()
    def _begin_adversarial(self) -> None:
        """Give the discriminator the encoder's trunk, and every class its normal distribution."""
        self.discriminator[0].load_state_dict(self.encoder[0].state_dict())
        self.encoder.eval()
        batches = self.data.images.split(self.batch_size)
        codes = torch.cat([self.encoder(from_uint8(images)) for images in batches]).cpu()
        found = normals(codes, self.data.labels.cpu(), self.n_classes, self.prior_size)
        for buffer, values in zip((self.means, self.roots), found, strict=True):
            buffer.copy_(values)


def normals(codes: Tensor, labels: Tensor, n_classes: int, prior_size: float) -> tuple[Tensor, Tensor]:
    """Return each class's mean and the symmetric root of its covariance, `(C, d)` and `(C, d, d)` float64.

    With S the scatter matrices (sums over a class of n images) and P the mean covariance, that is, the sum of
    all S over the sum of all n - 1, a class has the covariance (S + prior_size P) / (n - 1 + prior_size).

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    labels : Tensor of int64, shape (n,)
        Every class has a member, and some class has two.
    n_classes : int
    prior_size : float
        Positive.
    """
    codes = codes.double()
    groups = [codes[labels == label] for label in range(n_classes)]
    means = torch.stack([group.mean(dim=0) for group in groups])
    centred = [group - mean for group, mean in zip(groups, means, strict=True)]
    scatters = [group.T @ group for group in centred]
    pooled = torch.stack(scatters).sum(dim=0) / (len(codes) - n_classes)
    covariances = [
        (scatter + prior_size * pooled) / (len(group) - 1 + prior_size)
        for scatter, group in zip(scatters, groups, strict=True)
    ]
    values, vectors = torch.linalg.eigh(torch.stack(covariances))
    return means, vectors @ (values.clamp(min=0).sqrt()[:, :, None] * vectors.mT)


def _generator(latent_size: int, width: int, side: int, channels: int) -> nn.Sequential:
    start = side // 4
    return nn.Sequential(
        *(nn.Linear(latent_size, 8 * width, bias=False), nn.ReLU()),
        *(nn.Linear(8 * width, width * start * start, bias=False), nn.ReLU()),
        nn.Unflatten(1, (width, start, start)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(width, 2 * width, 5, padding=2, bias=False), nn.ReLU()),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, width, 5, padding=2, bias=False), nn.ReLU()),
        *(nn.Conv2d(width, channels, 3, padding=1, bias=False), nn.Tanh()),
    )


def _trunk(channels: int, random: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    n_in = channels
    for n_out, stride in ((32, 2), (64, 1), (128, 2), (256, 1)):
        layers += [nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.LeakyReLU(0.3), Dropout(0.3, random)]
        n_in = n_out
    return nn.Sequential(*layers, nn.Flatten())
