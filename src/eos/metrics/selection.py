"""Model selection: which epoch of a training run is the result.

Three rules, named for what they look at:

- `last`: the final epoch; nothing is chosen.
- `validation`: the epoch with the best macro-F1 on rows held out of the training set.
- `test`: the epoch with the best macro-F1 on the *test set*. It is the protocol of the paper's released code,
  and optimistic: the test set then no longer measures new data. DomainBed (Gulrajani & Lopez-Paz 2021) calls
  such a selection an *oracle*. It is there to compare with the published numbers.

Ties go to the earliest epoch.
"""

from collections.abc import Sequence

from eos.errors import InputError, unknown_name

RULES = ("last", "validation", "test")


def selected_epoch(
    rule: str, *, test_scores: Sequence[float], validation_scores: Sequence[float] | None = None
) -> int:
    """Return the epoch that a rule chooses after training.

    Parameters
    ----------
    rule : {"last", "validation", "test"}
        See the module.
    test_scores : sequence of float, one per epoch
        Macro-F1 on the test set; of the rule `last` only its length matters.
    validation_scores : sequence of float, one per epoch, optional
        Macro-F1 on the validation set, if there is one.

    Returns
    -------
    int
        The epoch, counted from 0.

    Raises
    ------
    InputError
        If the rule is unknown, there are no epochs, the numbers of scores differ, or the rule is
        `validation` and there is no validation set.
    """
    if len(test_scores) == 0:
        raise InputError("test_scores: empty; at least one epoch is needed to select from")
    if validation_scores is not None and len(validation_scores) != len(test_scores):
        raise InputError(
            f"validation_scores: {len(validation_scores)} epochs, but test_scores has {len(test_scores)}"
        )
    kept = BestEpochs()
    for epoch, test_score in enumerate(test_scores):
        validation_score = None if validation_scores is None else validation_scores[epoch]
        kept.update(test_score=test_score, validation_score=validation_score)
    return kept.epoch(rule)


class BestEpochs:
    """The epoch that each rule would choose so far, for use inside a training loop.

    Examples
    --------
    >>> kept = BestEpochs()
    >>> kept.update(test_score=0.5)
    ['last', 'test']
    >>> kept.update(test_score=0.4)  # the weights kept for `test` stay those of epoch 0
    ['last']
    >>> kept.epoch("test"), kept.epoch("last")
    (0, 1)
    """

    def __init__(self) -> None:
        self._count = 0
        self._best: dict[str, tuple[float, int]] = {}

    def update(self, *, test_score: float | None, validation_score: float | None = None) -> list[str]:
        """Take the scores of the next epoch.

        Parameters
        ----------
        test_score : float or None
            Macro-F1 on the test set; None for an epoch that was not scored, which `test` does not choose.
        validation_score : float, optional
            Macro-F1 on the validation set; None where there is none, or the epoch was not scored.

        Returns
        -------
        list of str
            The rules whose chosen epoch is now this one, in the order of `RULES`: keep its weights for them.
        """
        scores = {"last": float(self._count), "validation": validation_score, "test": test_score}
        improved = []
        for rule in RULES:
            value = scores[rule]
            if value is not None and (rule not in self._best or value > self._best[rule][0]):
                self._best[rule] = (value, self._count)
                improved.append(rule)
        self._count += 1
        return improved

    def epoch(self, rule: str) -> int:
        """Return the epoch, from 0, that `rule` chooses among those seen.

        Raises
        ------
        InputError
            If the rule is unknown, there were no epochs, or the rule is `validation` and there were no
            validation scores.
        """
        if rule not in RULES:
            raise unknown_name(rule, RULES, what="rule", place="selection")
        if self._count == 0:
            raise InputError(f"selection: rule {rule!r} has no epochs to choose from; train for at least one")
        if rule not in self._best:
            raise InputError(
                f"selection: rule {rule!r} needs scores on a validation set, and none was held out; "
                "set split.validation_fraction above 0 in the parameters"
            )
        return self._best[rule][1]
