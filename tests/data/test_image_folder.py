"""Own images, in a folder or an archive."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eos.data.archives import TAR_ENDINGS
from eos.data.image_dataset import ImageDataset
from eos.data.image_folder import image_folder
from eos.errors import InputError
from tests.data.tiny_sources import write_tree

SIZES = {"train/cat": 3, "train/Ant": 2, "train/bee": 4, "test/cat": 1, "test/Ant": 2, "test/bee": 1}
NAMES = ("Ant", "bee", "cat")
# Typed loosely: `tarfile.open` has a type per mode.
MODES: dict[str, Any] = {
    ".tar": "w",
    ".gz": "w:gz",
    ".tgz": "w:gz",
    ".bz2": "w:bz2",
    ".tbz2": "w:bz2",
    ".xz": "w:xz",
    ".txz": "w:xz",
}


def read(path: Path | str, *, test_fraction: float = 0.2, seed: int = 0, channels: int = 3) -> ImageDataset:
    return image_folder(
        Path("unused"),
        path=str(path),
        image_size=8,
        channels=channels,
        test_fraction=test_fraction,
        seed=seed,
        train_per_class=None,
        test_per_class=None,
    )


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def same(left: ImageDataset, right: ImageDataset) -> bool:
    fields = ("train_images", "train_labels", "test_images", "test_labels", "class_names")
    return all(np.array_equal(getattr(left, field), getattr(right, field)) for field in fields)


def pack_tar(folder: Path, archive: Path, prefix: str = "", *, backward: bool = False) -> Path:
    ending = next(ending for ending in MODES if archive.name.endswith(ending))
    with tarfile.open(archive, MODES[ending]) as tar:
        for file in sorted(folder.rglob("*"), reverse=backward):
            tar.add(file, prefix + file.relative_to(folder).as_posix(), recursive=False)
    return archive


def pack_zip(folder: Path, archive: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, prefix + file.relative_to(folder).as_posix())
    return archive


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path / "tree", SIZES)
    return tmp_path / "tree"


def test_a_folder(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = read(tree)
    assert data.class_names == NAMES
    assert data.train_labels.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert data.test_labels.tolist() == [0, 0, 1, 2]
    for split, images in (("train", data.train_images), ("test", data.test_images)):
        files = [
            tree / split / name / f"{index:04}.png"
            for name in NAMES
            for index in range(SIZES[f"{split}/{name}"])
        ]
        assert np.array_equal(images, np.stack([np.asarray(Image.open(file)) for file in files]))
    assert capsys.readouterr().out.splitlines() == [f"{tree}: 13 images in 3 classes"]


@pytest.mark.parametrize("ending", [*TAR_ENDINGS, ".zip"])
def test_an_archive_holds_the_same(tree: Path, tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"packed{ending}"
    (pack_zip if ending == ".zip" else pack_tar)(tree, archive)
    assert same(read(archive), read(tree))


@pytest.mark.parametrize("prefix", ["./", "flowers-1.0/", "./flowers/"])
def test_one_enclosing_folder(tree: Path, tmp_path: Path, prefix: str) -> None:
    expected = read(tree)
    assert same(read(pack_tar(tree, tmp_path / "a.tar", prefix)), expected)
    assert same(read(pack_zip(tree, tmp_path / "a.zip", prefix)), expected)
    (tmp_path / "outer").mkdir()
    tree.rename(tmp_path / "outer" / "flowers")
    assert same(read(tmp_path / "outer"), expected)


def test_the_order_in_the_archive_does_not_matter(tree: Path, tmp_path: Path) -> None:
    archive = pack_tar(tree, tmp_path / "a.tar.xz", backward=True)
    assert same(read(archive), read(tree))


def test_archives_without_entries_for_folders(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for file in tree.rglob("*.png"):
            packed.write(file, file.relative_to(tree).as_posix())
    assert same(read(tmp_path / "a.zip"), read(tree))


def test_hidden_things_and_neighbours_are_passed_over(tree: Path, tmp_path: Path) -> None:
    expected = read(tree)
    (tree / "train" / "cat" / ".DS_Store").write_text("x")
    (tree / "train" / ".ipynb_checkpoints").mkdir()
    (tree / "__MACOSX" / "train" / "cat").mkdir(parents=True)
    (tree / "__MACOSX" / "train" / "cat" / "._0000.png").write_text("x")
    (tree / "README.txt").write_text("x")
    (tree / "raw" / "a" / "b" / "c" / "d").mkdir(parents=True)
    (tree / "raw" / "a" / "b" / "c" / "d" / "e.txt").write_text("x")
    assert same(read(tree), expected)
    assert same(read(pack_tar(tree, tmp_path / "a.tar")), expected)
    assert same(read(pack_zip(tree, tmp_path / "a.zip")), expected)


def test_neighbours_of_the_enclosing_folder_are_passed_over(tree: Path, tmp_path: Path) -> None:
    expected = read(tree)
    write_tree(tmp_path / "outer", {"other/test/dog": 1, "__MACOSX/train/dog": 1, ".old/train/dog": 1})
    tree.rename(tmp_path / "outer" / "flowers")
    assert same(read(tmp_path / "outer"), expected)


def test_files_that_are_no_images_are_skipped_and_counted(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = read(tree)
    Image.new("RGB", (8, 8)).save(tree / "train" / "state", "TGA")  # without a signature, it may be anything
    names = ["train/README", "train/cat/.DS_Store", "train/cat/Thumbs.db", "train/list.json"]
    names += ["test/cat/notes.txt", "test/bee/\x1b[31mred.txt"]
    for name in names:
        (tree / name).write_bytes(bytes(range(256)))
    (tree / "beside.txt").write_text("x")
    os.mkfifo(tree / "train" / "pipe")
    capsys.readouterr()
    assert same(read(tree), expected)
    skipped = [r"'test/bee/\x1b[31mred.txt'", "test/cat/notes.txt", "train/README", "train/cat/.DS_Store"]
    skipped += ["train/cat/Thumbs.db", "train/list.json", "train/pipe", "train/state"]
    assert capsys.readouterr().out.splitlines() == [
        f"{tree}: 8 other files skipped: {', '.join(skipped)}",
        f"{tree}: 13 images in 3 classes",
    ]
    (tree / "train" / "pipe").unlink()
    assert same(read(pack_tar(tree, tmp_path / "a.tar.gz")), expected)
    assert "7 other files skipped" in capsys.readouterr().out
    for number in range(20):
        (tree / "train" / "cat" / f"{number:02}.txt").write_text("x")
    assert same(read(pack_zip(tree, tmp_path / "a.zip")), expected)
    said = capsys.readouterr().out
    assert "27 other files skipped" in said
    assert "train/cat/05.txt, and 17 more\n" in said


def test_an_image_is_known_by_its_content_where_its_name_does_not_tell(tree: Path, tmp_path: Path) -> None:
    expected = read(tree)
    for file in list(tree.rglob("*.png"))[::2]:
        file.rename(file.with_name(f"{file.stem}.png?size=8"))
    assert same(read(tree), expected)
    assert same(read(pack_tar(tree, tmp_path / "a.tar.gz")), expected)


def test_all_bad_files_are_told_at_once(tree: Path, tmp_path: Path) -> None:
    for number in range(12):
        (tree / "train" / "cat" / f"bad{number:02}.jpg").write_text("<html>404 Not Found</html>")
    (tree / "test" / "bee" / "cut.png").write_bytes((tree / "test" / "bee" / "0000.png").read_bytes()[:60])
    for place in (tree, pack_tar(tree, tmp_path / "a.tar.xz"), pack_zip(tree, tmp_path / "a.zip")):
        first, *lines = message(place).splitlines()
        assert first == f"{place}: 13 of 26 images cannot be read; repair or remove them:"
        assert len(lines) == 11
        assert lines[-1] == "  and 3 more"
        assert sum("bad" in line and "of none of the known formats" in line for line in lines) >= 9


def test_all_misplaced_files_are_told_at_once(tree: Path) -> None:
    for number in range(12):
        (tree / "train" / f"{number:02}.png").write_text("x")
    assert "12 files or folders do not lie in a class's folder: train/00.png, " in message(tree)
    assert "train/09.png, and 2 more; images belong" in message(tree)


@pytest.mark.parametrize(
    "name", ["\x1b[31mred", "two\nlines", "tab\t", "\x7f", "\x85", "\u2028", "\u202egpj", "\uffff"]
)
def test_a_control_character_in_the_name_of_a_class_is_refused(tree: Path, tmp_path: Path, name: str) -> None:
    (tree / "train" / "cat").rename(tree / "train" / name)
    (tree / "test" / "cat").rename(tree / "test" / name)
    for place in (tree, pack_tar(tree, tmp_path / "a.tar"), pack_zip(tree, tmp_path / "a.zip")):
        said = message(place)
        assert f"1 class names hold control characters or are not UTF-8: {name!a}; rename" in said
        assert said.isprintable()


def test_a_blank_name_of_a_class_is_refused(tree: Path) -> None:
    for part in ("train", "test"):
        (tree / part / "cat").rename(tree / part / "\u00a0 ")
    assert message(tree).endswith("'\\xa0 ': the name of a class is blank; rename the folder")


def test_names_in_any_script_are_taken_and_an_accent_is_one_however_it_is_written(tmp_path: Path) -> None:
    joined = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # Persian, with a non-joiner
    sizes = {"train/caf\u00e9": 2, "test/cafe\u0301": 1, f"train/{joined}": 1, f"test/{joined}": 1}
    write_tree(tmp_path / "own", sizes | {"train/\U0001f408": 1, "test/\U0001f408": 1})
    data = read(tmp_path / "own")
    assert data.class_names == ("caf\u00e9", joined, "\U0001f408")
    assert data.train_labels.tolist() == [0, 0, 1, 2]


def test_a_tree_of_links_in_a_folder_is_followed(tree: Path, tmp_path: Path) -> None:
    """A folder is its owner's; only what comes in an archive is kept from pointing elsewhere."""
    expected = read(tree)
    linked = tmp_path / "linked"
    (linked / "train").mkdir(parents=True)
    for name in NAMES:
        (linked / "train" / name).symlink_to(tree / "train" / name)
    (linked / "test").symlink_to(tree / "test")
    assert same(read(linked), expected)
    (linked / "circle").symlink_to(linked)
    assert same(read(linked), expected)


