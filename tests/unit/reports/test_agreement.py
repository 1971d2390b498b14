"""How often a reward orders known pairs rightly, and what a judge makes of a place."""

import math
import random
from dataclasses import replace

import pytest

import strop
from judge_server import text_in
from strop.reports.agreement import agreement
from strop.rewards import GroupReward, Pairwise
from strop.types import Task, Unscored

RANKED = [Task(str(i), "Write much.", data={"chosen": "a" * (i + 2), "rejected": "a" * (i + 1)}) for i in range(40)]


def config(rewards):
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a"], has_end=True), tasks=[Task("t", "a")], rewards=rewards
    ).resolve()


def length(task, episode):
    return len(episode.text) / 10


def judge(opinion):
    """A judge by a function of the two texts."""

    def ask(questions, read):
        pairs = [[text_in(one[-1]["content"], f"answer {place}") for place in "AB"] for one in questions]
        return [read(f'{{"better": "{opinion(a, b)}"}}') for a, b in pairs]

    return {"judge": GroupReward(Pairwise(ask))}


def longer(a, b):
    return "A" if len(a) > len(b) else "B"


def test_a_reward_that_orders_every_pair_agrees_with_all():
    found = agreement(config([length]), RANKED)
    whole, part = found.rewards
    assert (whole.right, whole.tied, whole.wrong, whole.unscored) == (40, 0, 0, 0)
    assert (whole.share.mean, whole.share.high) == (1.0, 1.0)
    assert 0.90 < whole.share.low < 0.93  # 0.05 ** (1 / 40) = 0.928, by Blaker a little less
    assert part.name == "length"
    assert found.is_shown
    assert "better than tossing a coin" in found.verdict
    assert found.places == []


def test_less_of_a_penalty_is_better_and_the_sum_has_its_own_agreement():
    found = agreement(config({"long": (length, 2.0), "short": (length, -1.0)}), RANKED)
    assert [(one.name, one.right, one.wrong) for one in found.rewards] == [
        ("reward", 40, 0),
        ("long", 40, 0),
        ("short", 0, 40),
    ]


def test_a_tie_counts_half_and_what_has_no_score_is_left_out_and_said():
    def odd(task, episode):
        number = int(task.id)
        if number < 4:
            return Unscored("the judge was away")
        return 1.0 if number < 10 else length(task, episode)

    found = agreement(config([odd]), RANKED)
    whole = found.rewards[0]
    assert (whole.right, whole.tied, whole.wrong, whole.unscored) == (30, 6, 0, 4)
    assert whole.share.mean == pytest.approx(33 / 36)
    assert "the judge was away" in whole.reason


def test_a_reward_that_likes_the_first_of_its_group_agrees_with_about_half():
    """The place of the better answer is drawn, so a leaning in a group reward is no agreement."""
    first = GroupReward(lambda task, episodes: [1.0 if i == 0 else 0.0 for i in range(len(episodes))])
    found = agreement(config({"first": first}), RANKED)
    assert 10 < found.rewards[0].right < 30
    assert not found.is_shown
    assert "does not show" in found.verdict


def test_nothing_compared_is_said():
    found = agreement(config([lambda task, episode: Unscored("away")]), RANKED)
    assert found.verdict == "Nothing could be compared: lambda: away."
    assert math.isnan(found.rewards[0].share.mean)
    assert not found.is_shown


# ------------------------------------------------------------ a judge's place


def test_a_sound_judge_agrees_and_has_no_bias():
    found = agreement(config(judge(longer)), RANKED)
    (place,) = found.places
    assert found.rewards[0].right == 40
    assert (place.same, place.first, place.second, place.other) == (40, 0, 0, 0)
    assert place.bias.mean == 0.0
    assert place.bias.low < 0.0 < place.bias.high


@pytest.mark.parametrize(("always", "bias"), [("A", 1.0), ("B", -1.0)])
def test_a_judge_that_always_says_one_place_ties_and_its_bias_is_whole(always, bias):
    found = agreement(config(judge(lambda a, b: always)), RANKED)
    (place,) = found.places
    assert (found.rewards[0].tied, found.is_shown) == (40, False)
    assert (place.first, place.second) == ((40, 0) if always == "A" else (0, 40))
    assert place.bias.mean == bias
    assert abs(place.bias.low + place.bias.high) > 1.8


def test_a_leaning_judge_is_found_out():
    """Of 40 pairs it takes the first in every fourth, and is right in the others."""

    def leaning(a, b):
        return "A" if max(len(a), len(b)) % 4 == 0 else longer(a, b)

    found = agreement(config(judge(leaning)), RANKED)  # the longer text has 2 to 41 letters: 10 multiples of 4
    (place,) = found.places
    assert (place.same, place.first, place.second) == (30, 10, 0)
    assert (found.rewards[0].right, found.rewards[0].tied) == (30, 10)
    assert found.rewards[0].share.mean == pytest.approx(35 / 40)
    assert place.bias.mean == 0.25
    assert place.bias.low > 0.0
    assert found.is_shown


def test_one_order_that_ties_is_neither_the_same_nor_a_leaning():
    (place,) = agreement(config(judge(lambda a, b: "tie" if len(a) > len(b) else "A")), RANKED).places
    assert (place.same, place.first, place.second, place.other) == (0, 0, 0, 40)


def test_a_coin_is_not_shown_to_agree():
    dice = random.Random(0)
    found = agreement(config(judge(lambda a, b: dice.choice("AB"))), RANKED)
    assert found.rewards[0].share.low < 0.5 < found.rewards[0].share.high


def test_a_reward_and_a_pair_are_needed():
    with pytest.raises(ValueError, match="no reward"):
        agreement(replace(config([length]), rewards={}), RANKED)
    with pytest.raises(ValueError, match="no pair"):
        agreement(config([length]), [])
