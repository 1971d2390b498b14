"""The question that two answers are prepared for next."""

import math

import pytest

from strop.assistant.asked import next_question, seldom_of
from strop.assistant.pair_store import key_of

DUEL = (1, 0)


def said(*texts):
    return [[{"role": "user", "content": text}] for text in texts]


def chosen(asked, fixed=(), done=(), duel=None):
    found = next_question(said(*asked), said(*fixed), {key_of(one) for one in said(*done)}, duel)
    return None if found is None else found.messages[-1]["content"]


def test_how_seldom_a_text_is_by_hand():
    """Of three texts of one letter, two alike: cosines 1, 0 and 0."""
    assert seldom_of(["a", "a", "b"]) == [0.5, 0.5, 1.0]
    assert (seldom_of(["a"]), seldom_of([])) == ([1.0], [])


def test_how_seldom_beside_a_slow_reference():
    from strop.assistant import Ngrams

    texts = ["my dog", "a dog, a cat", "狗和猫", "my cat", "狗"]
    vectors = Ngrams()(texts).tolist()
    slow = [
        1.0 - sum(math.fsum(x * y for x, y in zip(one, two, strict=True)) for two in vectors if two is not one) / 4
        for one in vectors
    ]
    assert seldom_of(texts) == pytest.approx(slow, abs=1e-6)


def test_what_is_asked_most_seldom_comes_first_and_nothing_twice():
    asked = ["my dog", "my dog", "a dog", "the sky", "my dog?"]
    assert chosen(asked) == "the sky"
    assert chosen(asked, done=["the sky"]) == "a dog"
    assert chosen(asked, done=asked) is None
    assert chosen([], fixed=["one"]) is None  # fixed questions are for two versions


def test_two_versions_are_asked_by_lot_what_people_asked_then_what_is_fixed():
    asked, fixed = [f"asked {i}" for i in range(30)], [f"fixed {i}" for i in range(5)]
    order = []
    while (one := chosen(asked, fixed, order, DUEL)) is not None:
        order.append(one)
    assert sorted(order[:30]) == sorted(asked)
    assert sorted(order[30:]) == sorted(fixed)
    assert chosen(asked[::-1], fixed, (), DUEL) == order[0]  # whatever comes first
    assert [one for one in order if one in asked[:10]] != asked[:10]  # 1 in 3,628,800 by chance, and always the same
    other = []
    while (one := chosen(asked, fixed, other, (2, 0))) is not None:
        other.append(one)
    assert other != order  # another version, another lot


def test_the_lot_does_not_look_at_what_is_odd():
    """Of 20 questions of which one is odd, it comes first as often as any other: in 3 of 60 versions, give or take."""
    asked = [*(f"my dog {i}" for i in range(19)), "天空"]
    first = sum(chosen(asked, duel=(version, 0)) == "天空" for version in range(1, 61))
    assert 1 <= first <= 10  # by chance outside with probability .05, and always the same
