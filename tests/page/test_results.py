"""Results of a working tree, and those of a commit."""

import subprocess
from pathlib import Path

import pytest

from eos.errors import InputError
from eos.page import read_commit, read_files

TABLE = "dataset,network,head,BAC\ndigits,none,null,0.5\n"


def git(root: Path, *arguments: str) -> None:
    named = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *named, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with three commits: without results, with a table, with another file."""
    git(tmp_path, "init", "-q")
    (tmp_path / "README.md").write_text("nothing yet\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "empty")
    (tmp_path / "metrics/tables").mkdir(parents=True)
    (tmp_path / "metrics/tables/table2.csv").write_text(TABLE)
    (tmp_path / "params.yaml").write_text("a: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "results")
    (tmp_path / "README.md").write_text("results\n")
    git(tmp_path, "commit", "-qam", "words")
    return tmp_path


def test_a_commit_after_the_results_leaves_theirs(root: Path) -> None:
    results = read_files(root)
    assert results.commit is not None
    assert results.commit.subject == "results"
    assert results.changed == ()
    assert results.parameters == {"a": 1}


def test_what_is_not_committed_is_named(root: Path) -> None:
    (root / "metrics/tables/table2.csv").write_text(TABLE.replace("0.5", "0.6"))
    (root / "metrics/tables/table1.csv").write_text(TABLE)
    assert read_files(root).changed == ("metrics/tables/table1.csv", "metrics/tables/table2.csv")


def test_a_commit_is_read_as_it_was(root: Path) -> None:
    (root / "metrics/tables/table2.csv").write_text(TABLE.replace("0.5", "0.6"))
    old, new = (
        read_commit(root, "HEAD").table("metrics/tables/table2.csv"),
        read_files(root).table("metrics/tables/table2.csv"),
    )
    assert old is not None
    assert new is not None
    assert (old["BAC"].item(), new["BAC"].item()) == (0.5, 0.6)
    assert old[["network", "head"]].to_numpy().tolist() == [["none", "null"]]  # names, and no missing numbers


def test_a_table_that_a_commit_lacks_is_not_there(root: Path) -> None:
    assert read_commit(root, "HEAD").table("metrics/tables/table3.csv") is None
    assert read_commit(root, "HEAD").stages == {}


@pytest.mark.parametrize("revision", ["nothing", "--help", "HEAD~9", "HEAD:params.yaml", "-1", " "])
def test_a_revision_that_is_none_ends_in_one_line(root: Path, revision: str) -> None:
    with pytest.raises(InputError, match="no commit of that name"):
        read_commit(root, revision)


def test_a_commit_without_results_ends_in_one_line(root: Path) -> None:
    with pytest.raises(InputError, match="has no metrics"):
        read_commit(root, "HEAD~2")


def test_without_tables_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make repro"):
        read_files(tmp_path)


def test_without_git_the_commit_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "metrics/tables").mkdir(parents=True)
    (tmp_path / "metrics/tables/table2.csv").write_text(TABLE)
    assert read_files(tmp_path).commit is None
    with pytest.raises(InputError, match="no commit of that name"):
        read_commit(tmp_path, "HEAD")


@pytest.mark.parametrize(("name", "content"), [("table2.csv", b'a,"b\n1,2\n'), ("table2.csv", b"")])
def test_a_damaged_table_is_named(root: Path, name: str, content: bytes) -> None:
    (root / "metrics/tables" / name).write_bytes(content)
    with pytest.raises(InputError, match=r"table2\.csv: not a readable CSV table"):
        read_files(root).table(f"metrics/tables/{name}")


def test_damaged_text_and_parameters_are_named(root: Path) -> None:
    (root / "params.yaml").write_text("a: [1\n")
    with pytest.raises(InputError, match=r"params\.yaml: not YAML"):
        read_files(root).parameters  # noqa: B018
    (root / "metrics/tables/table2.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"table2\.csv: not text"):
        read_files(root)
