"""Policy gradients against slow references: two updates on the episodes of `awkward`, with every option in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.distillation import Distillation
from strop.algorithms.dppo import DPPO, Divergence
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.gspo import GSPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rejection_sampling import RejectionSampling
from strop.algorithms.remax import ReMax
from strop.algorithms.rloo import RLOO
from strop.algorithms.sapo import SAPO
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.types import Pick, PolicyConfig, Source
from strop.verify import slow_opinions
from strop.verify.awkward import SAMPLING, Story, picks, stories
from strop.verify.checks import Gap
from strop.verify.chunked import REFERENCE, START, Chunked
from strop.verify.slow_gradients import Flag, Lists, Opinion, Opinions, Rules, Term, kl_of, logprobs, slow_updates
from strop.verify.slow_terms import by_answer, by_token, plain, stopped, within
from strop.verify.slowly import MICRO, OPTIMIZER, agree

FRESH = {
    "KL in the reward": Rules(kl=KL(weight=0.3), correction=Correction(cap=1.5)),
    "k3 in the reward, entropy": Rules(kl=KL(weight=0.2, estimator="k3"), entropy=0.1),
    "the exact KL in the reward, old samples out": Rules(
        kl=KL(weight=0.4, estimator="full"), correction=Correction(cap=3.0, max_staleness=0)
    ),
    "k3 in the loss": Rules(kl=KL(weight=0.3, placement="loss", estimator="k3")),
    "nothing": Rules(),
    "tokens masked": Rules(correction=Correction(kind="mask", floor=0.5, cap=1.6)),
    "whole answers": Rules(correction=Correction(level="sequence", cap=1.3)),
    "bad answers that drifted dropped": Rules(
        correction=Correction(level="sequence", kind="drop_negative", max_drift=0.2)
    ),
}
"""Shared options with one step per batch."""
AGAIN = {
    "k2 in the reward, whole answers truncated": Rules(
        kl=KL(weight=0.3, estimator="k2"), correction=Correction(level="sequence", cap=1.4), epochs=2
    ),
    "k3 with its ratio in the loss, whole answers masked": Rules(
        kl=KL(weight=0.5, placement="loss", estimator="k3_ratio"),
        entropy=0.05,
        correction=Correction(level="sequence", kind="mask", floor=0.2, cap=3.0),
        epochs=2,
    ),
    "the exact KL in the loss": Rules(kl=KL(weight=0.2, placement="loss", estimator="full"), epochs=3),
    "k2 in the loss": Rules(kl=KL(weight=0.2, placement="loss", estimator="k2"), epochs=2),
}
"""Shared options with several steps per batch."""


def build(config: Any) -> tuple[Any, Chunked]:
    """The algorithm on a policy at START; its KL reference is REFERENCE."""
    policy = REFERENCE.policy()
    algorithm = config.build(policy, SAMPLING, MICRO)
    with torch.no_grad():
        policy.weight.copy_(START.weight)
    return algorithm, policy


def against(kind: Any, opinions: Opinions, term: Term, cases: dict[str, Rules], **fields: Any) -> Iterator[Gap]:
    """Each case of a method against its slow reference."""
    for name, rules in cases.items():
        given = {"kl": rules.kl, "entropy": rules.entropy, "correction": rules.correction} | fields
        given |= {"epochs": rules.epochs} if rules.epochs > 1 else {}
        yield one_case(kind.Config(optimizer=OPTIMIZER, **given), opinions, term, rules, name)


def one_case(
    config: Any,
    opinions: Opinions,
    term: Term,
    rules: Rules,
    name: str,
    some: Sequence[Pick] | None = None,
    also: Callable[[], dict[str, float]] = dict,
) -> Gap:
    """A config against its slow reference, on these picks (default: all); `also` gives the method's own metrics."""
    chosen = picks() if some is None else some
    algorithm, policy = build(config)
    slow = slow_updates(stories(chosen), START, REFERENCE, opinions, term, rules)
    expected = (replace(one, metrics=one.metrics | also()) for one in slow)
    return agree(algorithm, policy.parameters(), chosen, expected, name)


def flagged(cases: dict[str, Rules], flag: tuple[str, Flag]) -> dict[str, Rules]:
    """The cases, with the method's own metric."""
    return {name: replace(rules, flag=flag) for name, rules in cases.items()}


def check_grpo_updates() -> Iterator[Gap]:
    """GRPO: a slow reference, two updates on edge-case episodes."""
    opinions = slow_opinions.of_groups(slow_opinions.sequence_mean)
    cases = flagged(FRESH | AGAIN, stopped(0.1, 0.1, 1.15))
    yield from against(GRPO, opinions, by_token(0.1, 0.1, 1.15), cases, clip=0.1, dual_clip=1.15)


