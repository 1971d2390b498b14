"""DQN, ILQL and path consistency on every transition of a known problem end at its exact solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.text_worlds import DISCOUNT, LENGTH, corridor_optimum
from exact.tree import PROMPT, Laws, Tree, set_weights, table_tree
from strop.algorithms.dqn import DQN
from strop.algorithms.ilql import ILQL
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.q_learning import QLearning
from strop.codec import WordCodec
from strop.environments.guess_word import GuessWord
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, End, Episode, Sampling, Task
from strop.verify.tabular import guess_optimum

# ------------------------------------------------------------ DQN


@pytest.mark.parametrize("double", [False, True])
def test_dqn_on_a_table_is_tabular_q_learning(double: bool) -> None:
    # one decision a batch, half the square, SGD(lr=.3), a copy after every update: the very same arithmetic
    generator = torch.Generator().manual_seed(0)
    tables = [Table(4, capacity=8), Table(4, capacity=8)]
    deep = DQN.Config(optimizer=SGD(lr=0.3), discount=0.9, huber=None, double=double, target_every=1)
    learners = [
        deep.build(tables[0], Sampling(), 64),
        QLearning.Config(rate=0.3, discount=0.9).build(tables[1], Sampling(), 64),
    ]
    for _ in range(80):
        state, action, after, ends = torch.randint(4, (4,), generator=generator).tolist()
        one = episode(
            turn((state,), (action,)), reward=float(torch.randn((), generator=generator)),
            end=End.TERMINATED if ends == 0 else End.TRUNCATED, final=() if ends == 0 else (after,),
        )  # fmt: skip
        errors = [learner.update(batch_of(one, layout="per_turn")).per_token["td_error"].sum() for learner in learners]
        assert errors[0].item() == pytest.approx(errors[1].item(), abs=1e-12)
    for row in range(4):
        assert torch.allclose(*(policy.weight[policy.row((row,))] for policy in tables), rtol=0, atol=1e-12)


def corridor_transitions() -> Batch:
    """Every room and word once; "left" and "right" are 0 and 1, room r is token 2 + r of the environment."""
    walks = []
    for room in range(LENGTH - 1):
        for word, to in ((0, max(room - 1, 0)), (1, room + 1)):
            done = to == LENGTH - 1
            walks.append(
                episode(
                    turn((2 + room,), (word,), reward=float(done)),
                    end=End.TERMINATED if done else End.TRUNCATED,
                    final=() if done else (2 + to,),
                )
            )
    return batch_of(*walks, layout="per_turn")


@pytest.mark.parametrize(("fields", "steps"), [
    ({"target_every": 1}, 6),
    ({"target_every": 3}, 18),
    ({"target_every": 1, "target_share": 0.5}, 60),
    ({"target_every": 1, "double": True}, 6),
    ({"target_every": 1, "dueling": True}, 100),
])  # fmt: skip
def test_dqn_on_every_transition_is_value_iteration(fields: dict[str, Any], steps: int) -> None:
    # 8 transitions of weight 1/8 under SGD(lr=8): each Q moves all the way to its target. The longest way has 4 rooms.
    # Dueling moves the sum of a room's two Q twice as far: half the rate, and half the speed for their difference.
    policy = Table(2, capacity=8, value_head=True)
    rate = 4.0 if fields.get("dueling") else 8.0
    given = {"discount": DISCOUNT, "huber": None, "double": False} | fields
    algorithm = DQN.Config(optimizer=SGD(lr=rate), **given).build(policy, Sampling(), 4096)
    batch = corridor_transitions()
    for _ in range(steps):
        algorithm.update(batch)
    error_BT = algorithm.update(batch).per_token["td_error"]
    assert float(error_BT.abs().max()) < 1e-9
    if not fields.get("dueling"):
        for (room, word), value in corridor_optimum().items():
            got = policy.weight[policy.row((2 + room,)), ("left", "right").index(word)].item()
            assert got == pytest.approx(value, abs=1e-9)


def test_dqn_reaches_backward_induction_over_the_histories_of_a_game() -> None:
    # every hidden word with every pair of guesses: the histories have exactly their chances
    words = ["ant", "bee", "cat"]
    codec = WordCodec([*words, "guess", "before", "after"], has_end=False)
    batch = batch_of(*(game(codec, words, *play) for play in product(words, words, words)), layout="per_turn")
    policy = Table(6, capacity=16)
    config = DQN.Config(optimizer=SGD(lr=5.0), discount=1.0, huber=None, target_every=1)
    algorithm = config.build(policy, Sampling(), 4096)
    for _ in range(80):  # the rarest histories move by a ninth a step: (8/9)^80 < 1e-4
        algorithm.update(batch)
    optimum = guess_optimum(words, 2)
    assert len(optimum) > 3
    for history, values in optimum.items():
        context = codec.encode(" ".join(["guess", *(f"{guess} {reply}" for guess, reply in history)]))
        for word, value in values.items():
            assert policy.weight[policy.row(context), codec.encode(word)[0]].item() == pytest.approx(value, abs=1e-3)


def game(codec: WordCodec, words: list[str], hidden: str, *guesses: str) -> Episode:
    """What the environment answers to these guesses."""
    env = GuessWord(Task("0", "guess", answer=hidden, data={"words": words, "turns": 2}), np.random.default_rng(0))
    prompt, turns = codec.encode("guess"), []
    for guess in guesses:
        step = env.step(guess)
        turns.append(turn(prompt, codec.encode(guess), reward=step.reward))
        if step.end is End.TERMINATED:
            return episode(*turns)
        prompt = (*prompt, *codec.encode(guess), *codec.encode(str(step.text)))
    return episode(*turns, end=End.TRUNCATED, final=prompt)


# ------------------------------------------------------------ ILQL


def expectile_of(numbers: list[float], level: float) -> float:
    """The e with level * sum (x - e)+ = (1 - level) * sum (e - x)+, by bisection."""
    low, high = min(numbers), max(numbers)
    for _ in range(60):
        e = (low + high) / 2
        up = sum(level * max(x - e, 0.0) - (1 - level) * max(e - x, 0.0) for x in numbers)
        low, high = (e, high) if up > 0 else (low, e)
    return (low + high) / 2


DATA = [  # (state, action, reward, next state or None): stochastic rewards, and action 2 of state 1 never happens
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


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_ilql_reaches_the_expectile_backup_of_its_data(level: float) -> None:
    policy = Table(3, capacity=4, value_head=True)
    config = ILQL.Config(optimizer=SGD(lr=2.0), discount=0.9, level=level, conservative=0.0, target_share=1.0)
    algorithm = config.build(policy, Sampling(), 4096)
    data = [
        episode(turn((s,), (a,), None, reward=r), end=End.TERMINATED if t is None else End.TRUNCATED,
                final=() if t is None else (t,))
        for s, a, r, t in DATA
    ]  # fmt: skip
    batch = batch_of(*data, layout="per_turn")
    for _ in range(120):
        algorithm.update(batch)
    value, q = expectile_solution(level)
    assert policy.value is not None
    for s, number in value.items():
        assert policy.value[policy.row((s,))].item() == pytest.approx(number, abs=1e-5)
    for (s, a), number in q.items():
        assert policy.weight[policy.row((s,)), a].item() == pytest.approx(number, abs=1e-5)
    assert policy.weight[policy.row((1,)), 2].item() == 0.0  # nobody did it, and nobody asked


# ------------------------------------------------------------ path consistency

BETA = 0.3


def soft_solution(tree: Tree, ref: Laws, reward: Callable[[tuple[int, ...]], float], discount: float) -> Any:
    """V* and log pi* of every state: V = beta log sum ref exp(Q / beta), Q = reward of the end, or discount V(next)."""
    value: dict[tuple[int, ...], float] = {}
    law: Laws = {}
    for state in sorted(tree.states, key=len, reverse=True):
        q = [
            discount * value[(*state, a)] if (*state, a) in value else reward((*state, a))
            for a in range(tree.policy.vocabulary)
        ]
        tilted = ref[state].detach() + torch.tensor(q, dtype=torch.float64) / BETA
        value[state] = BETA * tilted.logsumexp(-1).item()
        law[state] = tilted - tilted.logsumexp(-1)
    return value, law


def paths(tree: Tree, reward: Callable[[tuple[int, ...]], float]) -> Batch:
    """Every sequence once, without log-probs: somebody else's data."""
    return batch_of(*(episode(turn(PROMPT, y, None), reward=reward(y)) for y in tree.sequences), layout="per_turn")


