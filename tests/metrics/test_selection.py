"""Model selection: each rule looks at its own scores, and a loop keeps what the history would choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eos.errors import InputError
from eos.metrics.selection import RULES, BestEpochs, selected_epoch

TEST = [0.1, 0.7, 0.3, 0.7, 0.2]
VALIDATION = [0.1, 0.2, 0.9, 0.9, 0.3]


@pytest.mark.parametrize(("rule", "epoch"), [("last", 4), ("test", 1), ("validation", 2)])
def test_each_rule_takes_the_earliest_best_of_its_own_scores(rule: str, epoch: int) -> None:
    assert selected_epoch(rule, test_scores=TEST, validation_scores=VALIDATION) == epoch


def test_only_validation_needs_a_validation_set() -> None:
    assert selected_epoch("last", test_scores=TEST) == 4
    assert selected_epoch("test", test_scores=TEST) == 1
    with pytest.raises(InputError, match=r"none was held out; set split\.validation_fraction above 0"):
        selected_epoch("validation", test_scores=TEST)


@pytest.mark.parametrize(
    ("rule", "scores", "message"),
    [
        ("lats", {"test_scores": TEST}, "selection: unknown rule 'lats'; did you mean 'last'"),
        ("last", {"test_scores": []}, "test_scores: empty"),
        (
            "validation",
            {"test_scores": TEST, "validation_scores": [0.1]},
            "validation_scores: 1 epochs, but test_scores has 5",
        ),
    ],
)
def test_bad_input_is_named(rule: str, scores: dict[str, list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        selected_epoch(rule, **scores)


def test_no_epochs_yet_is_named() -> None:
    with pytest.raises(InputError, match="rule 'last' has no epochs"):
        BestEpochs().epoch("last")


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
