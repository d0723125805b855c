"""Anybody's own images: a tree of folders, one per class, as it lies or packed in an archive."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from eos.data.archives import Entries, open_entries
from eos.data.image_dataset import ImageDataset
from eos.data.image_files import is_image, listed, read_images, shown
from eos.data.splits import hold_out
from eos.errors import InputError, placed

# The parts of a path, and class name -> the paths of its images.
Parts = tuple[str, ...]
Classes = dict[str, list[Parts]]

# They turn the direction of writing, also of what follows them in a table.
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def image_folder(
    raw: Path,
    *,
    path: str,
    image_size: int,
    channels: int,
    test_fraction: float,
    seed: int,
    train_per_class: int | None,
    test_per_class: int | None,
) -> ImageDataset:
    """Read images laid out as `train/<class>/<image>` and `test/<class>/<image>`.

    The two trees may lie in one enclosing folder; what lies beside them is passed over. Hidden files and
    those that are no images (notes.txt, Thumbs.db) are skipped, and counted in the output.
    Classes are numbered and images ordered by name, so the result does not depend on how they are stored.
    Without `test/`, images drawn from each class of `train/` make the test set, and a line that says so is
    printed. Archives are read in memory; nothing is unpacked.

    Parameters
    ----------
    raw
        Not used: `path` says where the images are.
    path
        A folder, or an archive: .zip, or .tar, also compressed by gzip, bzip2 or xz.
    image_size
        Height and width in pixels; see `eos.data.image_files.read_images` for images of another size.
    channels
        1 for grey, 3 for RGB.
    test_fraction
        Without `test/`: the share of each class that makes the test set, but at least one image, never all.
    seed
        Picks them, and those that the next two keep.
    train_per_class, test_per_class
        Read at most so many images of each class of `train/` and of `test/`, for a quick trial; all by
        default.

    Raises
    ------
    InputError
        If the path is missing or of unknown type, an archive is damaged, expands to more than an archive of
        images does, or has a member that is a link or a device or that lies outside it; if the tree is not as
        above, a class is empty or in one of the two trees only, its name holds control characters, or there
        are fewer than two; if files are not sound images: all of them are counted, the first ten named.
    """
    with open_tree(path) as (place, all_train, all_test, entries):
        if all_test is None and train_per_class == 1:
            raise InputError(
                "train_per_class 1: without a folder test/ a class needs two images, one to train on and one "
                "to test; set it to 2 or more"
            )
        names = sorted(all_train)
        train = _some(all_train, train_per_class, seed)
        test = all_test and _some(all_test, test_per_class, seed)
        label_of = {
            file: label
            for tree in (train, test or {})
            for label, name in enumerate(names)
            for file in tree.get(name, ())
        }
        print(f"{place}: {len(label_of)} images in {len(names)} classes", flush=True)
        # In the archive's order: a compressed one can be read forward only.
        readers = {file: reader for file, reader in entries.items() if reader and file in label_of}
        images = read_images(
            [("/".join(file), reader) for file, reader in readers.items()],
            image_size=image_size,
            channels=channels,
        )
    row_of = {file: row for row, file in enumerate(readers)}
    rows = np.array([row_of[file] for file in label_of])
    labels = np.array(list(label_of.values()), dtype=np.int64)
    in_test = np.arange(len(labels)) >= sum(map(len, train.values()))
    if test is None:
        with placed(f"{place}: no folder test/, so test_fraction is taken of every class"):
            in_test = hold_out(labels, test_fraction, seed, names=names)
        print(
            f"{place}: no folder test/, so {test_fraction:.3g} of each class, drawn with seed {seed}, make "
            f"the test set: {in_test.sum()} images; {(~in_test).sum()} are left to train on",
            flush=True,
        )
    in_train = ~in_test
    return ImageDataset(
        images[rows[in_train]], labels[in_train], images[rows[in_test]], labels[in_test], tuple(names)
    )


@contextmanager
def open_tree(path: str) -> Iterator[tuple[Path, Classes, Classes | None, Entries]]:
    """Look through a folder or an archive that is laid out as `image_folder` takes it.

    Yields
    ------
    place : Path
    train, test : dict
        The paths of the images of each class, sorted; `test` is None where there is no such tree.
    entries : dict
        By path the function that reads it, open as long as the block lasts; in the order of an archive.

    Raises
    ------
    InputError
        As `image_folder` does; also from the block, with the place in front.
    """
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: {error}; write the path out") from error
    with placed(shown(str(place))), open_entries(place, depth=4) as entries:
        train, test, skipped = _layout(entries)
        _check_classes(train, test)
        if skipped:
            print(f"{place}: {len(skipped)} other files skipped: {listed(skipped)}", flush=True)
        yield place, train, test, entries


def _some(classes: Classes, most: int | None, seed: int) -> Classes:
    """Return at most `most` files of each class, drawn from all of them, in order."""
    random = np.random.default_rng(seed)
    return {
        name: files if most is None else sorted(files[row] for row in random.permutation(len(files))[:most])
        for name, files in sorted(classes.items())
    }


def _layout(entries: Entries) -> tuple[Classes, Classes | None, list[str]]:
    """Return the images of the training and of the test tree, None for no test tree, and what was skipped."""
    base = _base(entries)
    trees: dict[str, Classes] = {}
    skipped: list[str] = []
    misplaced: set[str] = set()
    for path, reader in entries.items():
        tree, *inside = path[len(base) :] or ("",)
        if tree not in {"train", "test"} or path[: len(base)] != base:
            continue
        # macOS writes an accent apart from its letter, others do not: one name, one class.
        name = unicodedata.normalize("NFC", inside[0]) if inside else ""
        if any(map(_hidden, inside)):
            skipped += ["/".join(path)] * (reader is not None)
        elif len(inside) > 2:
            misplaced.add("/".join(path[: len(base) + 3]) + "/")
        elif reader is None:
            classes = trees.setdefault(tree, {})
            if inside:
                classes.setdefault(name, [])
        elif not is_image(path[-1], reader):
            skipped.append("/".join(path))
        elif len(inside) == 2:
            trees.setdefault(tree, {}).setdefault(name, []).append(path)
        else:
            misplaced.add("/".join(path))
    if misplaced:
        raise InputError(
            f"{len(misplaced)} files or folders do not lie in a class's folder: {listed(sorted(misplaced))}; "
            "images belong into train/<class>/<image>, neither higher nor deeper"
        )
    for classes in trees.values():
        for files in classes.values():
            files.sort()
    return trees.get("train", {}), trees.get("test"), sorted(skipped)


def _base(entries: Entries) -> Parts:
    """Return the folder that holds `train/`: the outermost, or one enclosing folder."""
    bases = {
        path[:depth]
        for path, reader in entries.items()
        for depth in (0, 1)
        if path[depth : depth + 1] == ("train",)
        and (reader is None or len(path) > depth + 1)
        and not any(map(_hidden, path[:depth]))
    }
    if () in bases:
        return ()
    if not bases:
        raise InputError("holds no folder train/; lay the images out as train/<class>/<image>")
    if len(bases) > 1:
        found = " and ".join(f"{base}/train/" for (base,) in sorted(bases)[:2])
        raise InputError(f"holds {found}; a data set has one, so name the folder above it")
    return bases.pop()


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _check_classes(train: Classes, test: Classes | None) -> None:
    """Raise `InputError` unless there are two classes or more, none of them empty, the same in both trees.

    Their names go into tables and figures, so they have to be text of one line.
    """
    names = sorted({*train, *(test or {})})
    if bad := [name for name in names if not all(map(_printable, name))]:
        raise InputError(
            f"{len(bad)} class names hold control characters or are not UTF-8: {listed(map(ascii, bad))}; "
            "rename the folders"
        )
    if blank := [name for name in names if not name.strip()]:
        raise InputError(f"{listed(map(ascii, blank))}: the name of a class is blank; rename the folder")
    trees = {"train": train, "test": test or {}}
    if empty := [f"{tree}/{name}/" for tree in trees for name in names if trees[tree].get(name) == []]:
        raise InputError(f"{listed(empty)} holds no image; add some or remove the folder")
    if len(train) < 2:
        raise InputError(f"train/ holds {len(train)} classes; there must be two at least")
    if test is None:
        if single := [repr(name) for name in names if len(train[name]) == 1]:
            raise InputError(
                f"class {listed(single)} has one image, which cannot be both trained on and tested on; "
                "add images, or a folder test/"
            )
    elif train.keys() != test.keys():
        name = min(train.keys() ^ test.keys())
        tree, other = ("train", "test") if name in train else ("test", "train")
        raise InputError(f"class {name!r} is in {tree}/ but not in {other}/; both need the same classes")


def _printable(letter: str) -> bool:
    """Return whether it can stand in a table, and in a figure, which is XML."""
    return (
        unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"}
        and unicodedata.bidirectional(letter) not in _TURNING
        and letter not in "\ufffe\uffff"
    )