def test_a_relative_path_and_home(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = read(tree)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert same(read("tree"), expected)
    assert same(read("~/tree"), expected)


def test_a_quick_trial_reads_some_of_the_images(tree: Path) -> None:
    def counts(seed: int, train: int | None, test: int | None) -> tuple[list[int], list[int], ImageDataset]:
        data = image_folder(
            Path("unused"),
            path=str(tree),
            image_size=8,
            channels=3,
            test_fraction=0.2,
            seed=seed,
            train_per_class=train,
            test_per_class=test,
        )
        return np.bincount(data.train_labels).tolist(), np.bincount(data.test_labels).tolist(), data

    everything = read(tree)
    assert counts(0, 3, 1)[:2] == ([2, 3, 3], [1, 1, 1])
    assert counts(0, None, 1)[:2] == ([2, 4, 3], [1, 1, 1])
    assert same(counts(0, 100, 100)[2], everything)
    few = counts(0, 3, 1)[2]
    assert same(few, counts(0, 3, 1)[2])
    kept = {image.tobytes() for image in few.train_images}
    assert kept < {image.tobytes() for image in everything.train_images}
    assert len({counts(seed, 1, 1)[2].train_images.tobytes() for seed in range(8)}) > 1


def test_grey(tree: Path) -> None:
    assert read(tree, channels=1).train_images.shape == (9, 8, 8, 1)


def test_without_a_test_tree_each_class_gives_a_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "own", {"train/a": 2, "train/b": 10, "train/c": 25})
    data = read(tmp_path / "own")
    assert np.bincount(data.test_labels).tolist() == [1, 2, 5]
    assert np.bincount(data.train_labels).tolist() == [1, 8, 20]
    said = capsys.readouterr().out
    assert "no folder test/, so 0.2 of each class, drawn with seed 0, make the test set: 8 images" in said
    both = np.concatenate([data.train_images, data.test_images]).reshape(37, -1)
    assert len(np.unique(both, axis=0)) == 37
    assert same(data, read(tmp_path / "own"))
    assert not same(data, read(tmp_path / "own", seed=1))
    assert np.bincount(read(tmp_path / "own", test_fraction=0.99).train_labels).tolist() == [1, 1, 1]
    assert np.bincount(read(tmp_path / "own", test_fraction=0.001).test_labels).tolist() == [1, 1, 1]


