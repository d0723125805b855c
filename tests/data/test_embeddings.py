"""Files of embeddings: one form whatever the format, and one clear error for each thing that is wrong."""

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import yaml
from safetensors.numpy import save_file

from eos.config.schema import EmbeddingSet
from eos.data import embeddings_files
from eos.data.embeddings import Embeddings, read_embeddings
from eos.data.embeddings_files import open_embeddings, read_features
from eos.errors import InputError
from tests.helpers import ROOT

NAMES = np.array(["oak", "yew", "ash"])
Arrays = dict[str, Any]


def content(**changes: Any) -> Arrays:
    """Return the arrays of a file: 9, 4 and 3 training rows of three classes, two test rows of each."""
    random = np.random.default_rng(0)
    arrays: Arrays = {
        "train_features": random.normal(size=(16, 5)).astype(np.float32),
        "train_labels": np.repeat([0, 1, 2], [9, 4, 3])[random.permutation(16)],
        "test_features": random.normal(size=(6, 5)).astype(np.float32),
        "test_labels": np.tile([0, 1, 2], 2),
        "class_names": NAMES,
    }
    arrays |= changes
    return {name: array for name, array in arrays.items() if array is not None}


def read(path: Path, **changes: Any) -> Embeddings:
    settings = {"test_share": None, "validation_fraction": 0.0, "seed": 0, "standardize": False}
    return read_embeddings(path, **(settings | changes))


def npz(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "a.npz", **arrays)
    return folder / "a.npz"


def safetensors(folder: Path, arrays: Arrays) -> Path:
    names = arrays.pop("class_names", None)
    metadata = None if names is None else {"class_names": json.dumps(names.tolist())}
    save_file(
        {name: np.ascontiguousarray(one) for name, one in arrays.items()}, folder / "a.safetensors", metadata
    )
    return folder / "a.safetensors"


def frame(arrays: Arrays) -> dict[str, Any]:
    """Return the label and the split of a table, with text labels."""
    parts = [part for part in ("train", "validation", "test") if f"{part}_labels" in arrays]
    labels = np.concatenate([arrays[f"{part}_labels"] for part in parts])
    split = np.repeat(parts, [len(arrays[f"{part}_labels"]) for part in parts])
    features = np.concatenate([arrays[f"{part}_features"] for part in parts])
    return {"label": NAMES[labels], "split": split, "features": features}


def parquet_of_lists(folder: Path, arrays: Arrays) -> Path:
    columns = frame(arrays)
    columns["features"] = columns["features"].tolist()
    polars.DataFrame(columns).write_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def parquet_of_numbers(folder: Path, arrays: Arrays) -> Path:
    columns = frame(arrays)
    features = columns.pop("features")
    columns |= {f"f{number}": features[:, number] for number in range(features.shape[1])}
    polars.DataFrame(columns).write_parquet(folder / "b.parquet")
    return folder / "b.parquet"


WRITERS = [npz, safetensors, parquet_of_lists, parquet_of_numbers]


