"""Phase 1 for a cell: training a network with the parameters' settings, resumably, and scoring it."""

import contextlib
import functools
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live

from eos.config.cells import architecture, branches, training_settings
from eos.config.schema import Parameters
from eos.errors import InputError, placed
from eos.losses.base import find_loss
from eos.metrics.scores import score
from eos.models.devices import limit_threads
from eos.models.inference import extract
from eos.models.pretrained import read_state_dict
from eos.models.saved import load_saved, save_network
from eos.pipeline import paths
from eos.pipeline.command import digest
from eos.registry import AUGMENTATIONS, MIXINGS, Table
from eos.storage.files import Arrays, naming, write_table
from eos.storage.layouts import BALANCED, IMAGES, LOGGED, NOTES_BETWEEN, SPLIT, SYNTHETIC, read_stored
from eos.training.augmentation import normalization_of
from eos.training.checkpoints import FileCheckpoint, fingerprint, library_code
from eos.training.config import TrainConfig, sees_synthetic
from eos.training.loop import EpochRecord, Images, Trained, Training, train_together
from eos.training.recipe import steps_per_epoch, warnings


@dataclass(frozen=True)
class Job:
    """A network to train: what it sees, and where it goes.

    Attributes
    ----------
    dataset, cut, network
        The cell of the grid.
    folder
        Where the network goes.
    synthetic
        A file of images that are trained on beside the real ones.
    sampler
        The name of what made them.
    synthetic_from
        The share of the epochs from which on they are trained on.
    label
        What tells the lines of one training from those of others.
    """

    dataset: str
    cut: int
    network: str
    folder: Path
    synthetic: Path | None = None
    sampler: str = ""
    synthetic_from: float = 0.0
    label: str = ""


def fit_network(parameters: Parameters, job: Job) -> dict[str, Any]:
    """Do what `fit_networks` does for one network alone.

    Raises
    ------
    InputError
        If the training fails.
    """
    (made,) = fit_networks(parameters, [job])
    if isinstance(made, InputError):
        raise made
    return made


def fit_networks(parameters: Parameters, jobs: Sequence[Job]) -> list[dict[str, Any] | InputError]:
    """Train networks side by side, each on imbalanced images and its synthetic ones; write what comes of it.

    Into a job's folder go the weights that each selection rule chooses, the training history, `network.json`
    with what else is needed to use the weights, and, of a network on images that a sampler balanced,
    `scores.csv`. Of jobs that share a data set, its images are read once.

    Returns
    -------
    list
        For each job the `seconds` of all epochs, also of those before a resumption; the `epochs`, training
        `rows` and trainable `parameters`, by which the run-time table explains them; and what was `made`. Of
        a job that failed its error.
    """
    read = functools.lru_cache(maxsize=1)(lambda dataset: read_stored(paths.images_file(dataset), IMAGES))
    fits: dict[int, _Fit] = {}
    results: dict[int, dict[str, Any] | InputError] = {}
    with contextlib.ExitStack() as stack:
        for number, job in enumerate(jobs):
            try:
                fits[number] = _Fit(parameters, job, read(job.dataset), beside=len(jobs))
                stack.enter_context(naming(Path(fits[number].live.dir)))  # it writes when it ends, too
                stack.enter_context(fits[number].live)
            except InputError as error:
                results[number] = error
        trained = train_together([fit.training for fit in fits.values()])
    for (number, fit), made in zip(fits.items(), trained, strict=True):
        try:
            with placed(fit.place):
                if isinstance(made, InputError):
                    raise made
            results[number] = fit.write(made)
        except InputError as error:
            results[number] = error
    return [results[number] for number in range(len(jobs))]


