"""Clipped and scaled numbers by hand; what is no number passes through."""

import math

import pytest
from one_turn import wrote

import strop
from strop.rewards import Clipped, GroupReward, Learned, Scaled
from strop.rewards._calling import refuse_uncallable
from strop.runs import spec
from strop.types import PerTurn, Task, Unscored

TASK = Task("t", "p")


def words(task, episode):
    return len(episode.text.split())


def scored(reward, text="a b c d"):
    return reward(TASK, wrote(TASK, text))


def test_clipped_keeps_what_lies_between():
    assert [scored(Clipped(words, 1, 3), text) for text in ("", "a b", "a b c d")] == [1.0, 2.0, 3.0]
    assert scored(Clipped(words, high=math.inf)) == 4.0
    assert scored(Clipped(words)) == 1.0


def test_scaled_is_a_line_through_worst_and_best():
    assert [scored(Scaled(words, worst=1, best=5), text) for text in ("", "a", "a b c", "a b c d e")] == [
        -0.25, 0.0, 0.5, 1.0,
    ]  # fmt: skip
    assert scored(Scaled(words, worst=8, best=0)) == 0.5  # fewer is better
    assert scored(Clipped(Scaled(words, worst=0, best=2))) == 1.0


def test_every_number_of_a_group_is_changed():
    learned = Learned(score=lambda prompt, texts: [float(len(text)) for text in texts])
    reward = GroupReward(Scaled(Clipped(learned, 2, 4), worst=2, best=4))
    assert reward(TASK, [wrote(TASK, text) for text in ("a", "abc", "abcdefg")]) == [0.0, 0.5, 1.0]
    refuse_uncallable({"r": (reward, 1.0)}, [TASK], "rewards")


@pytest.mark.parametrize("make", [Clipped, lambda reward: Scaled(reward, worst=0, best=1)], ids=["Clipped", "Scaled"])
def test_what_is_no_number_is_not_made_one(make):
    lost = Unscored("the judge is away")
    assert scored(make(lambda task, episode: lost)) is lost
    assert scored(make(lambda task, episode: None)) is None
    assert math.isnan(scored(make(lambda task, episode: math.nan)))
    dense = scored(make(lambda task, episode: PerTurn([1.0])))
    assert isinstance(dense, Unscored)
    assert "PerTurn" in dense.reason


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Clipped(words, 1, 1), "low is less than high"),
        (lambda: Clipped(words, math.nan, 1), "low is less than high"),
        (lambda: Scaled(words, worst=2, best=2), "two different numbers"),
        (lambda: Scaled(words, worst=-math.inf, best=2), "finite"),
        (lambda: Clipped(GroupReward(words)), r"GroupReward\(Clipped\(\.\.\.\)\)"),
        (lambda: Scaled(GroupReward(words), worst=0, best=1), r"GroupReward\(Scaled\(\.\.\.\)\)"),
        (lambda: Clipped(3), "it is a function"),
    ],
)
def test_what_cannot_be_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_a_run_writes_it_down_and_makes_it_again(tmp_path):
    reward = Clipped(Scaled(strop.rewards.correct_number, worst=0.0, best=2.0), high=0.25)
    assert spec.decode(spec.encode(reward), tmp_path) == reward
    schema = strop.rewards.ValidJSON({"type": "array", "items": {"enum": [1, 2]}})
    assert spec.decode(spec.encode(schema), tmp_path) == schema