@pytest.fixture(params=[None, 64], ids=["at once", "in blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read all at once, and three rows or fewer at a time."""
    if request.param:
        monkeypatch.setattr(embeddings_files, "BLOCK", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_rows_that_were_written(
    write: Callable[[Path, Arrays], Path], tmp_path: Path
) -> None:
    arrays = content()
    found = read(write(tmp_path, dict(arrays)))
    order = NAMES.tolist() if write in (npz, safetensors) else sorted(NAMES)
    assert list(found.class_names) == order
    for part in ("train", "test"):
        np.testing.assert_array_equal(found.features[part], arrays[f"{part}_features"])
        assert found.features[part].dtype == np.float32
        named = np.array(found.class_names)[found.labels[part]]
        np.testing.assert_array_equal(named, NAMES[arrays[f"{part}_labels"]])
    assert found.features["validation"].shape == (0, 5)
    assert found.logits["test"].shape == (6, 0)
    assert found.weight.shape == (0, 5)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
@pytest.mark.parametrize("write", [npz, safetensors])
def test_other_types_become_float32(
    write: Callable[[Path, Arrays], Path], dtype: str, tmp_path: Path
) -> None:
    arrays = content()
    for name in ("train_features", "test_features"):
        arrays[name] = (10 * np.abs(arrays[name])).astype(dtype)
    found = read(write(tmp_path, dict(arrays)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.features["train"], arrays["train_features"].astype(np.float32))


def test_an_array_by_columns_is_read_as_it_is(tmp_path: Path) -> None:
    arrays = content()
    by_columns = np.asfortranarray(arrays["train_features"])
    found = read(npz(tmp_path, arrays | {"train_features": by_columns}))
    np.testing.assert_array_equal(found.features["train"], by_columns)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([30, 5, 200]), ("5", "30", "200")),
        (np.array([2.0, 0.0, 1.0]), ("0", "1", "2")),
        (np.array(["yew", "ash", "oak"]), ("ash", "oak", "yew")),
        (np.array(["esche", "bäume", "eibe"]), ("bäume", "eibe", "esche")),
        (np.array([b"yew", b"ash", b"oak"]), ("ash", "oak", "yew")),
        (np.array([3, 1, 2], dtype=np.uint8), ("1", "2", "3")),
    ],
)
def test_labels_of_any_kind_without_names_are_sorted(
    labels: np.ndarray, names: tuple[str, ...], tmp_path: Path
) -> None:
    arrays = content(class_names=None)
    changed = {name: labels[arrays[name]] for name in ("train_labels", "test_labels")}
    found = read(npz(tmp_path, arrays | changed))
    assert found.class_names == names
    of = np.argsort(np.argsort(labels))
    np.testing.assert_array_equal(found.labels["train"], of[arrays["train_labels"]])


def test_text_labels_follow_the_order_of_the_names(tmp_path: Path) -> None:
    arrays = content()
    changed = {name: NAMES[arrays[name]] for name in ("train_labels", "test_labels")}
    found = read(npz(tmp_path, arrays | changed))
    assert found.class_names == tuple(NAMES)
    np.testing.assert_array_equal(found.labels["train"], arrays["train_labels"])


@pytest.mark.parametrize("write", WRITERS)
def test_rows_are_held_out_where_there_are_none_to_test_on(
    write: Callable[[Path, Arrays], Path], tmp_path: Path
) -> None:
    arrays = content(test_features=None, test_labels=None)
    path = write(tmp_path, dict(arrays))
    found = read(path, test_share=0.34, validation_fraction=0.25)
    counts = {part: np.bincount(labels, minlength=3) for part, labels in found.labels.items()}
    if write in (npz, safetensors):  # else the classes are in another order
        np.testing.assert_array_equal(counts["test"], [3, 1, 1])
        np.testing.assert_array_equal(counts["validation"], [2, 1, 1])
    every = np.concatenate(list(found.features.values()))
    assert {row.tobytes() for row in every} == {row.tobytes() for row in arrays["train_features"]}
    assert any("5 of 16 training rows are held out as test rows" in line for line in found.told)
    np.testing.assert_array_equal(
        read(path, test_share=0.34, validation_fraction=0.25).labels["test"], found.labels["test"]
    )
    assert not np.array_equal(read(path, test_share=0.34, seed=1).features["test"], found.features["test"])


def test_a_file_keeps_the_rows_it_has_for_testing_and_validation(tmp_path: Path) -> None:
    extra = {"validation_features": np.ones((3, 5)), "validation_labels": np.arange(3)}
    found = read(npz(tmp_path, content(**extra)), test_share=0.5, validation_fraction=0.5)
    assert {part: len(labels) for part, labels in found.labels.items()} == {
        "train": 16,
        "validation": 3,
        "test": 6,
    }
    assert found.told == ()


def test_logits_that_are_there_are_taken_and_stay_with_their_rows(tmp_path: Path) -> None:
    arrays = content(test_features=None, test_labels=None)
    logits = np.repeat(arrays["train_features"][:, :1], 3, axis=1).astype(np.float16)
    found = read(npz(tmp_path, arrays | {"train_logits": logits}), test_share=0.34)
    for part in ("train", "test"):
        np.testing.assert_array_equal(
            found.logits[part][:, 2], found.features[part][:, 0].astype(np.float16).astype(np.float32)
        )
    assert np.isnan(found.weight).all()
    assert found.weight.shape == (3, 5)


def test_logits_of_the_test_rows_are_enough(tmp_path: Path) -> None:
    found = read(npz(tmp_path, content(test_logits=np.eye(3)[[0, 1, 2, 0, 1, 2]])))
    assert found.logits["test"].argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    assert np.isnan(found.logits["train"]).all()
    found = read(npz(tmp_path, content(train_logits=np.zeros((16, 3)))))
    assert found.logits["test"].shape == (6, 0)
    assert "logits are not used: there are none of the test rows" in found.told


@pytest.mark.parametrize("bias", [None, np.array([0.5, 0.0, -1.0])])
def test_a_classifier_gives_the_logits(bias: np.ndarray | None, tmp_path: Path) -> None:
    arrays = content(classifier_weight=np.random.default_rng(1).normal(size=(3, 5)), classifier_bias=bias)
    found = read(npz(tmp_path, arrays))
    added = 0 if bias is None else bias
    expected = arrays["test_features"] @ arrays["classifier_weight"].T + added
    np.testing.assert_allclose(found.logits["test"], expected, rtol=1e-5, atol=1e-6)
    scaled = read(npz(tmp_path, arrays), standardize=True)
    np.testing.assert_array_equal(scaled.logits["test"], found.logits["test"])
    deviation = arrays["train_features"].std(axis=0)
    np.testing.assert_allclose(scaled.weight, found.weight * deviation, rtol=1e-5)


def test_features_are_standardized_by_the_training_rows(tmp_path: Path) -> None:
    arrays = content()
    arrays["train_features"] = 0.01 * arrays["train_features"] + np.arange(5) / 100
    arrays["train_features"][:, 4] = 7  # constant
    path = npz(tmp_path, arrays)
    found = read(path, standardize=True)
    mean, deviation = arrays["train_features"].mean(axis=0), arrays["train_features"].std(axis=0)
    deviation[4] = 1
    for part in ("train", "test"):
        expected = (arrays[f"{part}_features"] - mean) / deviation
        np.testing.assert_allclose(found.features[part], expected, rtol=1e-3, atol=1e-4)


def test_features_that_standardizing_makes_infinite_are_told(tmp_path: Path) -> None:
    changed = content()
    changed["train_features"][:, 3] *= np.float32(1e-40)
    with pytest.raises(
        InputError, match=r"feature 3: its deviation .* (train|test) rows standardized .* infinite"
    ):
        read(npz(tmp_path, changed), standardize=True)


@pytest.mark.parametrize(("scale", "warned"), [(0.036, True), (1.0, False), (30.0, True)])
def test_a_scale_that_heads_cannot_be_trained_at_is_told(scale: float, warned: bool, tmp_path: Path) -> None:
    arrays = content()
    path = npz(tmp_path, arrays | {"train_features": scale * arrays["train_features"]})
    assert any("set standardize to true" in line for line in read(path).told) == warned
    assert read(path, standardize=True).told == ()


def test_what_else_a_file_holds_is_named(tmp_path: Path) -> None:
    assert read(npz(tmp_path, content(image_paths=np.array(["a"])))).told == ("not used: image_paths",)


def rows(count: int, width: int = 5) -> np.ndarray:
    return np.ones((count, width))


OBJECTS = np.array(["oak", None] * 8, dtype=object)
BAD = np.ones((16, 5))
BAD[3, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train_labels": None},
            "has no array 'train_labels' (it holds train_features, test_features, test_",
        ),
        ({"test_labels": None}, "has no array 'test_labels'"),
        ({"test_features": None}, "has no array 'test_features'"),
        ({"test_features": None, "test_labels": None}, "has no test rows, and test_share is null; add some"),
        ({"validation_logits": rows(2, 3)}, "has no array 'validation_features'"),
        (
            {"train_labels": OBJECTS},
            "train_labels: holds Python objects, and reading them would run what the",
        ),
        ({"train_features": BAD.astype(object)}, "train_features: holds Python objects"),
        ({"class_names": NAMES.astype(object)}, "class_names: holds Python objects"),
        (
            {"train_features": BAD},
            "train_features: row 3 holds NaN, infinity or a value too large for float32",
        ),
        ({"train_features": np.where(np.isnan(BAD), np.inf, BAD)}, "train_features: row 3 holds NaN, inf"),
        ({"train_features": np.where(np.isnan(BAD), 1e300, BAD)}, "train_features: row 3 holds NaN, inf"),
        ({"train_features": rows(16)[:, 0]}, "train_features: a float64 array of shape (16,); give numbers"),
        ({"train_features": rows(16, 0)}, "train_features: a float64 array of shape (16, 0); give numbers"),
        ({"train_features": rows(16).astype("U3")}, "train_features: a <U3 array of shape (16, 5); give num"),
        (
            {"train_features": rows(0), "train_labels": np.zeros(0, int)},
            "there are no training rows; add some",
        ),
        (
            {"test_features": rows(6, 4)},
            "test_features: 4 columns, but train_features has 5; give rows of one",
        ),
        (
            {"train_labels": np.zeros(15, int)},
            "train_labels: shape (15,); give one label per row of train_fea",
        ),
        ({"train_labels": np.array(3)}, "train_labels: a single value; give an array"),
        ({"train_labels": np.zeros((16, 3))}, "train_labels: shape (16, 3); give one label per row"),
        ({"train_labels": np.full(16, np.nan)}, "train_labels: nan in row 0 is missing or no whole number"),
        ({"train_labels": np.full(16, 0.5)}, "train_labels: 0.5 in row 0 is missing or no whole number"),
        ({"train_labels": np.full(16, 1j)}, "train_labels: of type complex128; give whole numbers or text"),
        ({"train_labels": np.full(16, b"\xff")}, "train_labels: text that is not UTF-8"),
        (
            {"test_labels": np.full(6, "oak")},
            "labels of several kinds (train_labels of int64, test_labels of <U",
        ),
        (
            {"test_labels": np.array([0, 1, 7, 2, 9, 9])},
            "test_labels, row 2: 7 is none of class_names (3 such",
        ),
        (
            {"test_labels": np.array([0, 1, 2, 0, 1, 9]), "class_names": None},
            "test_labels, row 5: 9 is a class without training rows (1 such rows); drop these, or correct",
        ),
        (
            {"train_labels": np.repeat([0, 1], 8)},
            "class 'ash' has no training rows; add some, or drop the class",
        ),
        (
            {"train_labels": np.zeros(16, int), "class_names": None},
            "1 class among the training labels; a clas",
        ),
        ({"class_names": np.array(["a", "b", "a"])}, "class_names: 'a' is there twice; name each class once"),
        ({"class_names": np.array(["a", "b", " "])}, "class name ' ' is blank or has control characters"),
        (
            {"class_names": np.array(["a", "b", "c\n"])},
            "class name 'c\\n' is blank or has control characters",
        ),
        (
            {"class_names": np.arange(3)},
            "class_names: a int64 array of shape (3,); give a text for each class",
        ),
        (
            {"test_logits": rows(6, 4)},
            "test_logits: shape (6, 4); give a row per row of test_features, a column",
        ),
        ({"test_logits": rows(5, 3)}, "test_logits: shape (5, 3); give a row per row of test_features"),
        ({"test_logits": np.full((6, 3), np.nan)}, "test_logits: row 0 holds NaN, infinity or a value too"),
        (
            {"classifier_weight": rows(3, 4)},
            "classifier_weight: a float64 array of shape (3, 4); give numbers",
        ),
        (
            {"classifier_bias": np.ones(2)},
            "classifier_bias: a float64 array of shape (2,); give numbers of shape",
        ),
        ({"classifier_weight": BAD[2:5]}, "classifier_weight: holds NaN, infinity"),
        (
            {"classifier_weight": np.full((3, 5), 1e300)},
            "classifier_weight: holds NaN, infinity or a value too large for float32",
        ),
        ({"train_labels": np.full(16, 1e300)}, "train_labels: 1e+300 in row 0 is too large"),
        (
            {"train_labels": np.full(16, 2**63, np.uint64)},
            "train_labels: 9223372036854775808 in row 0 is too",
        ),
    ],
)
def test_one_clear_error(changes: Arrays, expected: str, tmp_path: Path) -> None:
    path = npz(tmp_path, content(**changes))
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_of_one_row_cannot_be_held_out_of(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2], [10, 5, 1])
    path = npz(tmp_path, content(test_features=None, test_labels=None, train_labels=labels))
    with pytest.raises(InputError, match="class 'ash' has one training row, and of every class test rows"):
        read(path, test_share=0.2)
    path = npz(tmp_path, content(train_labels=labels))
    with pytest.raises(
        InputError, match="class 'ash' has one training row, and of every class validation rows"
    ):
        read(path, validation_fraction=0.2)


