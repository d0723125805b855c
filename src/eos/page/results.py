"""The results that a page shows: the text of the committed files, of the working tree or of a commit."""

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from eos.errors import InputError
from eos.storage.files import REMAKE

# What is read, and whose last commit the results have.
PLACES = ("metrics", "params.yaml", "dvc.lock")
_SUFFIXES = {".csv", ".json", ".lock", ".md", ".yaml"}


@dataclass(frozen=True)
class Commit:
    """A commit: its identifier, its day, and what it is about."""

    identifier: str
    day: str
    subject: str


@dataclass(frozen=True)
class Results:
    """Results: the text of each file by its path, and the commit that they were committed with.

    Attributes
    ----------
    files
        Paths are relative to the repository's root, with "/".
    commit
        The last that changed any of them; None without git.
    changed
        Which of them are not as in that commit.
    name
        The revision that was asked for; "" for a working tree.
    """

    files: Mapping[str, str]
    commit: Commit | None = None
    changed: tuple[str, ...] = ()
    name: str = ""
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def table(self, path: str) -> pd.DataFrame | None:
        """Return a CSV file as a table; None where there is no such file.

        Raises
        ------
        InputError
            If it is damaged.
        """
        if path in self.files and path not in self._tables:
            try:
                text = io.StringIO(self.files[path])
                self._tables[path] = pd.read_csv(text, keep_default_na=False, na_values=[""])
            except ValueError as error:
                raise InputError(f"{path}: not a readable CSV table ({error}); {REMAKE}") from error
        return self._tables.get(path)

    def tables(self, kind: str) -> pd.DataFrame:
        """Return the rows of all files of `metrics/KIND/`."""
        paths = sorted(path for path in self.files if path.startswith(f"metrics/{kind}/"))
        found = [table for path in paths if (table := self.table(path)) is not None and len(table)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """What `params.yaml` holds; nothing where there is none."""
        return _yaml(self.files, "params.yaml")

    @cached_property
    def stages(self) -> Mapping[str, Any]:
        """The stages of `dvc.lock`; none where there is none."""
        return _yaml(self.files, "dvc.lock").get("stages", {})


def read_files(root: Path) -> Results:
    """Read the results of a working tree.

    Raises
    ------
    InputError
        If there are none yet, or one is no text.
    """
    paths = [root / place for place in PLACES]
    found = sorted(
        file
        for path in paths
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.suffix in _SUFFIXES
    )
    files = {}
    for file in found:
        try:
            files[file.relative_to(root).as_posix()] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: not text ({error}); {REMAKE}") from error
    if not any(path.startswith("metrics/tables/") for path in files):
        raise InputError(f"{root / 'metrics' / 'tables'}: no tables yet; run `make repro` first")
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--", *PLACES) or b""
    names = [line[3:] for line in changed.decode(errors="replace").split("\0") if line]
    return Results(files, _last_commit(root, "HEAD"), tuple(sorted(names)))


def read_commit(root: Path, revision: str) -> Results:
    """Read the results of a commit; files that it lacks are not there.

    Raises
    ------
    InputError
        If there is no such commit, or it has no results.
    """
    name = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if name is None:
        raise InputError(
            f"AGAINST {revision!r}: no commit of that name here; name one that `git log` shows, HEAD~1 say"
        )
    commit = name.decode().strip()
    listed = _git(root, "ls-tree", "--name-only", commit, "--", *PLACES) or b""
    there = listed.decode().split()
    if "metrics" not in there:
        raise InputError(
            f"AGAINST {revision!r}: that commit has no metrics/; name one that `git log metrics` shows"
        )
    archive = _git(root, "archive", "--format=tar", commit, "--", *there) or b""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            content = members.extractfile(member) if Path(member.name).suffix in _SUFFIXES else None
            if content is not None:
                files[member.name] = content.read().decode(errors="replace")
    return Results(files, _last_commit(root, commit), name=revision)


def _yaml(files: Mapping[str, str], path: str) -> dict[str, Any]:
    try:
        read = yaml.load(files.get(path, ""), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]}); mend it first") from error
    return read if isinstance(read, dict) else {}


def _last_commit(root: Path, revision: str) -> Commit | None:
    """Return the last commit, up to this one, that changed results: a later one leaves the page as it is."""
    form = "--format=%H%x00%as%x00%s"
    told = _git(root, "log", "-1", form, revision, "--", *PLACES) or b""
    parts = told.decode(errors="replace").rstrip("\n").split("\0")
    return Commit(*parts) if len(parts) == 3 else None


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return what git says; None where it fails, or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
