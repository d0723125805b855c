"""Results are whole or absent, and the same bytes for the same content."""

import errno
import hashlib
import os
import subprocess
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
    read_weights,
    replacing,
    write_arrays,
    write_json,
    write_table,
    write_text,
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


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(3)})

    def fill_the_disk() -> None:
        with replacing(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() has it, without a name

    with pytest.raises(OSError, match=rf"No space left on device: '{path}'$"):
        fill_the_disk()
    assert read_arrays(path)["x"].tolist() == [0, 1, 2]


def test_an_error_of_the_system_tells_of_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_text(path, "new")
    assert str(caught.value) == f"[Errno {errno.EISDIR}] Is a directory: '{path}'"
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), replacing(tmp_path / "b.txt"):
        (tmp_path / "other.txt").read_text()


def test_what_a_killed_process_has_left_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    dead, living = (tmp_path / f".a.txt.{number}.tmp" for number in (process.pid, os.getppid()))
    others = [living, tmp_path / f".b.txt.{process.pid}.tmp", tmp_path / ".a.txt.x.tmp"]
    for path in (dead, *others):
        path.write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    assert set(tmp_path.iterdir()) == {tmp_path / "a.txt", *others}


@pytest.mark.parametrize("kept", [0, 1, 100, 250])
def test_truncated_arrays(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(50)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"a\.npz: damaged .* run `dvc repro`"):
        read_arrays(path, "x")


def test_one_wrong_bit_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(4.0), "name": np.array("ab")}
    write_arrays(path, arrays)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            back = read_arrays(path, *arrays)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: "), place  # noqa: PT017
            continue
        for name, array in arrays.items():  # where it is in a date, say
            assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape), place
            assert back[name].tobytes() == array.tobytes(), place
    assert refused > len(whole) * 0.7


@pytest.mark.parametrize(("told", "damaged"), [(b"(9000,)", b"(8000,)"), (b"<f8", b"<f4")])
def test_a_header_that_tells_of_less_than_there_is_is_found(
    tmp_path: Path, told: bytes, damaged: bytes
) -> None:
    """Reading by it would end before the checksum."""
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.zeros(9000)})
    content = path.read_bytes()
    path.write_bytes(content.replace(told, damaged, 1))
    assert path.read_bytes() != content
    with pytest.raises(InputError, match=r"a\.npz: damaged"):
        read_arrays(path, "x")


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)])
def test_an_archive_whose_header_asks_for_a_password_or_another_method_is_damaged(
    tmp_path: Path, place: int, value: int
) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(4.0)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + place] = value  # of the directory at the end
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: damaged"):
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


def test_damage_of_other_kinds_is_the_one_error(tmp_path: Path) -> None:
    """Headers that Python's parser gives up, members that are no arrays, numbers that NumPy lacks."""
    (tmp_path / "a.json").write_text("[" * 99_999)
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_json(tmp_path / "a.json")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0\x10\0" + b"{[]: 1}".ljust(16))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x", b"")
    for name in ("a.npz", "b.npz"):
        with pytest.raises(InputError, match=rf"{name}: damaged or not an \.npz archive"):
            read_arrays(tmp_path / name)
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(InputError, match=r"a\.safetensors: not safetensors"):
        read_weights(
            tmp_path / "a.safetensors",
            hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest(),
        )