@pytest.mark.parametrize("write", WRITERS)
def test_damaged_files_are_named(write: Callable[[Path, Arrays], Path], tmp_path: Path) -> None:
    path = write(tmp_path, content())
    whole = path.read_bytes()
    for damaged in (b"", whole[:30], whole[: len(whole) // 2], whole[:-30], b"x" * 2000):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"(damaged or not|has no)") as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        read(path)


def test_a_flipped_byte_of_an_archive_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **content())
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("train_features.npy").header_offset
    whole[place + 300] ^= 1  # in the numbers
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"damaged or not an \.npz archive"):
        read(path)


def test_bfloat16_is_told(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    path = tmp_path / "a.safetensors"
    save_tensors({"train_features": torch.ones(2, 3).bfloat16(), "train_labels": torch.arange(2)}, path)
    with pytest.raises(
        InputError, match="train_features: of type BF16; save it as float16, float32 or float64"
    ):
        read(path)


def test_names_of_classes_in_safetensors_are_a_list(tmp_path: Path) -> None:
    arrays = content(class_names=None)
    save_file(arrays, tmp_path / "a.safetensors", {"class_names": "oak, yew"})
    with pytest.raises(InputError, match="metadata class_names: no JSON list of texts"):
        read(tmp_path / "a.safetensors")


TABLE = {"label": ["a", "a", "b", "b"], "x": [0.0, 1.0, 2.0, 3.0], "split": ["train", "test"] * 2}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": None}, "has no column 'label' (it has x, split); add it"),
        ({"label": ["a", None, "b", "b"]}, "label: 1 are missing; drop such rows"),
        ({"split": ["train", "test", "train", "dev"]}, "split: 'dev' is none of train, validation, test"),
        ({"split": ["train", "test", "train", None]}, "split: 'null' is none of train, validation, test"),
        ({"x": [0.0, 1.0, None, 3.0]}, "features: row 2 holds NaN, infinity or a value too large"),
        ({"note": ["a"] * 4}, "column 'note' is of String, no number; drop it, or put the features into one"),
        ({"x": None}, "has no features; add number columns, or a list column 'features'"),
        ({"features": [1, 2, 3, 4]}, "features: a column of Int64; give lists of numbers"),
        (
            {"features": [[1.0], [2.0], [3.0, 4.0], [5.0]]},
            "features: row 2 has 2 values, the first 1; give lists",
        ),
        ({"features": [[1.0], [2.0], None, [5.0]]}, "features: row 2 has 0 values, the first 1; give lists"),
        ({"features": [[1.0], [2.0], [None], [5.0]]}, "features: row 2 holds NaN, infinity or a value too"),
        (
            {"features": [["a"], ["b"], ["c"], ["d"]]},
            "features: a column of List(String); give lists of numbers",
        ),
    ],
)
def test_one_clear_error_about_a_table(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    columns = {name: values for name, values in (TABLE | changes).items() if values is not None}
    path = tmp_path / "a.parquet"
    polars.DataFrame(columns, strict=False).write_parquet(path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {str(caught.value).removeprefix(f'{path}: ')}"
    assert expected in str(caught.value)


def test_damage_that_ends_polars_is_an_error_like_any_other(tmp_path: Path) -> None:
    """A page that tells of -5 values: polars would reserve memory for them, and abort."""
    path = tmp_path / "a.parquet"
    polars.DataFrame(TABLE).write_parquet(path, compression="uncompressed", statistics=False)
    sound = path.read_bytes()
    told = b",\x15\x08"  # in the header of a page: the number of its values, 4
    assert told in sound
    path.write_bytes(sound.replace(told, b",\x15\x09"))
    with pytest.raises(
        InputError, match=r"a\.parquet: damaged or not Parquet \(polars ends .*write it again"
    ):
        read(path)


@pytest.mark.parametrize(
    "labels",
    [
        [3, 1, 3, 1],
        [3.0, 1.0, 3.0, 1.0],
        polars.Series(["3", "1"] * 2, dtype=polars.Categorical),
        [True, False] * 2,
    ],
)
def test_columns_of_any_kind_of_label(labels: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"label": labels, "split": ["train"] * 2 + ["test"] * 2, "x": [1, 2, 3, 4]}
    polars.DataFrame(columns).write_parquet(path)
    found = read(path)
    assert found.labels["train"].tolist() == found.labels["test"].tolist() == [1, 0]
    assert found.features["test"].tolist() == [[3.0], [4.0]]


def test_the_page_shows_a_file_and_a_definition_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/own-embeddings.md").read_text()
    code, definition = (
        re.search(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL) for kind in ("python", "yaml")
    )
    assert code is not None
    assert definition is not None
    given = yaml.safe_load(definition[1])["embeddings"]["plants"]
    EmbeddingSet.model_validate(given | {"heads": tuple(given["heads"])})
    monkeypatch.chdir(tmp_path)
    Path("data/given/plants").mkdir(parents=True)
    exec(code[1], content(class_names=None))
    found = read(Path("data/given/plants") / given["networks"]["dinov2"])
    assert found.dtype == "float16"
    assert {part: len(rows) for part, rows in found.features.items()} == {
        "train": 16,
        "validation": 0,
        "test": 6,
    }


SHAPE = "{{'descr': {}, 'fortran_order': {}, 'shape': {}}}"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (SHAPE.format("'<f4'", False, (2**40, 2)), "more than the file holds"),
        (SHAPE.format("'<f4'", True, (2, 2**70)), "more than the file holds"),
        (SHAPE.format("'<f4'", False, (-2, -2)), "more than the file holds"),
        (SHAPE.format("'<U100000'", False, (2,)), "more than the file holds"),
        (SHAPE.format("'|O'", False, (2, 2)), "holds Python objects"),
        ("(" * 300, "damaged or not an"),
        ("-" * 9000 + "1", "its header cannot be parsed"),
        ("{[]: 1}", "unhashable"),
    ],
)
@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_a_header_is_compared_with_the_file_before_there_is_room_made(
    tmp_path: Path, header: str, reason: str, name: str
) -> None:
    raw = header.encode() + b"\n"
    content = b"\x93NUMPY\1\0" + len(raw).to_bytes(2, "little") + raw + bytes(16)
    path = tmp_path / name
    path.write_bytes(content)
    if name == "x.npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("features.npy", content)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*{reason}"):
        read_features(path)


