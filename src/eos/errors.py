"""The one error that bad input raises."""

import difflib
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
