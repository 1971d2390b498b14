"""The entropy bonus: its expected gradient is that of the whole law's entropy, by enumeration."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from exact.test_ratio_family import build
from exact.tree import expected_ascent, relative, table_tree
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rloo import RLOO


def test_minus_logprob_as_entropy_has_the_right_value_and_no_gradient() -> None:
    tree = table_tree(3, 3, seed=1)
    laws = {s: law.detach() for s, law in tree.laws().items()}
    probs, visits = tree.probabilities(laws), tree.visits(laws)
    entropy = sum(float(-visits[s] * (laws[s].exp() * laws[s]).sum()) for s in tree.states)
    value = sum(float(-p * logprobs.sum()) for p, logprobs in zip(probs, tree.logprobs(laws), strict=True))
    assert abs(value - entropy) < 1e-14
    gradient = sum(p * s for p, s in zip(probs, tree.score(), strict=True))
    assert float(gradient.abs().max()) < 1e-15


@pytest.mark.parametrize(("kind", "size"), [(REINFORCE, 1), (RLOO, 2), (REINFORCEPlusPlus, 1), (DrGRPO, 2), (GRPO, 2)])
def test_the_bonus_has_the_gradient_of_the_full_entropy(kind: Any, size: int) -> None:
    # without rewards the expected step is weight * E[ mean over its tokens of grad H(pi_s) ], the states held fixed:
    # sequence_sum: sum_s d_s grad H(pi_s); constant: over L_max = 5; the others divide by the tokens of what was drawn
    tree = table_tree(3, 3 if size == 1 else 2, seed=1)
    laws = tree.laws()
    grads = {s: tree.gradient(-(law.exp() * law).sum()) for s, law in laws.items()}
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
