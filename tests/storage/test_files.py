"""Results are whole or absent, and the same bytes for the same content."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eos.errors import InputError
from eos.storage.files import (
    read_arrays,
    read_json,
    read_table,
    replacing,
    write_arrays,
    write_json,
    write_table,
)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "names": np.array(["a", "b"])}
    write_arrays(tmp_path / "deep" / "a.npz", arrays)
    back = read_arrays(tmp_path / "deep" / "a.npz")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert list(read_arrays(tmp_path / "deep" / "a.npz", "names")) == ["names"]


def test_equal_arrays_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_arrays(tmp_path / f"{name}.npz", {"x": np.arange(5)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_archives_hold_nothing_of_the_moment_or_the_machine(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"x": np.arange(5), "y": np.array("text")})
    for member in zipfile.ZipFile(tmp_path / "a.npz").infolist():
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert (member.create_system, member.extract_version, member.extra) == (3, 20, b"")
    content = (tmp_path / "a.npz").read_bytes()
    # The local header: what is needed to read it, no flags, stored, the date; and not the larger zip64 form.
    assert content[:14] == b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0"
    assert content[18:22] == content[22:26] != b"\xff\xff\xff\xff"


def test_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0, 1, 100, 250])
def test_truncated_arrays(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(50)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"a\.npz: damaged .* run `dvc repro`"):
        read_arrays(path, "x")


def test_flipped_bytes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_arrays(path, "x")


def test_a_lone_array_is_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(InputError, match=r"not an \.npz archive"):
        read_arrays(tmp_path / "a.npy")


def test_missing_files_and_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        read_arrays(tmp_path / "none.npz")
    write_arrays(tmp_path / "a.npz", {"x": np.arange(5)})
    with pytest.raises(InputError, match=r"has no array 'y' \(it holds x\)"):
        read_arrays(tmp_path / "a.npz", "y")


def test_json_and_tables(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1]})
    assert read_json(tmp_path / "a.json") == {"b": 1, "a": [0.1]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"b": float("nan")})
    (tmp_path / "a.json").write_text('{"b":')
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(tmp_path / "a.json")
    table = pd.DataFrame({"x": [0.1, 1 / 3], "y": ["a", "b"]})
    write_table(tmp_path / "a.csv", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv", ["x", "y"], text={"y"}), table)
    with pytest.raises(InputError, match="has no column 'z'"):
        read_table(tmp_path / "a.csv", ["x", "z"])
    with pytest.raises(InputError, match="column 'y' holds text where numbers belong"):
        read_table(tmp_path / "a.csv", ["x", "y"])
    (tmp_path / "a.csv").write_text("x,y\n1,20\n2,null\n")
    assert read_table(tmp_path / "a.csv", ["x", "y"], text={"y"})["y"].tolist() == ["20", "null"]
    (tmp_path / "a.csv").write_text("x,y\n1,20\n2,2")
    with pytest.raises(InputError, match="its last line is cut off"):
        read_table(tmp_path / "a.csv", ["x", "y"])
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(InputError, match="not a readable CSV"):
        read_table(tmp_path / "a.csv", ["x"])
