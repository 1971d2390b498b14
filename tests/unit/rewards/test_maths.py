"""Answers compared as mathematics, and the answer of a text."""

import os
import signal

import pytest
from one_turn import wrote

from strop.rewards import Reasoned, SameMaths, _maths
from strop.rewards._final import final_answer
from strop.types import Task, Unscored

pytest.importorskip("math_verify")


def said(answer, text, finish="stop"):
    return SameMaths()(Task("t", "p", answer), wrote(Task("t", "p", answer), text, finish))


@pytest.mark.parametrize(
    ("answer", "text", "reward"),
    [
        ("7", "7", 1.0),
        ("7", "The answer is 7.", 1.0),
        ("7", "4 + 3 = 7", 1.0),
        ("7", "<answer>7</answer>", 1.0),
        ("7", "\\boxed{7}", 1.0),
        ("7", "7.0", 1.0),
        ("-7", "3 - 10 = -7", 1.0),
        ("1000", "1,000", 1.0),
        ("7", "-7", 0.0),
        ("7", "4 + 3", 0.0),  # the question is no answer to itself
        ("7", "$4+3$", 0.0),
        ("7", "14/2", 0.0),
        ("7", "\\frac{14}{2}", 0.0),
        ("7", "7%", 0.0),
        ("7", "7 or 8", 0.0),
        ("7", "seven", 0.0),
        ("7", "", 0.0),
        ("1/2", "0.5", 1.0),
        ("1/2", "$\\frac{2}{4}$", 1.0),
        ("1/2", "1/3", 0.0),
        ("x + 1", "$1 + x$", 1.0),
    ],
)
def test_the_value_of_what_is_said_last_counts(answer, text, reward):
    assert said(answer, text) == reward


def test_a_number_that_may_be_cut_does_not_count():
    assert said("7", "It is 7", finish="length") == 0.0
    assert said("7", "It is 7.", finish="length") == 1.0


def test_a_text_without_end_is_unscored_and_the_next_one_is_read():
    """A process that hangs is ended; another one takes its place."""
    assert said("7", "7") == 1.0
    first = _maths.MATHS._process.pid
    os.kill(first, signal.SIGSTOP)
    found = SameMaths(seconds=0.1)(Task("t", "p", "7"), wrote(Task("t", "p", "7"), "7"))
    assert isinstance(found, Unscored)
    assert "no verdict" in found.reason
    assert said("7", "7") == 1.0
    assert _maths.MATHS._process.pid != first


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer> a b </answer> or so", "a b"),
        ("<answer>1</answer><answer>2</answer>", "2"),
        ("I think.\nThe answer is 12.", "12"),
        ("Answer: yes", "yes"),
        ("12.5", "12.5"),
        ("a\nb\n\n", "b"),
        (" \n", ""),
        ("", ""),
    ],
)
def test_the_answer_of_a_text(text, answer):
    assert final_answer(text) == answer


def test_a_puzzle_is_scored_by_its_maker_and_stays_between_0_and_1():
    task = Task("t", "p", data={"right": "12"})
    reward = Reasoned(lambda answer, data: 3.0 if answer == data["right"] else -1.0)
    assert reward(task, wrote(task, "The answer is 12.")) == 1.0
    assert reward(task, wrote(task, "13")) == 0.0
    assert reward(task, wrote(task, "")) == 0.0
