"""Sums and puzzles, each with one right answer, easy ones first: RLOO under a curriculum that opens with success.

    strop train reason
    strop train reason task=gcd
    strop train reason order=mixed
    strop train reason task=sums

The problems are generated: reasoning-gym's by name, or sums of our own. What a text says last is compared with the
answer as mathematics where all answers are numbers, else scored by reasoning-gym (docs/tasks/reason.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import strop
from strop.data.reason import SUMS, Problems, are_numbers, problems, score_answer
from strop.rewards import Reasoned, SameMaths, correct_number, exact_answer
from strop.streams import stream
from strop.types import Message, RewardFn, Task

MAX_TOKENS = 32
NUM_JUDGED = 200


def recipe(
    task: str = "chain_sum",
    levels: int = 4,
    order: Literal["curriculum", "mixed"] = "curriculum",
    model: str = "smollm2",
    minutes: float = 10.0,
    judged: Literal["held_out", "development"] = "held_out",
) -> strop.TrainConfig:
    """About ten minutes on two cores.

    task     sums, which need no package, or a name of reasoning-gym: chain_sum, gcd and a hundred more
    levels   of difficulty, the easiest first
    order    curriculum: a level opens when 7 of 10 answers to the one before are right; mixed: all from the start
    model    smollm2, a folder, or a Hub id
    minutes  of training
    judged   the problems that it is judged on, of all levels: held_out, or development to choose by
    """
    if order not in ("curriculum", "mixed"):
        raise ValueError(f"order={order!r}: it is curriculum or mixed.")
    if judged not in ("held_out", "development"):
        raise ValueError(f"judged={judged!r}: it is held_out or development.")
    found = problems(task, levels)
    are_sums = are_numbers([*found.development, *found.held_out])
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model=model, lora=strop.policies.LoRA(rank=16, num_layers=16)),
        tasks=ordered(found, order),
        held_out=[asked(one) for one in mixed(found.held_out if judged == "held_out" else found.development)],
        rewards={"right": (reward_of(task, are_sums), 1.0)},
        gold={"number": correct_number} if are_sums and task != SUMS else {"exact": exact_answer},
        baselines={"most frequent": strop.baselines.Majority()},
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        judgement="greedy",
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-4), kl=strop.functional.KL(weight=0.01)
        ),
        group_size=8,
        prompts_per_step=8,
        steps=400,
        minutes=minutes,
    )


def ordered(found: Problems, order: Literal["curriculum", "mixed"]) -> Sequence[Task] | strop.data.Curriculum:
    """The training problems: level after level, or all together."""
    levels = [[asked(one) for one in level] for level in found.levels]
    if order == "mixed":
        return [one for level in levels for one in level]
    return strop.data.Curriculum(levels=levels, unlock=0.7)


def reward_of(task: str, are_sums: bool) -> RewardFn:
    """Our own sums need no package; other numbers are compared as mathematics; the rest is scored by reasoning-gym."""
    reward: RewardFn = correct_number if task == SUMS else SameMaths() if are_sums else Reasoned(score_answer)
    return reward


def asked(task: Task) -> Task:
    """The task with its question put to a chat model."""
    assert isinstance(task.prompt, str), "data/reason.py makes bare questions"
    return replace(task, prompt=[Message(role="user", content=task.prompt)])


def mixed(tasks: Sequence[Task]) -> list[Task]:
    """So many as are judged, of all levels, always the same."""
    return [tasks[i] for i in stream(0, "reason/order").permutation(len(tasks))[:NUM_JUDGED]]
