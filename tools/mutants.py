"""Change the code where results are made, one small change at a time, and see whether a test notices.

    python -m tools.mutants [--seed 0] [--count 400] [--minutes 60] [--only samplers] [--survivors]
    python -m tools.mutants --page

mutmut makes the changes ("mutants"): another operator, another number, an argument left out. Of all that
it makes, `--count` are drawn, of each file in proportion to its lines. Each is put into a copy of the code,
and a fork of a process that has loaded the libraries runs the quick tests of its folder there, those of its
own file first. Killed is a mutant that fails a test, crashes, or takes many times as long as all tests of its
folder. Annotations, docstrings, and the texts of errors and warnings are not changed.

What was found goes to .torture/mutants-SEED.jsonl; a run that was stopped goes on from there. `--survivors`
tries again those that no test noticed. `--page` writes docs/results/mutants.md; the reasons of those that
stay are in mutants.yaml beside it.
"""

import argparse
import ast
import difflib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / ".torture"
PAGE, REASONS = ROOT / "docs" / "results" / "mutants.md", ROOT / "docs" / "results" / "mutants.yaml"
HEAD = """\
# Mutants: do the tests notice?

`python -m tools.mutants` changes the code where results are made, one small change at a time, and runs the
quick tests of that folder. A mutant is killed where one fails. They are drawn at random, of each file in
proportion to its lines, from all that mutmut makes; annotations, docstrings, and the texts of
errors and warnings are not changed. The same seed draws the same mutants of the same code; files that have
changed since then draw others. This page is
written by `python -m tools.mutants --page`; the reasons are in [mutants.yaml](mutants.yaml)."""
COPIED = ("src", "tests", "params.yaml", "pyproject.toml")
# A mutant may take five times as long as all tests of its folder, and so many seconds.
PATIENCE = 10.0
MEMORY = 8 << 30  # bytes of address space; a mutant may ask for any amount


@dataclass(frozen=True)
class Subject:
    """What is changed, and the tests that have to notice."""

    name: str
    code: str  # files, a pattern under src/eos
    tests: str  # a folder or a file


