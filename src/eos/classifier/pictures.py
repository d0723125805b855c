"""Finding pictures in folders."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn

from eos.errors import InputError


def exists(path: Path) -> bool:
    """Return whether there is something; `Path.exists` raises OSError where a name is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def find_pictures(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Return the files among the paths and the pictures in their folders, and how many files are left out.

    Folders are searched at any depth, in the order of names; what lies in them and is no picture is left out.
    Hidden files and folders are passed over, unless they are named themselves.

    Raises
    ------
    InputError
        If a path does not exist, a folder cannot be read, or there is no picture at all.
    """
    from eos.data.image_files import FORMATS, is_image, read_file

    def refuse(error: OSError) -> NoReturn:
        raise InputError(f"{error.filename}: {error.strerror}; make the folder readable, or leave it out")

    found, others, paths = [], 0, list(paths)
    for path in paths:
        if not exists(path):
            raise InputError(f"{path}: no such picture or folder; a relative path starts at {Path.cwd()}")
        if not path.is_dir():
            found.append(path)
            continue
        for folder, folders, files in os.walk(path, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(name for name in files if not name.startswith(".")):
                file = Path(folder) / name
                if is_image(name, partial(read_file, file)):
                    found.append(file)
                else:
                    others += 1
    if not found:
        raise InputError(
            f"{', '.join(map(str, paths))}: holds no picture; known formats: {', '.join(FORMATS)}"
        )
    return found, others