def write_text(text: str) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return write


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


@pytest.mark.parametrize(
    ("sizes", "place", "act", "expected"),
    [
        ({"cat": 1, "dog": 1}, None, None, "holds no folder train/"),
        ({"a/train/x": 1, "b/train/x": 1}, None, None, "holds a/train/ and b/train/; a data set has one"),
        ({"a/b/train/x": 1, "a/b/train/y": 1}, None, None, "holds no folder train/"),
        ({"train/a": 2}, None, None, "train/ holds 1 classes"),
        ({"train/a": 2, "train/b": 1}, None, None, "class 'b' has one image"),
        (SIZES | {"test/dog": 1}, None, None, "class 'dog' is in test/ but not in train/"),
        (SIZES | {"train/dog": 1}, None, None, "class 'dog' is in train/ but not in test/"),
        (SIZES, "train/dog", make_folder, "train/dog/ holds no image"),
        (SIZES, "test/dog", make_folder, "test/dog/ holds no image"),
        (SIZES, "train/dog/notes.txt", write_text("x"), "train/dog/ holds no image"),
        (
            {f"in/{place}": count for place, count in SIZES.items()},
            "in/train/cat/more/a.png",
            write_text("x"),
            "do not lie in a class's folder: in/train/cat/more/;",
        ),
        (SIZES, "train/a.png", write_text("x"), "do not lie in a class's folder: train/a.png; images belong"),
        (SIZES, "train/cat/more/a.png", write_text("x"), "do not lie in a class's folder: train/cat/more/;"),
        (SIZES, "train/cat/1/2/3/a.png", write_text("x"), "do not lie in a class's folder: train/cat/1/;"),
        (
            SIZES,
            "train/cat/photo.heic",
            write_text("x"),
            "train/cat/photo.heic: of none of the known formats",
        ),
        (SIZES, "test/cat/0.jpg", write_text(""), "test/cat/0.jpg: the file is empty"),
        (SIZES, "test/cat/0001.png", os.mkfifo, "test/cat/0001.png: neither a file nor a link to one"),
        (
            SIZES,
            "train/cat/z.png",
            lambda path: path.symlink_to("nowhere"),
            "train/cat/z.png: No such file or directory",
        ),
    ],
)
def test_one_error_says_what_is_wrong(
    tmp_path: Path,
    sizes: dict[str, int],
    place: str | None,
    act: Callable[[Path], None] | None,
    expected: str,
) -> None:
    write_tree(tmp_path / "own", sizes)
    if place and act:
        act(tmp_path / "own" / place)
    assert expected in message(tmp_path / "own")


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "own", SIZES)
    name = tmp_path / "own" / "train" / os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / "own" / "train" / "cat").rename(name)
    except OSError:  # a file system that takes UTF-8 only has no such folder
        return
    assert r"control characters or are not UTF-8: 'caf\udce9'; rename the folders" in message(
        tmp_path / "own"
    )


