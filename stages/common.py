"""What every stage shares: its arguments, the parameters, the places of files, errors and seconds."""

import functools
import hashlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eos.config.schema import Parameters, load
from eos.errors import InputError, unknown_name
from eos.storage.files import write_json

PARAMETERS = Path("params.yaml")

DATA = Path("data")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
# torch raises a RuntimeError, whose text has one of these: on a CPU, on a GPU.
TORCH_LACKS_MEMORY = ("can't allocate memory", "out of memory")
# Outside the declared outputs, which DVC removes before it runs a stage.
CHECKPOINTS = Path(".checkpoints")


@functools.cache
def parameters() -> Parameters:
    """Read and check `params.yaml`, once."""
    return load(PARAMETERS)


def notes_file(stage: str, *names: str) -> Path:
    """Return where it is noted what a cell of a stage depends on beside its data."""
    return (DATA / "checked" / stage / "-".join(names or ("all",))).with_suffix(".json")


def images_file(dataset: str) -> Path:
    """Return where the images of a dataset are."""
    return DATA / "images" / f"{dataset}.npz"


def split_file(dataset: str, cut: int) -> Path:
    """Return where the imbalanced split of a dataset and cut is."""
    return DATA / "splits" / f"{dataset}-{cut}.npz"


def network_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the weights and the training history of a network are."""
    return MODELS / "networks" / f"{dataset}-{cut}" / network


def embeddings_file(dataset: str, cut: int, network: str) -> Path:
    """Return where the embeddings of a network are."""
    return DATA / "embeddings" / f"{dataset}-{cut}" / f"{network}.npz"


def gap_file(dataset: str, cut: int, network: str) -> Path:
    """Return where the generalization gap of a network's embeddings is."""
    return DATA / "gap" / f"{dataset}-{cut}" / f"{network}.npz"


def oversampled_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the over-sampled embeddings of a network are, a file per head."""
    return DATA / "oversampled" / f"{dataset}-{cut}" / network


def heads_folder(dataset: str, cut: int, network: str) -> Path:
    """Return where the retrained heads of a network are."""
    return MODELS / "heads" / f"{dataset}-{cut}" / network


def augmented_file(dataset: str, cut: int, pixel_sampler: str) -> Path:
    """Return where the synthetic images of a pixel sampler are."""
    return DATA / "augmented" / f"{dataset}-{cut}" / f"{pixel_sampler}.npz"


def generated_file(dataset: str, cut: int, generator: str) -> Path:
    """Return where the synthetic images of a generator are."""
    return DATA / "generated" / f"{dataset}-{cut}" / f"{generator}.npz"


def balanced_folder(kind: str, dataset: str, cut: int, sampler: str, *, network: str) -> Path:
    """Return where a network is that was trained on `augmented` or `generated` images."""
    return MODELS / kind / f"{dataset}-{cut}" / sampler / network


def balanced_scores_file(kind: str, dataset: str, cut: int, sampler: str, *, network: str) -> Path:
    """Return where the scores of a network are that was trained on `augmented` or `generated` images."""
    return METRICS / kind / f"{dataset}-{cut}" / f"{sampler}-{network}.csv"


def results_file(kind: str, dataset: str, cut: int) -> Path:
    """Return where the tidy results of one kind (`scores`, `classes`, …) of a dataset and cut are."""
    return METRICS / kind / f"{dataset}-{cut}.csv"


def digest(path: Path) -> str:
    """Return a name for what a file holds: seconds are told only of what is still there."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def seconds_file(stage: str, cell: str) -> Path:
    """Return where the seconds of a stage's cell are."""
    return DATA / "seconds" / stage / f"{cell}.json"


def run(main: Callable[..., Mapping[str, Any] | None]) -> None:
    """Call `main` with the command line's arguments, one for each of its parameters.

    Bad input ends with one message and exit status 1. The seconds that the work took (without the imports of
    the script) go to `data/seconds/<stage>/<cell>.json`, with what else `main` returns as measured. That is
    no output that DVC knows of: results, and with them dvc.lock, are the same bytes in every clone.
    """
    stage = Path(sys.argv[0]).stem
    signature = inspect.signature(main).parameters
    if len(sys.argv) - 1 != len(signature):
        sys.exit(f"usage: python stages/{stage}.py {' '.join(name.upper() for name in signature)}".strip())
    start = time.perf_counter()
    try:
        arguments = [
            _convert(name, parameter.annotation, text)
            for (name, parameter), text in zip(signature.items(), sys.argv[1:], strict=True)
        ]
        measured = main(*arguments)
        cell = "-".join(sys.argv[1:]) or "all"
        elapsed = time.perf_counter() - start
        write_json(seconds_file(stage, cell), {"elapsed": elapsed, "seconds": elapsed} | dict(measured or {}))
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from here")
    except (MemoryError, RuntimeError) as error:
        told = str(error)
        if not isinstance(error, MemoryError) and not any(words in told for words in TORCH_LACKS_MEMORY):
            raise
        reason = told.strip().splitlines()[:1] or ["none left"]
        sys.exit(
            f"error: out of memory ({reason[0]}); lower the sizes in {PARAMETERS} (batch_size, image_size, "
            "width), or take a larger machine"
        )
    except OSError as error:  # a full disk, a folder that cannot be written to
        sys.exit(f"error: {error}; make room or the place writable, then run again")


def _convert(name: str, kind: type, text: str) -> str | int:
    if kind is int:
        if not text.isdecimal() or int(text) >= 2**32:
            raise InputError(f"{name} {text!r}: must be a whole number from 0 to {2**32 - 1}")
        return int(text)
    known = getattr(parameters(), f"{name}s")
    if text not in known:
        raise unknown_name(text, known, what=name, place=f"{PARAMETERS}: {name}s")
    return text
