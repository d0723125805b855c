"""The programs beside the pipeline that make no result."""

import hashlib
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import ROOT

MEND = str(ROOT / "tools" / "mend_lock.py")
ENTRIES = (
    "prepare@digits",
    "split@digits-0",
    "train@digits-0-ce",
    "score@digits-0",
)  # the last with many outputs


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a repository that has committed some entries of the lock file, and return that file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dvc.lock"
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    stages = yaml.load((ROOT / "dvc.lock").read_bytes(), Loader=yaml.CSafeLoader)["stages"]
    chosen = {name: stages[name] for name in ENTRIES}
    path.write_text(yaml.safe_dump({"schema": "2.0", "stages": chosen}, sort_keys=False))
    for command in ("init --quiet", "add .", "-c user.name=t -c user.email=t@localhost commit -qm state"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    return path


def mend(capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(MEND, run_name="__main__")
    return capsys.readouterr().out


def outputs(path: Path) -> dict[str, Any]:
    """Return the digest of every output of every stage."""
    stages = yaml.safe_load(path.read_bytes())["stages"]
    return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}


def test_entries_of_the_run_cache_at_which_dvc_would_end_are_removed(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = yaml.safe_load(lock.read_bytes())["stages"]["train@digits-0-ce"]
    entry = yaml.safe_dump(stage, sort_keys=False).encode()
    before_outs = entry[: entry.index(b"outs:")]
    runs = lock.parent / ".dvc/cache/runs"
    contents = {
        "ab/1/whole": entry,
        "ab/1/cut": before_outs,
        "ab/2/empty": b"",
        "cd/3/bytes": b"\xff" + entry,
    }
    for name, content in contents.items():
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        (runs / name).write_bytes(content)
    (runs / "cd/4").mkdir()
    told = mend(capsys)
    # Nor is a folder left that has no entry.
    assert {str(path.relative_to(runs)) for path in runs.glob("*/*")} == {"ab/1"}
    assert [path.name for path in (runs / "ab/1").iterdir()] == ["whole"]
    for name in ("ab/1/cut", "ab/2/empty", "cd/3/bytes"):
        assert f".dvc/cache/runs/{name} is damaged: removed, its stage runs again" in told
    assert mend(capsys) == ""


@pytest.mark.parametrize("content", [b"", b'{"read": {', b"\xff"])
def test_a_note_of_readers_that_was_cut_off_is_removed(
    lock: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    users = lock.parent / ".dvc/tmp/rwlock"
    users.parent.mkdir(parents=True)
    users.write_bytes(b'{"read": {}, "write": {}}')
    assert mend(capsys) == ""
    assert users.exists()
    users.write_bytes(content)
    assert mend(capsys) == ".dvc/tmp/rwlock is damaged: removed\n"
    assert not users.exists()


def test_damaged_lists_of_folders_are_removed(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b'[{"md5": "60cd52582985b501b4c4afb8442dcf37", "relpath": "last.safetensors"}]'
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    whole = lock.parent / f".dvc/cache/files/md5/{name[:2]}/{name[2:]}.dir"
    rotten = whole.with_name("a" * 30 + ".dir")
    file = whole.with_suffix("")  # these are larger, and their readers notice
    whole.parent.mkdir(parents=True)
    for path in (whole, rotten, file):
        path.write_bytes(content)
    file.write_bytes(b"other")
    told = mend(capsys)
    assert whole.exists()
    assert file.exists()
    assert not rotten.exists()
    assert told.count("is damaged: removed") == 1
    assert f"{rotten.relative_to(lock.parent)} is damaged: removed, its stage runs again if" in told
    assert mend(capsys) == ""


@pytest.mark.slow
def test_a_lock_file_that_was_cut_off_anywhere_is_mended(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = lock.read_bytes()
    expected = outputs(lock)
    assert list(expected) == list(ENTRIES)
    line_ends = [place + 1 for place, letter in enumerate(whole[:-1]) if letter == ord("\n")]
    places = {0, *line_ends[::7], *line_ends[-30:], *range(0, len(whole), 397)}
    mended = 0
    for place in sorted(places):
        lock.write_bytes(whole[:place])
        told = mend(capsys)
        assert outputs(lock) == expected, place
        assert len(told.splitlines()) <= 1
        if told:
            assert lock.read_bytes() == whole
            assert told.startswith("dvc.lock ")
            mended += 1
    assert mended >= len(places) - 3  # within the last number the outputs are all there
    assert sorted(path.name for path in lock.parent.iterdir()) == [".git", "dvc.lock", "dvc.yaml"]


def test_a_lock_file_that_is_missing_is_taken(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = lock.read_bytes()
    lock.unlink()
    assert mend(capsys).startswith("dvc.lock is missing: ")
    assert lock.read_bytes() == whole


def test_a_sound_lock_file_is_left_alone(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one with other digests, with more stages, and without those that dvc.yaml has no more."""
    for change in (str, lambda text: text.replace("md5: ", "md5: 0"), lambda text: text + more(text)):
        changed = change(lock.read_text())
        lock.write_text(changed)
        assert mend(capsys) == ""
        assert lock.read_text() == changed
    stages = yaml.safe_load(lock.read_bytes())
    gone = next(name for name in stages["stages"] if name.startswith("prepare@"))
    del stages["stages"][gone]
    lock.write_text(yaml.safe_dump(stages))
    assert "lacks" in mend(capsys)
    pipeline = yaml.safe_load(Path("dvc.yaml").read_text())
    del pipeline["stages"]["prepare"]
    Path("dvc.yaml").write_text(yaml.safe_dump(pipeline))
    lock.write_text(yaml.safe_dump(stages))
    assert mend(capsys) == ""


def more(text: str) -> str:
    """Return an entry of another cell."""
    block = text[text.index("  prepare@digits:") :].splitlines(keepends=True)
    end = next(number for number, line in enumerate(block[1:], 1) if not line.startswith("    "))
    return "".join(block[:end]).replace("prepare@digits:", "prepare@flowers:")


def test_without_a_commit_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text("")
    assert mend(capsys) == ""
    assert (tmp_path / "dvc.lock").read_text() == ""
