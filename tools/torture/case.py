"""What every attack is: a name, and a call that raises where the project did not survive it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One attack.

    Attributes
    ----------
    family
        Its group in the summary, "params" say.
    name
        What it does, in a few words; unique in its family and the same in every run: a run goes on by it.
    attack
        Takes an empty folder to work in and returns how the project survived, in a word or two ("refused",
        "same bytes"). Raises AssertionError, with what happened, where it did not.
    sample
        Whether the test suite runs it too: quick, and one for each kind of attack.
    """

    family: str
    name: str
    attack: Callable[[Path], str]
    sample: bool = False
