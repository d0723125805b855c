"""Tiny data sets in the on-disk formats of the real ones."""

import hashlib
import pickle
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from eos.data.torchvision_import import import_torchvision

Part = tuple[np.ndarray, np.ndarray]  # images (n, 32, 32, 3), labels


def block_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every download fail as it does without a network."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(import_torchvision("datasets.celeba"), "download_file_from_google_drive", refuse)


def random_part(labels: list[int], seed: int) -> Part:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    return images, np.array(labels)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


PurePickler: Any = pickle._Pickler  # the one written in Python, which can be changed


class Python2Pickler(PurePickler):
    """Writes text as Python 2's strings and data types as old versions of NumPy: so CIFAR was written."""

    dispatch: ClassVar = dict(PurePickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.dtype):
            return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def write_pickle(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)


def rows(images: np.ndarray) -> np.ndarray:
    """Return images as CIFAR's rows: all red values, all green, all blue."""
    return np.concatenate([images[..., channel].reshape(len(images), -1) for channel in range(3)], axis=1)


def pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)


def write_cifar10(raw: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Part, Part]:
    """Write CIFAR-10 with five images in each of its five batches, packed and unpacked."""
    kind = import_torchvision("datasets").CIFAR10
    folder = raw / "cifar-10-batches-py"
    train, test = random_part([index % 10 for index in range(25)], seed=0), random_part([*range(10)], seed=1)
    for batch in range(5):
        part = slice(5 * batch, 5 * batch + 5)
        labels = train[1][part].tolist()
        content = {"batch_label": "", "labels": labels, "data": rows(train[0][part]), "filenames": []}
        write_pickle(folder / f"data_batch_{batch + 1}", content)
    write_pickle(folder / "test_batch", {"data": rows(test[0]), "labels": test[1].tolist()})
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    write_pickle(folder / "batches.meta", {"label_names": names, "num_vis": 3072})
    pack(folder, raw / "cifar-10-python.tar.gz")
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    monkeypatch.setattr(kind, "train_list", [[name, md5(folder / name)] for name in batches])
    monkeypatch.setattr(kind, "test_list", [["test_batch", md5(folder / "test_batch")]])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(folder / "batches.meta")})
    monkeypatch.setattr(kind, "tgz_md5", md5(raw / "cifar-10-python.tar.gz"))
    return train, test


def write_cifar100(raw: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Part, Part]:
    """Write CIFAR-100 with one image per class and set, unpacked."""
    kind = import_torchvision("datasets").CIFAR100
    folder = raw / "cifar-100-python"
    train, test = random_part([*range(100)], seed=2), random_part([*reversed(range(100))], seed=3)
    for name, (images, labels) in (("train", train), ("test", test)):
        coarse = [0] * 100
        content = {"fine_labels": labels.tolist(), "coarse_labels": coarse, "data": rows(images)}
        write_pickle(folder / name, content)
    names = [f"fine_{label}" for label in range(100)]
    write_pickle(folder / "meta", {"fine_label_names": names, "coarse_label_names": ["coarse"]})
    monkeypatch.setattr(kind, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(kind, "test_list", [["test", md5(folder / "test")]])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(folder / "meta")})
    return train, test


def write_svhn(raw: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Part, Part]:
    """Write SVHN, in whose files the digit 0 is labelled 10."""
    kind = import_torchvision("datasets").SVHN
    train = random_part([0, 0, 0, *range(1, 10)], seed=4)
    # Four images of each digit, but two of digit 7.
    test = random_part([digit for digit in range(10) for _ in range(2 if digit == 7 else 4)], seed=5)
    raw.mkdir(parents=True, exist_ok=True)
    splits = dict(kind.split_list)
    for split, (images, labels) in (("train", train), ("test", test)):
        path = raw / f"{split}_32x32.mat"
        written = np.where(labels == 0, 10, labels).astype(np.uint8)[:, np.newaxis]
        savemat(path, {"X": np.moveaxis(images, 0, 3), "y": written}, do_compression=True)
        splits[split] = [kind.split_list[split][0], path.name, md5(path)]
    monkeypatch.setattr(kind, "split_list", splits)
    return train, test


# CelebA's attributes that the five classes come from, among others, in the order of its file.
ATTRIBUTES = ["Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Young"]

# One line per face: its set (0 train, 1 validation, 2 test) and its attributes.
FACES = [
    (0, {"Black_Hair", "Young"}),
    (0, {"Brown_Hair"}),
    (0, {"Blond_Hair", "Bangs"}),
    (0, {"Gray_Hair"}),
    (0, {"Bald"}),
    (0, {"Bangs", "Young"}),  # none of the classes
    (0, {"Black_Hair", "Brown_Hair"}),  # two of them
    (0, {"Black_Hair"}),
    (1, {"Black_Hair"}),
    (2, {"Bald", "Young"}),
    (2, {"Gray_Hair"}),
    (2, {"Blond_Hair"}),
    (2, {"Brown_Hair"}),
    (2, {"Black_Hair"}),
    (2, {"Gray_Hair"}),
    (2, set()),
]


def face(number: int) -> Image.Image:
    """Return a picture of the size of CelebA's, smooth, so that JPEG changes it little."""
    y, x = np.mgrid[0:218, 0:178]
    planes = [x + number, y, np.full_like(x, 10 * number)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def write_celeba(raw: Path, monkeypatch: pytest.MonkeyPatch, *, packed: bool = False) -> None:
    kind = import_torchvision("datasets").CelebA
    folder = raw / "celeba"
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(1, len(FACES) + 1)]
    for number, name in enumerate(names, 1):
        face(number).save(images / name, quality=95)
    headers = {
        "list_attr_celeba.txt": f"{len(FACES)}\n{' '.join(ATTRIBUTES)} \n",
        "identity_CelebA.txt": "",
        "list_bbox_celeba.txt": f"{len(FACES)}\nimage_id x_1 y_1 width height\n",
        "list_landmarks_align_celeba.txt": f"{len(FACES)}\nlefteye_x lefteye_y\n",
        "list_eval_partition.txt": "",
    }
    columns = {
        "list_attr_celeba.txt": [["1" if key in has else "-1" for key in ATTRIBUTES] for _, has in FACES],
        "identity_CelebA.txt": [["2880"] for _ in FACES],
        "list_bbox_celeba.txt": [["95", "71", "226", "313"] for _ in FACES],
        "list_landmarks_align_celeba.txt": [["69", "109"] for _ in FACES],
        "list_eval_partition.txt": [[str(part)] for part, _ in FACES],
    }
    for file, header in headers.items():
        # Numbers stand in columns, two blanks apart where they are short.
        values = [" ".join(f"{value:>2}" for value in row) for row in columns[file]]
        lines = [f"{name} {row}" for name, row in zip(names, values, strict=True)]
        (folder / file).write_text(header + "\n".join(lines) + "\n")
    if packed:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
            for name in names:
                archive.write(images / name, f"img_align_celeba/{name}")
                (images / name).unlink()
        images.rmdir()
    listed = [
        (key, md5(folder / name) if (folder / name).exists() else "", name) for key, _, name in kind.file_list
    ]
    monkeypatch.setattr(kind, "file_list", listed)


def write_tree(folder: Path, sizes: dict[str, int], *, image_size: int = 8, kind: str = "png") -> None:
    """Write a tree of random images: `sizes` tells how many lie in which folder, "train/cat" say."""
    random = np.random.default_rng(6)
    for place, count in sizes.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = random.integers(0, 256, (image_size, image_size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{index:04}.{kind}")
