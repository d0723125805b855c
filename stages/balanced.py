"""Training on images that were balanced before: what the two stages that do so share."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import common
from columns import COLUMNS, NOTES_BETWEEN
from eos.config.cells import architecture
from eos.losses.base import find_loss
from eos.metrics.scores import score
from eos.models.inference import extract, load_network
from eos.storage.files import write_table
from eos.storage.layouts import IMAGES, SPLIT, SYNTHETIC, read_stored
from eos.training.loop import Images, Trained
from fitting import Cell, fit, images_of


def train_balanced(
    dataset: str, cut: int, sampler: str, network: str, *, synthetic: Path, folder: Path, scores: Path
) -> dict[str, Any]:
    """Train on real and synthetic images together; write the weights, and the scores by selection rule."""
    data = read_stored(common.images_file(dataset), IMAGES)
    split = read_stored(common.split_file(dataset, cut), SPLIT, "train", "validation")
    added = read_stored(synthetic, SYNTHETIC)
    real = images_of(data, split, "train")
    assert real is not None  # `split` leaves every class an image
    cell = Cell(
        dataset=dataset,
        network=network,
        class_names=data["class_names"],
        real=real,
        train=Images(
            np.concatenate([real.images, added["images"]]), np.concatenate([real.labels, added["labels"]])
        ),
        validation=images_of(data, split, "validation"),
        test=Images(data["test_images"], data["test_labels"]),
        folder=folder,
        balanced=True,
    )
    trained, measured = fit(cell)
    rows = [
        {"dataset": dataset, "cut": cut, "sampler": sampler, "network": network, "seed": 0}
        | {"selection": rule, "epoch": epoch, "note": NOTES_BETWEEN.join(added["notes"])}
        | test_scores(cell, trained, rule)
        for rule, epoch in trained.epochs.items()
    ]
    write_table(scores, pd.DataFrame(rows, columns=COLUMNS["balanced"]))
    return measured


def test_scores(cell: Cell, trained: Trained, rule: str) -> dict[str, float]:
    """Return the scores, on the test images, of the weights that a selection rule chose."""
    parameters = common.parameters()
    network = load_network(
        trained.weights[rule],
        architecture(parameters, cell.dataset, cell.network),
        channels=cell.test.images.shape[3],
        n_classes=len(cell.class_names),
        classifier=find_loss(parameters.networks[cell.network].loss.name).classifier,
    )
    device = parameters.training.device
    _, logits = extract(
        network,
        cell.test.images,
        trained.mean,
        trained.std,
        device=device,
        precision=trained.precision,
    )
    return score(cell.test.labels, logits.argmax(axis=1), len(cell.class_names))
