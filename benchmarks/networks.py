"""How fast the networks are."""

from collections.abc import Iterator

from benchmarks.compare import Comparison


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Yield the lines of the table, on small sizes if `quick`."""
    yield from ()
