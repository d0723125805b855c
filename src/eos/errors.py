"""The one error that bad input raises."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input that cannot be used: the message names the value, its place and the remedy."""


def unknown_name(name: object, known: Iterable[str], *, what: str, place: str) -> InputError:
    """Return the error for a `name` that is none of the `known` ones, with the nearest of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"{place}: unknown {what} {name!r}; {hint}known: {', '.join(names) or 'none at all'}")


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Name the place, in front, in an `InputError` of the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


# torch raises a RuntimeError, whose text has one of these: on a CPU, on a GPU.
TORCH_LACKS_MEMORY = ("can't allocate memory", "out of memory")


@contextmanager
def ending_in_one_line(*, interrupted: str, lower: str) -> Iterator[None]:
    """End the process with one line and exit status 1 where the block fails for no fault of the code.

    Parameters
    ----------
    interrupted
        What to tell who stopped it.
    lower
        What to do about too little memory.
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"interrupted; {interrupted}")
    except (MemoryError, RuntimeError) as error:
        told = str(error)
        if not isinstance(error, MemoryError) and not any(words in told for words in TORCH_LACKS_MEMORY):
            raise
        reason = told.strip().splitlines()[:1] or ["none left"]
        sys.exit(f"error: out of memory ({reason[0]}); {lower}, or take a larger machine")
    except OSError as error:  # a full disk, a folder that cannot be written to
        sys.exit(f"error: {error}; make room or the place writable, then run again")