def score(y: tuple[int, ...]) -> float:
    return math.sin(3.0 * sum((k + 2) * (a + 1) for k, a in enumerate(y)))


def write(policy: Any, value: Any, law: Laws, shift: float) -> None:
    """log pi* + V*/beta where the logits hold the value (shift 0); else logits shifted at will, and V* in the head."""
    with torch.no_grad():
        for k, state in enumerate(law):
            row = policy.row(PROMPT + state)
            policy.weight[row] = law[state] + (shift * k if shift else value[state] / BETA)
            policy.value[row] = value[state]


def valued_tree(horizon: int) -> Tree:
    tree = table_tree(3, horizon)
    policy = Table(3, capacity=64, value_head=True)
    tree.policy = policy
    for state in tree.states:
        policy.row(PROMPT + state)
    set_weights(policy, torch.randn(64 * 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    return tree


@pytest.mark.parametrize("discount", [1.0, 0.8])
@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("n_step", [1, 2, None])
def test_every_path_is_consistent_at_the_optimum(n_step: int | None, unified: bool, discount: float) -> None:
    tree = valued_tree(3)
    config = PathConsistency.Config(
        optimizer=SGD(lr=1e-9), beta=BETA, discount=discount, n_step=n_step, unified=unified, target_share=1.0
    )
    algorithm = config.build(tree.policy, Sampling(), 4096)
    value, law = soft_solution(tree, tree.laws(), score, discount)
    for policy in (tree.policy, algorithm.target):
        write(policy, value, law, 0.0 if unified else 0.37)
    batch = paths(tree, score)
    assert float(algorithm.update(batch).per_token["residual"].abs().max()) < 1e-12
    moved = replace(batch, rewards_BT=batch.rewards_BT * 1.1)
    assert float(algorithm.update(moved).per_token["residual"].abs().max()) > 1e-2


@pytest.mark.parametrize(("unified", "n_step", "lr", "steps"), [
    (True, None, 8.0, 150), (True, 1, 80.0, 150), (False, None, 3.0, 400),
])  # fmt: skip
def test_path_consistency_learns_the_boltzmann_policy_from_anybodys_data(
    unified: bool, n_step: int | None, lr: float, steps: int
) -> None:
    # uniform data over all sequences, far from pi: the minimum is pi* and V*, 0 residual
    tree = valued_tree(2)
    ref = tree.laws()
    config = PathConsistency.Config(
        optimizer=SGD(lr=lr), beta=BETA, discount=1.0, n_step=n_step, unified=unified, target_share=1.0
    )
    algorithm = config.build(tree.policy, Sampling(), 4096)
    value, law = soft_solution(tree, ref, score, 1.0)
    batch = paths(tree, score)
    for _ in range(steps):
        algorithm.update(batch)
    for state, expected in law.items():
        got = torch.log_softmax(tree.policy.weight[tree.policy.row(PROMPT + state)].detach(), -1)
        assert float((got - expected).abs().max()) < 1.5e-2
    start = (
        BETA * tree.policy.weight[tree.policy.row(PROMPT)].detach().logsumexp(-1) if unified else tree.policy.value[0]
    )
    assert start.item() == pytest.approx(value[()], abs=1.5e-2)
