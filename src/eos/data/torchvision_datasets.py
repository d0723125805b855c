"""The paper's data sets, downloaded and checked by torchvision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eos.data.image_dataset import ImageDataset, draw_per_class
from eos.data.image_files import read_images
from eos.data.torchvision_import import import_torchvision
from eos.errors import InputError
from eos.registry import TORCHVISION_DATASETS, find

# The paper's five classes of CelebA (Section IV) and the attributes that tell them.
HAIR = {
    "black": "Black_Hair",
    "brown": "Brown_Hair",
    "blond": "Blond_Hair",
    "gray": "Gray_Hair",
    "bald": "Bald",
}


def torchvision_dataset(raw: Path, *, dataset: str, balance_test: bool, seed: int) -> ImageDataset:
    """Return one of the paper's data sets in its standard division into training and test images.

    What is not under `raw` is downloaded to it. Files are used only if torchvision's checksums are theirs.

    Parameters
    ----------
    raw
        The folder of raw downloads. CIFAR's archives lie in it packed or unpacked, SVHN's files as they
        are, CelebA's in the folder `celeba`.
    dataset
        A key of `eos.registry.TORCHVISION_DATASETS`.
    balance_test
        Whether every class of the test set is cut to the size of the smallest, as the paper's were: its GM
        follows from its BAC as it only does on a balanced test set.
    seed
        Picks the test images that stay.

    Raises
    ------
    InputError
        If the name is unknown, or files are missing or damaged and cannot be downloaded; the message says
        which files belong where.
    """
    data: ImageDataset = find(TORCHVISION_DATASETS, dataset, what="data set").load()(raw)
    if not balance_test:
        return data
    smallest = int(np.bincount(data.test_labels).min())
    kept = draw_per_class(data.test_labels, smallest, seed)
    print(f"{dataset}: {smallest} test images of each class, drawn with seed {seed}", flush=True)
    return replace(data, test_images=data.test_images[kept], test_labels=data.test_labels[kept])


@dataclass(frozen=True)
class _Download:
    """A file that a data set needs: where it belongs, its checksum, where it comes from."""

    path: Path
    md5: str
    url: str

    def state(self) -> str:
        """Return "there", or why not."""
        if self.path.suffix == ".zip" and self.path.with_suffix("").is_dir():
            return "unpacked"
        if not self.path.is_file():
            return "missing"
        intact = import_torchvision("datasets.utils").check_integrity(self.path, self.md5)
        return "there" if intact else "damaged: its checksum is another"


def _fetch(dataset: str, expected: Sequence[_Download], open_dataset: Callable[[], Any]) -> Any:
    """Return torchvision's data set, or raise `InputError` with the files a person can put there."""
    try:
        return open_dataset()
    except Exception as error:  # downloading and unpacking can fail in ways no list of types covers
        files = "".join(
            f"\n  {file.path}  {file.state()}  (md5 {file.md5}, from {file.url})" for file in expected
        )
        raise InputError(
            f"{dataset}: not all there, and the download failed ({error}); try again, or put these files "
            f"in place yourself:{files}"
        ) from error


def cifar10(raw: Path) -> ImageDataset:
    """Return CIFAR-10."""
    return _cifar(raw, "cifar10", import_torchvision("datasets").CIFAR10)


def cifar100(raw: Path) -> ImageDataset:
    """Return CIFAR-100."""
    return _cifar(raw, "cifar100", import_torchvision("datasets").CIFAR100)


def _cifar(raw: Path, dataset: str, kind: Any) -> ImageDataset:
    expected = [_Download(raw / kind.filename, kind.tgz_md5, kind.url)]
    train = _fetch(dataset, expected, lambda: kind(raw, train=True, download=True))
    test = _fetch(dataset, expected, lambda: kind(raw, train=False, download=True))
    return ImageDataset(
        train_images=np.ascontiguousarray(train.data),
        train_labels=np.array(train.targets, dtype=np.int64),
        test_images=np.ascontiguousarray(test.data),
        test_labels=np.array(test.targets, dtype=np.int64),
        class_names=tuple(train.classes),
    )


def svhn(raw: Path) -> ImageDataset:
    """Return SVHN."""
    kind = import_torchvision("datasets").SVHN
    expected = [
        _Download(raw / name, md5, url)
        for url, name, md5 in (kind.split_list[split] for split in ("train", "test"))
    ]
    train = _fetch("svhn", expected, lambda: kind(raw, split="train", download=True))
    test = _fetch("svhn", expected, lambda: kind(raw, split="test", download=True))
    return ImageDataset(
        train_images=np.ascontiguousarray(train.data.transpose(0, 2, 3, 1)),
        train_labels=train.labels,
        test_images=np.ascontiguousarray(test.data.transpose(0, 2, 3, 1)),
        test_labels=test.labels,
        class_names=tuple(str(digit) for digit in range(10)),
    )


def celeba(raw: Path) -> ImageDataset:
    """Return the faces of CelebA that have exactly one of five kinds of hair."""
    kind = import_torchvision("datasets").CelebA
    folder = raw / kind.base_folder
    expected = [
        _Download(folder / name, md5, f"https://drive.google.com/uc?id={identifier}")
        for identifier, md5, name in kind.file_list
    ]

    def open_split(split: str) -> Any:
        _unpack_faces(expected)
        return kind(raw, split=split, target_type="attr", download=True)

    train = _fetch("celeba", expected, lambda: open_split("train"))
    test = _fetch("celeba", expected, lambda: open_split("test"))
    train_images, train_labels = _faces(folder, train)
    test_images, test_labels = _faces(folder, test)
    return ImageDataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=tuple(HAIR),
    )


def _unpack_faces(expected: Sequence[_Download]) -> None:
    """Unpack the archive of faces where a person put it: torchvision does so only after a download."""
    utils = import_torchvision("datasets.utils")
    for download in expected:
        if download.path.suffix == ".zip" and download.state() == "there":
            utils.extract_archive(download.path)


def _faces(folder: Path, part: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of the faces that have exactly one of the five attributes."""
    columns = [part.attr_names.index(attribute) for attribute in HAIR.values()]
    attributes = part.attr.numpy()[:, columns]
    rows = np.flatnonzero(attributes.sum(axis=1) == 1)
    print(f"celeba: {len(rows)} of {len(attributes)} {part.split} images have one of the classes", flush=True)
    files = [folder / "img_align_celeba" / part.filename[row] for row in rows]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: no such file ({len(missing)} of {len(files)} are missing); remove the folder "
            f"{missing[0].parent} and run again, and img_align_celeba.zip is unpacked anew"
        )
    images = read_images([(str(file), file.read_bytes) for file in files], image_size=32, channels=3)
    return images, attributes[rows].argmax(axis=1).astype(np.int64)
