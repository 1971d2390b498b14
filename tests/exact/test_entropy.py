"""The entropy bonus: its expected gradient is that of the whole distribution's entropy, by enumeration."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF
from exact.coin import build as build_on
from exact.learners import GRADIENT, as_baseline, suited
from exact.test_ratio_family import build
from exact.tree import expected_ascent, relative, table_tree
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rloo import RLOO
from strop.policies.table import Table


def test_minus_logprob_as_entropy_has_the_right_value_and_no_gradient() -> None:
    tree = table_tree(3, 3, seed=1)
    distributions = {s: distribution.detach() for s, distribution in tree.distributions().items()}
    probs, visits = tree.probabilities(distributions), tree.visits(distributions)
    entropy = sum(float(-visits[s] * (distributions[s].exp() * distributions[s]).sum()) for s in tree.states)
    value = sum(float(-p * logprobs.sum()) for p, logprobs in zip(probs, tree.logprobs(distributions), strict=True))
    assert abs(value - entropy) < 1e-14
    gradient = sum(p * s for p, s in zip(probs, tree.score(), strict=True))
    assert float(gradient.abs().max()) < 1e-15


@pytest.mark.parametrize(("kind", "size"), [(REINFORCE, 1), (RLOO, 2), (REINFORCEPlusPlus, 1), (DrGRPO, 2), (GRPO, 2)])
def test_the_bonus_has_the_gradient_of_the_full_entropy(kind: Any, size: int) -> None:
    # without rewards the expected step is weight * E[ mean over its tokens of grad H(pi_s) ], the states held fixed:
    # sequence_sum: sum_s d_s grad H(pi_s); constant: over L_max = 5; the others divide by the tokens of what was drawn
    tree = table_tree(3, 3 if size == 1 else 2, seed=1)
    distributions = tree.distributions()
    grads = {s: tree.gradient(-(distribution.exp() * distribution).sum()) for s, distribution in distributions.items()}
    expected = torch.zeros_like(grads[()])
    for probability, members in tree.tuples(size):
        drawn = [tree.sequences[i] for i in members]
        for y in drawn:
            if kind in (REINFORCE, RLOO):
                weight = 1 / size
            elif kind is DrGRPO:
                weight = 1 / size / 5
            elif kind is GRPO:
                weight = 1 / size / len(y)
            else:
                weight = 1 / sum(map(len, drawn))
            expected += probability * weight * sum(grads[y[:t]] for t in range(len(y)))  # type: ignore[arg-type]
    got = expected_ascent(tree, build(kind, tree, entropy=0.3), [0.0] * len(tree.sequences), size)
    assert relative(got, 0.3 * expected) < 1e-12
    assert float(expected_ascent(tree, build(kind, tree), [0.0] * len(tree.sequences), size).abs().max()) < 1e-9


# how much the two tokens of the first answer and the one of the second weigh; ReMax learns from the first alone
WEIGHTS = {
    "REINFORCE": (1 / 2, 1 / 2),
    "RLOO": (1 / 2, 1 / 2),
    "MaxRL": (1 / 2, 1 / 2),
    "ReMax": (1.0, 0.0),
    "DrGRPO": (1 / 2 / 4, 1 / 2 / 4),
    "GRPO": (1 / 2 / 2, 1 / 2),
    "GSPO": (1 / 2 / 2, 1 / 2),
    "GDPO": (1 / 2 / 2, 1 / 2),
    "SAPO": (1 / 2 / 2, 1 / 2),
    "REINFORCEPlusPlus": (1 / 3, 1 / 3),
    "CISPO": (1 / 3, 1 / 3),
    "DPPO": (1 / 3, 1 / 3),
    "A2C": (1 / 3, 1 / 3),
    "PPO": (1 / 3, 1 / 3),
    "VTrace": (1 / 3, 1 / 3),
}
ENTROPIC = [kind for kind in GRADIENT if "entropy" in {field.name for field in fields(kind.Config)}]


@pytest.mark.parametrize("bonus", [0.3, 1.0])
@pytest.mark.parametrize("kind", ENTROPIC)
def test_the_bonus_adds_its_weight_times_the_slope_of_the_entropy(kind: Any, bonus: float) -> None:
    # two tables that differ in the bonus alone move apart by weight * sum of the tokens' weights * dH/dlogits, and of
    # a softmax dH/dz_k = -p_k (log p_k + H); "0 1" and "1" after (9,): row 0 is seen twice, row 1 once
    logits = [[0.3, -1.2], [2.0, 0.5]]
    batch = batch_of(
        episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0),
        as_baseline(episode(turn((9,), (1,), (HALF,)), reward=1.0)),
        layout="per_turn",
    )
    moved = []
    for weight in (0.0, bonus):
        policy = Table(2, capacity=4, value_head=True)
        rows = [policy.row((9,)), policy.row((9, 0))]
        with torch.no_grad():
            policy.weight[rows] = torch.tensor(logits, dtype=torch.float64)
        build_on(kind, policy, entropy=weight, epochs=1).update(suited(kind, batch))
        moved.append(policy.weight[rows].detach().clone())
    first, second = WEIGHTS[kind.__name__]
    for row, seen in ((0, first + second), (1, first)):
        probs = [math.exp(z) / sum(map(math.exp, logits[row])) for z in logits[row]]
        entropy = -sum(p * math.log(p) for p in probs)
        slope = [-p * (math.log(p) + entropy) for p in probs]
        assert (moved[1] - moved[0])[row].tolist() == pytest.approx([bonus * seen * s for s in slope], abs=1e-13)