class _Fit:
    """A training with the settings that the parameters give it, and what is written of it."""

    def __init__(self, parameters: Parameters, job: Job, data: Arrays, *, beside: int) -> None:
        self.job = job
        dataset, network = job.dataset, job.network
        definition, given = parameters.networks[network], parameters.datasets[dataset].normalization
        split = read_stored(paths.split_file(dataset, job.cut), SPLIT, "train", "validation")
        real, validation = _images_of(data, split["train"]), _images_of(data, split["validation"])
        self.test = Images(data["test_images"], data["test_labels"])
        assert real is not None  # `split` leaves every class an image
        self.notes: list[str] = []
        images = real
        if job.synthetic is not None:
            added = read_stored(job.synthetic, SYNTHETIC)
            images = Images(
                np.concatenate([real.images, added["images"]]),
                np.concatenate([real.labels, added["labels"]]),
                n_synthetic=len(added["labels"]),
            )
            self.notes = added["notes"].tolist()
        self.rows = len(images.labels)
        self.settings = training_settings(
            parameters, dataset, network, rows=self.rows, balanced=job.synthetic is not None
        )
        limit_threads(self.settings.cpu_threads)
        chosen = architecture(parameters, dataset, network)
        mixing, augmentations = definition.mixing, definition.augmentations
        self.place = f"{paths.PARAMETERS}: networks.{network} on {dataset}"
        with placed(self.place):
            weights = read_state_dict(Path(chosen.weights).expanduser()) if chosen.weights else None
        config = TrainConfig(
            **self.settings.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"}),
            resample_from=definition.resample_from,
            synthetic_from=job.synthetic_from,
        )
        if not sees_synthetic(config, config.epochs):
            raise InputError(
                f"{paths.PARAMETERS}: generators.{job.sampler}.synthetic_from: {job.synthetic_from:g} leaves "
                f"none of {config.epochs} epochs (network {network} on {dataset}) to the synthetic images; "
                "lower it, or train for more epochs"
            )
        arguments: dict[str, Any] = {
            "n_classes": len(data["class_names"]),
            "architecture": chosen.name,
            "loss": definition.loss.name,
            "loss_parameters": definition.loss.model_dump(exclude={"name"}),
            "config": config,
            "normalization": (given.mean, given.std) if given else normalization_of(real.images),
            "device": self.settings.device,
        }
        # A checkpoint is taken up only by the training that wrote it: same images, settings and code.
        seen = [part for one in (images, validation, self.test) if one for part in (one.images, one.labels)]
        seen += [value.float().numpy() for value in (weights or {}).values()]
        told = (arguments, mixing, augmentations, self.settings.cpu_threads, images.n_synthetic)
        key = fingerprint(seen, told, library_code())
        self.checkpoint = FileCheckpoint(paths.CHECKPOINTS / f"{key}.safetensors")
        late = sum(sees_synthetic(config, epoch) for epoch in range(1, config.epochs + 1))
        n_real, early = self.rows - images.n_synthetic, config.epochs - late
        steps, first_steps = (steps_per_epoch(n, config.batch_size) for n in (self.rows, n_real))
        self.steps = late * steps + early * first_steps
        self.label = f"{job.label}: " if job.label else ""
        begins = (
            f"{n_real} real ones first, {early} epochs of {first_steps} steps; then all, " if early else ""
        )
        print(
            f"{self.label}{self.rows} training images: {begins}{late} epochs of {steps} steps, "
            f"batch size {config.batch_size}, learning rate {config.learning_rate:g}",
            flush=True,
        )
        with placed(self.place):
            try:
                self.live = Live(str(job.folder / "history"), dvcyaml=None, save_dvc_exp=False)
            except sqlite3.OperationalError as error:  # a full disk
                raise OSError(f"DVC's own database (.dvc/tmp, its site cache): {error}") from error
            log = EpochLog(self.settings.epochs, self.live, label=self.label, beside=beside)
            self.training = Training(
                images,
                self.test,
                validation=validation,
                mixing=built(MIXINGS, mixing) if mixing else None,
                augmentations=[built(AUGMENTATIONS, one) for one in augmentations],
                on_epoch=log,
                on_resume=log.resume,
                checkpoint=self.checkpoint,
                pretrained=weights,
                **arguments,
            )
        self.description = {
            "architecture": arguments["architecture"],
            "classifier": find_loss(definition.loss.name).classifier,
            "branches": branches(parameters, network),
            "channels": self.test.images.shape[3],
            "class_names": data["class_names"].tolist(),
        }

    def write(self, trained: Trained) -> dict[str, Any]:
        """Write what the finished training has made, and return what `fit_networks` does of it."""
        job, last = self.job, trained.history[-1]
        assert last.test_BAC is not None  # the last epoch is scored
        for told in warnings(
            n_classes=len(self.description["class_names"]),
            steps=self.steps,
            test_BAC=last.test_BAC,
            train_BAC=last.train_BAC,
            settled_BAC=trained.settled_BAC,
        ):
            print(f"{self.label}warning: {told}", flush=True)
        description = self.description | {
            "mean": trained.mean,
            "std": trained.std,
            "precision": trained.precision,
            "epochs": trained.epochs,
        }
        save_network(job.folder, trained.weights, description)
        if job.synthetic is not None:
            row = {"dataset": job.dataset, "cut": job.cut, "sampler": job.sampler, "network": job.network}
            rows = [
                row
                | {"seed": 0, "selection": rule, "epoch": epoch, "note": NOTES_BETWEEN.join(self.notes)}
                | _test_scores(job.folder, rule, self.test, device=self.settings.device)
                for rule, epoch in trained.epochs.items()
            ]
            write_table(job.folder / "scores.csv", pd.DataFrame(rows, columns=BALANCED))
        self.checkpoint.clear()
        return {
            "seconds": sum(record.seconds for record in trained.history),
            "epochs": self.settings.epochs,
            "rows": self.rows,
            "parameters": trained.n_parameters,
            "made": digest(job.folder / "last.safetensors"),
        }