def test_an_array_that_expands_far_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eos.data.embeddings_files.MOST_BYTES", 2**16)
    monkeypatch.setattr("eos.data.embeddings_files.MOST_EXPANSION", 2)
    np.savez_compressed(tmp_path / "x.npz", features=np.zeros((2**10, 2**8)))
    with pytest.raises(
        InputError, match="features: expands to 2097280 bytes, and no more than 65536 are read"
    ):
        read_features(tmp_path / "x.npz")
    polars.DataFrame({"label": np.zeros(2**16, int), "x": np.zeros(2**16)}).write_parquet(
        tmp_path / "x.parquet"
    )
    with pytest.raises(InputError, match=r"its rows: expands to \d+ bytes, and no more than 65536 are read"):
        open_embeddings(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.safetensors", "x.parquet"])
def test_a_pipe_is_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: neither a file nor a link to one; put it there"):
        (read_features if name == "x.npy" else open_embeddings)(tmp_path / name)


def test_a_file_of_another_kind_is_told_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    with pytest.raises(InputError, match=r"x\.csv: not a known type of file; known: \.npz, \.safetensors"):
        open_embeddings(tmp_path / "x.csv")


def test_an_accent_written_in_two_ways_is_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    labels = np.array([0, 1])
    np.savez(path, train_features=np.eye(2), train_labels=labels, class_names=np.array(["é", "e\u0301"]))
    with pytest.raises(
        InputError, match="is there twice; name each class once, its accents written in one way"
    ):
        read_embeddings(path, test_share=0.5, validation_fraction=0, seed=0, standardize=False)
