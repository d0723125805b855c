"""From a cell of the grid to a classifier in a folder of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import eos
from eos.classifier.classifier import Classifier
from eos.classifier.folder import BACKBONE, HEAD, write_folder
from eos.config.cells import Cell, machine
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.metrics.scores import confusion, recalls, score
from eos.models.devices import limit_threads
from eos.models.saved import load_saved
from eos.pipeline import paths
from eos.storage.files import REMAKE, Arrays, read_json
from eos.storage.layouts import EMBEDDINGS, IMAGES, read_stored
from eos.storage.layouts import HEAD as FITTED

# Logits that differ by more than this share of their range are those of another network; a GPU's, or those of
# another number of threads, differ far less.
_OTHER_NETWORK = 0.1


def export_cell(
    parameters: Parameters, cell: Cell, folder: Path, *, seed: int | None = None
) -> Iterator[str]:
    """Write the classifier of a cell; yield what is to be told.

    It is tried on the test images first: its logits have to be those that the pipeline stored.

    Parameters
    ----------
    parameters
        What the workspace was made with.
    cell
        One whose files are there.
    folder
        Must not exist.
    seed
        Of the head; by default the first of `head_training.seeds`.

    Raises
    ------
    InputError
        If the folder exists, a file of the pipeline is missing or damaged, files are of different runs, the
        parameters have changed since the last one, or the head has no such seed.
    """
    if folder.exists():  # said again where it is written, but here before any work
        raise InputError(f"{folder}: exists already; remove it, or name another folder")
    changed = changed_code(cell)
    dataset, cut, network, _ = cell
    computing = machine(parameters, dataset)
    limit_threads(computing["cpu_threads"])
    embeddings = read_stored(paths.embeddings_file(dataset, cut, network), EMBEDDINGS)
    images = read_stored(paths.images_file(dataset), IMAGES)["test_images"]
    place = paths.network_folder(dataset, cut, network)
    saved, known = load_saved(place, parameters.selection), read_json(place / "network.json")
    state = {name: value.numpy() for name, value in saved.network.state_dict().items()}
    own = parameters.heads[cell.head].sampler == "own"
    if own:
        if seed is not None:
            raise InputError(f"seed {seed}: the own classifier has none, it was trained with its network")
        head = _part(state, "classifier")
        expected, head_epoch = embeddings["test_logits"], saved.epoch
    else:
        head, expected, seed, head_epoch = _fitted(parameters, cell, seed)
    loss = parameters.networks[network].loss
    size = images.shape[1]
    description: dict[str, Any] = {
        "class_names": saved.class_names,
        "n_features": saved.network.n_features,
        "head": {
            "own": own,
            "classifier": known["classifier"] if own else "linear",
            "scale": getattr(loss, "scale", 1.0) if own and known["classifier"] == "cosine" else 1.0,
        },
        "backbone": {
            "architecture": known["architecture"],
            "channels": known["channels"],
            "image_size": size,
            "mean": saved.mean,
            "std": saved.std,
        },
        "computing": computing
        | {"portable": parameters.datasets[dataset].portable, "precision": str(embeddings["precision"])},
        "trained_on": {
            **cell._asdict(),
            "seed": seed,
            "class_counts": np.bincount(
                embeddings["train_labels"], minlength=len(saved.class_names)
            ).tolist(),
            "network_epoch": saved.epoch,
            "head_epoch": head_epoch,
            "selection": parameters.selection,
            "commit": _commit(),
            "code_changed_since": changed,
            "parameters": _parameters(parameters, cell),
        },
        "scores": _scores(embeddings["test_labels"], expected),
        "versions": {"eos": eos.__version__, **{name: version(name) for name in ("numpy", "torch")}},
    }
    backbone = _part(state, "backbone")
    yield f"trying it on the {len(images)} test images"
    found = Classifier(description, head, backbone).logits(images)
    apart = float(np.abs(found - expected).max())
    if apart > _OTHER_NETWORK * np.ptp(expected):
        raise InputError(
            f"{paths.embeddings_file(dataset, cut, network)}: its logits differ by up to {apart:.3g} from "
            f"those of the network in {place}: they are of different runs; {REMAKE}"
        )
    description["scores"]["logits_apart_from_the_pipeline"] = apart
    write_folder(folder, description, {BACKBONE: backbone, HEAD: head})
    same = "bit for bit" if np.array_equal(found, expected) else f"but for {apart:.2g} at most"
    yield f"its logits are those of the pipeline, {same}"
    rule = f"head seed {seed}, " if seed is not None else ""
    yield f"{folder}: {_name(cell)}, {rule}balanced accuracy {description['scores']['BAC']:.3f}"


def _fitted(parameters: Parameters, cell: Cell, seed: int | None) -> tuple[Arrays, np.ndarray, int, int]:
    """Return a retrained head's arrays, its test logits, its seed and its epoch."""
    path = paths.heads_folder(cell.dataset, cell.cut, cell.network) / f"{cell.head}.npz"
    stored, seeds = read_stored(path, FITTED), parameters.head_training.seeds
    if len(stored["weight"]) != len(seeds):
        raise InputError(f"{path}: holds {len(stored['weight'])} seeds, not {len(seeds)}; {REMAKE}")
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"seed {seed}: none of head_training.seeds, {', '.join(map(str, seeds))}")
    weight, bias, logits, epoch = (
        stored[name][seeds.index(seed)] for name in ("weight", "bias", "test_logits", "epoch")
    )
    return {"weight": weight, "bias": bias}, logits, seed, int(epoch)


