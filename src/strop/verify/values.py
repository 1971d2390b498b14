"""DQN and ILQL on every transition of a known problem must end at its exact solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch

from strop.algorithms.dqn import DQN
from strop.algorithms.ilql import ILQL
from strop.algorithms.q_learning import QLearning
from strop.codec import WordCodec
from strop.environments.guess_word import GuessWord
from strop.memory import Prioritised, Replay
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.schedules import Linear
from strop.types import Batch, End, Episode, Sampling, Task
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.tabular import guess_optimum
from strop.verify.worlds import (
    DISCOUNT,
    EXPLORE,
    PROBE_DISCOUNT,
    PROBE_WORDS,
    PROBES,
    ROOMS,
    Probe,
    corridor_gap,
    corridor_optimum,
    corridor_transitions,
    learn,
    probe_tasks,
    walk,
)

# ------------------------------------------------------------ DQN


def against_q_learning(double: bool) -> float:
    """The largest distance of DQN from tabular Q-learning over 80 random transitions, in errors and in the table.

    One decision per batch, squared error / 2, SGD(lr=.3), a copy after every update: the same arithmetic.
    """
    generator = torch.Generator().manual_seed(0)
    tables = [Table(4, capacity=8), Table(4, capacity=8)]
    deep = DQN.Config(optimizer=SGD(lr=0.3), discount=0.9, huber=None, double=double, target_every=1)
    learners: list[Any] = [
        deep.build(tables[0], Sampling(), 64),
        QLearning.Config(rate=0.3, discount=0.9).build(tables[1], Sampling(), 64),
    ]
    worst = 0.0
    for _ in range(80):
        state, action, after, ends = torch.randint(4, (4,), generator=generator).tolist()
        one = episode(
            turn((state,), (action,)), reward=float(torch.randn((), generator=generator)),
            end=End.TERMINATED if ends == 0 else End.TRUNCATED, final=() if ends == 0 else (after,),
        )  # fmt: skip
        errors = [learner.update(batch_of(one, layout="per_turn")).per_token["td_error"].sum() for learner in learners]
        worst = max(worst, abs(errors[0].item() - errors[1].item()))
    rows = [torch.stack([policy.weight[policy.row((row,))] for row in range(4)]) for policy in tables]
    return max(worst, float((rows[0] - rows[1]).detach().abs().max()))


def check_dqn_tabular() -> Iterator[Gap]:
    """DQN: tabular Q-learning, step by step, on a table."""
    for double, name in ((False, "max of the copy"), (True, "double")):
        yield Gap(against_q_learning(double), 1e-12, name)


def check_dqn_double() -> Iterator[Gap]:
    """DQN: the hand-computed target, where policy and copy disagree about the best action."""
    # Q(S1) = (1, 3, 2), Q-(S1) = (10, 20, 30), discount .5. Max of the copy: .5 * 30. Double: the policy chooses action
    # 1, the copy judges it: .5 * 20; with the roles swapped it would be .5 * 2
    start, after = (9,), (9, 0)
    batch = batch_of(episode(turn(start, (0, 1)), reward=5.0), layout="per_turn")
    for double, first in ((False, 15.0), (True, 10.0)):
        policy = Table(3, capacity=4)
        config = DQN.Config(discount=0.5, double=double)
        algorithm: Any = config.build(policy, Sampling(), 64)
        with torch.no_grad():
            policy.weight[policy.row(after)] = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
            algorithm.method.copy.weight[policy.row(after)] = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
        got = algorithm.method.opinions(batch)[0][batch.action_BT].tolist()
        yield Gap(max(abs(got[0] - first), abs(got[1] - 5.0)), 1e-12, "double" if double else "max of the copy")


CORRIDOR_CASES: Sequence[tuple[str, dict[str, Any], int]] = (
    ("a copy each update", {"target_every": 1}, 6),
    ("a copy each 3 updates", {"target_every": 3}, 18),
    ("a trailing copy", {"target_share": 0.5}, 60),
    ("double", {"double": True}, 6),
    ("dueling", {"dueling": True}, 100),
)
"""Name, fields, updates."""


def check_dqn_value_iteration() -> Iterator[Gap]:
    """DQN: value iteration, on every transition of the corridor."""
    # 8 transitions of weight 1/8 under SGD(lr=8): each Q moves all the way to its target. The longest way has 4 rooms.
    # Dueling moves the sum of a room's two Q twice as far: half the rate, and half the speed for their difference.
    batch = corridor_transitions()
    for name, fields, steps in CORRIDOR_CASES:
        policy, dueling = Table(2, capacity=8, value_head=True), "dueling" in fields
        given: dict[str, Any] = {"discount": DISCOUNT, "huber": None, "double": False, "target_every": 1} | fields
        config = DQN.Config(optimizer=SGD(lr=4.0 if dueling else 8.0), **given)
        algorithm = config.build(policy, Sampling(), 4096)
        for _ in range(steps):
            algorithm.update(batch)
        if dueling:  # write Q = V + A - mean A into the rows
            assert policy.value is not None
            with torch.no_grad():
                policy.weight.add_(policy.value.unsqueeze(-1) - policy.weight.mean(dim=-1, keepdim=True))
        yield Gap(corridor_gap(policy, corridor_optimum()), 1e-9, name)


def game(codec: WordCodec, words: list[str], hidden: str, *guesses: str) -> Episode:
    """The episode of these guesses."""
    env = GuessWord(Task("0", "guess", answer=hidden, data={"words": words, "turns": 2}), np.random.default_rng(0))
    prompt, turns = codec.encode("guess"), []
    for guess in guesses:
        step = env.step(guess)
        turns.append(turn(prompt, codec.encode(guess), reward=step.reward))
        if step.end is End.TERMINATED:
            return episode(*turns)
        prompt = (*prompt, *codec.encode(guess), *codec.encode(str(step.text)))
    return episode(*turns, end=End.TRUNCATED, final=prompt)


def check_dqn_backward_induction() -> Gap:
    """DQN: backward induction over all histories of guessing one of three words in two turns."""
    # every hidden word with every pair of guesses: every history has its exact probability
    words = ["ant", "bee", "cat"]
    codec = WordCodec([*words, "guess", "before", "after"], has_end=False)
    batch = batch_of(*(game(codec, words, *play) for play in product(words, words, words)), layout="per_turn")
    policy = Table(6, capacity=16)
    config = DQN.Config(optimizer=SGD(lr=5.0), discount=1.0, huber=None, target_every=1)
    algorithm = config.build(policy, Sampling(), 4096)
    for _ in range(80):  # the rarest histories move by a ninth a step: (8/9)^80 < 1e-4
        algorithm.update(batch)
    gaps = []
    for history, values in guess_optimum(words, 2).items():
        row = policy.row(codec.encode(" ".join(["guess", *(f"{guess} {reply}" for guess, reply in history)])))
        gaps += [abs(policy.weight[row, codec.encode(word)[0]].item() - value) for word, value in values.items()]
    return Gap(max(gaps), 1e-3)


# ------------------------------------------------------------ ILQL


def expectile_of(numbers: Sequence[float], level: float) -> float:
    """The e with level * sum (x - e)+ = (1 - level) * sum (e - x)+, by bisection."""
    low, high = min(numbers), max(numbers)
    for _ in range(60):
        e = (low + high) / 2
        up = sum(level * max(x - e, 0.0) - (1 - level) * max(e - x, 0.0) for x in numbers)
        low, high = (e, high) if up > 0 else (low, e)
    return (low + high) / 2


DATA = [  # (state, action, reward, next state or None): stochastic rewards; action 2 never occurs in state 1
    (0, 0, 1.0, 1), (0, 0, 0.0, 1), (0, 1, 0.0, 2), (0, 2, -1.0, None),
    (1, 0, 0.0, 2), (1, 1, 2.0, None), (1, 0, 0.0, 0),
    (2, 0, 3.0, None), (2, 1, 0.0, 0), (2, 1, 1.0, None), (2, 2, -2.0, None),
]  # fmt: skip


def expectile_solution(level: float) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """V(s) = expectile of Q(s, a) over the data's actions, Q(s, a) = mean of r + .9 V(s'): by iteration."""
    value = dict.fromkeys(range(3), 0.0)
    for _ in range(300):
        q = {
            place: float(
                np.mean([r + (0.9 * value[t] if t is not None else 0.0) for s, a, r, t in DATA if (s, a) == place])
            )
            for place in {(s, a) for s, a, _, _ in DATA}
        }
        value = {s: expectile_of([q[s2, a] for s2, a, _, _ in DATA if s2 == s], level) for s in range(3)}
    return value, q


def data_batch() -> Batch:
    """DATA as episodes of one decision, without log-probs."""
    ends = {True: End.TERMINATED, False: End.TRUNCATED}
    return batch_of(
        *(
            episode(turn((s,), (a,), None, reward=r), end=ends[t is None], final=() if t is None else (t,))
            for s, a, r, t in DATA
        ),
        layout="per_turn",
    )


def check_ilql() -> Iterator[Gap]:
    """ILQL: the expectile backup of its data, by dynamic programming."""
    batch = data_batch()
    for level in (0.5, 0.95):
        policy = Table(3, capacity=4, value_head=True)
        config = ILQL.Config(optimizer=SGD(lr=2.0), discount=0.9, level=level, conservative=0.0, target_share=1.0)
        algorithm = config.build(policy, Sampling(), 4096)
        for _ in range(120):
            algorithm.update(batch)
        value, q = expectile_solution(level)
        assert policy.value is not None
        gaps = [abs(policy.value[policy.row((s,))].item() - number) for s, number in value.items()]
        gaps += [abs(policy.weight[policy.row((s,)), a].item() - number) for (s, a), number in q.items()]
        gaps.append(abs(policy.weight[policy.row((1,)), 2].item()))  # an action outside the data is never read or moved
        yield Gap(max(gaps), 1e-5, f"level {level:g}")


def check_ilql_conservative() -> Gap:
    """ILQL: equal values on target move by the conservative term alone, weight * (1/2, -1/2)."""
    # the slope of logsumexp of (0, 0) is (.5, .5), minus 1 for the action
    policy = Table(2, capacity=4, value_head=True)
    config = ILQL.Config(optimizer=SGD(lr=1.0), conservative=0.2, jitter=0.0)
    algorithm = config.build(policy, Sampling(), 64)
    algorithm.update(batch_of(episode(turn((1,), (0,))), layout="per_turn"))
    row = policy.weight[policy.row((1,))].tolist()
    return Gap(max(abs(row[0] - 0.1), abs(row[1] + 0.1)), 1e-12)


# ------------------------------------------------------------ from samples


def probe_gap(algorithm: DQN.Config | ILQL.Config, seed: int) -> float:
    """The largest error of the values of the five probes, learnt from a few episodes."""
    gaps = []
    for number, expected in PROBES:
        policy, codec = Table.Config(words=PROBE_WORDS, order=1, capacity=8, value_head=True).build(seed)
        memory = Replay.Config(size=16, num_draws=3).build()
        learner = algorithm.build(policy, EXPLORE, 4096)
        learn(learner, policy, codec, memory, Probe, probe_tasks(number), 40, seed, group=4)
        gaps += [
            abs(policy.weight[policy.row(codec.start(context)), codec.encode(word)[0]].item() - value)
            for context, values in expected.items()
            for word, value in values.items()
        ]
    return max(gaps)


def learn_dqn_probes(seed: int) -> Gap:
    """DQN: the known values of five probe environments."""
    config = DQN.Config(optimizer=AdamW(lr=0.1), discount=PROBE_DISCOUNT, target_every=5, huber=None)
    return Gap(probe_gap(config, seed), 0.1)


def learn_ilql(seed: int) -> Gap:
    """ILQL: the known values of five probe environments."""
    # where a next state matters (probe 3), all its words have the same value: so has every expectile
    config = ILQL.Config(optimizer=AdamW(lr=0.1), discount=PROBE_DISCOUNT, conservative=0.0, target_share=0.2)
    return Gap(probe_gap(config, seed), 0.1)


def corridor_error(memory: Any, seed: int) -> float:
    """The error of DQN against the corridor's values, learning from replay.

    Only the draws are random, so plain SGD converges: 64 turns over 28 pairs, about .35 per update.
    """
    policy, codec = Table.Config(words=["left", "right", *ROOMS], order=1).build(seed)
    config = DQN.Config(optimizer=SGD(lr=10.0), discount=DISCOUNT, target_every=4, huber=None)
    walk(config.build(policy, EXPLORE, 4096), policy, codec, memory.build(), 30, seed, EXPLORE)
    return corridor_gap(policy, corridor_optimum())


def learn_dqn(seed: int) -> Gap:
    """DQN: the corridor's values by value iteration, from replayed samples."""
    return Gap(corridor_error(Replay.Config(size=64, num_draws=4), seed), 0.05)


def learn_dqn_prioritised(seed: int) -> Gap:
    """DQN: the corridor's values by value iteration, from prioritised replay."""
    beta = Linear(start=0.4, end=1, steps=100)
    return Gap(corridor_error(Prioritised.Config(size=64, num_draws=4, beta=beta), seed), 0.05)
