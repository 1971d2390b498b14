"""Judgement by the likeliest choice: whole phrases, how often it is the answer, and how far it can be believed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from exact.build import episode, turn
from strop.choices import Choosing
from strop.codec import WordCodec
from strop.environments.single_turn import SingleTurn
from strop.evaluate import judge_choices
from strop.functional.calibration import brier_score, calibration_error
from strop.likeliest import Likeliest
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import Choices, Sampling, Task

WORDS = WordCodec(["left", "go", "on", "up", "x", "y"], has_end=False)
LEFT, GO, ON, UP, X, Y = range(6)
SAMPLING = Sampling(choices=["left", "go on", "go up"], max_tokens=2)
PHRASES = Choices(((LEFT,), (GO, ON), (GO, UP)))


def policy() -> Table:
    """left .4, and go .6 with on and up alike behind x; behind y, left .9."""
    table = Table(6, order=2)
    for context, probs in {
        (X,): {LEFT: 0.4, GO: 0.6},
        (Y,): {LEFT: 0.9, GO: 0.1},
        (X, GO): {ON: 0.5, UP: 0.5},
        (Y, GO): {ON: 0.2, UP: 0.8},
    }.items():
        row = table.row(context)
        table.weight.data[row] = 5.0  # of all other words, which are no choices
        for token, p in probs.items():
            table.weight.data[row, token] = math.log(p)
    return table


def test_the_likeliest_choice_is_not_the_likeliest_first_token() -> None:
    likeliest, greedy = Likeliest(policy()), Sampling(temperature=0.0, max_tokens=2)
    (whole,) = likeliest.sample([(X,)], SAMPLING, [], [PHRASES])
    assert (whole.tokens, whole.finish, whole.logprobs) == ((LEFT,), "stop", None)
    probs = [math.exp(one) for one in likeliest.logprobs[(X,), PHRASES]]
    assert probs == pytest.approx([0.4, 0.3, 0.3])
    (stepwise,) = LocalSampler(policy(), WORDS.stop).sample([(X,)], greedy, [np.random.default_rng(0)], [PHRASES])
    assert stepwise.tokens[0] == GO


def test_equal_prompts_are_read_once_and_short_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table, read = policy(), list[list[int]]()
    prefill = table.prefill

    def noted(prompts: Any) -> Any:
        read.append([len(prompt) for prompt in prompts])
        return prefill(prompts)

    monkeypatch.setattr(table, "prefill", noted)
    prompts = [(Y, Y, X), (X,), (Y, X), (X,), (Y,)]
    drawn = Likeliest(table, batch=2).sample(prompts, SAMPLING, [], [PHRASES] * 5)
    assert read == [[1, 1], [2, 3]]
    assert [one.tokens for one in drawn] == [(LEFT,)] * 5
    with pytest.raises(ValueError, match="needs choices at every turn"):
        Likeliest(table).sample([(X,)], Sampling(), [], [None])
    with pytest.raises(ValueError, match="needs choices at every turn"):
        Likeliest(table).sample([(X,)], Sampling(), [])


def test_accuracy_and_brier_and_the_answers_probability() -> None:
    tasks = [Task("0", "x", "go up"), Task("1", "y", "left"), Task("2", "y", "right"), Task("3", "y")]
    scene = Scene(environment=SingleTurn, rewards={}, codec=WORDS, context=None, seed=0)
    likeliest = Likeliest(policy())
    episodes = play(scene, tasks, 1, likeliest, SAMPLING, "evaluate", 0)
    found = judge_choices(episodes, likeliest.logprobs, Choosing(WORDS, SAMPLING))
    # task 2's answer is no choice, and task 3 has none: two count
    assert found["held_out/right"] == 0.5
    assert found["held_out/answer_nll"] == pytest.approx(-(math.log(0.3) + math.log(0.9)) / 2)
    # (.4, .3, .3) with the third right: .16 + .09 + .49; (.9, .02, .08) with the first right: .01 + .0004 + .0064
    assert found["held_out/brier"] == pytest.approx((0.74 + 0.0168) / 2)
    # .4 sure and wrong; .9 sure and right
    assert found["held_out/calibration_error"] == pytest.approx((0.4 + 0.1) / 2)
    assert judge_choices([episode(turn((1,), (2,)))], {}, Choosing(WORDS, SAMPLING)) == {}


def test_the_calibration_error_by_hand() -> None:
    # (.9, 1]: mean .935, half right; (.5, .6]: .55, right; (.6, .7]: .61, right
    found = calibration_error([0.95, 0.92, 0.55, 0.61], [True, False, True, True])
    assert found == pytest.approx((2 * 0.435 + 0.45 + 0.39) / 4)
    assert calibration_error([0.6, 0.55], [True, False]) == pytest.approx(0.075)  # .6 belongs to (.5, .6]
    assert calibration_error([1.0, 1.0], [True, True]) == 0.0
    assert brier_score([[0.7, 0.3], [0.2, 0.8]], [0, 0]) == pytest.approx((0.18 + 1.28) / 2)
