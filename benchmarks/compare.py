"""Measure two ways of doing the same work, in turns and in one process."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """One line of the table: the plain way, ours, and what the ratio of their seconds should be.

    Attributes
    ----------
    work : str
        What both ways do.
    against : str
        What the plain way is.
    baseline, ours : callable
        Do the work once and return its result.
    same : callable
        Is given both results, and says whether they are the same.
    at_least, goal : float
        The ratio that is asked for, and the one that is aimed at.
    once : bool
        Whether the work is so long that one run of each way counts.
    clock : callable
        What the seconds are told by; by default the processor's.
    """

    work: str
    against: str
    baseline: Callable[[], Any]
    ours: Callable[[], Any]
    same: Callable[[Any, Any], bool]
    at_least: float
    goal: float
    once: bool = False
    clock: Callable[[], float] = field(default_factory=lambda: cpu_seconds)


@dataclass(frozen=True)
class Row:
    """What came of a comparison: `ratio` is the baseline's seconds over ours."""

    work: str
    against: str
    baseline_seconds: float
    our_seconds: float
    ratio: float
    at_least: float
    goal: float
    same_result: bool


def measure(comparison: Comparison, rounds: int) -> Row:
    """Run both ways in turns, and return the medians of their seconds.

    One run of each goes before, off the clock, to warm up; its results are compared.
    """
    same = comparison.same(comparison.baseline(), comparison.ours())
    seconds: tuple[list[float], list[float]] = [], []
    for _ in range(1 if comparison.once else rounds):
        for taken, way in zip(seconds, (comparison.baseline, comparison.ours), strict=True):
            start = comparison.clock()
            way()
            taken.append(comparison.clock() - start)
    baseline, ours = (median(taken) for taken in seconds)
    return Row(
        work=comparison.work,
        against=comparison.against,
        baseline_seconds=baseline,
        our_seconds=ours,
        ratio=baseline / ours,
        at_least=comparison.at_least,
        goal=comparison.goal,
        same_result=bool(same),
    )


def cpu_seconds() -> float:
    """Return the processor's seconds that this process and those that it has waited for have used.

    Unlike the clock on the wall they hardly depend on what else the machine does.
    """
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system
