"""The paper's data sets, from tiny files in their real formats, checked as torchvision checks those."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from eos.data.image_dataset import ImageDataset
from eos.data.torchvision_datasets import HAIR, torchvision_dataset
from eos.errors import InputError
from eos.registry import SOURCES, TORCHVISION_DATASETS
from tests.data.tiny_sources import (
    ATTRIBUTES,
    FACES,
    block_network,
    face,
    write_celeba,
    write_cifar10,
    write_cifar100,
    write_svhn,
)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    block_network(monkeypatch)


def read(raw: Path, dataset: str, *, balance_test: bool = False, seed: int = 0) -> ImageDataset:
    return torchvision_dataset(raw, dataset=dataset, balance_test=balance_test, seed=seed)


def assert_parts(data: ImageDataset, parts: tuple[tuple[np.ndarray, np.ndarray], ...]) -> None:
    (train_images, train_labels), (test_images, test_labels) = parts
    assert np.array_equal(data.train_images, train_images)
    assert np.array_equal(data.train_labels, train_labels)
    assert np.array_equal(data.test_images, test_images)
    assert np.array_equal(data.test_labels, test_labels)


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = write_cifar10(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-python.tar.gz").unlink()  # what lies there unpacked is enough
    data = read(tmp_path, "cifar10")
    assert_parts(data, parts)
    assert data.class_names[:2] == ("airplane", "automobile")
    assert data.class_names[-1] == "truck"


def test_an_archive_that_a_person_put_there_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = write_cifar10(tmp_path, monkeypatch)
    shutil.rmtree(tmp_path / "cifar-10-batches-py")
    assert_parts(read(tmp_path, "cifar10"), parts)


def test_cifar100_has_its_fine_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = write_cifar100(tmp_path, monkeypatch)
    data = read(tmp_path, "cifar100")
    assert_parts(data, parts)
    assert data.class_names == tuple(f"fine_{label}" for label in range(100))


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = write_svhn(tmp_path, monkeypatch)
    data = read(tmp_path, "svhn")
    assert_parts(data, parts)
    assert data.class_names == tuple("0123456789")


def test_a_balanced_test_set_is_a_part_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, (images, labels) = write_svhn(tmp_path, monkeypatch)
    data = read(tmp_path, "svhn", balance_test=True)
    assert np.array_equal(data.train_images, train[0])
    assert np.bincount(data.test_labels).tolist() == [2] * 10
    whole = [image.tobytes() for image in images]
    rows = [whole.index(image.tobytes()) for image in data.test_images]
    assert rows == sorted(set(rows))
    assert np.array_equal(labels[rows], data.test_labels)
    others = [read(tmp_path, "svhn", balance_test=True, seed=seed).test_images for seed in (0, 1)]
    assert np.array_equal(data.test_images, others[0])
    assert not np.array_equal(data.test_images, others[1])


def test_celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_celeba(tmp_path, monkeypatch)
    data = read(tmp_path, "celeba")
    assert data.class_names == ("black", "brown", "blond", "gray", "bald")
    # The lines of FACES, each with exactly one of the five attributes, told by hand.
    assert data.train_labels.tolist() == [0, 1, 2, 3, 4, 0]
    assert data.test_labels.tolist() == [4, 3, 2, 1, 0, 3]
    assert data.train_images.shape == (6, 32, 32, 3)
    assert "6 of 8 train images" in capsys.readouterr().out
    numbers = {"train": [1, 2, 3, 4, 5, 8], "test": [10, 11, 12, 13, 14, 15]}
    # face() is linear in x and y. One pixel of ours covers 178/32 of the original, and the square in the
    # middle of 218 rows begins at row 20.
    centres = (np.arange(32) + 0.5) * (178 / 32) - 0.5
    for images, part in ((data.train_images, "train"), (data.test_images, "test")):
        for image, number in zip(images, numbers[part], strict=True):
            # Away from the edges, where the filter has pixels on both sides.
            inner = image[2:-2, 2:-2].astype(float)
            assert np.abs(inner[..., 0] - (centres[2:-2] + number)).max() < 3
            assert np.abs(inner[..., 1] - (centres[2:-2, np.newaxis] + 20)).max() < 3
            assert np.abs(inner[..., 2] - 10 * number).max() < 3


def test_the_tiny_celeba_is_what_the_tests_take_it_for() -> None:
    assert face(1).size == (178, 218)
    assert set(HAIR.values()) < set(ATTRIBUTES)
    assert {part for part, _ in FACES} == {0, 1, 2}


def test_the_archive_of_faces_is_unpacked_where_a_person_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_celeba(tmp_path / "packed", monkeypatch, packed=True)
    packed = read(tmp_path / "packed", "celeba")
    write_celeba(tmp_path / "open", monkeypatch)
    assert np.array_equal(packed.train_images, read(tmp_path / "open", "celeba").train_images)


def test_a_missing_face_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_celeba(tmp_path, monkeypatch)
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(
        InputError, match=r"000002\.jpg: no such file \(1 of 6 are missing\); remove the folder"
    ):
        read(tmp_path, "celeba")


@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        ("cifar10", ["cifar-10-python.tar.gz"]),
        ("cifar100", ["cifar-100-python.tar.gz"]),
        ("svhn", ["train_32x32.mat", "test_32x32.mat"]),
        ("celeba", ["celeba/img_align_celeba.zip", "celeba/list_attr_celeba.txt"]),
    ],
)
def test_without_files_and_network_one_error_says_what_belongs_where(
    tmp_path: Path, dataset: str, files: list[str]
) -> None:
    with pytest.raises(InputError, match="no network") as caught:
        read(tmp_path / "raw", dataset)
    for file in files:
        assert f"{tmp_path / 'raw' / file}  missing  (md5 " in str(caught.value)
    assert "from http" in str(caught.value)


def test_a_damaged_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, monkeypatch)
    with (tmp_path / "test_32x32.mat").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError) as caught:
        read(tmp_path, "svhn")
    assert "train_32x32.mat  there" in str(caught.value)
    assert "test_32x32.mat  damaged: its checksum is another" in str(caught.value)


def test_a_pickle_that_is_not_torchvisions_is_never_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle can run any program, so the checksum comes first."""
    write_cifar10(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    harm = f"cos\nmkdir\n(S'{tmp_path / 'harm'}'\ntR."
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_text(harm)
    with pytest.raises(InputError, match="cifar-10-python"):
        read(tmp_path, "cifar10")
    assert not (tmp_path / "harm").exists()


def test_the_names_are_those_of_the_parameters(tmp_path: Path) -> None:
    assert set(get_args(SOURCES["torchvision"].parameters["dataset"])) == set(TORCHVISION_DATASETS)
    with pytest.raises(InputError, match="unknown data set 'cifar'; did you mean 'cifar10'"):
        read(tmp_path, "cifar")
