"""Model selection: which epoch of a training run is the result.

Three rules, named for what they look at:

- `last`: the final epoch; nothing is chosen.
- `validation`: the epoch with the best macro-F1 on rows held out of the training set.
- `test`: the epoch with the best macro-F1 on the *test set*. It is the protocol of the paper's released code,
  and optimistic: the test set then no longer measures new data. DomainBed (Gulrajani & Lopez-Paz 2021) calls
  such a selection an *oracle*. It is there to compare with the published numbers.

Ties go to the earliest epoch.
"""

from eos.errors import InputError

RULES = ("last", "validation", "test")


class BestEpochs:
    """The epoch that each rule chooses among those seen so far, for use inside a training loop.

    Examples
    --------
    >>> best = BestEpochs()
    >>> best.update(test_score=0.5)
    ['last', 'test']
    >>> best.update(test_score=0.4)  # the weights kept for `test` stay those of epoch 0
    ['last']
    >>> best.epoch("test"), best.epoch("last")
    (0, 1)
    """

    def __init__(self) -> None:
        self._count = 0
        self._best: dict[str, tuple[float, int]] = {}

    def update(self, *, test_score: float | None, validation_score: float | None = None) -> list[str]:
        """Take the next epoch's macro-F1 on the test and on the validation set; None where not scored.

        Returns
        -------
        list of str
            The rules whose chosen epoch is now this one, in the order of `RULES`: keep its weights for them.
        """
        scores = {"last": float(self._count), "validation": validation_score, "test": test_score}
        improved = []
        for rule, value in scores.items():
            if value is not None and (rule not in self._best or value > self._best[rule][0]):
                self._best[rule] = value, self._count
                improved.append(rule)
        self._count += 1
        return improved

    def epoch(self, rule: str) -> int:
        """Return the epoch, from 0, that `rule` chooses.

        Raises
        ------
        InputError
            If no epoch has been scored as the rule asks for.
        """
        if rule not in self._best:
            raise InputError(
                f"selection: rule {rule!r} needs scores on a validation set, and none was held out; "
                "set split.validation_fraction above 0 in the parameters"
            )
        return self._best[rule][1]
