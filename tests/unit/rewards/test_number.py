from decimal import Decimal

import pytest
from one_turn import wrote

from strop.rewards import correct_number, last_number
from strop.types import Task

TASK = Task("3+5", "What is 3 + 5?", answer="8")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8", "8"),
        ("3 + 5 = 8.", "8"),
        ("3+5=8", "8"),
        ("3 and 5 is 8", "8"),
        ("The answer is **8**", "8"),
        (r"\boxed{8}", "8"),
        ("答案是8。", "8"),
        ("８", "8"),
        ("٨", "8"),
        ("8.0", "8"),
        ("1e3", "1000"),
        ("1e-3", "0.001"),
        ("1,000.5", "1000.5"),
        ("x = −8", "-8"),
        ("10 - 18 = - 8", "-8"),
        ("10 - 2\n\n= 8", "8"),
    ],
)
def test_last_number_reads_all_spellings_of_a_number(text, number):
    assert last_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eight",
        "7 or 8",
        "8, or maybe 7",
        "8. Or is it 7?",
        "8 or seven",
        "6, 7, 8",
        "6,7,8",
        "1 2 3 4 5 6 7 8",
        "7 to 8",
        "7/8",
        "7-8",
        "not 8",
        "it isn't 8",
        "≠ 8",
        "8kg",
        "8th",
        "8%",
        "8-year",
        "5²",
        "²",
        "½",
        "1.2.8",
        "1e99999999999999999999",
    ],
)
def test_a_text_that_does_not_commit_to_a_number_has_none(text):
    assert last_number(text) is None


def test_correct_number_is_1_for_the_right_value_only():
    assert correct_number(TASK, wrote(TASK, "It is 8.")) == 1.0
    assert correct_number(TASK, wrote(TASK, "It is 8.00")) == 1.0
    assert correct_number(TASK, wrote(TASK, "It is 9.")) == 0.0
    assert correct_number(TASK, wrote(TASK, "")) == 0.0


def test_a_number_at_the_cut_may_have_had_more_digits():
    assert correct_number(TASK, wrote(TASK, "It is 8", "length")) == 0.0
    assert correct_number(TASK, wrote(TASK, "It is 8 in", "length")) == 1.0


def test_an_answer_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="needs a number as its answer, not 'eight'"):
        correct_number(Task("t", "p", answer="eight"), wrote(TASK, "8"))
