"""The expected gradient of each placement and estimator of KL, in closed form.

By autograd over the enumeration; d_s is the probability of visiting state s, held fixed:

    sequence      grad KL(pi || ref) of whole sequences
    reverse       sum_s d_s grad KL(pi_s || ref_s)        the token-local reverse KL
    forward       sum_s d_s grad KL(ref_s || pi_s)        the token-local forward KL

An estimator c in the reward gives grad sum_y pi(y) sg(c(y)) = grad E[c] - E[grad c]; since E[k1] = E[k3] = E[full] = KL
and E[grad k2] = E[grad full] = reverse, E[grad k3] = forward, E[grad k1] = 0, the table below follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.divergences import KL, estimate
from strop.optimizer import SGD
from strop.types import Sampling
from strop.verify.checks import Gap
from strop.verify.tree import (
    Distributions,
    Tree,
    built_at,
    expected_ascent,
    flat,
    random_weights,
    relative,
    set_weights,
    table_tree,
)

EXACT = 1e-10
TABLE = {
    ("reward", "k1"): "sequence",
    ("reward", "k2"): "k2 - reverse",
    ("reward", "k3"): "sequence - forward",
    ("reward", "full"): "sequence - reverse",
    ("loss", "k2"): "reverse",
    ("loss", "k3"): "forward",
    ("loss", "k3_ratio"): "reverse",
    ("loss", "full"): "reverse",
}


def build(kind: Any, tree: Tree, placement: Any, estimator: Any, reference: Tensor, **fields: Any) -> Any:
    """The algorithm with KL of weight 1 to `reference`."""
    kl = KL(weight=1.0, placement=placement, estimator=estimator)
    config = kind.Config(optimizer=SGD(lr=1.0), kl=kl, **fields)
    sampling = Sampling(temperature=tree.temperature, max_tokens=5)
    return built_at(tree, reference, lambda: config.build(tree.policy, sampling, 4096))


def at(tree: Tree, weights: Tensor) -> Distributions:
    """The distributions under other weights, detached."""
    own = flat(tree.policy.parameters())
    set_weights(tree.policy, weights)
    distributions = {s: distribution.detach() for s, distribution in tree.distributions().items()}
    set_weights(tree.policy, own)
    return distributions


def closed_forms(tree: Tree, reference: Tensor) -> dict[str, Tensor]:
    """The gradients that the module's docstring names."""
    ref = at(tree, reference)
    distributions = tree.distributions()
    visits = {s: d.detach() for s, d in tree.visits(distributions).items()}
    probs = tree.probabilities(distributions)
    ratios = [a - b for a, b in zip(tree.logprobs(distributions), tree.logprobs(ref), strict=True)]
    sequence = tree.gradient(_sum(p * ratio.sum() for p, ratio in zip(probs, ratios, strict=True)))
    k2 = tree.gradient(_sum(p * (ratio**2 / 2).sum() for p, ratio in zip(probs, ratios, strict=True)))
    reverse = tree.gradient(
        _sum(visits[s] * (distributions[s].exp() * (distributions[s] - ref[s])).sum() for s in tree.states)
    )
    forward = tree.gradient(_sum(visits[s] * (ref[s].exp() * (ref[s] - distributions[s])).sum() for s in tree.states))
    return {
        "sequence": sequence,
        "reverse": reverse,
        "forward": forward,
        "k2 - reverse": k2 - reverse,
        "sequence - forward": sequence - forward,
        "sequence - reverse": sequence - reverse,
    }


def _sum(terms: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


def check_kl_gradients() -> Iterator[Gap]:
    """KL: the documented gradient of each placement and estimator."""
    tree = table_tree(3, 3, seed=0, temperature=0.7)
    reference = random_weights(tree.policy, seed=1)
    forms = closed_forms(tree, reference)
    for (placement, estimator), name in TABLE.items():
        algorithm = build(REINFORCE, tree, placement, estimator, reference, baseline_decay=None)
        got = -expected_ascent(tree, algorithm, [0.0] * len(tree.sequences), 1)
        yield Gap(relative(got, forms[name]), EXACT, f"{estimator} in the {placement} = {name}")


def check_kl_values() -> Iterator[Gap]:
    """KL: the expected value of each estimator is the sequence KL."""
    tree = table_tree(3, 3, seed=0)
    distributions, ref = tree.distributions(), at(tree, random_weights(tree.policy, seed=1))
    probs = tree.probabilities(distributions).tolist()
    ratios = [(a - b).detach() for a, b in zip(tree.logprobs(distributions), tree.logprobs(ref), strict=True)]
    true = sum(p * float(ratio.sum()) for p, ratio in zip(probs, ratios, strict=True))
    for estimator in ("k1", "k3"):
        value = sum(p * float(estimate(ratio, estimator).sum()) for p, ratio in zip(probs, ratios, strict=True))
        yield Gap(abs(value - true), EXACT, f"{estimator} is unbiased")


def _pull(kind: Any, factor: float) -> Gap:
    tree = table_tree(3, 2, seed=0, end=None)
    reference = random_weights(tree.policy, seed=1)
    algorithm = build(kind, tree, "reward", "k1", reference)
    got = -expected_ascent(tree, algorithm, [0.0] * len(tree.sequences), 2)
    return Gap(relative(got, factor * closed_forms(tree, reference)["sequence"]), EXACT)


def check_rloo_kl() -> Gap:
    """RLOO: the sequence KL's gradient, from k1 in the reward."""
    return _pull(RLOO, 1.0)


def check_dr_grpo_kl() -> Gap:
    """Dr. GRPO: 1/2 / L_max of the sequence KL's gradient, from k1 in the reward of pairs."""
    return _pull(DrGRPO, 0.5 / 5)


def check_grpo_kl() -> Gap:
    """GRPO: 1/2 of the sequence KL's gradient over the length, whatever the group's std."""
    return _pull(GRPO, 0.5 / 2)
