"""Position bias and agreement, by hand and by a published example."""

import math

import pytest

from feedback_people import compared, said
from strop.assistant import agreement, nominal_alpha, position_bias
from strop.intervals import proportion

RATERS = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
"""Krippendorff's example of four observers and twelve units (Computing Krippendorff's alpha-reliability, 2011, C)."""


def test_the_published_example_of_alpha():
    columns = zip(*(row.split() for row in RATERS.values()), strict=True)
    units = [{rater: label for rater, label in zip(RATERS, column, strict=True) if label != "."} for column in columns]
    assert nominal_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_by_hand():
    """Two raters: up-up, up-up, up-down, down-down. 8 labels, 5 up and 3 down; of 8 ordered pairs 2 differ, so
    alpha = 1 - 7 * 2 / (2 * 5 * 3) = 8/15."""
    units = [{"a": x, "b": y} for x, y in ((1, 1), (1, 1), (1, 0), (0, 0))]
    assert nominal_alpha(units) == pytest.approx(8 / 15)


def test_agreement_of_thumbs_and_of_comparisons_in_either_order():
    feedback = [
        said("thumb", True, "one"),
        said("thumb", False, "one", rater="bob"),
        said("thumb", False, "one", rater="ann", id="changed her mind"),
        said("thumb", True, "two"),
        said("thumb", True, "two", rater="bob"),
        said("thumb", True, "alone"),
        compared("one", "two", "A"),
        compared("two", "one", "B", rater="bob"),
        compared("three", "four", "same"),
        compared("four", "three", "same", rater="bob"),
    ]
    assert agreement(feedback, "thumb").alpha == 1.0
    assert agreement(feedback, "comparison").alpha == 1.0
    assert (agreement(feedback, "thumb").units, agreement(feedback, "thumb").raters) == (2, 2)
    assert math.isnan(agreement(feedback[-1:], "comparison").alpha)
    assert agreement(feedback[-1:], "comparison").reason == "no two people judged the same"
    assert agreement(feedback[-2:], "comparison").reason == "all said the same"


def test_position_bias_is_the_share_of_the_first():
    feedback = [
        compared("one", "two", "A", shown_first="A"),
        compared("one", "three", "B", shown_first="B"),
        compared("one", "four", "A", shown_first="B"),
        compared("one", "five", "same", shown_first="B"),
        compared("one", "six", "A", shown_first=None),
        said("thumb", True, "one"),
    ]
    bias = position_bias(feedback)
    assert (bias.mean, bias.low, bias.high) == (2 / 3, *proportion(2, 3))
    assert position_bias(feedback[-2:]).reason
