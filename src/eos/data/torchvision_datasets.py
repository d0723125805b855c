"""The paper's data sets, downloaded and checked by torchvision."""

from collections.abc import Callable, Iterable
from dataclasses import replace
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

# Files that a data set needs, by where they belong: their checksums, and where they come from.
Files = dict[Path, tuple[str, str]]
ImagesAndLabels = tuple[np.ndarray, np.ndarray]


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
        If files are missing or damaged and cannot be downloaded; the message says which belong where.
    """
    data: ImageDataset = find(TORCHVISION_DATASETS, dataset, what="data set").load()(raw)
    if not balance_test:
        return data
    smallest = int(np.bincount(data.test_labels).min())
    kept = draw_per_class(data.test_labels, smallest, seed)
    print(f"{dataset}: {smallest} test images of each class, drawn with seed {seed}", flush=True)
    return replace(data, test_images=data.test_images[kept], test_labels=data.test_labels[kept])


def cifar10(raw: Path) -> ImageDataset:
    """Return CIFAR-10."""
    return _cifar(raw, "cifar10", import_torchvision("datasets").CIFAR10)


def cifar100(raw: Path) -> ImageDataset:
    """Return CIFAR-100."""
    return _cifar(raw, "cifar100", import_torchvision("datasets").CIFAR100)


def _cifar(raw: Path, dataset: str, kind: Any) -> ImageDataset:
    return _read(
        dataset,
        {raw / kind.filename: (kind.tgz_md5, kind.url)},
        lambda split: kind(raw, train=split == "train", download=True),
        lambda part: (part.data, np.array(part.targets)),
    )


def svhn(raw: Path) -> ImageDataset:
    """Return SVHN."""
    kind = import_torchvision("datasets").SVHN
    return _read(
        "svhn",
        {raw / name: (md5, url) for url, name, md5 in (kind.split_list["train"], kind.split_list["test"])},
        lambda split: kind(raw, split=split, download=True),
        lambda part: (part.data.transpose(0, 2, 3, 1), part.labels),
        "0123456789",
    )


def celeba(raw: Path) -> ImageDataset:
    """Return the faces of CelebA that have exactly one of five kinds of hair."""
    kind = import_torchvision("datasets").CelebA
    folder = raw / kind.base_folder
    files = {
        folder / name: (md5, f"https://drive.google.com/uc?id={identifier}")
        for identifier, md5, name in kind.file_list
    }

    def open_split(split: str) -> Any:
        # An archive that a person put there: torchvision unpacks one only after a download.
        for path, (md5, _) in files.items():
            if path.suffix == ".zip" and _state(path, md5) == "there":
                import_torchvision("datasets.utils").extract_archive(path)
        return kind(raw, split=split, target_type="attr", download=True)

    return _read("celeba", files, open_split, lambda part: _faces(folder, part), HAIR)


def _read(
    dataset: str,
    files: Files,
    open_split: Callable[[str], Any],
    content: Callable[[Any], ImagesAndLabels],
    class_names: Iterable[str] | None = None,
) -> ImageDataset:
    """Open torchvision's data set of each split and bring its content into our form.

    Raises
    ------
    InputError
        If that fails: the message lists the files that a person can put there.
    """
    try:
        train, test = open_split("train"), open_split("test")
    except Exception as error:  # downloading and unpacking can fail in ways no list of types covers
        listed = "".join(
            f"\n  {path}  {_state(path, md5)}  (md5 {md5}, from {url})" for path, (md5, url) in files.items()
        )
        raise InputError(
            f"{dataset}: not all there, and the download failed ({error}); try again, or put these files "
            f"in place yourself:{listed}"
        ) from error
    (train_images, train_labels), (test_images, test_labels) = content(train), content(test)
    return ImageDataset(
        train_images=np.ascontiguousarray(train_images),
        train_labels=train_labels.astype(np.int64, copy=False),
        test_images=np.ascontiguousarray(test_images),
        test_labels=test_labels.astype(np.int64, copy=False),
        class_names=tuple(class_names or train.classes),
    )


def _state(path: Path, md5: str) -> str:
    """Return whether a file is "there", or why not."""
    if path.suffix == ".zip" and path.with_suffix("").is_dir():
        return "unpacked"
    if not path.is_file():
        return "missing"
    intact = import_torchvision("datasets.utils").check_integrity(path, md5)
    return "there" if intact else "damaged: its checksum is another"


def _faces(folder: Path, part: Any) -> ImagesAndLabels:
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
    return images, attributes[rows].argmax(axis=1)
