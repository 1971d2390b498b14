"""ReMax, whose baseline is the greedy answer, and REINFORCE++, whose baseline is the batch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.remax import ReMax
from strop.codec import WordCodec
from strop.environments.single_turn import SingleTurn
from strop.functional.divergences import KL
from strop.optimizer import AdamW
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Completion, Episode, Pick, Sampling, Source, Task, Unscored
from strop.verify.answers import answered
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.policy_gradient import EXACT, build, rewards_of
from strop.verify.ratios import over_all_tokens
from strop.verify.tree import PROMPT, Tree, ascent, expected_ascent, relative, table_tree
from strop.verify.worlds import Tasks


def with_greedy(tree: Tree, rewards: Sequence[float | Unscored], baseline: float | Unscored) -> Episode:
    """The group's greedy episode, with the reward `baseline`."""
    one = tree.episodes(rewards)[0]
    (only,) = one.turns
    sure = Completion(only.completion.tokens, (0.0,) * len(only.completion.tokens), "stop")
    first = replace(one, turns=(replace(only, completion=sure),), source=Source.GREEDY)
    return replace(first, parts={"r": replace(one.parts["r"], total=baseline)})


def expected_with_greedy(tree: Tree, algorithm: Any, rewards: Sequence[float], size: int, baseline: float) -> Tensor:
    """The exact expectation of an update over every group, each with the same greedy episode."""
    episodes, greedy = tree.episodes(rewards), with_greedy(tree, rewards, baseline)
    total = torch.zeros_like(tree.score()[0])
    for probability, members in tree.tuples(size):
        picks = [Pick(episodes[i]) for i in members] + [Pick(greedy)]
        total += probability * ascent(tree, algorithm, picks)
    return total


def over_tokens(returns: list[float], lengths: list[int]) -> list[float]:
    """Whitened over all tokens (population std): each return counts once per token of its sequence."""
    spread = [r for r, n in zip(returns, lengths, strict=True) for _ in range(n)]
    return [(r - statistics.fmean(spread)) / (statistics.pstdev(spread) + 1e-8) for r in returns]


def check_remax() -> Iterator[Gap]:
    """ReMax: grad J over every group, for any greedy reward."""
    tree = table_tree(3, 2, seed=2)
    rewards = rewards_of(tree)
    true = tree.true_gradient(rewards)
    for size in (1, 2):
        for baseline in (0.0, 3.0):
            got = expected_with_greedy(tree, build(ReMax, tree), rewards, size, baseline)
            yield Gap(relative(got, true), EXACT, f"G = {size}, {baseline:g}")


def check_remax_advantage() -> Gap:
    """ReMax: for each answer, its score function times its return minus the greedy return."""
    tree = table_tree(3, 2, seed=2)
    rewards, baseline = rewards_of(tree), 3.0
    greedy = Pick(with_greedy(tree, rewards, baseline))
    gaps = [
        relative(ascent(tree, build(ReMax, tree), [Pick(one), greedy]), (reward - baseline) * score)
        for one, reward, score in zip(tree.episodes(rewards), rewards, tree.score(), strict=True)
    ]
    return Gap(max(gaps), EXACT)


def check_remax_plays_greedily() -> Gap:
    """ReMax: the greedy episode takes the likeliest tokens, though the run samples uniformly (other tokens)."""
    words = ("red", "green", "blue")
    policy, codec = Table(4), WordCodec(words, has_end=True)
    for row, prompt in enumerate(words):
        policy.row(codec.start(prompt))
        with torch.no_grad():
            policy.weight[row, (row + 1) % len(words)] = 0.1
    scene = Scene(environment=SingleTurn, rewards={}, codec=codec, context=None, seed=0)
    exploring = Sampling(temperature=1.5, epsilon=0.9, max_tokens=1)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), exploring, 8, len(words), ReMax.Config.extras)
    played = engine.rollout(Tasks([Task(word, word) for word in words]), 0)
    greedy = [one for one in played if one.source is Source.GREEDY]
    said = [(str(one.task.prompt), one.text, one.turns[0].completion.logprobs) for one in greedy]
    wanted = [(word, words[(i + 1) % len(words)], (0.0,)) for i, word in enumerate(words)]
    return Gap(float(sum(a != b for a, b in zip(said, wanted, strict=False)) + abs(len(said) - len(wanted))), 0.0)


def check_reinforce_pp() -> Iterator[Gap]:
    """REINFORCE++: returns whitened over all tokens, over every group."""
    tree = table_tree(3, 2, seed=8)
    rewards = rewards_of(tree)
    for size in (2, 3):
        expected = over_all_tokens(tree, rewards, size, over_tokens)
        for has_baseline in (False, True):  # of one group: taking its mean off before whitening changes nothing
            algorithm = build(REINFORCEPlusPlus, tree, group_baseline=has_baseline)
            got = expected_ascent(tree, algorithm, rewards, size)
            case = f"G = {size}" + ", group baseline" * has_baseline
            yield Gap(relative(got, expected), 1e-7, case)  # returns of one size: their rounding over 1e-8


def check_reinforce_pp_advantages() -> Iterator[Gap]:
    """REINFORCE++: its advantages, computed by hand."""
    tree = table_tree(3, 2)
    # two groups of one-token answers paying 3, 1 and 10, 6: centred +-1, +-2, the population std sqrt(2.5)
    pays = [(3.0, 0), (1.0, 0), (10.0, 1), (6.0, 1)]
    groups = batch_of(
        *(episode(turn(PROMPT, (i % 3,)), reward=r, group=g) for i, (r, g) in enumerate(pays)), layout="per_turn"
    )
    got_BT = build(REINFORCEPlusPlus, tree, group_baseline=True).update(groups).per_token["advantage"]
    yield _largest(got_BT[groups.action_BT], [x / math.sqrt(2.5) for x in (1, -1, 2, -2)], "two groups' baselines")
    # one answer of three tokens, paying 4 at its end, at discount .5: returns 1, 2, 4; mean 7/3, variance 14/9
    one = batch_of(episode(turn(PROMPT, (1, 2, 1)), reward=4.0))
    got_BT = build(REINFORCEPlusPlus, tree, discount=0.5).update(one).per_token["advantage"]
    wanted = [(x - 7 / 3) / math.sqrt(14 / 9) for x in (1, 2, 4)]
    yield _largest(got_BT[one.action_BT], wanted, "returns to go at discount .5")


def _largest(got_N: Tensor, wanted: Sequence[float], case: str) -> Gap:
    return Gap(float((got_N - torch.tensor(wanted, dtype=torch.float64)).abs().max()), 1e-7, case)


def learn_remax(seed: int) -> Gap:
    """ReMax: both right answers, each with its end token, with probability 1."""
    return answered(ReMax.Config(optimizer=AdamW(lr=0.2)), 35, seed)


def learn_reinforce_pp(seed: int) -> Gap:
    """REINFORCE++: both right answers, each with its end token, with probability 1, through four epochs a batch."""
    return answered(REINFORCEPlusPlus.Config(optimizer=AdamW(lr=0.05), kl=KL(), epochs=4), 40, seed)
