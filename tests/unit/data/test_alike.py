"""Near duplicates of short texts, beside a slow comparison of all with all."""

from __future__ import annotations

import random
import re

import pytest

from strop.data.alike import alike


def runs(text: str) -> set[tuple[str, ...]]:
    """The runs of two words, where a Chinese character is a word; of one word, that word."""
    words = re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", text.lower())
    return {tuple(words[i : i + 2]) for i in range(max(1, len(words) - 1))} if words else set()


def slowly(texts, others, near):
    found = {}
    for number, other in enumerate(others):
        for index, text in enumerate(texts):
            one, two = runs(text), runs(other)
            if one and two and len(one & two) >= near * len(one | two):
                found[number] = index
                break
    return found


def test_by_hand():
    texts = ["The page was deleted", "删除页面", "Yes"]
    others = [
        "the page was saved",  # 2 of 4 runs are shared
        "The page was deleted, again!",  # 3 of 4
        "page deleted",  # none
        "删除页码",  # 2 of 4
        "YES!",
        "yes or no",
    ]
    assert alike(texts, others, 0.5) == {0: 0, 1: 0, 3: 1, 4: 2}
    assert alike(texts, others, 0.75) == {1: 0, 4: 2}
    assert alike(texts, others, 1.0) == {4: 2}


@pytest.mark.parametrize("near", [0.2, 1 / 3, 0.5, 0.6, 0.8, 1.0])
def test_none_is_missed(near):
    dice = random.Random(7)

    def text() -> str:
        return " ".join(dice.choice(("a", "b", "c", "d", "页", "面")) for _ in range(dice.randrange(9)))

    texts = [text() for _ in range(40)]
    others = [text() for _ in range(100)] + [f"{dice.choice(texts)} {dice.choice('abc')}" for _ in range(50)] + texts
    expected = slowly(texts, others, near)
    assert len(expected) >= 20
    assert alike(texts, others, near) == expected


@pytest.mark.parametrize(
    ("texts", "others"), [([], ["a"]), (["a"], []), ([], []), (["..."], ["..."]), ([""], ["", "a"])]
)
def test_without_words_nothing_is_alike(texts, others):
    assert alike(texts, others, 0.5) == {}
