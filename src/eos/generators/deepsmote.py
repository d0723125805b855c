"""DeepSMOTE: SMOTE between the codes of an autoencoder, whose decoder makes images of them.

Dablain, Krawczyk and Chawla, "DeepSMOTE: Fusing deep learning and SMOTE for imbalanced data", IEEE
Transactions on Neural Networks and Learning Systems (2022).
"""

from copy import deepcopy
from itertools import pairwise
from math import inf

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.generators.base import Data, Model, from_uint8, means

# Images of a class that the released penalty takes at most.
_RELEASED_MEMBERS = 100
# Codes whose distances are computed at once; it bounds the memory.
_CODES_AT_ONCE = 1024


class DeepSmote(Model):
    """A convolutional autoencoder of all classes, and SMOTE between the codes of one.

    The autoencoder learns to reproduce all images (mean squared error). To every batch a penalty is added, of
    equal weight: some images of one class, drawn uniformly, are encoded, decoded and compared with images of
    that class. What it is good for depends on `form`:

    - "paper": at most `batch_size` images of the class; every code is decoded in another's place, so that
      what is between members of a class decodes to something like them. Encoder and decoder learn from it.
    - "released": at most 100 images of the class. The released code permutes codes and images alike, so every
      code is compared with its own image, and cuts the codes off from their graph: the penalty is another
      reconstruction error, from which the decoder alone learns.

    A class of one image is not drawn for the penalty: it has no other, and no batch statistics.

    An epoch passes over the real images once. The weights that count are those after the epoch of the lowest
    training loss, as in the released code.

    A sample of a class is the decoded point between a code of the class, drawn uniformly, and one of its
    `k_neighbors` nearest (SMOTE); a class of n images has n - 1 neighbors at most.

    Layers, for images of side s and a `width` w (64 for s = 32 in public code): image → w → 2w → 4w by 4x4
    convolutions of stride 2, → 8w by one as large as what is left (s/8, rounded down), LeakyReLU of 0.2, →
    latent by a linear layer; latent → 8w x s/4 x s/4 by a linear layer, ReLU, → 4w → 2w by transposed
    convolutions (4x4, stride 2), ReLU, → image by a 3x3 one, tanh. Batch normalisation follows all
    convolutions but the first and the last.

    Parameters
    ----------
    data : Data
    random : torch.Generator
    epochs, batch_size, latent_size, width : int
    learning_rate : float
        Of Adam.
    k_neighbors : int
    form : {"paper", "released"}
    """

    single = "its samples are copies of what the autoencoder makes of it"

    def __init__(
        self,
        data: Data,
        random: torch.Generator,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        latent_size: int,
        width: int,
        k_neighbors: int,
        form: str,
    ) -> None:
        super().__init__(data, random, epochs, batch_size=batch_size, latent_size=latent_size)
        self.k_neighbors = k_neighbors
        self.form = form
        self.notes = _of_small_classes(data, k_neighbors)
        members = [(data.labels == label).nonzero().squeeze(1) for label in range(self.n_classes)]
        self.members = [rows for rows in members if len(rows) > 1]  # the largest class, at least
        channels, side, _ = data.images.shape[1:]
        autoencoder = nn.ModuleDict(
            {
                "encoder": _encoder(channels, side, width, latent_size),
                "decoder": _decoder(latent_size, width, side, channels),
            }
        )
        _initialize(autoencoder, random)
        self.encoder, self.decoder = autoencoder["encoder"], autoencoder["decoder"]
        self.networks["autoencoder"] = autoencoder
        self.networks["best"] = self.best = deepcopy(autoencoder)
        self.lowest = torch.tensor(inf, dtype=torch.float64)
        self.networks.register_buffer("lowest", self.lowest)
        self.optimizers = {
            "autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=learning_rate, fused=True)
        }
        # By class, the codes and the nearest others of each, once the training is over.
        self.codes: dict[int, tuple[Tensor, Tensor]] = {}

    def advance(self) -> dict[str, float]:
        """Train for one epoch."""
        self.networks.train()
        batches = self.batches()
        classes = self._any(len(self.members), len(batches)).tolist()
        losses = means([self._step(rows, number) for rows, number in zip(batches, classes, strict=True)])
        self.done += 1
        if (loss := sum(losses.values())) < self.lowest:
            self.lowest.fill_(loss)
            self.best.load_state_dict(self.networks["autoencoder"].state_dict())
        return losses

    def batches(self) -> tuple[Tensor, ...]:
        """Return the rows in a new order, divided into batches; a last one of one row joins the one before.

        One image that has shrunk to one pixel has no batch statistics.
        """
        batches = super().batches()
        if len(batches[-1]) > 1:
            return batches
        return (*batches[:-2], torch.cat(batches[-2:]))

    @torch.no_grad()
    def fill(self) -> dict[int, np.ndarray]:
        """Return the images, uint8 (m, side, side, channels), that each class lacks, by class."""
        self.networks.eval()
        encode = self.best["encoder"]
        for label in self.data.shortfalls:
            images = self.data.images[self.data.labels == label]
            codes = torch.cat([encode(from_uint8(part)) for part in images.split(self.batch_size)])
            self.codes[label] = codes, nearest(codes, self.k_neighbors)
        return super().fill()

    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of a class, after `fill` has encoded it."""
        codes, neighbors = self.codes[label]
        first = self._any(len(codes), count)
        points = codes[first]
        if n_neighbors := neighbors.shape[1]:
            second = neighbors[first, self._any(n_neighbors, count)]
            shares = torch.rand((count, 1), generator=self.random, device=self.device)
            points = points + shares * (codes[second] - points)
        return self.best["decoder"](points)

    def _any(self, n: int, count: int) -> Tensor:
        return torch.randint(n, (count,), generator=self.random, device=self.device)

    def _step(self, rows: Tensor, number: int) -> dict[str, Tensor]:
        images = from_uint8(self.data.images[rows])
        reconstruction = functional.mse_loss(self.decoder(self.encoder(images)), images)
        penalty = self.penalty(self.members[number])
        self.step("autoencoder", reconstruction + penalty)
        return {"reconstruction": reconstruction.detach(), "penalty": penalty.detach()}

    def penalty(self, members: Tensor) -> Tensor:
        """Return the penalty of a class whose images are in the rows `members`, at least two."""
        order = torch.randperm(len(members), generator=self.random, device=self.device)
        if self.form == "released":
            images = from_uint8(self.data.images[members[order[:_RELEASED_MEMBERS]]])
            return functional.mse_loss(self.decoder(self.encoder(images).detach()), images)
        images = from_uint8(self.data.images[members[order[: self.batch_size]]])
        # In a random order, rolling is a random permutation that leaves no code in its place.
        return functional.mse_loss(self.decoder(self.encoder(images).roll(1, 0)), images)


def nearest(codes: Tensor, k_neighbors: int) -> Tensor:
    """Return the rows of the nearest other codes of each, int64 `(n, k)`; k is `n - 1` at most.

    Distances are computed in float64. Of codes at the same distance any may be taken.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    k_neighbors : int
    """
    exact, k = codes.double(), min(k_neighbors, len(codes) - 1)
    found = []
    for rows in torch.arange(len(codes), device=codes.device).split(_CODES_AT_ONCE):
        distances = torch.cdist(exact[rows], exact)
        distances[torch.arange(len(rows), device=codes.device), rows] = inf  # of itself
        found.append(distances.topk(k, largest=False).indices)
    return torch.cat(found)


def _of_small_classes(data: Data, k_neighbors: int) -> tuple[str, ...]:
    """Return the note on classes to be filled that have fewer neighbors than asked for, if there are some."""
    small = [str(label) for label in data.shortfalls if 1 < data.counts[label] <= k_neighbors]
    if not small:
        return ()
    classes = f"class{'es' if len(small) > 1 else ''} {', '.join(small)}"
    return (f"k_neighbors was reduced from {k_neighbors} to the number of other members: {classes}",)


def _encoder(channels: int, side: int, width: int, latent_size: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for n_in, n_out in pairwise((width, 2 * width, 4 * width)):
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(
        *layers,
        *(
            nn.Conv2d(4 * width, 8 * width, side // 8, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.LeakyReLU(0.2),
        ),
        *(nn.Flatten(), nn.Linear(8 * width, latent_size)),
    )


def _decoder(latent_size: int, width: int, side: int, channels: int) -> nn.Sequential:
    start = side // 4
    layers: list[nn.Module] = [nn.Linear(latent_size, 8 * width * start * start), nn.ReLU()]
    layers.append(nn.Unflatten(1, (8 * width, start, start)))
    for n_in, n_out in pairwise((8 * width, 4 * width, 2 * width)):
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(2 * width, channels, 3, 1, 1), nn.Tanh())


@torch.no_grad()
def _initialize(networks: nn.Module, random: torch.Generator) -> None:
    """Draw the weights as torch does, from the model's own generator."""
    networks.to(random.device)
    for layer in networks.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=random)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=random)
