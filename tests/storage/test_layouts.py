"""A file of another make is found as it is read."""

import re
from pathlib import Path

import numpy as np
import pytest

from eos.errors import InputError
from eos.storage import layouts
from eos.storage.files import Arrays, write_arrays
from eos.storage.layouts import IMAGES, Layout, all_rows, read_stored

LAYOUTS: dict[str, Layout] = {
    name: value
    for name, value in vars(layouts).items()
    if name.isupper() and isinstance(value, dict) and all(isinstance(spec, str) for spec in value.values())
}
KINDS = {"f": "float32", "i": "int64", "u": "uint8", "U": "U1"}


def example(layout: Layout) -> Arrays:
    """Return arrays of the layout: every dimension has another size."""
    dimensions = sorted({name for spec in layout.values() for name in spec.split()[1:]})
    sizes = {name: number for number, name in enumerate(dimensions, start=2)}
    return {
        name: np.zeros([sizes[part] for part in spec.split()[1:]], KINDS[spec.split()[0]])
        for name, spec in layout.items()
    }


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_read_and_every_deviation_refused(tmp_path: Path, layout: Layout) -> None:
    path = tmp_path / "a.npz"
    arrays = example(layout)
    write_arrays(path, arrays)
    assert read_stored(path, layout).keys() == layout.keys()
    for name, array in arrays.items():
        write_arrays(path, {key: value for key, value in arrays.items() if key != name})
        with pytest.raises(InputError, match=f"has no array '{name}'"):
            read_stored(path, layout)
        other = array.astype("S1" if array.dtype.kind == "U" else complex)
        write_arrays(path, arrays | {name: other})
        with pytest.raises(InputError, match=f"{name} is {re.escape(str(other.dtype))} of shape"):
            read_stored(path, layout)
        write_arrays(path, arrays | {name: array[np.newaxis]})
        with pytest.raises(InputError, match=f"{name} is .* of shape"):
            read_stored(path, layout)


def test_sizes_agree_within_a_file(tmp_path: Path) -> None:
    arrays = example(IMAGES)
    write_arrays(tmp_path / "a.npz", arrays | {"train_labels": arrays["train_labels"][1:]})
    with pytest.raises(InputError, match=r"train_labels has the shape .* but train is"):
        read_stored(tmp_path / "a.npz", IMAGES)
    assert read_stored(tmp_path / "a.npz", IMAGES, "train_labels")["train_labels"].ndim == 1


def test_moved_rows_take_the_place_of_real_ones() -> None:
    real = np.arange(6.0).reshape(3, 2)
    stored = {
        "synthetic": np.full((1, 2), 7.0),
        "moved": np.array([1]),
        "moved_features": np.array([[8.0, 9.0]]),
    }
    np.testing.assert_array_equal(all_rows(real, stored), [[0, 1], [8, 9], [4, 5], [7, 7]])
    np.testing.assert_array_equal(real[1], [2, 3])
