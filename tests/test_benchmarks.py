"""The file of measurements: what `python -m benchmarks` writes."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from benchmarks import __main__ as benchmarks
from benchmarks.compare import Comparison, Row, measure
from benchmarks.heads import same_heads

FIRST = Row("a", "b", 4.0, 2.0, 2.0, 1.0, 3.0, same_result=True)
SECOND = Row("a", "c", 9.0, 3.0, 3.0, 1.0, 3.0, same_result=True)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(benchmarks, "RESULTS", tmp_path / "bench.csv")
    return benchmarks.RESULTS


def test_measuring_a_part_again_keeps_the_other_lines_and_their_order(results: Path) -> None:
    benchmarks.write([FIRST, SECOND], others=False)
    benchmarks.write([replace(FIRST, our_seconds=1.0, ratio=4.0)], others=True)
    assert pd.read_csv(results)[["against", "ratio"]].values.tolist() == [["b", 4.0], ["c", 3.0]]
    benchmarks.write([SECOND], others=False)
    assert pd.read_csv(results)["against"].tolist() == ["c"]


def test_heads_that_learned_otherwise_are_not_the_same() -> None:
    curve = [0.22, 0.06, 0.04, 0.92]
    assert same_heads(curve, [0.215, 0.061, 0.041, 0.93])
    assert not same_heads(curve, [*curve[:2], 0.92])
    assert not same_heads(curve, [0.22, 0.06, 0.03, 0.92])


def test_a_wrong_result_shows() -> None:
    comparison = Comparison("a", "b", lambda: 1, lambda: 2, lambda one, two: one == two, 1, 1)
    assert not measure(comparison, 1).same_result
    assert measure(replace(comparison, ours=lambda: 1), 1).same_result


@pytest.mark.parametrize(("once", "runs"), [(False, 4), (True, 2)])
def test_a_long_work_is_measured_once(once: bool, runs: int) -> None:
    done: list[int] = []
    comparison = Comparison("a", "b", lambda: 1, lambda: done.append(1), lambda *both: True, 1, 1, once=once)
    measure(comparison, 3)
    assert len(done) == runs  # the first warms up
