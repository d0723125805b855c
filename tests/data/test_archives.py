"""What an archive from anywhere may make us do."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eos.data import archives
from eos.data.archives import open_entries
from eos.errors import InputError

MOST = 2**16


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is true of megabytes is tested with kilobytes."""
    monkeypatch.setattr(archives, "MOST_BYTES", MOST)
    monkeypatch.setattr(archives, "MOST_EXPANSION", 2)


def refuse(archive: Path) -> None:
    with (
        pytest.raises(InputError, match=f"^expands to more than {MOST} bytes"),
        open_entries(archive, depth=3),
    ):
        pass


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return an archive without its end: what comes after would be read too."""
    return b"".join(member.tobuf(tarfile.USTAR_FORMAT) + content for member, content in members)


def member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_a_member_too_large_is_refused_where_its_size_is_told(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """Its content is not there, so reading it would be another error."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(compress(tar((member("train/a/x.png", 10 * MOST), b""))))
    refuse(archive)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_name_too_long_is_refused(tmp_path: Path, kind: bytes) -> None:
    """`tarfile` reads names and their like by itself, whole, where this one has nothing to read."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar((member("x", 10 * MOST, kind), b"")))
    refuse(archive)


def test_a_sparse_file_is_refused_by_what_it_takes_up(tmp_path: Path) -> None:
    """It says that it is empty, and lies on ten times what the archive may expand to."""
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(tar((member("x", 10 * MOST, b"S"), b""))))
    refuse(archive)


def test_many_members_and_zeros_behind_them_are_counted(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(tar(*[(member("train/a/x.png", 0), b"")] * 17)))
    refuse(archive)
    archive.write_bytes(gzip.compress(tar((member("train/a/x.png", 0), b"")) + bytes(10 * MOST)))
    refuse(archive)


def test_a_size_below_nothing_is_refused(tmp_path: Path) -> None:
    """It would lead `tarfile` round in a circle."""
    archive = tmp_path / "a.tar"
    header = b"13 size=-1024\n".ljust(512, b"\0")
    archive.write_bytes(tar((member("x", 14, b"x"), header), (member("train/a/x.png", 0), b"")) + bytes(1024))
    with pytest.raises(InputError), open_entries(archive, depth=3):
        pass


def test_a_zip_is_refused_by_what_its_directory_tells(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(10):
            packed.writestr(f"train/a/{number}.png", bytes(MOST // 10))
    refuse(archive)


def test_an_archive_of_what_does_not_shrink_may_be_large(tmp_path: Path) -> None:
    """A large archive may hold much: the bound is on how far it expands."""
    content = np.random.default_rng(0).bytes(MOST)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("train/a/x.png", content)
        packed.writestr("train/a/y.png", content)
    with tarfile.open(tmp_path / "a.tar", "w") as unpacked:
        for name in ("x", "y"):
            unpacked.addfile(member(f"train/a/{name}.png", len(content)), io.BytesIO(content))
    for name in ("a.zip", "a.tar"):
        with open_entries(tmp_path / name, depth=3) as entries:
            reader = entries["train", "a", "y.png"]
            assert reader is not None
            assert reader() == content


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one among others in an archive: the others are read."""
    monkeypatch.setattr("eos.data.image_files.MOST_BYTES", 10)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a", bytes(11))
        packed.writestr("b", bytes(10))
    with open_entries(tmp_path / "a.zip", depth=3) as entries:
        large, small = entries["a",], entries["b",]
        assert large is not None
        assert small is not None
        assert small() == bytes(10)
        with pytest.raises(ValueError, match="11 bytes are more than the 10 that are read of an image"):
            large()


def test_a_folder_is_walked_as_deep_as_asked(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    for place in ("1", "a/2", "a/b/3"):
        (tmp_path / place).write_text("x")
    with open_entries(tmp_path, depth=1) as entries:
        assert set(entries) == {("1",), ("a",), ("a", "2"), ("a", "b")}


def test_a_damaged_tar_is_told_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"no archive at all" * 100, gzip.compress(b"no archive at all" * 100)):
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(InputError, match=r"\Acannot be read \([^\n]+\); it may be damaged[^\n]+\Z"):  # noqa: SIM117
            with open_entries(tmp_path / "a.tar", depth=3):
                pass


def test_a_long_look_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for number in range(8):
            packed.writestr(str(number), b"")
    ticks = iter(range(0, 1000, 4))  # every member takes four seconds
    monkeypatch.setattr("eos.data.image_files.time.monotonic", lambda: next(ticks))
    with open_entries(tmp_path / "a.zip", depth=3):
        pass
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{tmp_path / 'a.zip'}: {count} files and folders found" for count in (3, 6)]


def test_a_zip_member_that_says_it_is_small_is_not_expanded(tmp_path: Path) -> None:
    """Asked for all of a member, zipfile expands what comes: memory without bound."""
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
            packed.writestr("a", bytes(2**25))
            packed.infolist()[0].file_size = 10
        with open_entries(tmp_path / "a.zip", depth=3) as entries:
            reader = entries["a",]
            assert reader is not None
            tracemalloc.start()
            with pytest.raises(
                (ValueError, zipfile.BadZipFile), match=r"Bad CRC-32|by another method than deflate"
            ):
                reader()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 2**20
