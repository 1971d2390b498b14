"""An environment may replace its prompt instead of growing it: a long episode fits into a short context."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import strop
from strop.batch import collate
from strop.codec import WordCodec
from strop.functional.values import gae, td_errors
from strop.rollout.play import Scene, play
from strop.runs.state import same
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Episode, Pick, Sampling, Step, Task

ROOMS = [f"room{i}" for i in range(4)]
CODEC = WordCodec(["left", "right", *ROOMS], has_end=False)
RIGHT = ScriptedSampler(CODEC, lambda prompt: "right")


class Ring:
    """Rooms in a ring; going right pays, and `task.data["turns"]` truncate it."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.room, self.turns_left = 0, task.data["turns"]

    def start(self) -> str:
        return ROOMS[0]

    def step(self, text: str) -> Step:
        is_right = text == "right"
        self.room, self.turns_left = (self.room + (1 if is_right else -1)) % len(ROOMS), self.turns_left - 1
        end = None if self.turns_left else End.TRUNCATED
        return Step(ROOMS[self.room], float(is_right), end, replaces=True)

    def close(self) -> None:
        pass


def played(turns: int, context: int | None = None) -> Episode:
    scene = Scene(environment=Ring, rewards={}, codec=CODEC, context=context, seed=0)
    (one,) = play(scene, [Task("1", "", data={"turns": turns})], 1, RIGHT, Sampling(max_tokens=1), "train", 0)
    return one


def test_twenty_decisions_fit_into_a_context_of_two_tokens():
    one = played(20, context=2)
    assert (one.end, len(one.turns), one.reward) == (End.TRUNCATED, 20, 20.0)
    assert [turn.prompt for turn in one.turns] == [CODEC.encode(ROOMS[i % 4]) for i in range(20)]
    assert one.final == CODEC.encode("room0")


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
def test_a_replaced_prompt_begins_a_row_and_its_value_is_bootstrapped(layout):
    batch = collate((Pick(played(2)),), layout)
    room0, room1, room2, right = (CODEC.encode(word)[0] for word in (*ROOMS[:3], "right"))
    assert batch.tokens_BT.tolist() == [[room0, right], [room1, right], [room2, 0]]
    assert batch.next_BT.tolist() == [[-1, 3], [-1, 5], [-1, -1]]  # the last one reads the value of room2
    # values 1, 2 and 3, rewards 1: delta_1 = 1 + .9 * 3 - 2 = 1.7, delta_0 = 1 + .9 * 2 - 1 = 1.8
    value_BT = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]], dtype=torch.float64)
    delta_BT = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, 0.9)
    advantage_BT = gae(delta_BT, batch.next_BT, 0.9, 0.8)
    assert advantage_BT[1, 1].item() == pytest.approx(1.7)
    assert advantage_BT[0, 1].item() == pytest.approx(1.8 + 0.9 * 0.8 * 1.7)


def test_the_next_prompt_of_a_truncated_episode_is_the_replacing_one_after_a_growing_one():
    class Twice(Ring):
        def step(self, text: str) -> Step:
            return replace(super().step(text), replaces=self.turns_left == 0)

    scene = Scene(environment=Twice, rewards={}, codec=CODEC, context=None, seed=0)
    (one,) = play(scene, [Task("1", "", data={"turns": 2})], 1, RIGHT, Sampling(max_tokens=1), "train", 0)
    assert one.turns[1].prompt == CODEC.encode("room0 right room1")
    assert one.final == CODEC.encode("room2")


def test_a_claim_is_true_or_false():
    with pytest.raises(ValueError, match=r"Step.replaces='yes': it is True or False"):
        Step("room1", replaces="yes")


def config(**changed) -> strop.TrainConfig:
    usual = {
        "policy": strop.policies.Scratch(words=["left", "right", *ROOMS], has_end=False, width=8, num_heads=1,
                                         num_layers=1, context=4, value_head=True),
        "tasks": [Task("1", "", data={"turns": 6})],
        "environment": Ring,
        "algorithm": strop.algorithms.A2C.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "group_size": 2,
        "prompts_per_step": 1,
        "steps": 3,
        "threads": 1,
    }  # fmt: skip
    return strop.TrainConfig(**{**usual, **changed})


@pytest.mark.matrix
def test_a_run_of_replaced_prompts_learns_from_what_was_sampled_and_resumes_bit_for_bit(tmp_path):
    whole = strop.train(config(), tmp_path / "whole", progress=False)
    assert whole.metrics()[0]["policy/sampler_gap_max"] < 1e-5
    assert {len(one.turns) for one in whole.episodes()} == {6}  # six turns of two tokens in a context of four
    strop.train(config(steps=1), tmp_path / "cut", progress=False)
    resumed = strop.train(config(), tmp_path / "cut", resume=True, progress=False)
    assert same(whole.policy.state_dict(), resumed.policy.state_dict())
    assert whole.episodes() == resumed.episodes()