def check_dr_grpo_updates() -> Iterator[Gap]:
    """Dr. GRPO: a slow reference, two updates on edge-case episodes."""
    opinions, cases = slow_opinions.of_centred(6), flagged(AGAIN, stopped(0.1, 0.1, 1.15))
    yield from against(DrGRPO, opinions, by_token(0.1, 0.1, 1.15), cases, clip=0.1, dual_clip=1.15, max_tokens=6)
    first = flagged({"the length of the sampling": FRESH["KL in the reward"]}, stopped(0.2, 0.2))
    yield from against(DrGRPO, slow_opinions.of_centred(SAMPLING.max_tokens), by_token(0.2, 0.2), first)


def check_rloo_updates() -> Iterator[Gap]:
    """RLOO: a slow reference, two updates on edge-case episodes."""
    cases = flagged({"nothing": Rules()} | AGAIN, stopped(0.1, 0.1))
    yield from against(RLOO, slow_opinions.of_others, by_answer(0.1, 0.1, False), cases, clip=0.1)


def check_gspo_updates() -> Iterator[Gap]:
    """GSPO: a slow reference, two updates on edge-case episodes."""
    opinions = slow_opinions.of_groups(slow_opinions.sequence_mean)
    cases = flagged({"nothing": Rules()} | AGAIN, stopped(0.02, 0.04))
    yield from against(GSPO, opinions, by_answer(0.02, 0.04, True), cases, clip_low=0.02, clip_high=0.04)


def check_cispo_updates() -> Iterator[Gap]:
    """CISPO: a slow reference, two updates on edge-case episodes."""

    def term(new_T: Tensor, old_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, Tensor]:
        ratio_T = (new_T - old_T).detach().exp()
        held_T = torch.tensor([min(max(ratio, 0.9), 1.05) for ratio in ratio_T.tolist()], dtype=torch.float64)
        return -held_T * advantage_T * new_T, ratio_T

    opinions = slow_opinions.of_groups(slow_opinions.token_mean)
    cases = flagged({"nothing": Rules()} | AGAIN, ("policy/ratio_outside", lambda r, a: r < 0.9 or r > 1.05))
    yield from against(CISPO, opinions, term, cases, floor=0.9, cap=1.05)


def check_dppo_updates() -> Iterator[Gap]:
    """DPPO: a slow reference, two updates on edge-case episodes that another policy sampled."""
    opinions = slow_opinions.of_groups(slow_opinions.token_mean)
    for name, rules in ({"nothing": Rules()} | AGAIN).items():
        divergence: Divergence = "kl" if rules.entropy or rules.epochs == 1 else "tv"
        delta = {"kl": 0.03, "tv": 0.1}[divergence]
        config = DPPO.Config(
            optimizer=OPTIMIZER, kl=rules.kl, entropy=rules.entropy, epochs=rules.epochs,
            divergence=divergence, delta=delta,
        )  # fmt: skip
        term, also = within(divergence, delta)
        anchored = replace(rules, correction=None, to_sampler=True)
        yield one_case(config, opinions, term, anchored, f"{name.partition(', whole')[0]}, {divergence}", also=also)


def check_sapo_updates() -> Iterator[Gap]:
    """SAPO: a slow reference, two updates on edge-case episodes."""

    def term(new_T: Tensor, old_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, Tensor]:
        ratio_T = (new_T - old_T).exp()
        tau_T = torch.tensor([3.0 if a > 0 else 5.0 for a in advantage_T.tolist()], dtype=torch.float64)
        return -advantage_T * 4 / tau_T / (1 + (-tau_T * (ratio_T - 1)).exp()), ratio_T

    opinions = slow_opinions.of_groups(slow_opinions.sequence_mean)
    cases = {"nothing": Rules()} | AGAIN
    yield from against(SAPO, opinions, term, cases, tau_positive=3.0, tau_negative=5.0)


def check_reinforce_updates() -> Iterator[Gap]:
    """REINFORCE: a slow reference, two updates on edge-case episodes."""
    yield from _reinforce(FRESH, discount=0.9, baseline_decay=0.7)
    yield from _reinforce({"no baseline, the state discounted": Rules()}, 0.8, None, True)


def _reinforce(
    cases: dict[str, Rules], discount: float, baseline_decay: float | None, discount_state: bool = False
) -> Iterator[Gap]:
    for name, rules in cases.items():
        config = REINFORCE.Config(
            optimizer=OPTIMIZER, kl=rules.kl, entropy=rules.entropy, correction=rules.correction,
            discount=discount, baseline_decay=baseline_decay, discount_state=discount_state,
        )  # fmt: skip
        opinions, baselines = slow_opinions.of_returns(discount, baseline_decay, discount_state)

        def also(means: list[float] = baselines) -> dict[str, float]:
            return {"policy/baseline": means[-2]}  # the baseline that was used, not the updated one

        yield one_case(config, opinions, plain, rules, name, also=also)


