"""Balance a pole on a cart, told in words, beside the same from the four numbers; from scratch, by PPO.

    strop train control
    strop train control policy=table
    strop train control policy=vector

In words the state is one of 162 boxes (Michie and Chambers 1968): where the cart is, how the pole leans, and which way
both move. The transformer reads the words, the table has a row for each box, and the network over vectors sees more:
the numbers themselves (docs/tasks/control.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

import strop
from strop.baselines.chance import at_random
from strop.policies.mlp import MLP
from strop.policies.table import Table
from strop.recipes._small import small_transformer
from strop.recipes.cartpole import ACTIONS, push
from strop.types import End, Episode, Observation, PolicyConfig, Task

Kind = Literal["scratch", "table", "vector"]
LEFT, RIGHT = ACTIONS
PLACES, WAYS = (LEFT, "middle", RIGHT), (LEFT, "slowly", RIGHT)
LEANS = ("left far", "left some", "left little", "right little", "right some", "right far")
PLACE, SPEED = (-0.8, 0.8), (-0.5, 0.5)
"""Metres, and metres a second."""
ANGLE = tuple(math.radians(degrees) for degrees in (-6.0, -1.0, 0.0, 1.0, 6.0))
TURN = tuple(math.radians(degrees) for degrees in (-50.0, 50.0))
"""A second."""
WORDS = ("cart", "rolls", "pole", "leans", "turns", "middle", "slowly", "far", "some", "little", *ACTIONS)
CONTEXT = 11
"""Ten words, and one for the push."""
JUDGED = 20
LR = {"scratch": 3e-3, "table": 0.1, "vector": 3e-3}


def in_words(observation: Any) -> str:
    """The box of an observation (place, speed, angle in radians, turning speed): the borders of Michie and Chambers."""
    place, speed, angle, turn = (float(number) for number in np.asarray(observation).ravel())
    cart = f"cart {_word(place, PLACE, PLACES)} rolls {_word(speed, SPEED, WAYS)}"
    return f"{cart}\npole leans {_word(angle, ANGLE, LEANS)} turns {_word(turn, TURN, WAYS)}"


def _word(number: float, borders: Sequence[float], words: Sequence[str]) -> str:
    """The word between whose borders a number lies; a border belongs to the word above it."""
    return words[int(np.searchsorted(borders, number, side="right"))]


def lean(task: Task, seen: Observation) -> str:
    """Push the cart the way that the pole leans: back under it, and too late."""
    *_, side, _, _, _ = _told(seen).split()
    return side


def follow(task: Task, seen: Observation) -> str:
    """Push the cart the way that the pole turns, and if it turns slowly the way that it leans. It falls hardly ever."""
    *_, turn = _told(seen).split()
    return turn if turn in ACTIONS else lean(task, seen)


def _told(seen: Observation) -> str:
    """What is seen, in words."""
    return seen.text if seen.text.startswith("cart") else in_words(json.loads(seen.text))


def stood(task: Task, episode: Episode) -> float:
    """Whether the pole stood to the end of the 500 turns."""
    return float(episode.end is End.TRUNCATED)


def recipe(policy: Kind = "scratch", minutes: float = 5, steps: int = 1000) -> strop.TrainConfig:
    """Minutes on one thread.

    policy   scratch is a small transformer that reads words, table has a row for each of the 162 states in words, and
             vector is a network that reads the four numbers
    minutes  of training
    steps    the most steps, of 16 episodes each
    """
    in_numbers = policy == "vector"
    pole = strop.environments.from_gymnasium
    return strop.TrainConfig(
        policy=policy_of(policy),
        tasks=[Task("cartpole", "")],
        held_out=[Task(f"held-out-{i}", "") for i in range(JUDGED)],
        environment=pole("CartPole-v1", to_action=push)
        if in_numbers
        else pole("CartPole-v1", in_words, push, replaces=True),
        baselines={"random": at_random, "lean": lean, "follow": follow},
        gold={"stood": stood},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=LR[policy], max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            discount=0.99,
            epochs=4,
            minibatches=4,
        ),
        sampling=strop.Sampling(choices=ACTIONS, max_tokens=1),
        group_size=16,
        prompts_per_step=1,
        steps=steps,
        minutes=minutes,
        threads=1,
    )


def policy_of(kind: Kind) -> PolicyConfig:
    """What reads the state and pushes, with a value head."""
    if kind == "vector":
        return MLP.Config(actions=ACTIONS, size=4, value_head=True)
    if kind == "table":
        return Table.Config(words=WORDS, value_head=True)
    return small_transformer(WORDS, CONTEXT)
