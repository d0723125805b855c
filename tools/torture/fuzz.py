"""Fuzz a reader: `python -m tools.torture.fuzz READER --seconds 600 --seed 0`.

Atheris changes sound files, led by the lines of `eos` that they reach. What a reader may do with a file is to
read it or to raise `InputError`. Another error, 20 s for one file, or 4 GiB of memory ends the run with exit
status 1, and the file is left in `.torture/crashes/`. What was reached is kept in `.torture/corpus/`, and the
next run goes on from there. `python -m tools.torture.fuzz READER --file FILE` reads one file again.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eos.errors import InputError
from tools.torture import bad_files

_ROOT = Path(__file__).parents[2]
_KEPT = _ROOT / ".torture"
_SECONDS, _MEGABYTES = 20, 4096


@dataclass(frozen=True)
class Target:
    """A reader that is fuzzed.

    Attributes
    ----------
    file
        What the file is called that it reads; its folder is the reader's own.
    seeds
        Returns sound files, given an empty folder to make them in.
    read
        Reads the file at a path.
    """

    file: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]


def _packed(form: str) -> Callable[[Path], list[bytes]]:
    return lambda place: [bad_files.pack(place, bad_files.tree(), form).read_bytes()]


def _tars(place: Path) -> list[bytes]:
    return [
        bad_files.pack(place, bad_files.tree(), form).read_bytes() for form in ("tar", "tar.gz", "tar.xz")
    ]


def _pictures(_: Path) -> list[bytes]:
    kinds = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP")
    return [bad_files.encoded(kind) for kind in kinds] + [bad_files.encoded(mode="L")]


def _rows(ending: str) -> Callable[[Path], list[bytes]]:
    return lambda place: [bad_files.rows_file(place, ending).read_bytes()]


def _columns(place: Path) -> list[bytes]:
    rows = np.random.default_rng(0).normal(size=12).tolist()
    changed: list[dict[str, Any]] = [{}, {"features": None, "x": rows, "y": list(range(12))}, {"split": None}]
    return [bad_files.write_columns(place / "x.parquet", one).read_bytes() for one in changed]


def _features(place: Path) -> list[bytes]:
    path = place / "x.npy"
    made = []
    for order in ("C", "F"):
        np.save(path, np.asarray(np.ones((3, 5), np.float32), order=order))
        made.append(path.read_bytes())
    return made


def _description(place: Path) -> list[bytes]:
    made = bad_files.classifier(place, backbone=True) / "classifier.json"
    text = made.read_bytes()
    digest = re.search(rb'"sha256": "([0-9a-f]{64})"', text)
    assert digest is not None
    return [text.replace(digest[1], b"0" * 64, 1)]


def _read_description(path: Path) -> object:
    """Give a changed description its right digest, and load the classifier."""
    if not (path.parent / "model").exists():
        bad_files.classifier(path.parent, backbone=True)
    bad_files.sign(path.parent / "model" / "classifier.json", path.read_bytes())
    return bad_files.load(path.parent / "model")


def _network(place: Path) -> list[bytes]:
    return [(bad_files.network(place) / "network.json").read_bytes()]


def _read_network(path: Path) -> object:
    """Give a changed description its right digest, where it is one, and load the network."""
    from eos.models.saved import load_saved

    if not (path.parent / "net").exists():
        bad_files.network(path.parent)
    content = path.read_bytes()
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        told = json.loads(content)
        told.pop("sha256", None)
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        content = json.dumps({**told, "sha256": digest}).encode()
    (path.parent / "net" / "network.json").write_bytes(content)
    return load_saved(path.parent / "net", "last")


def _checkpoint(place: Path) -> list[bytes]:
    from eos.training.checkpoints import FileCheckpoint

    FileCheckpoint(place / "x.safetensors").save(
        {"network.a": np.ones((2, 3)), "random": np.zeros(8, np.uint8)}
    )
    return [(place / "x.safetensors").read_bytes()]


def _read_checkpoint(path: Path) -> object:
    """Read what counts as no checkpoint where it is damaged: not even `InputError` is raised."""
    from eos.training.checkpoints import FileCheckpoint

    try:
        return FileCheckpoint(path).load()
    except InputError as error:
        raise AssertionError("a damaged checkpoint ended the training") from error


def _read_parameters(path: Path) -> object:
    from eos.config.loading import load

    return load(path)


def _weights(place: Path) -> list[bytes]:
    from safetensors.numpy import save

    return [save({"a": np.ones((2, 3), np.float32), "b": np.arange(4)})]


def _read_weights(path: Path) -> object:
    """Read weights whose digest was noted after they were damaged."""
    from eos.storage.files import read_weights

    return read_weights(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _read_arrays(path: Path) -> object:
    from eos.storage.files import read_arrays

    return read_arrays(path)


def _read_lock(path: Path) -> object:
    from tools.mend_lock import PIPELINE, damage

    (path.parent / PIPELINE).write_text("stages:\n  train:\n    cmd: a\n    outs: [x]\n")
    with contextlib.chdir(path.parent):
        return damage(path.read_bytes(), _LOCK)


_LOCK = b"""schema: '2.0'
stages:
  train@digits-0-ce:
    cmd: python stages/train.py digits 0 ce
    deps:
    - path: data/images/digits.npz
      hash: md5
      md5: 1b7d8f7ea33f9a4f01f2d2a0e8c2c1c5
      size: 117350
    outs:
    - path: models/networks/digits-0/ce
      hash: md5
      md5: 60f1f3f5f8d6a0f0f1d4f7e7c8b3a2d1.dir
      size: 3042
      nfiles: 4
