"""ROUGE by hand, and beside a slow reference; words of any script."""

import itertools
import random
from collections import Counter

import pytest
from one_turn import wrote

from strop.rewards import Rouge
from strop.types import Task

TASK = Task("t", "p", "The cat sat on the mat.")


def scored(reward, text, task=TASK):
    return reward(task, wrote(task, text))


@pytest.mark.parametrize(
    ("kind", "precision", "recall"),
    [
        ("rouge1", 4 / 4, 4 / 6),  # the, cat, on, mat
        ("rouge2", 1 / 3, 1 / 5),  # the cat; of "cat on", "on mat" none
        ("rougeL", 4 / 4, 4 / 6),  # the cat ... on ... mat
    ],
)
def test_rouge_by_hand(kind, precision, recall):
    text = "the cat on mat"
    assert scored(Rouge(kind=kind, measure="precision"), text) == pytest.approx(precision)
    assert scored(Rouge(kind=kind, measure="recall"), text) == pytest.approx(recall)
    assert scored(Rouge(kind=kind), text) == pytest.approx(2 * precision * recall / (precision + recall))


def test_only_rouge_l_and_2_see_the_order():
    backwards = "mat the on sat cat the"
    assert scored(Rouge(kind="rouge1"), backwards) == 1.0
    assert scored(Rouge(kind="rouge2"), backwards) == 0.0
    assert scored(Rouge(), backwards) == pytest.approx(3 / 6)  # the ... on the


def longest_common(one, other):
    """Slow: every subsequence of one, the longest first."""
    for size in range(len(one), 0, -1):
        for some in itertools.combinations(one, size):
            rest = iter(other)
            if all(word in rest for word in some):
                return size
    return 0


def test_it_is_what_a_slow_reference_says():
    dice = random.Random(2)
    for _ in range(30):
        answer, text = (dice.choices("abc", k=dice.randint(1, 7)) for _ in range(2))
        task = Task("t", "p", " ".join(answer))
        for kind, hits in (
            ("rougeL", longest_common(answer, text)),
            ("rouge1", (Counter(answer) & Counter(text)).total()),
        ):
            assert scored(Rouge(kind=kind), " ".join(text), task) == pytest.approx(2 * hits / (len(answer) + len(text)))


def test_any_script_has_words():
    task = Task("t", "p", "删除页面")
    assert scored(Rouge(words="any"), "删除图片", task) == pytest.approx(0.5)
    assert scored(Rouge(words="any"), "Délétion", Task("t", "p", "délétion")) == 1.0
    with pytest.raises(ValueError, match=r'sees no word in its answer: Rouge\(words="any"\)'):
        scored(Rouge(), "删除图片", task)


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="one of rouge1, rouge2, rougeL"):
        Rouge(kind="rouge3")
    with pytest.raises(ValueError, match="one of fmeasure, precision, recall"):
        Rouge(measure="f1")
    with pytest.raises(ValueError, match="has no answer: Rouge compares"):
        scored(Rouge(), "x", Task("t", "p"))
    monkeypatch.setattr("strop.rewards.rouge.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[rewards\]"'):
        Rouge()
