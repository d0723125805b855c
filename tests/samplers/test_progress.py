"""Progress of a search: on a terminal, and only if it is long."""

import io

import pytest

from eos.samplers import progress
from eos.samplers.progress import reported


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet_seconds", "shown"),
    [(Terminal(), -1.0, True), (Terminal(), 3.0, False), (io.StringIO(), -1.0, False)],
    ids=["terminal", "short", "log"],
)
def test_a_long_search_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, quiet_seconds: float, shown: bool
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", quiet_seconds)
    assert list(reported("abcd", 4, "letters")) == list("abcd")
    lines = stream.getvalue().split("\r")
    if shown:
        assert lines[1:4] == [f"letters: {share}%, 0 s left" for share in (25, 50, 75)]
        assert lines[4:] == [" " * len(lines[3]), ""]  # nothing is left behind
    else:
        assert lines == [""]
