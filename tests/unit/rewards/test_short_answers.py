"""Right, wrong, or "I don't know": by hand."""

import pytest

from strop.rewards import Answered, gave_answer, right_answer, token_f1
from strop.rewards._verdict import plain
from strop.types import Task, Unscored
from unit.rewards.one_turn import wrote

LOME = Task("togo", "What is the capital of Togo?", "Lomé", {"accepted": ["Lomé, Togo"]})
RIGHT = [
    "Lomé",
    "lome.",
    " The Lomé!",
    "The capital of Togo is Lomé.",
    "\nLOME\nAccra",
    "It is called Lomé",
    "Lome, Togo",
]
UNKNOWN = ["I don't know", "I don’t know.", "i do not know the capital", "I'm not sure, perhaps Lomé"]
WRONG = [
    "",
    "Accra",
    "Lomé or Accra",
    "Lomé, Accra",
    "Lomé Accra",
    "Accra. Lomé",
    "It is Lomé, it is Accra",
    "It is Accra, it is Lomé",
    "It is not Lomé",
    "Accra\nLomé",
    "Lomé is the capital of Togo",
    "Nobody knows",
]


def of(text):
    return (
        Answered()(LOME, wrote(LOME, text)),
        right_answer(LOME, wrote(LOME, text)),
        gave_answer(LOME, wrote(LOME, text)),
    )


@pytest.mark.parametrize("text", RIGHT)
def test_one_right_answer_is_right_however_it_is_spelt(text):
    assert of(text) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("text", UNKNOWN)
def test_not_knowing_is_worth_nothing_and_costs_nothing(text):
    assert of(text) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("text", WRONG)
def test_what_lists_denies_or_misses_is_wrong(text):
    assert of(text) == (-1.0, 0.0, 1.0)


def test_the_three_values_are_fields():
    strict = Answered(right=2.0, unknown=-0.5, wrong=-3.0)
    assert [strict(LOME, wrote(LOME, text)) for text in ("Lomé", "I don't know", "Accra")] == [2.0, -0.5, -3.0]
    for fields in ({"right": 0.0}, {"unknown": -2.0}, {"wrong": float("-inf")}, {"right": float("nan")}):
        with pytest.raises(ValueError, match="worth more"):
            Answered(**fields)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Porto-Novo", "porto novo"),
        ("N'Djamena", "ndjamena"),
        ("1,000", "1000"),
        ("1,2", "1 2"),
        ("−5", "-5"),
        ("5-3", "5 3"),
        ("+33", "33"),
        (".fr", "fr"),
        ("the", "the"),
        ("An apple", "apple"),
        ("８", "8"),
    ],
)
def test_what_is_compared(text, words):
    assert plain(text) == words


def test_f1_counts_the_words_of_both():
    """said 3 words, wanted 2, common 2: 2 * 2 / 5; the article is none."""
    task = Task("1", "Which?", "Green River", {"accepted": ["Nile"]})
    assert token_f1(task, wrote(LOME, "The old green river")) == pytest.approx(0.8)
    assert token_f1(task, wrote(LOME, "Nile")) == 1.0
    assert token_f1(task, wrote(LOME, "")) == 0.0


def test_a_task_without_an_answer_to_compare_is_refused():
    for task in (Task("1", "?"), Task("1", "?", "..."), Task("1", "?", "a", {"accepted": "b"})):
        with pytest.raises(ValueError, match="1"):
            Answered()(task, wrote(LOME, "a"))
    assert not isinstance(Answered()(LOME, wrote(LOME, "")), Unscored)
