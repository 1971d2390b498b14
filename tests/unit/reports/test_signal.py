"""The reward tried out, against numbers by hand."""

import math

import pytest

import strop
import table_run
from strop.reports.signal import histogram, reward_of_text, signal_in, signal_of_start
from strop.types import Completion, End, Episode, Part, Turn, Unscored


def played(reward, number=0):
    """One that wrote 1 2 9."""
    turn = Turn((5,), Completion((1, 2, 9), (-0.1,) * 3, "stop"), "1 2 9")
    task = strop.Task("task", "say")
    parts = {"good": Part(1.0, reward)}
    return Episode(id="0", task=task, group=number, turns=(turn,), final=(), end=End.TERMINATED, parts=parts)


def group(number, *rewards):
    return [played(reward, number) for reward in rewards]


def test_the_signal_of_groups_by_hand():
    lost = played(Unscored("no"), 2)
    found = signal_in([*group(0, 0.0, 1.0), *group(1, 0.5, 0.5), lost])
    assert (found.groups, found.samples, found.unscored) == (3, 5, 1)
    assert (found.mean, found.signal) == (0.5, 0.5)
    assert found.sd == pytest.approx(math.sqrt((0.25 + 0.25) / 4))
    assert found.in_group_sd == pytest.approx(math.sqrt((0.25 + 0) / 2))  # of groups: 0.5 and 0
    assert (found.best.reward, found.worst.reward) == (1.0, 0.0)
    assert found.best.text == "1 2 9"
    assert found.histogram == [(0.0, 0.0, 1), (0.5, 0.5, 2), (1.0, 1.0, 1)]
    assert found.verdict.startswith("There is signal: answers to the same prompt")


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([(1.0, 1.0)], "too easy for it"),
        ([(0.0, 0.0)], "too hard for it"),
        ([(0.5, 0.5)], "blind to the differences"),
        ([(0.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)], "Little signal"),
        ([(0.0, 0.1), (1.0, 1.1)], "most of the spread lies between prompts"),
        ([(1.0,)], "group_size of at least 2"),
    ],
)
def test_the_verdict_says_what_is_wrong(groups, said):
    assert said in signal_in([one for i, rewards in enumerate(groups) for one in group(i, *rewards)]).verdict


def test_nothing_scored_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"none of the 1 answers could be scored.*\n.*the judge is away"):
        signal_in([played(Unscored("the judge is away"))])


def test_many_values_fall_into_ten_bins():
    bins = histogram([float(i) for i in range(20)])
    assert [count for *_, count in bins] == [2] * 10
    assert (bins[0][0], bins[-1][1]) == (0.0, 19.0)


def test_a_text_is_scored_part_by_part_without_a_model(capsys):
    config = table_run.config(policy="no-such-model", rewards={"b": (table_run.said_b, 2.0)}).resolve()
    found = reward_of_text(config, config.tasks[0], "b", gold=False)
    assert (found.task, found.prompt, found.text) == ("one", "a", "b")
    assert (found.reward, found.parts, found.weights, found.environment) == (2.0, {"b": 1.0}, {"b": 2.0}, 0.0)
    assert capsys.readouterr() == ("", "")


def test_the_start_model_plays_as_many_groups_as_are_asked_for():
    config = table_run.config(tasks=[strop.Task("one", "a"), strop.Task("two", "b")], group_size=4).resolve()
    found = signal_of_start(config, 2, gold=False)
    assert (found.groups, found.samples) == (2, 8)
    assert set(found.parts) == {"b"}
