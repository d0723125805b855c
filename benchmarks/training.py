"""Seconds per training step: the plain way against ours, in one process, in turns.

The plain way is the reference implementation's: a DataLoader that applies torchvision's transforms to one
image at a time, float32, contiguous memory. Ours keeps the images on the device as one tensor, augments whole
batches there, and uses channels-last memory and, where the processor or GPU has units for it, bfloat16.
Both train a ResNet-32 by SGD on random pixels of CIFAR-10's size; only the seconds are looked at.

    python benchmarks/training.py [--steps 6] [--rounds 3] [--device auto]
"""

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from eos.devices import pick_device, pick_precision
from eos.networks import build_network
from eos.training import Images, Recipe, train
from eos.vision import import_torchvision

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class PlainImages(Dataset[tuple[torch.Tensor, int]]):
    """Images that are cropped, flipped and normalised one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        transforms = import_torchvision("transforms")
        self.images, self.labels = images, labels
        self.transform: Any = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[row]), int(self.labels[row])


def plain_seconds(images: np.ndarray, labels: np.ndarray, device: torch.device) -> float:
    """Return the seconds per step of one plain epoch."""
    network = build_network("resnet32", channels=3, n_classes=10).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.0002)
    loss_of = nn.CrossEntropyLoss()
    start = time.perf_counter()
    for views, targets in DataLoader(PlainImages(images, labels), batch_size=BATCH, shuffle=True):
        loss = loss_of(network(views.to(device)), targets.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()
    return (time.perf_counter() - start) / (len(images) / BATCH)


def our_seconds(images: np.ndarray, labels: np.ndarray, device: torch.device) -> float:
    """Return the seconds per step of one epoch of `eos.training`."""
    data, few = Images(images, labels), Images(images[:10], labels[:10])
    recipe = Recipe(epochs=1, batch_size=BATCH)
    trained = train(
        data,
        few,
        n_classes=10,
        architecture="resnet32",
        loss="ce",
        recipe=recipe,
        normalization=(MEAN, STD),
        device=device.type,
    )
    return trained.history[0].seconds / (len(images) / BATCH)


def main() -> None:
    """Run both ways in turns and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="steps of one run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way; the first one warms up")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    options = parser.parse_args()
    device = pick_device(options.device)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.steps * BATCH, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % 10
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(options.rounds + 1):
        for name, way in (("plain", plain_seconds), ("ours", our_seconds)):
            taken = way(images, labels, device)
            print(f"round {number} {name}: {taken:.3f} s a step", flush=True)
            if number:
                seconds[name].append(taken)
    plain, ours = (median(values) for values in seconds.values())
    precision = pick_precision("auto", device)
    threads = torch.get_num_threads()
    print(
        f"ResNet-32, batch {BATCH}, {device.type}, {threads} threads, plain fp32 against ours in {precision}:"
    )
    print(f"{plain:.3f} s against {ours:.3f} s a step, ratio {plain / ours:.2f}")


if __name__ == "__main__":
    main()
