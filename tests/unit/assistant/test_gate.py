"""The gate: what opens it, what does not, and the words it says."""

import pytest

from strop.assistant import decide
from strop.assistant.gate import Reason

SAME = ([1.0] * 150, [1.0] * 150)


def outcomes(wins, ties, losses):
    return [1.0] * wins + [0.5] * ties + [0.0] * losses


def test_a_clear_preference_opens_it():
    verdict = decide(outcomes(45, 0, 15), {"sums": SAME})
    assert verdict.promote
    assert verdict.preference.mean == 0.75
    assert 0.5 < verdict.preference.low < 0.75 < verdict.preference.high
    assert verdict.why.startswith("Promoted: preferred in 0.750 [0.5")
    assert "of 60 comparisons" in verdict.why
    assert "sums +0.000 [-0.0" in verdict.why


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (outcomes(49, 0, 0), "there are 49 comparisons, and it takes 50"),
        (outcomes(0, 0, 0), "there are 0 comparisons"),
        (outcomes(33, 0, 27), "the lower limit is not above .5"),
        (outcomes(0, 200, 0), "the lower limit is not above .5"),
        (outcomes(15, 0, 45), "people prefer the version that serves"),
    ],
)
def test_what_keeps_it_shut(given, why):
    verdict = decide(given, {"sums": SAME})
    assert not verdict.promote
    assert verdict.why.startswith("Not promoted: ")
    assert why in verdict.why


def test_a_skill_that_may_have_fallen_keeps_it_shut():
    few = decide(outcomes(60, 0, 0), {"sums": ([1.0] * 20, [1.0] * 20), "spelling": SAME})
    assert not few.promote
    assert "the skill sums changed by +0.000" in few.why
    assert "on 20 items: it may have fallen by more than 0.05" in few.why
    assert "spelling" not in few.why
    fallen = decide(outcomes(60, 0, 0), {"sums": ([1.0] * 400, [1.0] * 360 + [0.0] * 40)})
    assert not fallen.promote
    assert fallen.skills["sums"].mean == pytest.approx(-0.1)
    assert fallen.skills["sums"].high < -0.05


def test_the_reasons_of_a_verdict_follow_from_its_numbers():
    """So a page can say them in its own language, of a verdict that was written down."""
    fell = ([1.0] * 400, [1.0] * 360 + [0.0] * 40)
    assert decide(outcomes(45, 0, 15), {"sums": SAME}).reasons() == []
    assert decide(outcomes(15, 0, 45), {"sums": SAME, "words": fell}).reasons() == [
        Reason("worse"),
        Reason("skill", "words"),
    ]
    few = decide(outcomes(40, 0, 0), fewest=30)
    assert (few.reasons(30), few.reasons()) == ([], [Reason("few")])
    assert decide(outcomes(33, 0, 27)).reasons() == [Reason("unclear")]
    assert decide(outcomes(60, 0, 0), {"words": fell}, margin=0.5).reasons(margin=0.5) == []


def test_a_skill_that_fell_by_less_than_the_margin_does_not():
    assert decide(outcomes(60, 0, 0), {"sums": ([1.0] * 2000, [1.0] * 1980 + [0.0] * 20)}).promote


def test_outcomes_are_wins_ties_and_losses():
    with pytest.raises(ValueError, match=r"outcomes hold \[0.7\]"):
        decide([1.0] * 50 + [0.7])
