"""What a rollout stores: exactly the token ids that the model read and sampled, turn by turn, and where it was cut.

A policy over bytes talks for three turns. Its output is mostly not UTF-8, so its text encodes to other ids than were
sampled: a rollout that re-encodes texts fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from strop.algorithms.dapo import DAPO
from strop.batch import collate
from strop.codec import ByteCodec
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import End, Episode, Pick, Sampling, State, Step, Stopped, Task, Tokens
from strop.verify.checks import Gap
from strop.verify.tree import random_weights, set_weights

CODEC: Any = ByteCodec()
REPLY, TURNS, LONGEST = " go on ", 3, 4
PROMPTS = ("talk", "say")


class Talk:
    """Always gives the same reply; the third turn is the last."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.prompt, self.left = str(task.prompt), TURNS

    def start(self) -> str:
        return self.prompt

    def step(self, text: str) -> Step:
        self.left -= 1
        return Step(REPLY, 1.0, None if self.left else End.TERMINATED)

    def close(self) -> None:
        """Nothing to close."""


class Recording:
    """A table over bytes that ends at one token in four, and records every prefix that it is asked to continue."""

    def __init__(self) -> None:
        self.table, self.read = Table(CODEC.size, order=1, capacity=CODEC.size), list[Tokens]()
        self.lock = self.table.lock
        set_weights(self.table, random_weights(self.table, seed=0))
        with torch.no_grad():
            self.table.weight[:, CODEC.end] = torch.logsumexp(self.table.weight[:, : CODEC.end], -1) - math.log(3)

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        self.read += prompts
        return self.table.prefill(prompts)

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        logits_BV, state = self.table.decode(state, tokens_B)
        self.read += state
        return logits_BV, state

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        return self.table.keep(state, rows)

    def join(self, states: Sequence[Any]) -> Any:
        return self.table.join(states)


def played() -> tuple[list[Episode], Recording]:
    """Sixteen episodes of three turns, and the policy that played them."""
    policy: Any = Recording()
    scene = Scene(environment=Talk, rewards={}, codec=CODEC, context=None, seed=0)
    tasks = [Task(prompt, prompt) for prompt in PROMPTS]
    sampler = LocalSampler(policy, CODEC.stop)
    return play(scene, tasks, 8, sampler, Sampling(max_tokens=LONGEST), "train", 0), policy


def check_ids_of_the_model() -> Gap:
    """rollout: the stored ids are those that the model read, though the texts encode to others (differences; I8)."""
    episodes, policy = played()
    turns = [turn for one in episodes for turn in one.turns]
    stored = {turn.prompt + turn.completion.tokens[:t] for turn in turns for t in range(len(turn.completion.tokens))}
    is_tested = any(CODEC.encode(turn.text) != turn.completion.tokens for turn in turns)
    return Gap(float(len(stored ^ set(policy.read))) if is_tested else math.inf, 0.0)


def check_ids_of_turns() -> Gap:
    """rollout: a row holds the ids of its turns in order, its mask the sampled ones (differences; I15)."""
    episodes, _ = played()
    batch = collate(tuple(Pick(one) for one in episodes), "joined")
    wrong = abs(len(batch.tokens_BT) - len(episodes))
    for one, tokens_T, action_T in zip(episodes, batch.tokens_BT.tolist(), batch.action_BT.tolist(), strict=False):
        row, mask = list(CODEC.encode(str(one.task.prompt))), list[bool]()
        for i, turn in enumerate(one.turns):
            reply = CODEC.encode(REPLY) if i < TURNS - 1 else ()
            mask += [False] * (len(row) - len(mask)) + [True] * len(turn.completion.tokens)
            row += [*turn.completion.tokens, *reply]
        wrong += tokens_T[: len(row)] != row or action_T != mask + [False] * (len(action_T) - len(mask))
    return Gap(float(wrong), 0.0)


def check_cut() -> Gap:
    """rollout: completions at max_tokens are marked as cut, and get no end token (mistakes; I12)."""
    episodes, _ = played()
    said = [turn.completion for one in episodes for turn in one.turns]
    has_end = [one.tokens[-1] == CODEC.end for one in said]
    if len(set(has_end)) < 2:
        return Gap(math.inf, 0.0)  # nothing was cut, or everything
    wrong = 0
    for one, ended in zip(said, has_end, strict=True):
        is_long = len(one.tokens) == LONGEST
        wrong += one.finish != ("stop" if ended else "length") or not (ended or is_long)
        wrong += CODEC.end in one.tokens[:-1] or len(one.tokens) > LONGEST
    cut_E = collate(tuple(Pick(one) for one in episodes), "joined").cut_E.tolist()
    for talk, cut in zip(episodes, cut_E, strict=True):
        wrong += cut != any(turn.completion.tokens[-1] != CODEC.end for turn in talk.turns)
        wrong += talk.end is not End.TERMINATED  # the environment decides how an episode ends
    return Gap(float(wrong), 0.0)


class Queue:
    """Tasks in order, round and round."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.at = names, 0

    def next(self, n: int) -> list[Task]:
        found = [self.names[(self.at + i) % len(self.names)] for i in range(n)]
        self.at += n
        return [Task(name, name) for name in found]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Outcomes change nothing."""

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Never resumed."""


def rounds(names: Sequence[str], oversampling: int) -> int:
    """How many groups of 2 are played until 2 of them differ in their rewards; 0 where the step raises Stopped.

    The members of a task called "odd" earn 0 and 1, those of any other one 1.
    """
    scene = Scene(
        environment=Talk,
        rewards={"r": (lambda task, one: float(task.id != "odd" or one.seed[-1] % 2), 1.0)},
        codec=CODEC,
        context=None,
        seed=0,
    )
    extras = DAPO.Config(oversampling=oversampling).extras
    sampler = LocalSampler(Table(CODEC.size, order=1, capacity=CODEC.size), CODEC.stop)
    engine = EmbeddedEngine(scene, sampler, Sampling(max_tokens=1), 2, 2, extras)
    try:
        return len({one.group for one in engine.rollout(Queue(names), 0)})
    except Stopped:
        return 0


def check_dapo_plays_on() -> Iterator[Gap]:
    """DAPO: plays tasks until enough groups have signal, up to its limit (groups too many or too few)."""
    for names, oversampling, wanted in (
        (["odd"], 1, 2),
        (["even", "odd"], 3, 4),  # two tasks, of which one counts; then one at a time, which does not and does
        (["even", "odd"], 1, 0),
        (["even"], 3, 0),
    ):
        gap = abs(rounds(names, oversampling) - wanted)
        yield Gap(float(gap), 0.0, f"{' and '.join(names)}, {oversampling} times")
