"""Training a network with the parameters' settings, resumably: what the three training stages share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dvclive import Live

import common
from eos.config.cells import architecture, training_recipe
from eos.devices import limit_threads
from eos.errors import placed
from eos.storage.files import Arrays, write_json, write_weights
from eos.training.checkpoints import FileCheckpoint, fingerprint, library_code
from eos.training.loop import EpochRecord, Images, Recipe, Trained, normalization_of, train

LOGGED = ("learning_rate", "loss", "train_BAC", "test_BAC", "test_FM", "validation_BAC", "validation_FM")


@dataclass(frozen=True)
class Cell:
    """What is trained, on which images, and where the result goes.

    `real` are the imbalanced images, whose mean and deviation are the normalisation where none is given;
    `train` are these, or these and synthetic ones (`balanced`).
    """

    dataset: str
    network: str
    class_names: np.ndarray
    real: Images
    train: Images
    validation: Images | None
    test: Images
    folder: Path
    balanced: bool


def images_of(data: Arrays, split: Arrays, part: str) -> Images | None:
    """Return the images of a split's part, or None where the part is empty."""
    rows = split[part]
    return Images(data["train_images"][rows], data["train_labels"][rows]) if len(rows) else None


def fit(cell: Cell) -> tuple[Trained, dict[str, Any]]:
    """Train, write what comes of it into the cell's folder, and tell what it took.

    Returns
    -------
    trained : Trained
    measured : dict
        The `seconds` of all epochs, also of those before a resumption; the `epochs`, training `rows` and
        trainable `parameters`, by which the run-time table explains them; and what was `made`.
    """
    parameters = common.parameters()
    definition, settings = parameters.networks[cell.network], parameters.datasets[cell.dataset]
    recipe = training_recipe(parameters, cell.dataset, cell.network, balanced=cell.balanced)
    limit_threads(recipe.cpu_threads)
    given = settings.normalization
    arguments: dict[str, Any] = {
        "n_classes": len(cell.class_names),
        "architecture": architecture(parameters, cell.dataset, cell.network),
        "loss": definition.loss.name,
        "loss_parameters": definition.loss.model_dump(exclude={"name"}),
        "recipe": Recipe(
            **recipe.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"}),
            remix_alpha=definition.mixing.alpha if definition.mixing else None,
        ),
        "normalization": (given.mean, given.std) if given else normalization_of(cell.real.images),
        "device": recipe.device,
    }
    # A checkpoint is taken up only by the training that wrote it: same images, settings and code.
    seen = [part for images in (cell.train, cell.validation, cell.test) if images for part in parts(images)]
    key = fingerprint(seen, (arguments, recipe.cpu_threads), library_code())
    checkpoint = FileCheckpoint(common.CHECKPOINTS / f"{key}.safetensors")
    place = placed(f"{common.PARAMETERS}: networks.{cell.network} on {cell.dataset}")
    with place, Live(str(cell.folder / "history"), dvcyaml=None, save_dvc_exp=False) as live:
        progress = Progress(recipe.epochs, live)
        trained = train(
            cell.train,
            cell.test,
            validation=cell.validation,
            on_epoch=progress,
            on_resume=progress.resume,
            checkpoint=checkpoint,
            **arguments,
        )
    for rule, weights in trained.weights.items():
        arrays = {name: value.numpy() for name, value in weights.items()}
        write_weights(cell.folder / f"{rule}.safetensors", arrays)
    # What else is needed to use the weights, and how they came about.
    facts = {
        "epochs": trained.epochs,
        "precision": trained.precision,
        "mean": trained.mean,
        "std": trained.std,
    }
    write_json(cell.folder / "network.json", facts)
    checkpoint.clear()
    return trained, {
        "seconds": sum(record.seconds for record in trained.history),
        "epochs": recipe.epochs,
        "rows": len(cell.train.labels),
        "parameters": trained.n_parameters,
        "made": common.digest(cell.folder / "last.safetensors"),
    }


def parts(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays of labelled images."""
    return images.images, images.labels


class Progress:
    """Log every epoch, and print a line for about every tenth of them, with the time left."""

    def __init__(self, epochs: int, live: Live) -> None:
        self.epochs = epochs
        self.done = 0  # epochs that an earlier run has told of
        self.live = live
        self.seconds = 0.0

    def resume(self, done: int) -> None:
        """Tell that the first `done` epochs were trained before."""
        self.done = done
        print(f"goes on after epoch {done}, where it was stopped", flush=True)

    def __call__(self, record: EpochRecord) -> None:
        """Report one epoch."""
        self.live.step = record.epoch
        for name in LOGGED:
            value = getattr(record, name)
            if value is not None:
                self.live.log_metric(name, value)
        self.live.next_step()
        self.seconds += record.seconds
        last = record.epoch == self.epochs
        if record.epoch <= self.done or (record.epoch % max(1, self.epochs // 10) and not last):
            return
        left = self.seconds / record.epoch * (self.epochs - record.epoch)
        tested = "" if record.test_BAC is None else f" test {record.test_BAC:.3f}"
        print(
            f"epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}  "
            f"BAC train {record.train_BAC:.3f}{tested}  {left:.0f} s left",
            flush=True,
        )