def _name(cell: Cell) -> str:
    return "-".join(map(str, cell))


def _part(state: Arrays, part: str) -> Arrays:
    """Return the arrays of one part of a network."""
    return {
        name.removeprefix(f"{part}."): array for name, array in state.items() if name.startswith(f"{part}.")
    }


def _scores(labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    n_classes, predictions = logits.shape[1], logits.argmax(axis=1)
    recall = recalls(confusion(labels, predictions, n_classes))
    return {"test_images": len(labels), **score(labels, predictions, n_classes), "recall": recall.tolist()}


def _parameters(parameters: Parameters, cell: Cell) -> dict[str, Any]:
    """Return what `params.yaml` says of the cell."""
    every = parameters.model_dump(mode="json")
    named = {"datasets": cell.dataset, "networks": cell.network, "heads": cell.head}
    general = ("split", "training", "oversampling", "head_training")
    return {key: {name: every[key][name]} for key, name in named.items()} | {
        key: every[key] for key in general
    }


def _commit() -> str | None:
    """Return the commit of the working tree, if git knows; with "-dirty" where files have changed."""
    told = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def changed_code(cell: Cell) -> list[str] | None:
    """Return which code has changed since the cell was made, as DVC tells it; None where DVC does not know.

    Raises
    ------
    InputError
        If parameters or files have: what is written down would not be what was run.
    """
    status = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(status, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    dataset, cut, network, _ = cell
    code, others = set(), set()
    for stage, changes in json.loads(done.stdout).items():
        name, _, item = stage.partition("@")
        if f"{dataset}-{cut}-{network}" != item and stage not in (
            f"prepare@{dataset}",
            f"split@{dataset}-{cut}",
        ):
            continue
        for change in changes:
            for path, state in _states(change):
                if path.startswith(("src/", "stages/")):
                    code.add(path)
                elif state not in {"deleted", "not in cache"}:  # where it is needed, reading will tell
                    others.add(f"{name}: {path}")
    if others:
        told = ", ".join(sorted(others))
        raise InputError(f"{_name(cell)}: changed since the last run: {told}; run `dvc repro` first")
    return sorted(code)


def _states(change: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each file or parameter of what `dvc status` says of a stage, and what has become of it."""
    if isinstance(change, dict):
        for name, inner in change.items():
            yield from _states(inner, name)
    else:
        yield path or str(change), str(change)
