"""Model selection: each rule looks at its own scores, and a loop keeps what the history would choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eos.errors import InputError
from eos.metrics.selection import RULES, BestEpochs


def test_only_validation_needs_a_validation_set() -> None:
    best = BestEpochs()
    best.update(test_score=0.1)
    assert best.epoch("last") == best.epoch("test") == 0
    with pytest.raises(InputError, match=r"none was held out; set split\.validation_fraction above 0"):
        best.epoch("validation")


few_scores = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # few values, so that ties are common


@given(st.lists(st.tuples(few_scores, few_scores), min_size=1, max_size=12), st.booleans())
def test_weights_kept_in_a_loop_are_those_of_the_best_epoch(
    history: list[tuple[float, float]], has_validation: bool
) -> None:
    kept = BestEpochs()
    weights: dict[str, int] = {}
    for epoch, (test_score, validation_score) in enumerate(history):
        improved = kept.update(
            test_score=test_score, validation_score=validation_score if has_validation else None
        )
        weights.update(dict.fromkeys(improved, epoch))
    test_scores, validation_scores = ([pair[i] for pair in history] for i in range(2))
    expected = {"last": len(history) - 1, "test": test_scores.index(max(test_scores))}
    if has_validation:
        expected["validation"] = validation_scores.index(max(validation_scores))
    assert weights == expected
    assert {rule: kept.epoch(rule) for rule in weights} == expected
    assert set(weights) <= set(RULES)
