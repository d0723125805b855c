"""Classify pictures with a classifier that `python -m eos export` wrote.

A line per picture: its file, the most likely class, and the softmax value of that class; with --csv a table
with the softmax values of all classes. They are not calibrated probabilities. Pictures of any size and kind
are brought to what the classifier was trained on. Those that cannot be read are told of at the end, the rest
are classified all the same, and the exit status is 1. A classifier of embeddings takes files of
them in place of pictures: .npy, (n, n_features), or .npz as `python -m eos embed --unlabelled` writes it.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from eos.classifier.folder import read_description
from eos.errors import InputError, placed
from eos.pipeline.processor import hold_to_portable_code

if TYPE_CHECKING:
    import numpy as np

    from eos.classifier.classifier import Classifier

_BYTES = 2**26  # of images that are in memory at a time
_SECONDS_BETWEEN_LINES = 10.0

# The name of each row, and what the classifier takes.
Blocks = Iterator[tuple[list[str], "np.ndarray"]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="the folder of a classifier")
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURES", help="picture files, and folders of them"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table instead of printing lines")


def run(arguments: argparse.Namespace) -> None:
    """Classify the pictures.

    Raises
    ------
    InputError
        If the classifier cannot be used, there is no picture, or some of them cannot be read.
    """
    if arguments.csv and arguments.csv.is_dir():  # told before any work
        raise InputError(f"{arguments.csv}: is a folder; name a file for the table")
    computing = read_description(arguments.model)["computing"]
    if computing["portable"]:
        hold_to_portable_code()
    from eos.classifier.classifier import load
    from eos.storage.files import replacing

    classifier = load(arguments.model)
    problems: list[str] = []
    if classifier.description["backbone"] is None:
        what, total, blocks = (
            "files",
            len(arguments.pictures),
            _features(classifier, arguments.pictures, problems),
        )
    else:
        from eos.classifier.pictures import find_pictures
        from eos.models.devices import limit_threads

        limit_threads(computing["cpu_threads"])
        files, others = find_pictures(arguments.pictures)
        if others:
            _tell(f"files left out, which are no pictures: {others}")
        what, total, blocks = "pictures", len(files), _pictures(classifier, files, problems)
    with ExitStack() as opened:
        write: Callable[[list[str]], object] | None = None
        if arguments.csv:
            place = opened.enter_context(replacing(arguments.csv))
            # A name that is no UTF-8 is written with its bytes as \x... rather than not at all.
            file = opened.enter_context(
                place.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            )
            write = csv.writer(file, lineterminator="\n").writerow
            write(["file", "class", "probability", *(f"probability_{one}" for one in classifier.class_names)])
        done = _classify(classifier, blocks, write)
    _tell(f"{done} classified; probabilities are softmax values and not calibrated")
    if problems:
        lines = "\n  ".join(one if one.isprintable() else ascii(one) for one in problems)
        raise InputError(f"{len(problems)} of {total} {what} could not be read:\n  {lines}")


def _classify(classifier: "Classifier", blocks: Blocks, write: Callable[[list[str]], object] | None) -> int:
    """Write a row of the table, or print a line, for every row of the blocks; return how many there were."""
    done, told = 0, time.monotonic()
    for names, inputs in blocks:
        for name, row in zip(names, classifier.predict_proba(inputs), strict=True):
            best = int(row.argmax())
            if write:
                values = [f"{value:.6g}" for value in (row[best], *row)]
                write([name, classifier.class_names[best], *values])
            else:
                shown = name if name.isprintable() else ascii(name)
                print(f"{shown}\t{classifier.class_names[best]}\t{row[best]:.3f}")
        done += len(names)
        if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            _tell(f"{done} classified")
    return done


def _pictures(classifier: "Classifier", files: list[Path], problems: list[str]) -> Blocks:
    from eos.data.image_files import read_paths

    size, channels = (classifier.description["backbone"][key] for key in ("image_size", "channels"))
    step = max(1, _BYTES // (size * size * channels))
    for start in range(0, len(files), step):
        block = files[start : start + step]
        with redirect_stdout(sys.stderr):  # its progress must not get among the lines
            images, bad = read_paths(block, image_size=size, channels=channels)
        problems += [f"{block[row]}: {reason}" for row, reason in bad.items()]
        readable = [row for row in range(len(block)) if row not in bad]
        if readable:
            yield [str(block[row]) for row in readable], images[readable]


def _features(classifier: "Classifier", files: list[Path], problems: list[str]) -> Blocks:
    from eos.data.embeddings_files import read_features

    for file in files:
        try:
            names, features = read_features(file)
            with placed(str(file)):
                classifier.embed(features)  # to check them only: predicting standardizes them itself
        except (OSError, InputError) as error:
            reason = str(error).removeprefix(f"{file}: ")
            problems.append(f"{file}: no file of features that can be used ({reason})")
            continue
        yield names or [f"{file}[{row}]" for row in range(len(features))], features


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
