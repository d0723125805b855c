"""A handful of the attacks, and what runs them."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tools.torture import __main__ as program
from tools.torture.case import Case
from tools.torture.runner import SKIPPED, Journal, Outcome, attack, summary, table
from tools.torture.workplace import MARK, processes

# Their attacks make, stop and damage trainings.
ON_THE_PROJECT = ("damage", "disk", "kills")


def sampled(chosen: bool) -> list[Case]:
    """Return the attacks that the suite runs: on the small project, or the others."""
    found = program.collect(program.present(), 0)
    return [case for case in found if case.sample and (case.family in ON_THE_PROJECT) == chosen]


def named(case: Case) -> str:
    return f"{case.family}: {case.name}"


def survive(case: Case, folder: Path) -> None:
    told = case.attack(folder)
    if told.startswith(SKIPPED):
        pytest.skip(told.removeprefix(SKIPPED))


@pytest.mark.slow
@pytest.mark.cpu_only(reason="the bytes are those of portable code")
@pytest.mark.parametrize("case", sampled(True), ids=named)
def test_the_project_survives(case: Case, tmp_path: Path) -> None:
    survive(case, tmp_path)


@pytest.mark.parametrize("case", sampled(False), ids=named)
def test_bad_input_is_refused(case: Case, tmp_path: Path) -> None:
    survive(case, tmp_path)


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [(case.family, case.name) for case in program.collect(program.present(), 0)]
    assert len(set(names)) == len(names)
    assert set(ON_THE_PROJECT) <= {family for family, _ in names}


def test_the_same_seed_gives_the_same_attacks() -> None:
    made = [[(case.family, case.name) for case in program.collect(program.present(), 3)] for _ in range(2)]
    assert made[0] == made[1]


def toy(name: str, body: Callable[[Path], str], family: str = "toys") -> Case:
    return Case(family, name, body)


def broken(folder: Path) -> str:
    raise AssertionError("two lines\nof trouble")


def wrong(folder: Path) -> str:
    raise KeyError("its own fault")


def dead(folder: Path) -> str:
    os._exit(3)


def hanging(folder: Path) -> str:
    """Hang, and leave a process in a session of its own, which is found by its environment."""
    asleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    subprocess.Popen(asleep, env=os.environ | {MARK: str(folder / "project")}, start_new_session=True)
    time.sleep(60)
    return "woke up"


def tried(cases: list[Case], folder: Path, commit: str = "c1", **arguments: float) -> list[Outcome]:
    journal = Journal(folder / "journal.jsonl", commit)
    attack(cases, journal, work=folder / "work", jobs=2, **arguments)  # type: ignore[arg-type]
    return journal.of(cases)


def test_how_an_attack_ends_is_written_down(tmp_path: Path) -> None:
    cases = [
        toy("fine", lambda folder: f"{len(list(folder.iterdir()))} files"),
        toy("broken", broken),
        toy("wrong", wrong),
        toy("dead", dead),
        toy("hanging", hanging),
        toy("elsewhere", lambda folder: f"{SKIPPED}no such machine", "others"),
    ]
    outcomes = tried(cases, tmp_path, limit=1.0)
    assert [(one.name, one.survived, one.told) for one in outcomes] == [
        ("fine", True, "0 files"),
        ("broken", False, "two lines of trouble"),
        ("wrong", False, "KeyError: 'its own fault'"),
        ("dead", False, "the attack's own process died (status 768)"),
        ("hanging", False, "still busy after 1 seconds"),
        ("elsewhere", True, "skipped: no such machine"),
    ]
    assert all(one.megabytes > 1 and 0 < one.seconds < 30 for one in outcomes)
    assert list((tmp_path / "work").iterdir()) == []
    assert processes(tmp_path / "work") == []


def test_a_run_goes_on_behind_what_was_tried(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    cases = [toy(name, lambda folder, name=name: _marked(marks, name)) for name in "abc"]  # type: ignore[misc]
    tried(cases[:2], tmp_path)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"family": "toys", "name": "c", "comm')  # killed while it wrote
    assert [one.name for one in tried(cases, tmp_path)] == ["a", "b", "c"]
    assert sorted(marks.read_text()) == ["a", "b", "c"]
    tried(cases, tmp_path, commit="c2")
    assert sorted(marks.read_text()) == ["a", "a", "b", "b", "c", "c"]
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 3


def _marked(path: Path, name: str) -> str:
    with path.open("a") as file:
        file.write(name)
    return "marked"


def test_when_the_time_is_over_no_attack_begins(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", "c1")
    cases = [toy("a", lambda folder: "done")]
    assert attack(cases, journal, work=tmp_path / "work", seconds=0) == 1
    assert journal.of(cases) == []


def test_two_attacks_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"two attacks of one name: \('toys', 'a'\)"):
        tried([toy("a", broken), toy("b", broken), toy("a", wrong)], tmp_path)


OUTCOMES = [
    Outcome("one", "a", "c1", True, "refused", 1.0, 30),
    Outcome("one", "b", "c1", False, "a traceback", 2.4, 50),
    Outcome("two", "c", "c1", True, "skipped: no mounts", 0.1, 20),
]


def test_the_summary() -> None:
    text = summary(OUTCOMES, "c1", 7)
    assert text.startswith("Attacks on c1, seed 7.\n")
    assert "| one | 2 | 1 | 0 | 3 | 2 | 50 |" in text
    assert "| two | 0 | 0 | 1 | 0 | 0 | 20 |" in text
    assert "| all | 2 | 1 | 1 | 4 | 2 | 50 |" in text
    assert "Did not survive:\n\n- one: b: a traceback\n" in text
    assert "Skipped:\n\n- two: c: skipped: no mounts\n" in text
    rows = list(csv.DictReader(table(OUTCOMES).splitlines()))
    assert [(row["family"], row["tried"], row["survived"]) for row in rows] == [
        ("one", "2", "1"),
        ("two", "0", "0"),
        ("all", "2", "1"),
    ]
    assert "Did not survive" not in summary(OUTCOMES[:1], "c1", 7)


@pytest.mark.parametrize(("body", "status"), [(broken, 1), (lambda folder: "refused", 0)])
def test_the_exit_status_tells_whether_all_was_survived(
    body: Callable[[Path], str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(program, "KEPT", tmp_path)
    monkeypatch.setattr(program, "collect", lambda families, seed: [toy("a", body)])
    assert program.main(["--seed", "5"]) == status
    shown = capsys.readouterr().out
    assert (tmp_path / "summary.md").read_text() in shown
    assert ("not survived: toys: a: two lines of trouble" in shown) == bool(status)
    assert "1 attacks on " in shown
    assert program.main(["--seed", "5"]) == status  # nothing is tried again
    assert "1 of them tried before" in capsys.readouterr().out
    assert len((tmp_path / "5.jsonl").read_text().splitlines()) == 1


def test_without_time_the_program_says_how_many_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "KEPT", tmp_path)
    monkeypatch.setattr(program, "collect", lambda families, seed: [toy("a", lambda folder: "refused")])
    assert program.main(["--minutes", "0"]) == 1
    assert "1 attacks are left; the same command goes on with them." in capsys.readouterr().out
