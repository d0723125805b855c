"""A classifier's folder comes back as it was written, or the file that is wrong is named."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eos.classifier import folder as folders
from eos.classifier.folder import (
    BACKBONE,
    DESCRIPTION,
    HEAD,
    KEYS,
    read_arrays,
    read_description,
    write_folder,
)
from eos.errors import InputError

CONTENT = dict.fromkeys(KEYS) | {
    "class_names": ["cat", "žába"],
    "n_features": 3,
    "head": {"own": False, "classifier": "linear", "scale": 1.0},
    "computing": {"device": "cpu", "cpu_threads": None, "portable": False, "precision": "fp32"},
}
BUILT = {
    "architecture": "resnet8",
    "branches": 1,
    "channels": 3,
    "image_size": 8,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.2, 0.2, 0.2],
}
ARRAYS: dict[str, dict[str, np.ndarray]] = {
    BACKBONE: {"conv.weight": np.arange(6.0, dtype=np.float32).reshape(1, 6)},
    HEAD: {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "deep" / "model", CONTENT, ARRAYS)
    return tmp_path / "deep" / "model"


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    description = read_description(folder)
    return description, {name: read_arrays(folder, name, description) for name in (BACKBONE, HEAD)}


def test_what_was_written_comes_back(folder: Path) -> None:
    description, arrays = read(folder)
    assert {key: description[key] for key in KEYS} == CONTENT
    for name, content in ARRAYS.items():
        assert arrays[name].keys() == content.keys()
        for key, value in content.items():
            np.testing.assert_array_equal(arrays[name][key], value)
    assert sorted(path.name for path in folder.iterdir()) == [BACKBONE, DESCRIPTION, HEAD]


def test_equal_content_gives_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "other", CONTENT, ARRAYS)
    for path in folder.iterdir():
        assert (tmp_path / "other" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", [BACKBONE, DESCRIPTION, HEAD])
def test_a_flipped_byte_is_refused_by_the_name_of_its_file(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{name}: damaged or changed: .* copy the folder again"):
            read(folder)


@pytest.mark.parametrize("name", [BACKBONE, DESCRIPTION, HEAD])
def test_a_file_that_is_cut_off_or_missing_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{name}: damaged"):
        read(folder)
    path.unlink()
    with pytest.raises(InputError, match=name):
        read(folder)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such folder; name one that `python -m eos export` wrote"):
        read_description(tmp_path / "none")
    with pytest.raises(InputError, match=rf"holds no classifier: {DESCRIPTION} is missing"):
        read_description(tmp_path)
    (tmp_path / DESCRIPTION).write_text("{}")
    with pytest.raises(InputError, match="damaged or changed"):
        read_description(tmp_path)


def test_a_classifier_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(folders, "FORMAT", "eos classifier, version 2")
        write_folder(tmp_path / "new", CONTENT, ARRAYS)
    with pytest.raises(InputError, match=r"version 2; this program reads eos classifier, version 1"):
        read_description(tmp_path / "new")


def test_a_description_that_lacks_something(tmp_path: Path) -> None:
    write_folder(tmp_path / "new", {"class_names": []}, ARRAYS)
    with pytest.raises(InputError, match=r"classifier\.json: does not hold backbone, computing, head"):
        read_description(tmp_path / "new")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": "ab"}, "class_names 'ab' is not possible"),
        ({"n_features": True}, "n_features 'True' is not possible"),
        ({"head": []}, "head.own 'None' is not possible"),
        ({"computing": 3}, "computing.device 'None' is not possible"),
        ({"backbone": BUILT | {"channels": 10**10}}, "backbone.channels '10000000000' is not possible"),
        ({"backbone": BUILT | {"std": [0, 1, 1]}}, r"backbone.std '\[0, 1, 1\]' is not possible"),
        (
            {"backbone": BUILT | {"mean": [0.5]}},
            "backbone.mean and backbone.std need a number for each channel",
        ),
    ],
)
def test_a_description_that_is_none_though_its_digest_is_right(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_folder(tmp_path / "new", CONTENT | changes, ARRAYS)
    with pytest.raises(InputError, match=rf"classifier\.json: .*{message}"):
        read_description(tmp_path / "new")


@pytest.mark.parametrize(
    "text", ['[{"sha256": "%s"}]', '{"sha256": "%s", "x": ' + "[" * 9999, '{"sha256": "%s"']
)
def test_a_description_that_is_no_object_though_its_digest_is_right(tmp_path: Path, text: str) -> None:
    blank = text % ("0" * 64)
    digest = hashlib.sha256(blank.encode()).hexdigest()
    (tmp_path / DESCRIPTION).write_text(text % digest)
    with pytest.raises(InputError, match=r"classifier\.json: (no description|not valid JSON)"):
        read_description(tmp_path)


def test_no_file_larger_than_the_bound_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(folders.LARGEST, HEAD, 10)
    with pytest.raises(InputError, match=r"head\.safetensors: \d+ bytes, and none larger than 10 is read"):
        read(folder)


def test_arrays_that_are_none_though_their_digest_is_right(folder: Path) -> None:
    raw = b"\xff" * 80
    (folder / HEAD).write_bytes(raw)
    told = {"files": {HEAD: {"bytes": 80, "sha256": hashlib.sha256(raw).hexdigest()}}}
    with pytest.raises(InputError, match=r"head\.safetensors: not safetensors"):
        read_arrays(folder, HEAD, told)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = (folder / DESCRIPTION).read_bytes()
    with pytest.raises(InputError, match="exists already; remove it, or name another folder"):
        write_folder(folder, CONTENT, ARRAYS)
    assert (folder / DESCRIPTION).read_bytes() == before


def test_a_stopped_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_folder(tmp_path / "model", CONTENT | {"scores": object()}, ARRAYS)
    assert list(tmp_path.iterdir()) == []


def test_the_description_is_plain_json(folder: Path) -> None:
    content = json.loads((folder / DESCRIPTION).read_text())
    assert content["files"][HEAD]["bytes"] == (folder / HEAD).stat().st_size
