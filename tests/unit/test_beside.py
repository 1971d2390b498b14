"""Baselines: played on the held-out tasks with the policy's dice, kept in the run, and shown beside its policy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

import strop
from strop.baselines import Always, Majority, at_random
from strop.beside import FILE, Attempt, attempts_of, from_lines, to_lines
from strop.reports.baselines import besides, besides_of
from strop.types import Completion, End, Episode, Part, Step, Task, Turn

WORDS = ("yes", "no", "red", "blue")


def is_right(task, episode):
    return float(episode.text == task.answer)


def is_short(task, episode):
    return float(len(episode.text) == 2)


def copies_answer(task, seen):
    return task.answer


def tasks(kind: str, answers: str) -> list[Task]:
    return [Task(f"{kind}{i}", "red", answer={"y": "yes", "n": "no"}[one]) for i, one in enumerate(answers)]


def config(**fields: Any) -> strop.TrainConfig:
    usual: dict[str, Any] = {
        "policy": strop.policies.Table.Config(words=WORDS, has_end=False),
        "tasks": tasks("t", "yyny"),
        "held_out": tasks("h", "ynn"),
        "rewards": [is_right],
        "gold": [is_short],
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1, choices=("yes", "no")),
        "group_size": 2,
        "prompts_per_step": 2,
        "steps": 1,
        "threads": 1,
    }
    return strop.TrainConfig(**(usual | fields))


def test_attempts_by_hand():
    given = config(baselines={"majority": Majority(), "no": Always("no")}).resolve()
    assert attempts_of(given) == [
        Attempt("majority", "h0", 1.0, 0.0, "yes"),
        Attempt("majority", "h1", 0.0, 0.0, "yes"),
        Attempt("majority", "h2", 0.0, 0.0, "yes"),
        Attempt("no", "h0", 0.0, 1.0, "no"),
        Attempt("no", "h1", 1.0, 1.0, "no"),
        Attempt("no", "h2", 1.0, 1.0, "no"),
    ]


def test_attempts_come_back_from_their_file():
    made = [Attempt("a", "1", None, None, "one\ntwo\u2028"), Attempt("b", "2", -0.5, 1.0, "你好")]
    assert from_lines(to_lines(made)) == made


class Countdown:
    """Says how many turns are left, after a number that its dice drew; pays the tens of what is said."""

    def __init__(self, task, rng):
        self.left, self.number = 2, int(rng.integers(100))

    def start(self):
        return Step(f"{self.number} of 2", choices=["10", "20"])

    def step(self, text):
        self.left -= 1
        end = None if self.left else End.TERMINATED
        return Step("1 left", reward=int(text) / 10, end=end, choices=["30", "40", "50"])

    def close(self):
        pass


@dataclass(frozen=True)
class Last:
    """Takes the last choice, and keeps what it saw."""

    seen: list

    def __call__(self, task, seen):
        self.seen.append((task.id, seen.text, seen.choices, seen.turn))
        return seen.choices[-1]


def test_a_baseline_sees_each_turn_and_is_paid_by_the_environment():
    last = Last([])
    given = config(environment=Countdown, rewards=[], gold=[], baselines={"last": last}, sampling=strop.Sampling())
    assert [(one.reward, one.gold) for one in attempts_of(given.resolve())] == [(7.0, None)] * 3
    assert [(id, choices, turn) for id, _, choices, turn in last.seen[:2]] == [
        ("h0", ("10", "20"), 0),
        ("h0", ("30", "40", "50"), 1),
    ]
    assert last.seen[1][1] == "1 left"


def test_the_environment_rolls_the_dice_that_it_rolls_for_the_policy():
    last, drawn = Last([]), []

    def environment(task, rng):
        made = Countdown(task, rng)
        drawn.append(made.number)
        return made

    words = ("10", "20", "30", "40", "50")
    given = config(
        policy=strop.policies.Table.Config(words=words, has_end=False),
        environment=environment,
        rewards=[],
        gold=[],
        baselines={"last": last},
        sampling=strop.Sampling(max_tokens=1),
        tasks=[Task("t", "10")],
        held_out=[Task("h0", "10"), Task("h1", "10"), Task("h2", "10")],
    ).resolve()
    attempts_of(given)
    beside = list(drawn)
    drawn.clear()
    given.judge(given.build(), 0)
    assert len(set(drawn)) == 3
    assert beside == drawn


def test_chance_takes_every_choice_and_the_same_again():
    given = config(held_out=tasks("h", "yn" * 20), baselines=[at_random]).resolve()
    texts = [one.text for one in attempts_of(given)]
    assert set(texts) == {"yes", "no"}
    assert texts == [one.text for one in attempts_of(given)]
    assert 8 < texts.count("yes") < 32


@pytest.mark.parametrize(
    ("baseline", "error"),
    [
        (Always("maybe"), "baseline b, task h0: it returned 'maybe', which is none of the choices ('yes', 'no')"),
        (lambda task, seen: 3, "baseline b, task h0: it returned 3, and an action is a text"),
        (lambda task: "yes", "baselines['b'] is called with (task, seen), and takes (task)"),
        (Always, "baselines['b'] is <class"),
        ("yes", "baselines['b'] is 'yes': it is a function"),
    ],
)
def test_what_cannot_act_is_refused(baseline, error):
    with pytest.raises(ValueError, match=re.escape(error)):
        attempts_of(config(baselines={"b": baseline}).resolve())


def test_other_mistakes_are_refused():
    with pytest.raises(ValueError, match="baselines=3: it is a list"):
        config(baselines=3)
    with pytest.raises(ValueError, match="two called 'always'"):
        config(baselines=[Always("yes"), Always("no")])
    with pytest.raises(ValueError, match="the name 'a/b'"):
        config(baselines={"a/b": at_random})
    with pytest.raises(ValueError, match=r"baselines are judged on held-out tasks like the policy: set held_out"):
        config(baselines=[at_random], held_out=(), gold=()).resolve()
    with pytest.raises(ValueError, match="task h0 has none"):
        attempts_of(config(baselines=[at_random], sampling=strop.Sampling(max_tokens=1)).resolve())
    with pytest.raises(ValueError, match="none has an answer"):
        attempts_of(config(baselines=[Majority()], tasks=[Task("t", "red")]).resolve())


def judged(task: str, reward: float, gold: float) -> Episode:
    turn = Turn((1,), Completion((0,), None, "stop"), "yes")
    parts = {"is_right": Part(1.0, reward), "gold/is_short": Part(0.0, gold)}
    return Episode(task, Task(task, "red"), 0, (turn,), (), End.TERMINATED, parts=parts)


def test_the_comparison_by_hand():
    """Ten tasks: the policy right on 8, the baseline on 5, of which the policy has 4."""
    policy = [judged(f"h{i}", float(i < 8), 0.0) for i in range(10)]
    attempts = [Attempt("b", f"h{i}", float(3 < i < 9), 1.0, "") for i in range(10)]
    (found,) = besides({"b": attempts}, policy, {"is_short": 1.0})
    assert (found.reward.mean, found.difference.mean, found.num_prompts) == (0.5, pytest.approx(0.3), 10)
    assert found.difference.low < 0.3 < found.difference.high
    assert found.gold is not None
    assert found.gold_difference is not None
    assert (found.gold.mean, found.gold_difference.mean) == (1.0, -1.0)
    assert found.sentence.startswith("reward is not shown to differ from b: +0.30")
    alone = [Attempt("b", f"h{i}", None, None, "") for i in range(10)]
    (found,) = besides({"b": alone}, policy, {})
    assert found.sentence == "b: no prompt was scored for both, so nothing is shown."


@pytest.mark.parametrize(("theirs", "words"), [(0.5, "is above b by"), (2.0, "is below b by")])
def test_equal_differences_are_told_too(theirs, words):
    policy = [judged(f"h{i}", 1.0, 0.0) for i in range(4)]
    (found,) = besides({"b": [Attempt("b", f"h{i}", theirs, None, "") for i in range(4)]}, policy, {})
    assert words in found.sentence


def test_a_run_keeps_them_and_a_resume_does_not_play_again(tmp_path):
    recipe = config(baselines={"no": Always("no"), "answer": copies_answer})
    run = strop.train(recipe, tmp_path / "run", progress=False)
    assert [one.name for one in besides_of(run.directory)] == ["no", "answer"]
    assert [one.reward.mean for one in besides_of(run.directory)] == [pytest.approx(2 / 3), 1.0]
    file = tmp_path / "run" / FILE
    kept = file.read_text()
    file.write_text(kept.replace("no", "on"))
    again = strop.train(recipe, tmp_path / "run", resume=True, progress=False)
    assert file.read_text() != kept
    assert strop.Run(again.path).config.baselines == {"no": Always("no"), "answer": copies_answer}
    forked = config(baselines={"answer": copies_answer}, steps=2)
    strop.train(forked, tmp_path / "run", resume=True, progress=False)
    assert {one.baseline for one in from_lines(file.read_text())} == {"answer"}


def test_a_baseline_that_cannot_act_leaves_no_run(tmp_path):
    with pytest.raises(ValueError, match="none of the choices"):
        strop.train(config(baselines={"b": Always("maybe")}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_baseline_draws_no_dice_of_the_run(tmp_path):
    """The training with baselines is the training without them."""
    alone = strop.train(config(steps=3), tmp_path / "alone", progress=False)
    beside = strop.train(config(steps=3, baselines=[at_random]), tmp_path / "beside", progress=False)
    assert [one.text for one in alone.episodes()] == [one.text for one in beside.episodes()]
