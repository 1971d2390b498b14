"""ReMax, REINFORCE++, DAPO, GSPO, SAPO and CISPO: factors in closed form, and fields by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from exact.build import episode, turn
from exact.learners import configured
from exact.tree import PROMPT, Tree, ascent, expected_ascent, relative, table_tree
from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.gspo import GSPO
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.remax import ReMax
from strop.algorithms.rloo import RLOO
from strop.algorithms.sapo import SAPO
from strop.batch import collate
from strop.functional.divergences import KL
from strop.functional.lengths import soft_overlong
from strop.optimizer import SGD
from strop.types import Pick, Sampling, Unscored
from strop.verify.baselines import with_greedy
from strop.verify.policy_gradient import rewards_of

pytestmark = pytest.mark.matrix


def build(kind: Any, tree: Tree, max_tokens: int = 5, **fields: Any) -> Any:
    config = configured(kind, **({"optimizer": SGD(lr=1.0), "kl": KL()} | fields))
    return config.build(tree.policy, Sampling(max_tokens=max_tokens), 4096)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("kind", [DAPO, CISPO, GSPO, SAPO])
def test_binary_rewards_on_equal_lengths_give_the_gradient_times_a_known_factor(kind: Any, size: int) -> None:
    # as for GRPO: sum_k C(G, k) q^k (1-q)^(G-k) k (1-k/G)/G / (std_k + 1e-4) / (q (1-q)), over the 2 tokens
    tree = table_tree(2, 2, end=None, seed=4)
    rewards = [1.0, 0.0, 0.0, 1.0]
    q = sum(p * r for p, r in zip(tree.probabilities(tree.distributions()).tolist(), rewards, strict=True))
    factor = sum(
        math.comb(size, k) * q ** (k - 1) * (1 - q) ** (size - k - 1) * k * (1 - k / size) / size
        / (math.sqrt(k * (1 - k / size) / (size - 1)) + 1e-4)
        for k in range(1, size)
    )  # fmt: skip
    got = expected_ascent(tree, build(kind, tree), rewards, size)
    assert relative(got, factor * tree.true_gradient(rewards) / 2) < 1e-12


# ------------------------------------------------------------ ReMax


def test_remax_baseline_lowers_the_variance() -> None:
    tree = table_tree(3, 2, seed=2)
    rewards = [r + 5.0 for r in rewards_of(tree)]
    square = {}
    for baseline in (0.0, 5.0):
        greedy = with_greedy(tree, rewards, baseline)
        square[baseline] = sum(
            p * float(ascent(tree, build(ReMax, tree), [Pick(tree.episodes(rewards)[i]), Pick(greedy)]).square().sum())
            for p, (i,) in tree.tuples(1)
        )
    assert square[5.0] < 0.2 * square[0.0]


def test_remax_skips_groups_with_an_unscored_greedy_answer_and_refuses_groups_without_one() -> None:
    tree = table_tree(3, 2)
    rewards = rewards_of(tree)
    lost = with_greedy(tree, rewards, Unscored("judge"))
    assert float(ascent(tree, build(ReMax, tree), [Pick(tree.episodes(rewards)[1]), Pick(lost)]).abs().max()) == 0.0
    with pytest.raises(ValueError, match="a greedy episode in every group; 1 have none"):
        ascent(tree, build(ReMax, tree), [Pick(tree.episodes(rewards)[1])])


# ------------------------------------------------------------ DAPO


def answers(*rewards: float, group: int = 0, cut: Sequence[int] = ()) -> list[Pick]:
    """One-token and two-token answers by turns; those in `cut` were cut at max_tokens."""
    picks = []
    for i, reward in enumerate(rewards):
        tokens = (1, 2)[: 1 + i % 2]
        one = turn(PROMPT, tokens, (-1.0,) * len(tokens))
        finish = "length" if i in cut else "stop"
        one = replace(one, completion=replace(one.completion, finish=finish))
        picks.append(Pick(episode(one, reward=reward, group=group, id=f"{group}-{i}")))
    return picks


def test_a_group_without_signal_leaves_dapo_untouched_and_shrinks_the_others() -> None:
    tree = table_tree(3, 2)
    good, dull = answers(1.0, 0.0, 0.0), answers(1.0, 1.0, 1.0, group=1)
    alone = {k: ascent(tree, build(k, tree), good) for k in (DAPO, CISPO, GSPO, SAPO, GRPO, DrGRPO)}
    both = {k: ascent(tree, build(k, tree), good + dull) for k in alone}
    assert torch.equal(both[DAPO], alone[DAPO])  # what has no loss is not in the denominator either
    for kind in (CISPO, GSPO, SAPO, GRPO, DrGRPO):
        assert relative(both[kind], alone[kind] / 2) < 1e-14
    assert all(float(ascent(tree, build(k, tree), dull).abs().max()) == 0.0 for k in alone)


def test_answers_that_were_cut_have_no_loss_and_leave_the_denominator() -> None:
    # returns 1, 0, 0 of lengths 1, 2, 1; the second was cut. Advantages 2/3, -1/3, -1/3 over std .57735 + 1e-4: with
    # the mask (A_1 s_1 + A_3 s_1) / 2 tokens, without it (A_1 s_1 + A_2 (s_1 + s_12) + A_3 s_1) / 4
    tree = table_tree(3, 2)
    picks = answers(1.0, 0.0, 0.0, cut=(1,))
    a = [x / (math.sqrt(1 / 3) + 1e-4) for x in (2 / 3, -1 / 3, -1 / 3)]
    distributions = tree.distributions()
    first, second = tree.gradient(distributions[()][1]), tree.gradient(distributions[1,][2])
    assert relative(ascent(tree, build(DAPO, tree), picks), (a[0] + a[2]) * first / 2) < 1e-13
    whole = ((a[0] + a[1] + a[2]) * first + a[1] * second) / 4
    assert relative(ascent(tree, build(DAPO, tree, mask_truncated=False), picks), whole) < 1e-13


def test_the_soft_penalty_of_the_paper_in_numbers() -> None:
    # eq. 13 with L_max = 20480 and L_cache = 4096
    lengths = torch.tensor([1, 16384, 16385, 18432, 20479, 20480, 30000])
    got = soft_overlong(lengths, 20480, 4096).tolist()
    assert got == [0.0, 0.0, -1 / 4096, -0.5, -4095 / 4096, -1.0, -1.0]
    assert soft_overlong(lengths, 20480, 0).tolist() == [0.0] * 7


def test_the_penalty_enters_the_advantage_but_not_the_choice_of_groups() -> None:
    # max 2 tokens, cache 1: an answer of 2 tokens costs 1
    tree = table_tree(3, 2)
    fields = {"overlong_tokens": 1, "max_tokens": 2}
    equal = answers(1.0, 1.0)  # would differ by the penalty, but the task pays the same
    assert float(ascent(tree, build(DAPO, tree, **fields), equal).abs().max()) == 0.0
    got = ascent(tree, build(DAPO, tree, **fields), answers(1.0, 0.5, 0.0))
    plain = ascent(tree, build(DAPO, tree), answers(1.0, -0.5, 0.0))
    assert relative(got, plain) < 1e-14
    with pytest.raises(ValueError, match="overlong_tokens=9"):
        build(DAPO, tree, overlong_tokens=9)
    build(DAPO, tree, max_tokens=9, overlong_tokens=9)  # the penalty may begin with the first token


def test_rejected_groups_and_cut_answers_are_logged() -> None:
    tree = table_tree(3, 2)
    picks = answers(1.0, 0.0, cut=(1,)) + answers(1.0, 1.0, group=1) + answers(0.0, 0.0, group=2)
    metrics = build(DAPO, tree).update(collate(tuple(picks), "per_turn")).metrics
    assert metrics["dapo/rejected_groups"].value == 2
    assert metrics["dapo/truncated"].value == pytest.approx(1 / 6)


# ------------------------------------------------------------ KL in the reward


@pytest.mark.parametrize("kind", [GSPO, CISPO, SAPO, ReMax, REINFORCEPlusPlus])
def test_the_pull_to_the_reference_is_taken_off_the_return(kind: Any) -> None:
    # logits 1, 0, 0 against a reference of 0, -3, 0, KL weight .1, no task reward: k1 of the answers 0 and 1 differ by
    # 1 - 3 = -2. Group methods centre: +- .1; ReMax takes .1 k1 off each; whitening leaves 1 and -1
    tree = table_tree(3, 1, end=None)
    row = tree.policy.row(PROMPT)
    with torch.no_grad():
        tree.policy.weight[row] = torch.tensor([0.0, -3.0, 0.0], dtype=torch.float64)
    algorithm = build(kind, tree, kl=KL(weight=0.1))
    with torch.no_grad():
        tree.policy.weight[row] = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    zero = [0.0] * 3
    picks = [Pick(one) for one in tree.episodes(zero)[:2]]
    picks += [Pick(with_greedy(tree, zero, 0.0))] if kind is ReMax else []
    got = algorithm.update(collate(tuple(picks), "per_turn")).per_token["advantage"].sum(1).tolist()[:2]
    own, start = math.log(math.e + 2), math.log(2 + math.exp(-3))
    k1 = [(1 - own) - (0 - start), (0 - own) - (-3 - start)]
    expected = {ReMax: [-0.1 * k for k in k1], REINFORCEPlusPlus: [1.0, -1.0]}.get(kind, [0.1, -0.1])
    assert got == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("kind", "fields"), [
    (GSPO, {"clip_low": -1.0}), (DAPO, {"clip_high": -0.1}), (DAPO, {"oversampling": 0}),
    (DAPO, {"overlong_tokens": -1}), (CISPO, {"cap": 0.2}), (CISPO, {"floor": 1.5}),
    (SAPO, {"tau_negative": 0.0}), (REINFORCEPlusPlus, {"discount": 2.0}),
    (GRPO, {"dual_clip": 1.1}), (DrGRPO, {"dual_clip": 1.1}), (RLOO, {"clip": -1.0}),
])  # fmt: skip
def test_a_field_that_means_nothing_is_refused_by_its_name(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields)).split("_")[0]):
        kind.Config(**fields)


def test_a_groups_baseline_holds_the_pull_to_the_reference() -> None:
    # as before; two groups whose pulls differ: each return is r = -.1 k1, less its group's mean, then whitened
    tree = table_tree(3, 1, end=None)
    row = tree.policy.row(PROMPT)
    with torch.no_grad():
        tree.policy.weight[row] = torch.tensor([0.0, -3.0, 0.0], dtype=torch.float64)
    algorithm = build(REINFORCEPlusPlus, tree, kl=KL(weight=0.1), group_baseline=True)
    with torch.no_grad():
        tree.policy.weight[row] = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    own, start = math.log(math.e + 2), math.log(2 + math.exp(-3))
    k1 = [(1 - own) - (0 - start), (0 - own) - (-3 - start), (0 - own) - (0 - start)]
    answers = tree.episodes([0.0] * 3)
    chosen = [(0, 0), (0, 1), (1, 2), (1, 2), (1, 0)]  # (group, answer)
    picks = tuple(Pick(replace(answers[a], group=g, id=f"{i}")) for i, (g, a) in enumerate(chosen))
    got = algorithm.update(collate(picks, "per_turn")).per_token["advantage"].sum(1).tolist()
    returns = [-0.1 * k1[a] for _, a in chosen]
    means = [sum(returns[:2]) / 2, sum(returns[2:]) / 3]
    centred = [r - means[g] for r, (g, _) in zip(returns, chosen, strict=True)]
    deviation = math.sqrt(sum(c * c for c in centred) / 5)
    assert got == pytest.approx([c / deviation for c in centred], abs=1e-6)