SUBJECTS = (
    Subject("samplers", "samplers/*.py", "tests/samplers"),
    Subject("heads", "heads/*.py", "tests/heads"),
    Subject("metrics", "metrics/*.py", "tests/metrics"),
    Subject("losses", "losses/*.py", "tests/losses"),
    Subject("splits", "data/splits.py", "tests/data/test_splits.py"),
    Subject("tables", "report/tables.py", "tests/report/test_tables.py"),
    Subject("claims", "report/claims.py", "tests/report/test_claims.py"),
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file: `key` names it in the records, `kind` is the syntax that it changes."""

    key: str
    subject: str
    file: str
    line: int
    kind: str
    diff: str
    code: str = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "killed", "killed by time" or "survived", and the test that noticed."""

    how: str
    by: str
    seconds: float


def main() -> None:
    """Draw mutants and try them, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--count", type=int, default=400, help="mutants to draw")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long; the next run goes on")
    parser.add_argument("--only", choices=[one.name for one in SUBJECTS], help="of the draw, one subject")
    parser.add_argument("--survivors", action="store_true", help="try again those that no test noticed")
    parser.add_argument("--page", action="store_true", help="write docs/results/mutants.md and try nothing")
    options = parser.parse_args()
    if options.page:
        import yaml

        PAGE.write_text(page(sorted(RECORDS.glob("mutants-*.jsonl")), yaml.safe_load(REASONS.read_text())))
        return
    path = RECORDS / f"mutants-{options.seed}.jsonl"
    path.parent.mkdir(exist_ok=True)
    until = time.monotonic() + 60 * options.minutes
    chosen = [one for one in SUBJECTS if options.only in (None, one.name)]
    drawn = draw(ROOT, SUBJECTS, options.seed, options.count)
    for subject in chosen:
        known = {key: one["how"] for key, one in read(path).items()}
        todo = [
            one
            for one in drawn
            if one.subject == subject.name
            and (one.key not in known or (options.survivors and known[one.key] == "survived"))
        ]
        with path.open("a") as file:
            for mutant, outcome in outcomes(ROOT, subject, todo):
                record = {name: value for name, value in asdict(mutant).items() if name != "code"}
                file.write(json.dumps(record | asdict(outcome)) + "\n")
                file.flush()
                print(f"{outcome.how:15} {outcome.seconds:5.1f} s  {mutant.key}", flush=True)
                if time.monotonic() > until:
                    print("time is up; the same command goes on")
                    return
    keys = {one.key for one in drawn if options.only in (None, one.subject)}
    found = [one for key, one in read(path).items() if key in keys]
    print(summary(found))
    for one in found:
        if one["how"] == "survived":
            print(f"\n{one['key']}\n{one['diff']}")


def draw(root: Path, subjects: tuple[Subject, ...], seed: int, count: int) -> list[Mutant]:
    """Draw mutants, of each file in proportion to its lines; which ones depends on the file and the seed."""
    files = [
        (one.name, path)
        for one in subjects
        for path in sorted((root / "src" / "eos").glob(one.code))
        if path.name != "__init__.py"
    ]
    lines = {path: len(path.read_text().splitlines()) for _, path in files}
    drawn = []
    for subject, path in files:
        share = max(1, round(count * lines[path] / sum(lines.values())))
        chance = random.Random(f"{seed} {path.relative_to(root).as_posix()}")
        drawn += _of_file(subject, path, path.relative_to(root / "src" / "eos").as_posix(), share, chance)
    return drawn


def _of_file(subject: str, path: Path, name: str, share: int, chance: random.Random) -> list[Mutant]:
    """Draw the mutants of one file: those that are the same code in the end, or none at all, do not count."""
    import libcst as cst
    from mutmut.mutation.file_mutation import create_mutations

    source = path.read_text()
    tree = ast.dump(ast.parse(source))
    module, mutations, _, _ = create_mutations(str(path), source)
    passed = _not_changed(module)
    mutations = [one for one in mutations if id(one.original_node) not in passed]
    drawn: dict[str, Mutant] = {}
    for one in chance.sample(mutations, len(mutations)):
        if len(drawn) == share:
            break
        code = cst.ensure_type(module.deep_replace(one.original_node, one.mutated_node), cst.Module).code
        with suppress(SyntaxError):
            if ast.dump(ast.parse(code)) == tree:
                continue
            hunk = list(difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0))[2:]
            was, is_ = (" ".join(line[1:].strip() for line in hunk if line[0] == sign) for sign in "-+")
            within = one.contained_by_top_level_function
            place = f"{name} {within.name.value}" if isinstance(within, cst.FunctionDef) else name
            key = f"{place}: {was} -> {is_}"
            line = int(hunk[0].split()[1].lstrip("-").split(",")[0])
            shown = "\n".join(text for text in hunk if not text.startswith("@@"))
            drawn[key] = Mutant(key, subject, name, line, type(one.original_node).__name__, shown, code)
    return list(drawn.values())


def _not_changed(module: Any) -> set[int]:
    """Return the nodes of texts that a user reads, and of what only a type checker reads."""
    import libcst as cst
    import libcst.matchers as m

    called = m.Attribute(attr=m.Name("warn"))
    skipped = (
        m.Raise() | m.Import() | m.ImportFrom() | m.If(test=m.Name("TYPE_CHECKING")) | m.Call(func=called)
    )
    passed: set[int] = set()

    def within(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        yield node
        for child in node.children:
            yield from within(child)

    for node in m.findall(module, skipped):
        passed |= {id(one) for one in within(node)}
    return passed


def outcomes(root: Path, subject: Subject, mutants: list[Mutant]) -> Iterator[tuple[Mutant, Outcome]]:
    """Try mutants of one subject, one after another, in a copy of the code."""
    if not mutants:
        return
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder).resolve()
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).exists():
                shutil.copy2(root / name, copy / name)
        _load_libraries(copy, subject.tests)
        begun = time.monotonic()
        code, by = _in_a_fork(lambda: _run(copy, [subject.tests]), 600)
        if code != 0:
            raise SystemExit(f"{subject.tests} fails before anything is changed: {by or code}; mend it first")
        limit = 5 * (time.monotonic() - begun) + PATIENCE
        for one in mutants:
            changed = copy / "src" / "eos" / one.file
            own = f"{subject.tests}/test_{changed.stem}.py"
            tests = [own, subject.tests] if (copy / own).exists() else [subject.tests]
            whole = changed.read_bytes()
            changed.write_text(one.code)
            begun = time.monotonic()
            code, by = _in_a_fork(lambda tests=tests: _run(copy, tests, changed=True), limit)  # type: ignore[misc]
            seconds = round(time.monotonic() - begun, 1)
            changed.write_bytes(whole)
            how = "killed by time" if code is None else "killed" if code else "survived"
            yield one, Outcome(how, by or ("" if code in (0, None) else f"exit status {code}"), seconds)


def _load_libraries(copy: Path, tests: str) -> None:
    """Load what the tests load, but for the code and the tests themselves: every fork then has it."""

    def run() -> tuple[int, str]:
        code, by = _run(copy, [tests, "--collect-only"])
        foreign = [
            name
            for name, module in list(sys.modules.items())
            if "site-packages" in str(getattr(module, "__file__", "")) and "conftest" not in name
        ]
        return code, json.dumps(foreign) if code == 0 else by

    code, names = _in_a_fork(run, 600)
    if code != 0:
        raise SystemExit(f"{tests}: the tests cannot be collected: {names or code}")
    for name in json.loads(names):
        with suppress(Exception):  # a module that only another one can load
            importlib.import_module(name)


def _run(copy: Path, arguments: list[str], *, changed: bool = False) -> tuple[int, str]:
    """Run the quick tests up to the first that fails; return pytest's exit status and that test."""
    from hypothesis import Phase, settings

    failed: list[str] = []

    class Watch:
        def pytest_configure(self) -> None:
            # The same examples for every mutant, and no search for the smallest that fails.
            phases = (Phase.explicit, Phase.generate)
            settings.register_profile(
                "mutants", deadline=None, derandomize=True, database=None, phases=phases
            )
            settings.load_profile("mutants")

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

    os.chdir(copy)
    sys.path[:0] = [str(copy / "src"), str(copy)]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    if changed:  # the next mutant may have the same size in the same second: to Python the same file
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    for name in [name for name in sys.modules if name.split(".")[0] in ("eos", "tests")]:
        del sys.modules[name]
    plugins = ["-p", "no:cacheprovider", "--rootdir", str(copy)]
    code = pytest.main([*arguments, "-x", "-m", "not slow", *plugins], plugins=[Watch()])
    return int(code), failed[0] if failed else ""


def _in_a_fork(work: Callable[[], tuple[int, str]], seconds: float) -> tuple[int | None, str]:
    """Return what `work` returns in a fork: no status where it takes too long, -N where signal N ended it."""
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile() as printed:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 70
            with suppress(BaseException):
                os.setsid()
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                for stream in (1, 2):
                    os.dup2(printed.fileno(), stream)
                code, text = work()
                answer.write(text)
                answer.flush()
            os._exit(code)
        until = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > until:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None, ""
            time.sleep(0.02)
        with suppress(ProcessLookupError):  # what it may have started
            os.killpg(child, signal.SIGKILL)
        answer.seek(0)
        return os.waitstatus_to_exitcode(status), answer.read()


def read(path: Path, *, first: bool = False) -> dict[str, dict[str, Any]]:
    """Return the last record of each mutant, or the first; a line that was cut off is no record."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            if not (first and record["key"] in found):
                found[record["key"]] = record
    return found


def summary(found: list[dict[str, Any]], column: str = "subject", title: str = "Code") -> str:
    """Return how many were killed, by what a column of the records has, as a table in Markdown."""
    rows = [
        f"| {title} | Mutants | Killed | of these by time | Survived | Killed, % |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for name in [*dict.fromkeys(one[column] for one in found), "all"]:
        how = Counter(one["how"] for one in found if name in ("all", one[column]))
        total, survived = sum(how.values()), how["survived"]
        share = f"{100 * (total - survived) / max(1, total):.1f}"
        rows.append(
            f"| {name} | {total} | {total - survived} | {how['killed by time']} | {survived} | {share} |"
        )
    return "\n".join(rows)


def page(records: list[Path], reasons: dict[str, str]) -> str:
    """Return the page: the summary of each draw, and every survivor with its reason."""
    parts = [HEAD]
    for path in records:
        seed = path.stem.removeprefix("mutants-")
        found, first = list(read(path).values()), read(path, first=True).values()
        killed = sum(one["how"] != "survived" for one in first)
        parts.append(f"## Seed {seed}: {len(found)} mutants")
        parts.append(
            f"Before any test was written for this draw: {killed} of {len(found)} killed, "
            f"{100 * killed / len(found):.1f} %. Now:"
        )
        found.sort(key=lambda one: [subject.name for subject in SUBJECTS].index(one["subject"]))
        parts.append(summary(found))
        found.sort(key=lambda one: one["kind"])
        parts.append(summary(found, "kind", "What was changed"))
        survivors = sorted((one for one in found if one["how"] == "survived"), key=lambda one: one["key"])
        kinds = Counter(reasons.get(one["key"], "No reason yet").split(":")[0] for one in survivors)
        told = ", ".join(f"{name.lower()} {count}" for name, count in kinds.most_common())
        parts.append(f"### Survivors of seed {seed}\n\n{told or 'None'}.")
        for one in survivors:
            reason = reasons.get(one["key"], "No reason yet: a test is missing, or a reason.")
            parts.append(f"`{one['file']}`, line {one['line']}. {reason}\n\n```diff\n{one['diff']}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
