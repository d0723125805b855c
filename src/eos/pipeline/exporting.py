"""From a cell of the grid to a classifier in a folder of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import eos
from eos.classifier.classifier import Classifier
from eos.classifier.folder import BACKBONE, HEAD, write_folder
from eos.config.cells import Cell, is_portable, machine, sampler_of
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.metrics.scores import confusion, recalls, score
from eos.models.devices import limit_threads
from eos.models.saved import load_saved
from eos.pipeline import paths
from eos.pipeline.classes import class_counts, class_names
from eos.storage.files import REMAKE, Arrays, read_json
from eos.storage.layouts import EMBEDDINGS, IMAGES, STANDARDIZATION, read_stored
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
    stored = read_stored(paths.embeddings_file(*cell[:3]), EMBEDDINGS)
    names = class_names(parameters, cell.dataset, cell.cut)
    own = sampler_of(parameters, cell.head) == "own"
    network = None if cell.dataset in parameters.embeddings else _read_network(parameters, cell)
    if not own:
        head, expected, seed, head_epoch = _fitted(parameters, cell, seed)
    elif seed is not None:
        raise InputError(f"seed {seed}: the own classifier has none, it was trained with its network")
    elif network is None:
        raise InputError(
            f"{_name(cell)}: the classifier that came with the embeddings; use it from where it is"
        )
    else:
        head, expected, head_epoch = (
            _part(network.state, "classifier"),
            stored["test_logits"],
            int(stored["epoch"]),
        )
    if not all(np.isfinite(array).all() for array in head.values()):
        raise InputError(
            f"{_name(cell)}: of the own classifier only the logits are known; give its classifier_weight and "
            "classifier_bias in the file of the embeddings"
        )
    description: dict[str, Any] = {
        "class_names": names.tolist(),
        "n_features": stored["test_features"].shape[1],
        "head": {"own": own, "classifier": "linear", "scale": 1.0} | (network.own if network and own else {}),
        "backbone": network.backbone if network else None,
        "computing": {
            **(network.computing if network else {"device": "cpu", "cpu_threads": None}),
            "precision": str(stored["precision"]),
            "portable": is_portable(parameters, cell.dataset),
        },
        "trained_on": {
            **cell._asdict(),
            "seed": seed,
            "class_counts": class_counts(parameters, cell.dataset, cell.cut).tolist(),
            "network_epoch": int(stored["epoch"]),
            "head_epoch": head_epoch,
            "selection": parameters.selection,
            "commit": _commit(),
            "code_changed_since": changed,
            "parameters": _parameters(parameters, cell),
        },
        "scores": _scores(stored["test_labels"], expected),
        "versions": {"eos": eos.__version__, **{name: version(name) for name in ("numpy", "torch")}},
    }
    arrays = {HEAD: head} | ({BACKBONE: _part(network.state, "backbone")} if network else {})
    inputs = network.test_images if network else stored["test_features"]
    yield f"trying it on the {len(inputs)} test {'images' if network else 'rows'}"
    found = Classifier(description, head, arrays.get(BACKBONE)).logits(inputs)
    apart = float(np.abs(found - expected).max())
    if apart > _OTHER_NETWORK * np.ptp(expected) and network is None:
        raise InputError(
            f"{_name(cell)}: its logits are no linear function of the features, by up to {apart:.3g} (those "
            f"of a cosine classifier?), or of another run; export another head, or {REMAKE}"
        )
    if apart > _OTHER_NETWORK * np.ptp(expected):
        raise InputError(
            f"{_name(cell)}: its logits differ by up to {apart:.3g} from what its network and head in "
            f"{paths.MODELS} give: they are of different runs; {REMAKE}"
        )
    description["scores"]["logits_apart_from_the_pipeline"] = apart
    if network is None:  # the test rows are standardized already, new ones are not
        arrays[HEAD] = head | read_stored(paths.embeddings_file(*cell[:3]), STANDARDIZATION)
    write_folder(folder, description, arrays)
    same = "bit for bit" if np.array_equal(found, expected) else f"but for {apart:.2g} at most"
    yield f"its logits are those of the pipeline, {same}"
    rule = f"head seed {seed}, " if seed is not None else ""
    yield f"{folder}: {_name(cell)}, {rule}balanced accuracy {description['scores']['BAC']:.3f}"


class _Network(NamedTuple):
    """What is needed of a network and its images."""

    state: Arrays
    backbone: dict[str, Any]
    own: dict[str, Any]  # of its own classifier
    computing: dict[str, Any]
    test_images: np.ndarray


def _read_network(parameters: Parameters, cell: Cell) -> _Network:
    computing = machine(parameters, cell.dataset)
    limit_threads(computing["cpu_threads"])
    folder = paths.network_folder(*cell[:3])
    saved, known = load_saved(folder, parameters.selection), read_json(folder / "network.json")
    images = read_stored(paths.images_file(cell.dataset), IMAGES, "test_images")["test_images"]
    # The loss multiplies cosines by its scale before the softmax.
    cosine, loss = known["classifier"] == "cosine", parameters.networks[cell.network].loss
    return _Network(
        {name: value.numpy() for name, value in saved.network.state_dict().items()},
        {
            "architecture": known["architecture"],
            "branches": known["branches"],
            "channels": known["channels"],
            "image_size": images.shape[1],
            "mean": saved.mean,
            "std": saved.std,
        },
        {"classifier": known["classifier"], "scale": getattr(loss, "scale", 1.0) if cosine else 1.0},
        {key: computing[key] for key in ("device", "cpu_threads")},
        images,
    )


def _fitted(parameters: Parameters, cell: Cell, seed: int | None) -> tuple[Arrays, np.ndarray, int, int]:
    """Return a retrained head's arrays, its test logits, its seed and its epoch."""
    path = paths.heads_folder(cell.dataset, cell.cut, cell.network) / f"{cell.head}.npz"
    stored = read_stored(path, FITTED)
    seeds, known = stored["seeds"].tolist(), parameters.head_training.seeds
    if seeds not in ([0], list(known)) or len(stored["weight"]) != len(seeds):
        raise InputError(f"{path}: holds the seeds {seeds}, not {list(known)}; {REMAKE}")
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"seed {seed}: none of the head's, {', '.join(map(str, seeds))}")
    weight, bias, logits, epoch = (
        stored[name][seeds.index(seed)] for name in ("weight", "bias", "test_logits", "epoch")
    )
    center = {"center": stored["center"]} if len(stored["center"]) else {}
    return {"weight": weight, "bias": bias, **center}, logits, seed, int(epoch)


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
    images = cell.dataset not in parameters.embeddings
    named = {"datasets": cell.dataset, "networks": cell.network} if images else {"embeddings": cell.dataset}
    general = ("split", "oversampling", "head_training", *(["training"] if images else []))
    return {
        **{key: {name: every[key][name]} for key, name in (named | {"heads": cell.head}).items()},
        **{key: every[key] for key in general},
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
    ours = {
        f"prepare@{dataset}",
        f"split@{dataset}-{cut}",
        *(f"{name}@{dataset}-{cut}-{network}" for name in ("train", "extract", "oversample", "retrain")),
        *(f"{name}_embeddings@{dataset}" for name in ("prepare", "oversample", "retrain")),
    }
    code, others = set(), set()
    for stage, changes in json.loads(done.stdout).items():
        if stage not in ours:
            continue
        name = stage.partition("@")[0]
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
