"""Attack the project: `python -m tools.torture`, or `make torture`."""

import argparse
import hashlib
import importlib
import importlib.util
import inspect
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.torture.case import Case
from tools.torture.runner import Journal, Outcome, attack, summary, table
from tools.torture.workplace import KEPT, ROOT

# The quick ones first. Each module has `cases()` or `cases(seed)`.
FAMILIES = ("bad_params", "bad_files", "bad_api", "damage", "disk", "kills")


def collect(families: Sequence[str], seed: int) -> list[Case]:
    """Return the attacks of these modules."""
    cases: list[Case] = []
    for name in families:
        module = importlib.import_module(f"tools.torture.{name}")
        cases += module.cases(*([seed] if inspect.signature(module.cases).parameters else []))
    return cases


def present() -> list[str]:
    """Return the modules of attacks that there are."""
    return [name for name in FAMILIES if importlib.util.find_spec(f"tools.torture.{name}")]


def head() -> str:
    """Return the commit, with a digest of what was changed since."""
    commit = _git("rev-parse", "--short=10", "HEAD").strip()
    changed = _git("status", "--porcelain") + _git("diff", "HEAD")
    if not changed.strip():
        return commit
    for name in _git("ls-files", "-z", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            changed += hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
    return f"{commit}+{hashlib.sha256(changed.encode()).hexdigest()[:8]}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


class Progress:
    """Tells of every attack that was not survived, and how far the run is."""

    def __init__(self, done: int, total: int) -> None:
        self.done = done
        self.total = total
        self.failed = 0
        self.told = time.monotonic()

    def __call__(self, outcome: Outcome, left: int) -> None:
        """Take an outcome."""
        self.done += 1
        now = time.monotonic()
        if not outcome.survived:
            self.failed += 1
            print(f"not survived: {outcome.family}: {outcome.name}: {outcome.told[:300]}", flush=True)
        if not left or now - self.told > 15:
            self.told = now
            print(f"{self.done} of {self.total} tried, {self.failed} not survived", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the attacks that were not tried yet, sum up, and return the exit status."""
    known = present()
    parser = argparse.ArgumentParser(prog="python -m tools.torture", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="FAMILY", help=str(known))
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn at random")
    parser.add_argument("--jobs", type=int, default=2, help="attacks at a time")
    parser.add_argument("--minutes", type=float, default=90.0, help="after which no attack is begun")
    given = parser.parse_args(arguments)
    cases = collect(given.only, given.seed)
    journal = Journal(KEPT / f"{given.seed}.jsonl", head())
    before = len(journal.of(cases))
    print(f"{len(cases)} attacks on {journal.commit}, {before} of them tried before", flush=True)
    with tempfile.TemporaryDirectory(prefix="eos-torture-") as work:
        left = attack(
            cases,
            journal,
            work=Path(work),
            jobs=given.jobs,
            seconds=60 * given.minutes,
            on_outcome=Progress(before, len(cases)),
        )
    outcomes = journal.of(cases)
    text = summary(outcomes, journal.commit, given.seed)
    (KEPT / "summary.md").write_text(text)
    (KEPT / "summary.csv").write_text(table(outcomes))
    print(text, end="")
    if left:
        print(f"The time was over: {left} attacks are left; the same command goes on with them.")
    return 1 if left or not all(one.survived for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
