"""The tool that changes the code and sees whether a test notices."""

import json
from pathlib import Path

import pytest
from tools import mutants
from tools.mutants import Subject, draw, outcomes, page, read

CODE = '''
"""Sums."""

def share(part: float, whole: float) -> float:
    """Return a share."""
    if whole == 0:
        raise ValueError("whole: " + str(0 + 0))
    return part / whole


def down(number: int) -> int:
    """Count down."""
    while number > 0:
        number -= 1
    return number


def untested(number: int) -> int:
    """Return more."""
    return number + 1
'''
TESTS = """
import pytest
from hypothesis import given, strategies as st

from eos.sums import down, share


@given(st.integers(1, 9))
def test_share(whole):
    assert share(2 * whole, whole) == 2
    with pytest.raises(ValueError):
        share(1, 0)


def test_down():
    assert down(3) == 0
"""
SUMS = Subject("sums", "*.py", "tests")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of one file and one file of tests."""
    for name, text in {
        "src/eos/sums.py": CODE,
        "src/eos/__init__.py": "",
        "tests/test_sums.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['slow']\n")
    return tmp_path


def test_a_mutant_is_killed_where_a_test_notices(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or where it never ends. The code itself is left as it was."""
    monkeypatch.setattr(mutants, "PATIENCE", 0.5)
    tried = {
        "sums.py share: return part / whole -> return part * whole": "killed",
        "sums.py down: number -= 1 -> number = 1": "killed by time",
        "sums.py untested: return number + 1 -> return number - 1": "survived",
    }
    drawn = [one for one in draw(project, (SUMS,), seed=0, count=1000) if one.key in tried]
    found = {one.key: outcome for one, outcome in outcomes(project, SUMS, drawn)}
    assert {key: one.how for key, one in found.items()} == tried
    assert [one.by for one in found.values() if one.by] == ["tests/test_sums.py::test_share"]
    assert (project / "src/eos/sums.py").read_text() == CODE


def test_the_draw_depends_on_the_seed_and_leaves_texts_alone(project: Path) -> None:
    every = draw(project, (SUMS,), seed=0, count=1000)
    assert not [one.key for one in every if "raise" in one.diff or "import" in one.diff]
    assert len({one.key for one in every}) == len(every)
    some = [[one.key for one in draw(project, (SUMS,), seed, count=6)] for seed in (0, 0, 1)]
    assert len(some[0]) == 6
    assert some[0] == some[1] != some[2]


def test_tests_that_fail_before_anything_is_changed_are_told(project: Path) -> None:
    (project / "tests/test_sums.py").write_text(TESTS.replace("== 2\n", "== 3\n"))
    with pytest.raises(
        SystemExit, match=r"^tests fails before anything is changed: tests/test_sums.py::test_share"
    ):
        list(outcomes(project, SUMS, draw(project, (SUMS,), seed=0, count=1)))


def test_the_page_has_every_survivor_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "mutants-3.jsonl"
    record = {"subject": "heads", "file": "heads/a.py", "line": 7, "kind": "Call", "diff": "-a\n+b"}
    tries = (("a", "survived"), ("b", "survived"), ("b", "killed"), ("c", "killed"))
    text = "\n".join(json.dumps(record | {"key": key, "how": how}) for key, how in tries)
    path.write_text(text[:-9])  # a run that was stopped while it wrote
    assert [one["how"] for one in read(path).values()] == ["survived", "killed"]
    text = page([path], {"a": "Equivalent: it is."})
    assert "## Seed 3: 2 mutants" in text
    assert "0 of 2 killed, 0.0 %" in text
    assert "| heads | 2 | 1 | 0 | 1 | 50.0 |" in text
    assert "`heads/a.py`, line 7. Equivalent: it is.\n\n```diff\n-a\n+b\n```" in text
    assert "a test is missing" in page([path], {})
