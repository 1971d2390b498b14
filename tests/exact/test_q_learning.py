"""Tabular Q-learning against values that are known exactly, played through the rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exact.build import batch_of, episode, turn
from exact.text_worlds import DISCOUNT, LENGTH, ROOMS, WORDS, PaidWords, Tasks, corridor_optimum, q, train
from strop.algorithms.q_learning import QLearning
from strop.codec import WordCodec
from strop.environments.corridor import Corridor
from strop.environments.guess_word import GuessWord
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import End, Episode, Sampling, Task, Unscored
from strop.verify.tabular import guess_optimum


@pytest.mark.parametrize(("discount", "expected"), [(0.9, {"one": 19.0, "two": 20.0}), (0.0, {"one": 1.0, "two": 2.0})])
def test_two_words_reach_their_exact_values(discount: float, expected: dict[str, float]) -> None:
    # V = 2 / (1 - .9) = 20 whatever follows; Q(one) = 1 + .9 * 20 = 19
    policy, codec = train(PaidWords, WORDS, [Task("0", "")], 10 if discount else 2, 16, 1, discount=discount, rate=1.0)
    for context in ("x", "y"):
        for word, value in expected.items():
            assert abs(q(policy, codec, context, word) - value) < 1e-6


def test_the_misprinted_rule_goes_elsewhere() -> None:
    # Q <- Q + a (r + g max Q') - Q = a (r + g max Q'): fixed points 2a / (1 - ag) = .21978, a (1 + g .21978) = .11978
    one = two = 0.0
    for _ in range(200):
        one, two = 0.1 * (1 + 0.9 * max(one, two)), 0.1 * (2 + 0.9 * max(one, two))
    assert abs(two - 0.21978) < 1e-5
    assert abs(one - 0.11978) < 1e-5
    policy = Table(4, order=1)
    algorithm = QLearning.Config(rate=0.1, discount=0.9).build(policy, Sampling(), 4096)
    algorithm.update(
        batch_of(episode(turn((2,), (1,), reward=2.0), turn((2, 1, 2), (1,), reward=2.0)), layout="per_turn")
    )
    # by hand: first .1 * 2 = .2 (max Q' is 0), then .2 + .1 (2 - .2) = .38; the misprint gives .2 and then .2
    assert policy.weight[policy.row((2,)), 1].item() == pytest.approx(0.38)


def test_a_random_reward_converges_under_a_decaying_rate_and_not_under_rate_one() -> None:
    rng = np.random.default_rng(0)
    rewards = (rng.random(1500) < 0.3).astype(float)
    results = {}
    for decay in (0.8, 0.0):
        policy = Table(2, order=1)
        algorithm = QLearning.Config(rate=1.0, rate_decay=decay, discount=0.9).build(policy, Sampling(), 4096)
        batch = batch_of(*(episode(turn((1,), (0,), reward=float(r))) for r in rewards), layout="per_turn")
        algorithm.update(batch)
        results[decay] = policy.weight[policy.row((1,)), 0].item()
    assert abs(results[0.8] - 0.3) < 0.06
    assert results[0.0] in (0.0, 1.0)  # the last reward, for ever


def corridor(change: Any = lambda one: one, rate: float = 1.0, layout_order: int | None = 1) -> tuple[Table, WordCodec]:
    tasks = [Task(str(i), "", data={"room": i, "length": LENGTH, "turns": 3}) for i in range(LENGTH - 1)]
    return train(Corridor, ["left", "right", *ROOMS], tasks, 5, 24, layout_order, change, rate=rate, discount=DISCOUNT)


def test_corridor_values_are_those_of_the_endless_walk_despite_the_time_limit() -> None:
    policy, codec = corridor()
    for (room, word), value in corridor_optimum().items():
        assert abs(q(policy, codec, f"room{room}", word) - value) < 1e-6


def test_corridor_with_time_outs_taken_for_ends_learns_other_values() -> None:
    def end(one: Episode) -> Episode:
        return replace(one, end=End.TERMINATED, final=())

    policy, codec = corridor(end, rate=0.3)
    gaps = [abs(q(policy, codec, f"room{room}", word) - value) for (room, word), value in corridor_optimum().items()]
    assert max(gaps) > 0.05


def test_corridor_greedy_policy_walks_right() -> None:
    policy, codec = corridor()
    scene = Scene(environment=Corridor, rewards={}, codec=codec, context=None, seed=0)
    greedy = Sampling(temperature=0.0, max_tokens=1)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), greedy, 1, 1)
    (one,) = engine.rollout(Tasks([Task("0", "", data={"room": 1, "length": LENGTH, "turns": 9})]), 0)
    assert [t.text for t in one.turns] == ["right"] * 3
    assert one.end is End.TERMINATED
    assert one.source == "greedy"


def test_guess_word_reaches_backward_induction_over_histories() -> None:
    words = ["ant", "bee", "cat"]
    tasks = [Task(w, "guess", answer=w, data={"words": words, "turns": 2}) for w in words]
    policy, codec = train(
        GuessWord, [*words, "guess", "before", "after", "unknown"], tasks, 6, 100, None,
        rate=1.0, rate_decay=0.8, discount=1.0,
    )  # fmt: skip
    optimum = guess_optimum(words, 2)
    assert optimum[()] == pytest.approx({"ant": 2 / 3, "bee": 1.0, "cat": 2 / 3})  # by hand: halves, then certainty
    for history, values in optimum.items():
        context = " ".join(["guess", *(f"{guess} {reply}" for guess, reply in history)])
        learnt = {word: q(policy, codec, context, word) for word in values}
        assert values[max(learnt, key=learnt.__getitem__)] == max(values.values())
        if history == ():  # about 250 visits an action; deeper histories have a tenth of them
            assert learnt == pytest.approx(values, abs=0.12)
    best = policy.weight[policy.contexts[codec.encode("guess")]].argmax().item()
    assert codec.words[int(best)] == "bee"


def test_q_learning_of_several_tokens_and_a_rewritten_history() -> None:
    # tokens 3 4 in one turn: Q(9 3, 4) = r + g max Q(8), Q(9, 3) = g max Q(9 3); at rate 1 three passes carry it back
    one = episode(turn((9,), (3, 4), reward=1.0), turn((8,), (2,), reward=10.0))
    policy = Table(10)
    algorithm = QLearning.Config(rate=1.0, discount=0.5).build(policy, Sampling(), 4096)
    for _ in range(3):
        algorithm.update(batch_of(one, layout="per_turn"))
    assert policy.weight[policy.row((8,)), 2].item() == 10.0
    assert policy.weight[policy.row((9, 3)), 4].item() == 1.0 + 0.5 * 10.0
    assert policy.weight[policy.row((9,)), 3].item() == 0.5 * 6.0


def test_q_learning_leaves_unscored_episodes_alone() -> None:
    policy = Table(10)
    QLearning.Config().build(policy, Sampling(), 4096).update(
        batch_of(episode(turn((9,), (3,), reward=5.0), reward=Unscored("x")), layout="per_turn")
    )
    assert float(policy.weight.detach().abs().sum()) == 0.0