def built(table: Table, definition: Any) -> Any:
    """Return what a definition names, with its parameters."""
    return table[definition.name].load()(**definition.model_dump(exclude={"name"}))


def _images_of(data: Arrays, rows: np.ndarray) -> Images | None:
    return Images(data["train_images"][rows], data["train_labels"][rows]) if len(rows) else None


def _test_scores(folder: Path, rule: str, test: Images, *, device: str) -> dict[str, float]:
    """Return the scores, on the test images, of the weights that a selection rule chose."""
    saved = load_saved(folder, rule)
    _, logits = extract(
        saved.network, test.images, saved.mean, saved.std, device=device, precision=saved.precision
    )
    return score(test.labels, logits.argmax(axis=1), len(saved.class_names))


class EpochLog:
    """Log every epoch, and print a line for about every tenth of them, with the time left."""

    def __init__(self, epochs: int, live: Live, *, label: str = "", beside: int = 1) -> None:
        self.epochs = epochs
        self.label = label
        self.beside = beside  # trainings that share the time on the clock, and epochs tell their part of it
        self.done = 0  # epochs that an earlier run has told of
        self.live = live
        self.seconds = 0.0

    def resume(self, done: int) -> None:
        """Tell that the first `done` epochs were trained before."""
        self.done = done
        print(f"{self.label}goes on after epoch {done}, where it was stopped", flush=True)

    def __call__(self, record: EpochRecord) -> None:
        """Report one epoch."""
        self.live.step = record.epoch
        with naming(Path(self.live.dir)):
            for name in LOGGED:
                value = getattr(record, name)
                if value is not None:
                    self.live.log_metric(name, value)
            self.live.next_step()
        self.seconds += record.seconds
        last = record.epoch == self.epochs
        if record.epoch <= self.done or (record.epoch % max(1, self.epochs // 10) and not last):
            return
        left = self.beside * self.seconds / record.epoch * (self.epochs - record.epoch)
        tested = "" if record.test_BAC is None else f" test {record.test_BAC:.3f}"
        print(
            f"{self.label}epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}  "
            f"BAC train {record.train_BAC:.3f}{tested}  {left:.0f} s left",
            flush=True,
        )