"""


def _read_embeddings(path: Path) -> object:
    return bad_files.read_rows(path)


def _read_features(path: Path) -> object:
    from eos.data.embeddings_files import read_features

    return read_features(path)


TARGETS = {
    "zip": Target("x.zip", _packed("zip"), bad_files.read_tree),
    "tar": Target("x.tar", _tars, bad_files.read_tree),
    "image": Target("x.png", _pictures, bad_files.read_one),
    "npz": Target("x.npz", _rows("npz"), _read_embeddings),
    "safetensors": Target("x.safetensors", _rows("safetensors"), _read_embeddings),
    "parquet": Target("x.parquet", _columns, _read_embeddings),
    "npy": Target("x.npy", _features, _read_features),
    "classifier": Target("x.json", _description, _read_description),
    "network": Target("x.json", _network, _read_network),
    "arrays": Target("x.npz", _rows("npz"), _read_arrays),
    "weights": Target("x.safetensors", _weights, _read_weights),
    "checkpoint": Target("x.safetensors", _checkpoint, _read_checkpoint),
    "params": Target("params.yaml", lambda _: [(_ROOT / "params.yaml").read_bytes()], _read_parameters),
    "lock": Target("dvc.lock", lambda _: [_LOCK], _read_lock),
}


def read(target: Target, place: Path, content: bytes) -> bool:
    """Have a reader read a file of this content; return whether it took it. Raise what is no `InputError`."""
    path = place / target.file
    path.write_bytes(content)
    try:
        target.read(path)
    except InputError:
        return False
    return True


def mutated(random: np.random.Generator, content: bytes) -> bytes:
    """Return a file changed at some places: bytes flipped, set, taken out, repeated, or cut off."""
    made = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        if not made:
            break
        where, length = int(random.integers(len(made))), int(random.integers(1, 9))
        match int(random.integers(7)):
            case 0 | 1:
                made[where] ^= 1 << int(random.integers(8))
            case 2:
                made[where] = int(random.integers(256))
            case 3:
                del made[where : where + length]
            case 4:
                made[where:where] = made[where : where + length]
            case 5:
                value = random.choice(np.array([0, 1, 127, 2**31 - 1, 2**32 - 1, 2**63 - 1], dtype=np.uint64))
                made[where : where + length] = int(value).to_bytes(8, "little")[:length]
            case _:
                if random.random() < 0.2:
                    del made[where:]
    return bytes(made)


def main(arguments: list[str] | None = None) -> int:
    """Fuzz one reader for a while, or read one file; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--corpus", type=Path, default=_KEPT / "corpus", help="where what was reached is kept"
    )
    parser.add_argument("--file", type=Path, help="read this file, and nothing else")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    target = TARGETS[given.reader]
    if given.file:
        with tempfile.TemporaryDirectory() as place:
            print("taken" if read(target, Path(place), given.file.read_bytes()) else "refused")
        return 0
    if given.here:
        _fuzz(given.reader, given.seconds, given.seed, given.corpus)
    crashes = _KEPT / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    # libFuzzer ends its process itself, so that it has one of its own.
    command = [
        sys.executable,
        "-m",
        "tools.torture.fuzz",
        *(sys.argv[1:] if arguments is None else arguments),
    ]
    done = subprocess.run([*command, "--here"], check=False, cwd=_ROOT)
    if done.returncode:
        print(f"{given.reader}: the file that did it is the newest {crashes}/{given.reader}-*", flush=True)
    return int(done.returncode != 0)


def _fuzz(reader: str, seconds: int, seed: int, corpus: Path) -> None:
    """Hand the process over to libFuzzer, which ends it."""
    import atheris

    target, kept = TARGETS[reader], corpus / reader
    kept.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp())
    sys.stdout = io.TextIOWrapper(io.FileIO(os.open(os.devnull, os.O_WRONLY), "w"), line_buffering=True)
    with atheris.instrument_imports(include=["eos"]):  # what a sound file has imported is watched
        for number, content in enumerate(target.seeds(Path(tempfile.mkdtemp()))):
            (kept / f"seed-{number}").write_bytes(content)
            read(target, place, content)

    def one(content: bytes) -> None:
        read(target, place, content)

    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed + 1}",  # to libFuzzer 0 is none
        f"-timeout={_SECONDS}",
        f"-rss_limit_mb={_MEGABYTES}",
        "-max_len=65536",
        f"-artifact_prefix={_KEPT / 'crashes' / reader}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(kept)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
