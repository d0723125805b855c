"""GAMO: a generator whose images are convex combinations of the real images of a class.

Mullick, Datta and Das, "Generative adversarial minority oversampling" (ICCV 2019), on flattened images.
"""

from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.generators.base import Data, Model, adam, from_uint8, frozen, glorot, means


class Gamo(Model):
    """The three players of GAMO.

    - The *generator* maps noise and a label, by two layers of 256 and 64 units that all classes share and one
      layer per class to be filled, to one softmax weight per image of the class; its image is the weighted
      mean of those images.
    - The *discriminator* tells real images of a label from generated ones.
    - The *classifier* learns the classes from both. The generator is rewarded where the classifier errs,
      so its images gather near the borders of the class.

    All losses are mean squared errors. An epoch passes over the real images once. For every batch there is
    one step of the discriminator and of the classifier, each on the real batch and on as many generated
    images, labels drawn in proportion to what the classes lack; and one step of the generator, on equally
    many images of every class to be filled. The released code steps for real and for generated images, for
    every class and for each loss by itself, the generator's on a handful of images with the batch statistics
    of that handful; here they are joined.

    Parameters
    ----------
    data : Data
    random : torch.Generator
    epochs, batch_size, latent_size : int
    learning_rate : float
    """

    single = "its samples are copies of it"

    def __init__(
        self,
        data: Data,
        random: torch.Generator,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        latent_size: int,
    ) -> None:
        super().__init__(data, random, epochs, batch_size=batch_size, latent_size=latent_size)
        n_pixels = data.images[0].numel()
        classes = list(data.shortfalls)
        # The images of a class, flattened: its images are mixed of these.
        self.members = {label: from_uint8(data.images[data.labels == label]).flatten(1) for label in classes}
        lacking = [float(data.shortfalls.get(label, 0)) for label in range(self.n_classes)]
        self.lacking = torch.tensor(lacking, device=self.device)
        # Two at least, of which batch normalisation can take statistics.
        self.balanced = torch.tensor(classes, device=self.device).repeat_interleave(
            max(2, ceil(batch_size / self.n_classes))
        )
        self.networks["generator"] = self.generator = nn.ModuleDict(
            {
                "shared": nn.Sequential(
                    *(nn.Linear(latent_size + self.n_classes, 256), nn.ReLU(), nn.BatchNorm1d(256)),
                    *(nn.Linear(256, 64), nn.ReLU(), nn.BatchNorm1d(64)),
                ),
                **{str(label): nn.Linear(64, data.counts[label]) for label in classes},
            }
        )
        self.networks["discriminator"] = self.discriminator = _player(
            n_pixels + self.n_classes, 1, nn.Sigmoid()
        )
        self.networks["classifier"] = self.classifier = _player(n_pixels, self.n_classes, nn.Softmax(dim=1))
        glorot(self.networks, random)
        self.optimizers = {name: adam(network, learning_rate) for name, network in self.networks.items()}

    def advance(self) -> dict[str, float]:
        """Train for one epoch."""
        losses = [self._step(rows) for rows in self.batches()]
        self.done += 1
        return means(losses)

    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of a class."""
        wanted = torch.full((count,), label, device=self.device)
        return self._generate(wanted).unflatten(1, self.data.images.shape[1:])

    def _step(self, rows: Tensor) -> dict[str, Tensor]:
        real, labels = from_uint8(self.data.images[rows]).flatten(1), self.data.labels[rows]
        # As in the released code, the others see the generator in evaluation mode.
        self.generator.eval()
        wanted = self.lacking.multinomial(len(rows), replacement=True, generator=self.random)
        with torch.no_grad():
            fake = self._generate(wanted)
        images, truth = torch.cat([real, fake]), self._one_hot(torch.cat([labels, wanted]))
        # Targets a little off 0 and 1.
        slack = torch.rand(len(images), 1, generator=self.random, device=images.device) / 10
        is_real = torch.cat([1 - slack[: len(real)], slack[len(real) :]])
        judged = self.discriminator(torch.cat([images, truth], dim=1))
        discriminator = self.step("discriminator", functional.mse_loss(judged, is_real))
        classifier = self.step("classifier", functional.mse_loss(self.classifier(images), truth))
        self.generator.train()
        fake, truth = self._generate(self.balanced), self._one_hot(self.balanced)
        with frozen(self.discriminator, self.classifier):
            judged = self.discriminator(torch.cat([fake, truth], dim=1))
            loss = functional.mse_loss(judged, torch.ones_like(judged)) + functional.mse_loss(
                self.classifier(fake), 1 - truth
            )
        generator = self.step("generator", loss)
        return {"discriminator": discriminator, "classifier": classifier, "generator": generator}

    def _generate(self, wanted: Tensor) -> Tensor:
        """Return one flattened image for each label."""
        noise = self.noise(len(wanted))
        hidden = self.generator["shared"](torch.cat([noise, self._one_hot(wanted)], dim=1))
        images = hidden.new_empty(len(wanted), self.data.images[0].numel())
        for label, members in self.members.items():
            rows = (wanted == label).nonzero().squeeze(1)
            if len(rows):
                weights = self.generator[str(label)](hidden[rows]).softmax(dim=1)
                images = images.index_copy(0, rows, weights @ members)
        return images

    def _one_hot(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels, self.n_classes).float()


def _player(n_in: int, n_out: int, end: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(n_in, 256), nn.LeakyReLU(0.1)),
        *(nn.Linear(256, 128), nn.LeakyReLU(0.1)),
        *(nn.Linear(128, n_out), end),
    )
