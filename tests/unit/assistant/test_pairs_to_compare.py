"""Which pair comes next, by cases that were laid out by hand."""

import itertools

import pytest

from strop.assistant.pairs import Pair, in_order, reason_of

DUEL = (1, 0)


def pair(number, labels="", versions=(0,), **changes):
    """A pair of answers "a" and "b"; each letter of `labels` is what one person said: a, b, s(ame) or x (both bad)."""
    said = {"a": "a", "b": "b", "s": "same", "x": "both bad"}
    choices = {f"p{i}": said[label] for i, label in enumerate(labels)}
    fields = {"seldom": 0.0, "preferred": None} | changes
    return Pair(number=number, a="a", b="b", versions=frozenset(versions), choices=choices, **fields)


@pytest.mark.parametrize(
    ("labels", "preferred", "doubt", "reason"),
    [
        ("", None, 0.0, "other"),
        ("", 0.5, 1.0, "doubtful"),
        ("", 0.25, 0.5, "doubtful"),
        ("", 0.8, 0.4, "other"),
        ("a", None, 0.0, "other"),
        ("a", 0.4, 0.8, "doubtful"),  # of one person nobody knows whether others agree
        ("aa", 0.5, 0.0, None),  # people agree, whatever the model says
        ("ab", None, 1.0, "doubtful"),
        ("as", None, 0.5, "doubtful"),
        ("sx", None, 0.0, None),  # neither is better
        ("aab", None, 2 / 3, "doubtful"),
        ("aabb", None, 1.0, "doubtful"),
        ("aabba", None, 0.8, None),  # five are enough
    ],
)
def test_what_a_pair_is_asked_for(labels, preferred, doubt, reason):
    one = pair(1, labels, preferred=preferred)
    assert one.doubt == pytest.approx(doubt)
    assert reason_of(one, None) == reason_of(one, DUEL) == reason


@pytest.mark.parametrize(("labels", "reason"), [("", "versions"), ("a", "versions"), ("ab", None), ("aa", None)])
def test_two_versions_are_compared_by_two_people_whatever_they_say(labels, reason):
    assert reason_of(pair(1, labels, versions=(0, 1), preferred=0.5), DUEL) == reason


def test_a_pair_of_versions_that_are_judged_is_like_any_other():
    one = pair(1, "ab", versions=(0, 1))
    assert (reason_of(one, DUEL), reason_of(one, (2, 0)), reason_of(one, None)) == (None, "doubtful", "doubtful")


ORDER = [
    pair(9, versions=(0, 1)),
    pair(12, versions=(0, 1), seldom=0.9, preferred=0.5),  # later, however odd or doubtful it is
    pair(3, "a", versions=(0, 1)),  # somebody has compared it
    pair(7, preferred=0.5),  # doubt 1, nobody yet
    pair(5, "ab"),  # doubt 1, two people
    pair(6, "ab"),
    pair(2, "aab", seldom=0.9),  # doubt 2/3
    pair(8, preferred=0.7),  # doubt .6
    pair(11, seldom=0.8),
    pair(4, seldom=0.2, preferred=0.9),
    pair(10, seldom=0.2),
    pair(1, "b", seldom=0.9),  # somebody has compared it
]
SETTLED = [pair(13, "aa"), pair(14, "ab", versions=(0, 1)), pair(15, "aabba"), pair(16, "sx")]


def test_the_order():
    for mixed in ([*ORDER, *SETTLED], [*SETTLED, *ORDER[::-1]], sorted([*ORDER, *SETTLED], key=lambda one: one.number)):
        assert [one.number for one in in_order(mixed, DUEL)] == [one.number for one in ORDER]


def test_the_order_of_two_versions_never_looks_at_what_was_said():
    """All that two people can say of three pairs: the order is that of how many spoke, and then of the numbers."""
    for said in itertools.product(["", "a", "b", "s", "x"], repeat=3):
        pairs = [pair(i, labels, versions=(0, 1)) for i, labels in enumerate(said)]
        expected = sorted(range(3), key=lambda i: (len(said[i]), i))
        assert [one.number for one in in_order(pairs, DUEL)] == expected
