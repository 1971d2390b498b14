"""The gradient under samples of another policy, and under each off-policy correction, by enumeration.

A tree of 15 contexts and 31 sequences with a reward at the end. mu is the policy with noise on its logits; one batch
holds every sequence once, weighted by mu, so one update is the exact expectation under mu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from strop.algorithms.reinforce import REINFORCE
from strop.functional.corrections import Correction, effective_sample_size
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.types import Pick, Sampling
from strop.verify.checks import Gap
from strop.verify.policy_gradient import EXACT
from strop.verify.tree import Distributions, Tree, ascent, flat, random_weights, relative, set_weights, table_tree

NOISE = {"small": 0.05, "middle": 0.4, "large": 1.5}
INF = math.inf
KINDS: dict[str, Correction | None] = {
    "none": None,
    "token": Correction(cap=INF),
    "token TIS 2": Correction(cap=2.0),
    "sequence": Correction(level="sequence", cap=INF),
    "sequence TIS 2": Correction(level="sequence", cap=2.0),
    "sequence MIS 3": Correction(level="sequence", kind="mask", cap=3.0),
    "token IcePop .5 to 5": Correction(kind="mask", floor=0.5, cap=5.0),
}
SLOW: dict[str, Callable[[list[float]], list[float]]] = {
    "none": lambda rho: [1.0] * len(rho),
    "token": lambda rho: rho,
    "token TIS 2": lambda rho: [min(r, 2.0) for r in rho],
    "sequence": lambda rho: [math.prod(rho)] * len(rho),
    "sequence TIS 2": lambda rho: [min(math.prod(rho), 2.0)] * len(rho),
    "sequence MIS 3": lambda rho: [math.prod(rho) if math.prod(rho) <= 3.0 else 0.0] * len(rho),
    "token IcePop .5 to 5": lambda rho: [r if 0.5 <= r <= 5.0 else 0.0 for r in rho],
    "prefix": lambda rho: [math.prod(rho[: t + 1]) for t in range(len(rho))],
    "length-normalised": lambda rho: [math.prod(rho) ** (1 / len(rho))] * len(rho),
}
"""ratios of an answer's tokens -> their weights."""


def mismatched(noise: float) -> tuple[Tree, Distributions, list[float]]:
    """The tree of the learner, the sampler's distributions, and a reward for every sequence."""
    tree = table_tree(3, 4, seed=3)
    own = flat(tree.policy.parameters())
    set_weights(tree.policy, own + random_weights(tree.policy, seed=4, scale=noise))
    mu = {s: distribution.detach() for s, distribution in tree.distributions().items()}
    set_weights(tree.policy, own)
    rewards: list[float] = random_weights(tree.policy, seed=5)[: len(tree.sequences)].tolist()
    return tree, mu, rewards


def expected(tree: Tree, mu: Distributions, rewards: list[float], correction: Correction | None) -> Tensor:
    """The exact expectation of REINFORCE's step where mu samples."""
    config = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(), baseline_decay=None, correction=correction)
    algorithm = config.build(tree.policy, Sampling(), 4096)
    probs = tree.probabilities(mu).tolist()
    episodes = tree.episodes(rewards, distributions=mu)
    return ascent(tree, algorithm, [Pick(one, weight=len(probs) * p) for one, p in zip(episodes, probs, strict=True)])


def by_hand(tree: Tree, mu: Distributions, rewards: list[float]) -> dict[str, Tensor]:
    """sum_y mu(y) r(y) sum_t w_t grad log pi(y_t) of every weight in SLOW, in plain loops."""
    totals = {name: torch.zeros_like(flat(tree.policy.parameters())) for name in SLOW}
    probs, old = tree.probabilities(mu).tolist(), tree.logprobs(mu)
    for p, r, new_T, old_T in zip(probs, rewards, tree.logprobs(tree.distributions()), old, strict=True):
        rho = (new_T.detach() - old_T).exp().tolist()
        scores = [tree.gradient(logprob) for logprob in new_T]
        for name, weigh in SLOW.items():
            for w, score in zip(weigh(rho), scores, strict=True):
                totals[name] += p * r * w * score
    return totals


def check_correction() -> Iterator[Gap]:
    """Correction: where another policy samples, grad J of the learner with sequence weights."""
    for name, noise in NOISE.items():
        tree, mu, rewards = mismatched(noise)
        got = expected(tree, mu, rewards, KINDS["sequence"])
        yield Gap(relative(got, tree.true_gradient(rewards)), EXACT, f"{name} noise")


def check_correction_kinds() -> Iterator[Gap]:
    """Correction: where another policy samples, a slow reference of each kind."""
    tree, mu, rewards = mismatched(NOISE["large"])
    slow = by_hand(tree, mu, rewards)
    for name, correction in KINDS.items():
        yield Gap(relative(expected(tree, mu, rewards, correction), slow[name]), EXACT, name)


def check_correction_drop_negative() -> Iterator[Gap]:
    """Correction: drop_negative, the hand-computed gradient without the dropped answers."""
    tree, mu, rewards = mismatched(NOISE["large"])
    own, acted = tree.logprobs(tree.distributions()), tree.logprobs(mu)
    drifts = [(old_T - new_T).mean().item() for new_T, old_T in zip(own, acted, strict=True)]
    score, probs = tree.score(), tree.probabilities(mu).tolist()
    for max_drift in (0.0, 0.3, 5.0):
        slow = torch.zeros_like(score[0])
        for p, reward, drift, s in zip(probs, rewards, drifts, score, strict=True):
            slow += 0.0 if reward < 0 and drift > max_drift else p * reward * s
        correction = Correction(level="sequence", kind="drop_negative", max_drift=max_drift)
        yield Gap(relative(expected(tree, mu, rewards, correction), slow), EXACT, f"above {max_drift:g} nats a token")


def check_effective_sample_size() -> Iterator[Gap]:
    """Correction: the effective sample size (sum w)^2 / (N sum w^2), by hand."""
    # ratios 3, 1 and .5: 4.5^2 / (3 * 10.25) = 27 / 41; e^800 overflows, and leaves one sample of two
    for log_weights, share, name in (
        ([0.0, 0.0, 0.0], 1.0, "equal"),
        ([math.log(3), 0.0, math.log(0.5)], 27 / 41, "3, 1, .5"),
        ([800.0, 0.0], 0.5, "e^800, 1"),
    ):
        got = effective_sample_size(torch.tensor(log_weights, dtype=torch.float64))
        yield Gap(abs(got - share), 1e-14, name)