def test_an_empty_test_tree_is_not_passed_over(tmp_path: Path) -> None:
    write_tree(tmp_path / "own", {"train/a": 2, "train/b": 2})
    (tmp_path / "own" / "test").mkdir()
    assert "class 'a' is in train/ but not in test/" in message(tmp_path / "own")


def test_a_missing_path_and_an_unknown_type(tmp_path: Path) -> None:
    assert f"(No such file or directory); a relative path starts at {Path.cwd()}" in message(tmp_path / "own")
    (tmp_path / "own.rar").write_bytes(b"Rar!")
    assert "not a known type of archive; known: .tar," in message(tmp_path / "own.rar")


def test_what_is_neither_a_folder_nor_a_file_is_not_opened(tmp_path: Path) -> None:
    """To read a pipe would wait, to read /dev/zero would go on, for ever."""
    os.mkfifo(tmp_path / "pipe.tar")
    for name in ("zero.tar", "zero.zip"):
        (tmp_path / name).symlink_to("/dev/zero")
    for name in ("pipe.tar", "zero.tar", "zero.zip"):
        assert "neither a folder nor a file" in message(tmp_path / name)


@pytest.mark.parametrize("path", ["~nosuchuser/own", "x" * 5000, "a\0b", "/dev/null/own.zip"])
def test_a_path_that_cannot_be_is_one_line(path: str) -> None:
    with pytest.raises(InputError, match=r"no such folder|write the path out") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("cat"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "cat: Permission denied; make the folder readable" in message(tree)


def tar_member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "train/cat/0000.png"
    return member


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (tar_member("/train/cat/x.png"), "a path that leads out of it"),
        (tar_member("../x.png"), "a path that leads out of it"),
        (tar_member("train/cat/../../../x.png"), "a path that leads out of it"),
        (tar_member("C:/x.png"), "a path that leads out of it"),
        (tar_member("..\\x.png"), "a path that leads out of it"),
        (tar_member("notes/x", tarfile.SYMTYPE), "a link"),
        (tar_member("train/cat/x.png", tarfile.SYMTYPE), "a link"),
        (tar_member("train/cat/x.png", tarfile.LNKTYPE), "a link"),
        (tar_member("train/cat/x.png", tarfile.CHRTYPE), "a device or a pipe"),
        (tar_member("train/cat/x.png", tarfile.BLKTYPE), "a device or a pipe"),
        (tar_member("train/cat/x.png", tarfile.FIFOTYPE), "a device or a pipe"),
    ],
)
def test_a_member_of_a_tar_that_escapes_is_refused(
    tree: Path, tmp_path: Path, member: tarfile.TarInfo, what: str
) -> None:
    archive = pack_tar(tree, tmp_path / "a.tar")
    with tarfile.open(archive, "a") as tar:
        tar.addfile(member, io.BytesIO())
    assert f"{member.name!r} is {what}; pack the images" in message(archive)


