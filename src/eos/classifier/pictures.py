"""Finding pictures, and reading those that can be read."""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from eos.errors import InputError


def find_pictures(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Return the files among the paths and the pictures in their folders, and how many files are left out.

    In folders, at any depth and by name, a picture is what has the ending of a known format. A file that is
    named itself counts whatever its ending is. Hidden files and folders are passed over.

    Raises
    ------
    InputError
        If a path does not exist, or there is no picture at all.
    """
    from PIL import Image

    from eos.data.image_files import FORMATS

    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    found, others, paths = [], 0, list(paths)
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such picture or folder; a relative path starts at {Path.cwd()}")
        if not path.is_dir():
            found.append(path)
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(name for name in files if not name.startswith(".")):
                if Path(name).suffix.lower() in endings:
                    found.append(Path(folder) / name)
                else:
                    others += 1
    if not found:
        raise InputError(
            f"{', '.join(map(str, paths))}: holds no picture; known formats: {', '.join(FORMATS)}"
        )
    return found, others


def read_pictures(
    files: Sequence[Path], *, image_size: int, channels: int, problems: list[str]
) -> tuple[list[Path], np.ndarray]:
    """Read pictures as `eos.data.image_files.read_images` does, and leave out those that cannot be read.

    Returns
    -------
    readable : list of Path
    images : ndarray of uint8, shape (len(readable), image_size, image_size, channels)
        What is wrong with the others is added to `problems`.
    """
    from eos.data.image_files import read_images

    images = np.empty((len(files), image_size, image_size, channels), dtype=np.uint8)
    readable: list[Path] = []
    for file in files:
        try:
            one = [(str(file), partial(_content, file))]
            images[len(readable)] = read_images(one, image_size=image_size, channels=channels)[0]
            readable.append(file)
        except InputError as error:
            problems.append(str(error))
    return readable, images[: len(readable)]


def _content(file: Path) -> bytes:
    if not file.is_file():  # to read a pipe would wait for ever
        raise ValueError("neither a file nor a link to one")
    return file.read_bytes()