def check_reinforce_pp_updates() -> Iterator[Gap]:
    """REINFORCE++: a slow reference, two updates on edge-case episodes."""
    for takes_group in (False, True):
        cases = {
            name + ", group baseline" * takes_group: rules
            for name, rules in flagged({"nothing": Rules()} | AGAIN, stopped(0.1, 0.1)).items()
        }
        opinions = slow_opinions.of_batch(0.9, takes_group)
        fields = {"clip": 0.1, "discount": 0.9, "group_baseline": takes_group}
        yield from against(REINFORCEPlusPlus, opinions, by_token(0.1, 0.1), cases, **fields)


def with_greedy() -> list[Pick]:
    """The episodes, and a greedy one in each group, Unscored in group 3."""
    every = picks()
    greedy = [(5, 0), (9, 1), (13, 2), (14, 3)]
    found = [replace(every[i].episode, source=Source.GREEDY, id=f"greedy {i}") for i, _ in greedy]
    return [*every, *(Pick(one, weight=0.9) for one in found)]


def check_remax_updates() -> Iterator[Gap]:
    """ReMax: a slow reference, two updates on edge-case episodes, one group without a baseline."""
    chosen = with_greedy()
    base = [s.total for s in stories(chosen) if s.source is Source.GREEDY and s.total is not None]
    for name, rules in FRESH.items():
        config = ReMax.Config(optimizer=OPTIMIZER, kl=rules.kl, entropy=rules.entropy, correction=rules.correction)
        also = {"policy/baseline": sum(base) / len(base)}
        yield one_case(config, slow_opinions.of_greedy, plain, rules, name, chosen, also=also.copy)


def check_rejection_sampling_updates() -> Iterator[Gap]:
    """Rejection sampling: a slow reference, two updates on edge-case episodes."""
    some = stories(picks())
    for best, threshold in ((1, None), (2, 0.0), (3, 1 / 3)):
        config = RejectionSampling.Config(optimizer=OPTIMIZER, best=best, threshold=threshold)
        opinions, rules = slow_opinions.of_best(best, threshold), Rules()
        share = _share(some, slow_opinions.kept(some, best, threshold))
        also = {"policy/kept": share}
        yield one_case(config, opinions, plain, rules, f"best {best}, threshold {threshold}", also=also.copy)


def _share(some: Sequence[Story], kept: Sequence[bool]) -> float:
    """The share kept of the stories with a weight."""
    counted = [stays for story, stays in zip(some, kept, strict=True) if story.weight > 0]
    return sum(counted) / len(counted)


def check_dapo_updates() -> Iterator[Gap]:
    """DAPO: a slow reference, two updates on edge-case episodes, with and without cut answers."""
    for cache, masks, epochs in ((0, True, 1), (3, True, 2), (2, False, 3)):
        correction = Correction(level="sequence", cap=1.4) if epochs > 1 else Correction(cap=1.5)
        rules = Rules(correction=correction, epochs=epochs, flag=stopped(0.05, 0.1))
        config = DAPO.Config(
            optimizer=OPTIMIZER, clip_low=0.05, clip_high=0.1, epochs=epochs, overlong_tokens=cache,
            mask_truncated=masks, correction=correction,
        )  # fmt: skip
        opinions = slow_opinions.of_signal(SAMPLING.max_tokens, cache, masks)
        # of four groups one ties and in one a single member is scored; two answers of sixteen were cut
        also = {"dapo/rejected_groups": 2.0, "dapo/truncated": 2 / 16}
        name = f"a penalty on {cache} tokens, {epochs} epochs" + ", cut ones kept" * (not masks)
        yield one_case(config, opinions, by_token(0.05, 0.1), rules, name, also=also.copy)


@dataclass(frozen=True, slots=True)
class Teacher(PolicyConfig):
    """The Config of a policy at REFERENCE."""

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Chunked, Any]:
        return REFERENCE.policy(), None


def check_distillation_updates() -> Gap:
    """Distillation: a slow reference, two updates on edge-case episodes."""
    some = stories(picks())
    taught = logprobs(REFERENCE, some)

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        both = zip(taught, some, strict=True)
        gains = [[ours - act.acted for ours, act in zip(one, story.acts, strict=True)] for one, story in both]
        weights = slow_opinions.weights_of(some)
        return Opinion(gains, slow_opinions.token_mean(some, weights), weights)

    config = Distillation.Config(optimizer=OPTIMIZER, teacher=Teacher())
    also = {"policy/kl": kl_of(some, taught, slow_opinions.weights_of(some))}
    return one_case(config, opinion, plain, Rules(), "another distribution played", also=also.copy)
