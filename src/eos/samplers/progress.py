"""How far a long search is, on a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

# Nothing is said of what takes less.
_QUIET_SECONDS = 3.0

Part = TypeVar("Part")


def reported(parts: Iterable[Part], total: int, what: str) -> Iterator[Part]:
    """Yield the parts; where that takes seconds and a person watches, say how many of them there are.

    Parameters
    ----------
    parts : iterable
        Is waited for.
    total : int
        How many parts it has.
    what : str
        What is being done.
    """
    start, shown = time.monotonic(), ""
    for done, part in enumerate(parts, start=1):
        taken = time.monotonic() - start
        if taken > _QUIET_SECONDS and done < total and sys.stderr.isatty():
            line = f"{what}: {done / total:.0%}, {taken / done * (total - done):.0f} s left"
            sys.stderr.write(f"\r{line:<{len(shown)}}")
            sys.stderr.flush()
            shown = line
        yield part
    if shown:
        sys.stderr.write(f"\r{'':<{len(shown)}}\r")
