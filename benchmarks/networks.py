"""How fast the networks are: a training step, and the extraction of embeddings.

The plain way is the reference implementation's: a DataLoader that applies torchvision's transforms to one
image at a time, float32, contiguous memory, and embeddings written as text. Ours keeps the images as one
tensor, augments whole batches, uses channels-last memory and, where the processor or GPU has units for it,
computes in bfloat16. What is asked for depends on that. Both ways have one ResNet-32 and random pixels of
CIFAR-10's size.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.compare import Comparison
from benchmarks.data import PARAMETERS
from eos.data.torchvision_import import import_torchvision
from eos.models.devices import deterministic, pick_precision
from eos.models.inference import extract
from eos.models.network import Network, build_network
from eos.storage.files import read_arrays, write_arrays
from eos.training.config import TrainConfig
from eos.training.loop import Images, Training, train

BATCH = 128
PRECISION = pick_precision("auto", torch.device("cpu"))
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Yield the lines of the table, on small sizes if `quick`."""
    yield extraction(300 if quick else 2240)
    yield steps(1 if quick else 4, torch.device("cpu"))
    if torch.cuda.is_available():
        for precision in ("bf16", "fp16"):
            for networks in (1, 4, 8):
                yield gpu_steps(4 if quick else 97, networks, precision)
    else:
        print("CNN steps on GPU: left out, torch finds no GPU")


def extraction(n: int) -> Comparison:
    """Compare ways from a trained network and images to a file of embeddings."""
    images, _ = pixels(n)
    folder = tempfile.TemporaryDirectory()
    return Comparison(
        work=f"extraction of {n:,} of 22,406 images, ours in {PRECISION}",
        against="float32, contiguous, batches of 100, CSV",
        baseline=partial(plain_extraction, trained(), images, Path(folder.name, "plain.csv")),
        ours=partial(our_extraction, trained(), images, Path(folder.name, "ours.npz"), folder),
        same=same_embeddings,
        at_least=4 if PRECISION == "bf16" else 1.2,
        goal=6,
    )


