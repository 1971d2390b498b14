"""Actor-critics against slow references: two updates on the episodes of `awkward`, with every option in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from strop.algorithms.a2c import A2C
from strop.algorithms.ppo import PPO
from strop.algorithms.vtrace import VTrace
from strop.functional.corrections import Correction
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.types import Pick
from strop.verify.awkward import SAMPLING, parts, picks, stories
from strop.verify.checks import Gap
from strop.verify.chunked import REFERENCE, START
from strop.verify.slow_critics import Actor, ahead, generalised, slow_updates, slow_vtrace, traced
from strop.verify.slow_terms import by_token, stopped
from strop.verify.slowly import MICRO, OPTIMIZER, Expected, agree


def one_case(config: Any, slow: Iterator[Expected], name: str, chosen: Sequence[Pick]) -> Gap:
    """A config against its slow reference; policy at START, KL reference and separate critic at REFERENCE."""
    policy = REFERENCE.policy(has_values=True)
    algorithm = config.build(policy, SAMPLING, MICRO)
    with torch.no_grad():
        for number, start in zip(policy.parameters(), (START.weight, START.value), strict=True):
            number.copy_(start)
    return agree(algorithm, algorithm.parameters(), chosen, slow, name)


def check_a2c_updates() -> Iterator[Gap]:
    """A2C: a slow reference, two updates on edge-case episodes."""
    cases = {
        "three steps ahead": (3, Critic(weight=0.7), KL(weight=0.2), Correction(cap=1.5)),
        "to the end, a critic of its own": (None, Critic(weight=0.4, separate=True), KL(), None),
        "one step ahead, whole answers masked": (
            1, Critic(weight=0.7, clip=0.1), KL(weight=0.2, estimator="k3"),
            Correction(level="sequence", kind="mask", floor=0.3, cap=2.5, max_staleness=1),
        ),
    }  # fmt: skip
    for name, (steps, critic, kl, correction) in cases.items():
        given: dict[str, Any] = {"critic": critic, "kl": kl, "correction": correction, "entropy": 0.05}
        config = A2C.Config(optimizer=OPTIMIZER, discount=0.9, n_step=steps, **given)
        slow = slow_updates(stories(picks()), Actor(**given), ahead(0.9, steps))
        yield one_case(config, slow, name, picks())
    alone = [pick for pick in picks() if len(pick.episode.turns) == pick.episode.num_actions == 1]
    for chosen, name in ((alone[:1], "a single act"), ([alone[0], alone[0]], "the same act twice")):
        slow = slow_updates(stories(chosen), Actor(critic=Critic(), entropy=0.05), ahead(0.9, 1))
        yield one_case(A2C.Config(optimizer=OPTIMIZER, discount=0.9, n_step=1, entropy=0.05), slow, name, chosen)


def check_ppo_updates() -> Iterator[Gap]:
    """PPO: a slow reference, two updates on edge-case episodes."""
    cases: dict[str, tuple[dict[str, Any], Critic, bool]] = {
        "two epochs, a KL controller": ({"kl": KL(weight=0.2), "epochs": 2}, Critic(weight=0.7, clip=0.02), True),
        "mini-batches, whole answers truncated": (
            {"epochs": 2, "minibatches": 3, "correction": Correction(level="sequence", cap=1.4)},
            Critic(weight=0.3, separate=True),
            False,
        ),
        "one step, the exact KL": ({"kl": KL(weight=0.3, estimator="full")}, Critic(weight=0.5), False),
    }
    for name, (fields, critic, is_steered) in cases.items():
        given: dict[str, Any] = {"epochs": 1, "kl": KL(), "critic": critic, "entropy": 0.03} | fields
        controller = KLController(target=0.0115, horizon=100) if is_steered else None
        config = PPO.Config(
            optimizer=OPTIMIZER, clip=0.1, dual_clip=1.15, discount=0.9, trace=0.8, kl_controller=controller, **given
        )
        actor = Actor(term=by_token(0.1, 0.1, 1.15), flag=stopped(0.1, 0.1, 1.15), whitens=True, **given)
        slow = slow_updates(stories(picks()), actor, generalised(0.9, 0.8), controller)
        yield one_case(config, slow, name, picks())


def check_vtrace_updates() -> Iterator[Gap]:
    """V-trace: a slow reference, two updates on parts of edge-case episodes, with unequal caps."""
    for ratio_cap, trace_cap, is_separate in ((1.4, 0.8, False), (1.1, 1.1, True)):
        critic = Critic(weight=0.6, clip=None if is_separate else 0.1, separate=is_separate)
        given: dict[str, Any] = {"critic": critic, "entropy": 0.05}
        config = VTrace.Config(
            optimizer=OPTIMIZER, discount=0.9, ratio_cap=ratio_cap, trace_cap=trace_cap, **given
        )  # fmt: skip
        outlook = traced(0.9, ratio_cap, trace_cap)
        slow = slow_vtrace(stories(parts()), Actor(**given), outlook, ratio_cap)
        yield one_case(config, slow, f"caps {ratio_cap:g} and {trace_cap:g}", parts())
