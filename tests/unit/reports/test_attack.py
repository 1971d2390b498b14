"""An attack, against rewards whose weak point is known; and the speed of rewards that take a known time."""

import math

import pytest

import strop
import table_run
from strop.reports import speed
from strop.reports.attack import attack
from strop.reports.speed import speeds
from strop.rewards import GroupReward, exact_answer
from strop.types import Unscored

TASKS = [strop.Task("one", "say red", "red pond"), strop.Task("two", "say old", "old king"), strop.Task("none", "say")]


def length(task, episode):
    """Longer is better."""
    return float(len(episode.text.split()))


def attacked(rewards, tasks=TASKS[:2], honest=(), **changed):
    config = table_run.config(tasks=TASKS, rewards=rewards, **changed).resolve()
    return attack(config, tasks, dict(honest))


def test_length_pays_for_long_texts_the_longest_first():
    found = attacked({"long": length})
    above = list(dict.fromkeys(one.kind for one in found.of("above")))
    # 1000 words; 25 times one; 10 of praise and 5 x 2; then fewer
    assert above[:2] == ["very long", "one word repeated"]
    assert set(above[2:4]) == {"praise of itself", "answer repeated"}
    assert {one.reward for one in found.of("above") if one.kind == "answer repeated"} == {10.0}
    assert found.attempts[0].margin == 1000.0 - 2.0
    # of two words, the prompt is its own keywords, and the answer's keywords are the answer shuffled: 12 kinds of 14
    assert {one.kind for one in found.of("equal")} == {
        "prompt copied", "answer shuffled", "another task's answer", "look-alike letters",
    }  # fmt: skip
    assert {one.kind for one in found.of("below")} == {"empty"}
    assert found.verdict.startswith("It can be cheated: of 12 kinds of text, ")
    assert found.honest == {"one": "red pond", "two": "old king"}


def test_the_worst_come_first():
    found = attacked({"long": length})
    margins = [one.margin for one in found.attempts]
    assert margins == sorted(margins, reverse=True)
    assert all(one.margin == one.reward - one.honest for one in found.attempts)


def test_nothing_cheats_an_exact_answer():
    found = attacked({"exact": exact_answer})
    assert not found.of("above") + found.of("equal")
    assert found.verdict == "Of 12 kinds of text, none scores as high as an honest answer."


def test_a_flat_reward_is_cheated_by_everything():
    found = attacked({"flat": lambda task, episode: 0.1 + 0.2})
    assert {one.outcome for one in found.attempts} == {"equal"}
    assert found.verdict.startswith("Nothing scores above an honest answer; of 12 kinds of text, 12 score as high")


def test_a_task_without_an_answer_is_scored_and_not_judged():
    found = attacked({"long": length}, tasks=TASKS)
    assert found.unjudged == {"none": "it has no answer"}
    alone = found.of("alone")
    assert {one.task for one in alone} == {"none"}
    assert all(math.isnan(one.margin) and math.isnan(one.honest) for one in alone)
    assert alone[0].reward == max(one.reward for one in alone) == 1000.0
    only = attacked({"long": length}, tasks=TASKS[2:])
    assert only.verdict == "Nothing could be compared: no task has an honest answer with a score."


def test_an_honest_answer_may_be_given():
    found = attacked({"long": length}, tasks=TASKS[2:], honest={"none": "a fairly long one"})
    assert found.honest == {"none": "a fairly long one"}
    assert {one.honest for one in found.attempts} == {4.0}


def test_what_has_no_score_is_said():
    def shy(task, episode):
        return Unscored("too long") if len(episode.text) > 90 else 1.0

    found = attacked({"shy": shy})
    assert {one.kind for one in found.of("unscored")} == {"very long", "one word repeated"}
    away = attacked({"away": lambda task, episode: 1 / 0})
    assert away.unjudged["one"] == "its answer has no score: ZeroDivisionError: division by zero"
    assert {one.outcome for one in away.attempts} == {"unscored"}


def test_a_group_reward_sees_the_honest_answer_among_the_others():
    seen = []

    def judge(task, episodes):
        seen.append([one.text for one in episodes])
        return [float(one.text == task.answer) for one in episodes]

    assert not attacked({"judge": GroupReward(judge)}).of("above")
    assert [texts[0] for texts in seen] == ["red pond", "old king"]
    assert all(len(texts) == 13 for texts in seen)


def test_weights_and_the_sum_count():
    found = attacked({"long": (length, -1.0), "exact": (exact_answer, 0.5)})
    worst = found.attempts[0]
    assert (worst.kind, worst.reward, worst.honest, worst.parts) == ("empty", 0.0, -1.5, {"long": 0.0, "exact": 0.0})


def test_without_a_reward_there_is_nothing_to_attack():
    config = table_run.config(tasks=TASKS, rewards={}, algorithm=strop.algorithms.SFT.Config())
    with pytest.raises(ValueError, match="no reward to attack"):
        attack(config.resolve(), TASKS, {})
    with pytest.raises(ValueError, match="no reward to time"):
        speeds(config.resolve(), TASKS, "", gold=False)


def test_what_gold_leaves_unscored_is_counted(monkeypatch):
    monkeypatch.setattr(speed, "LONG_ENOUGH", 0.0)
    config = table_run.config(rewards={"long": length}, gold={"away": lambda task, episode: None}, group_size=3)
    found = speeds(config.resolve(), TASKS[:2], "", gold=True)
    assert [(one.name, one.answers, one.unscored) for one in found] == [("long", 6, 0), ("gold/away", 6, 6)]


def test_speed_counts_answers_and_seconds():
    """Of a clock that a reward moves by a quarter of a second for each answer."""
    clock = [0.0]

    def slow(task, episode):
        clock[0] += 0.25
        return 1.0

    def shy(task, episode):
        clock[0] += 0.5
        return Unscored("no")

    config = table_run.config(
        tasks=TASKS, rewards={"slow": slow, "shy": shy}, group_size=4, prompts_per_step=3
    ).resolve()
    first, second = speeds(config, TASKS[:1], "", gold=False, clock=lambda: clock[0])
    assert (first.name, first.answers, first.seconds, first.per_second, first.step) == ("slow", 4, 1.0, 4.0, 3.0)
    assert (second.name, second.unscored, second.per_second) == ("shy", 4, 2.0)