@pytest.mark.parametrize(
    ("name", "mode", "what"),
    [
        ("/x.png", stat.S_IFREG, "a path that leads out of it"),
        ("train/../../x.png", stat.S_IFREG, "a path that leads out of it"),
        ("D:\\x.png", stat.S_IFREG, "a path that leads out of it"),
        ("train/cat/x.png", stat.S_IFLNK, "a link"),
        ("train/cat/x.png", stat.S_IFCHR, "a device or a pipe"),
    ],
)
def test_a_member_of_a_zip_that_escapes_is_refused(
    tree: Path, tmp_path: Path, name: str, mode: int, what: str
) -> None:
    archive = pack_zip(tree, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        member = zipfile.ZipInfo(name)
        member.external_attr = (mode | 0o644) << 16
        packed.writestr(member, "target")
    assert f"{name!r} is {what}; pack the images" in message(archive)


def test_an_archive_of_skipped_files_only_has_no_classes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("train/notes.txt", "x")
    assert "train/ holds 0 classes; there must be two at least" in message(tmp_path / "a.zip")


def test_an_archive_is_not_unpacked(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack_tar(tree, tmp_path / "a.tar.gz")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = sorted(tmp_path.rglob("*"))
    read(archive)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_an_archive_cut_off_anywhere_is_an_error(tree: Path, tmp_path: Path, ending: str) -> None:
    """Also between two members, where `tarfile` would see an archive of fewer images."""
    archive = tmp_path / f"a{ending}"
    (pack_zip if ending == ".zip" else pack_tar)(tree, archive)
    content = archive.read_bytes()
    # A tar ends with blocks of zeros; it is whole as long as one of them is.
    end = content.rstrip(b"\0").__len__() if ending == ".tar" else len(content)
    for length in [0, *range(512, end, 512), end // 3, end - 1]:
        archive.write_bytes(content[:length])
        assert "cannot be read" in message(archive)


def test_a_damaged_header_in_the_middle_is_an_error(tree: Path, tmp_path: Path) -> None:
    archive = pack_tar(tree, tmp_path / "a.tar")
    with tarfile.open(archive) as tar:
        place = tar.getmembers()[5].offset
    content = bytearray(archive.read_bytes())
    content[place + 10] ^= 0xFF
    archive.write_bytes(content)
    assert "cannot be read" in message(archive)


def test_an_archive_of_another_type_than_its_name_says(tree: Path, tmp_path: Path) -> None:
    pack_zip(tree, tmp_path / "a.zip").rename(tmp_path / "a.tar.xz")
    assert "cannot be read" in message(tmp_path / "a.tar.xz")
    pack_tar(tree, tmp_path / "b.tar").rename(tmp_path / "b.zip")
    assert "cannot be read" in message(tmp_path / "b.zip")


def test_an_encrypted_zip_is_an_error(tree: Path, tmp_path: Path) -> None:
    archive = pack_zip(tree, tmp_path / "a.zip")
    content = bytearray(archive.read_bytes())
    # The flag of encryption, in every member's own header and in the directory at the end.
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(signature, place + 4)
    archive.write_bytes(content)
    assert "password" in message(archive)