def plain_extraction(network: Network, images: np.ndarray, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write the embeddings, and return what was written and the predicted classes."""
    network.eval()
    features, predicted = [], []
    for rows in range(0, len(images), 100):
        views = torch.from_numpy(images[rows : rows + 100]).permute(0, 3, 1, 2).contiguous() / 255
        with torch.no_grad():
            views = (views - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
            features.append(plain_features(network, views))
            predicted.append(network.classifier(features[-1]).argmax(dim=1))
    table = torch.cat(features).numpy()
    pd.DataFrame(table).to_csv(file, index=False)
    return table, torch.cat(predicted).numpy()


def our_extraction(
    network: Network, images: np.ndarray, file: Path, folder: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Do the same our way; `folder` is there to live as long as this is called."""
    features, logits = extract(network, images, MEAN, STD, device="cpu", precision=PRECISION)
    write_arrays(file, {"features": features})
    return read_arrays(file, "features")["features"], logits.argmax(axis=1)


def same_embeddings(plain: tuple[np.ndarray, np.ndarray], ours: tuple[np.ndarray, np.ndarray]) -> bool:
    """Return whether embeddings differ by rounding only, and the predicted classes hardly (float32: not)."""
    (one, classes), (two, ours_classes) = plain, ours
    rounding, other_classes = (1e-4, 0.0) if PRECISION == "fp32" else (0.02, 0.02)
    near = np.allclose(one, two, rtol=rounding, atol=rounding * one.max())
    return bool(near and (classes != ours_classes).mean() <= other_classes)


def train_config(**changes: Any) -> TrainConfig:
    """Return how params.yaml trains a network in general, with some values changed."""
    apart = {"device", "cpu_threads", "balanced_epochs_share"}
    return TrainConfig(**PARAMETERS.training.model_dump(exclude=apart) | changes)


def steps(n: int, device: torch.device) -> Comparison:
    """Compare ways to train for one epoch of `n` steps on a CPU."""
    images, labels = pixels(n * BATCH)
    config = train_config(epochs=1, batch_size=BATCH)
    return Comparison(
        work=f"CNN step on CPU: {n} steps of {BATCH}, ours in {PRECISION}",
        against="float32, contiguous, transforms per image",
        baseline=lambda: plain_losses(images, labels, config, device)[-1],
        ours=lambda: our_losses(images, labels, config, device)[-1],
        same=lambda one, two: math.isfinite(one) and math.isfinite(two) and same_training(device),
        at_least=2.1 if PRECISION == "bf16" else 1.2,
        goal=2.9,
    )


def gpu_steps(n: int, networks: int, precision: str, device: str = "cuda") -> Comparison:
    """Compare ways to train networks for one epoch of `n` steps each on one GPU, by the clock on the wall.

    The plain way trains one after the other. Ours trains them side by side; each call of it is one more epoch
    of the same trainings, so that only the first, off the clock, has the capture. It prints what that took.
    """
    images, labels = pixels(n * BATCH)
    place = torch.device(device)
    plain = train_config(epochs=1, batch_size=BATCH, precision="fp32")
    ours = train_config(epochs=1000, batch_size=BATCH, precision=precision, score_every=1000)
    return Comparison(
        work=f"CNN steps on GPU: {networks} networks, {n} steps of {BATCH} each, ours in {precision}",
        against="one by one, float32, contiguous, transforms per image",
        baseline=lambda: [plain_losses(images, labels, plain, place)[-1] for _ in range(networks)],
        ours=Epochs(images, labels, ours, networks, place),
        same=lambda one, two: bool(np.isfinite([*one, *two]).all()) and same_training(place),
        at_least=10,
        goal=20,
        clock=time.perf_counter,
    )


class Epochs:
    """Networks that train side by side; each call lets them train for one more epoch."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, config: TrainConfig, networks: int, device: torch.device
    ) -> None:
        self.device = device
        self.trainings = [
            Training(
                Images(images, labels),
                Images(images[:10], labels[:10]),
                n_classes=10,
                architecture="resnet32",
                loss="ce",
                config=config,
                normalization=(MEAN, STD),
                device=device.type,
            )
            for _ in range(networks)
        ]
        self.runs = [training.run(beside=networks) for training in self.trainings]
        self.done = 0

    def __call__(self) -> list[float]:
        """Return the mean loss that each network has had in the epoch."""
        start = time.perf_counter()
        while any(len(training.history) == self.done for training in self.trainings):
            for training, run in zip(self.trainings, self.runs, strict=True):
                if len(training.history) == self.done:
                    with deterministic(self.device), torch.cuda.stream(training.stream):
                        next(run)
        self.done += 1
        if self.device.type == "cuda":
            torch.cuda.synchronize()  # an epoch more was sent, and may not run beside what is measured next
        if self.done == 1:
            seconds = time.perf_counter() - start
            print(f"captures and first two epochs of {len(self.runs)} networks: {seconds:.2f} s")
        return [training.history[-1].loss for training in self.trainings]


def same_training(device: torch.device) -> bool:
    """Return whether three steps in float32 and without augmentation have the same losses both ways.

    All steps see the same batch, so the order of the images does not matter. The first loss compares what the
    networks compute, the others compare gradients and steps.
    """
    images, labels = pixels(BATCH)
    config = train_config(
        epochs=3,
        batch_size=BATCH,
        learning_rate=0.01,
        crop_padding=0,
        horizontal_flip=False,
        precision="fp32",
    )
    one, two = (way(images, labels, config, device) for way in (plain_losses, our_losses))
    # On a GPU torch's float32 convolutions are TF32, and each memory format has its own.
    rounding = 1e-3 if device.type == "cpu" else 1e-2
    return bool(np.allclose(one, two, rtol=rounding, atol=0)) and len(set(one)) == config.epochs


def plain_losses(
    images: np.ndarray, labels: np.ndarray, config: TrainConfig, device: torch.device
) -> list[float]:
    """Train the plain way, at a constant rate; return the mean loss of each epoch."""
    network = fresh(config.seed).to(device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    loss_of = nn.CrossEntropyLoss()
    losses = []
    for _ in range(config.epochs):
        total = torch.zeros((), device=device)
        for views, targets in DataLoader(PlainImages(images, labels, config), batch_size=BATCH, shuffle=True):
            loss = loss_of(network.classifier(plain_features(network, views.to(device))), targets.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(views)
        losses.append(total.item() / len(images))
    return losses


def our_losses(
    images: np.ndarray, labels: np.ndarray, config: TrainConfig, device: torch.device
) -> list[float]:
    """Do the same our way; ten images are scored after every epoch."""
    result = train(
        Images(images, labels),
        Images(images[:10], labels[:10]),
        n_classes=10,
        architecture="resnet32",
        loss="ce",
        config=config,
        normalization=(MEAN, STD),
        device=device.type,
    )
    return [record.loss for record in result.history]


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images that are cropped, flipped and normalised one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, config: TrainConfig) -> None:
        transforms = import_torchvision("transforms")
        self.images, self.labels = images, labels
        augmented = [
            transforms.RandomCrop(32, padding=config.crop_padding),
            transforms.RandomHorizontalFlip(),
        ]
        self.transform: Any = transforms.Compose(
            [
                transforms.ToPILImage(),
                *(augmented if config.crop_padding else []),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(self.images[row]), int(self.labels[row])


def plain_features(network: Network, images: Tensor) -> Tensor:
    """Return the embeddings of a ResNet, one operation after the other as its paper has them."""
    backbone: Any = network.backbone
    x = functional.relu(backbone.bn1(backbone.conv1(images)))
    for block in (*backbone.layer1, *backbone.layer2, *backbone.layer3):
        y = functional.relu(block.bn1(block.conv1(x)))
        y = block.bn2(block.conv2(y))
        if block.stride == 2:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, block.padding, block.padding))
        x = functional.relu(y + x)
    return x.mean((2, 3))


def trained() -> Network:
    """Return a network whose batch normalisation has met images."""
    network = fresh(0)
    images, _ = pixels(400)
    with torch.no_grad():
        for batch in torch.from_numpy(images).permute(0, 3, 1, 2).div(255).split(20):
            plain_features(network, (batch - 0.45) / 0.2)
    return network


def fresh(seed: int) -> Network:
    """Return a ResNet-32 with the weights that our training begins with."""
    generator = torch.Generator().manual_seed(seed)
    return build_network("resnet32", channels=3, n_classes=10, generator=generator)


def pixels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` images of noise and their labels."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n) % 10
