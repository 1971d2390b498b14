"""A slow reference of every policy gradient without a critic: loops over the episodes of `awkward`, formula by formula.

A method consists of its opinions (advantages, and the weight of each act in the mean) and the loss term of one episode.
KL, entropy and correction are shared by all methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.verify.awkward import SAMPLING, Story
from strop.verify.chunked import Numbers
from strop.verify.slowly import Expected, descend, mean, of_actions, prefixes

NO_KL = KL()
Lists = list[list[float]]


@dataclass(frozen=True, slots=True)
class Opinion:
    """Advantages and weights of every act of every story, and the weight of each story as the method learns from it."""

    advantages: Lists
    shares: Lists
    weights: list[float]


Opinions = Callable[[Sequence[Story], Lists], Opinion]
"""(stories, KL penalty of every act) -> opinion."""
Term = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""(new log-probs [T], old ones, advantages) -> the loss of each act [T], and its ratio where there is one."""
Flag = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Shared options of a method. `flag` is a metric over its ratios and advantages; `to_sampler` takes ratios to the
    recorded log-probs instead of the learner's own."""

    kl: KL = NO_KL
    entropy: float = 0.0
    correction: Correction | None = None
    epochs: int = 1
    flag: tuple[str, Flag] | None = None
    to_sampler: bool = False


def slow_updates(
    some: Sequence[Story], start: Numbers, reference: Numbers, opinions: Opinions, term: Term, rules: Rules
) -> Iterator[Expected]:
    """Repeated updates on the same stories."""
    own = start.copy()
    while True:
        old = logprobs(own, some)
        ref = logprobs(reference, some)
        opinion = opinions(some, penalties(own, reference, some, ref, rules.kl))
        factors, metrics = corrected(some, old, opinion.weights, opinion.advantages, rules.correction)
        if rules.kl.weight:
            metrics["policy/kl"] = kl_of(some, ref, opinion.weights)
        ratios: list[tuple[float, float]] = []
        for epoch in range(rules.epochs):
            loss = torch.zeros((), dtype=torch.float64)
            gaps, entropies = [], []
            for i, story in enumerate(some):
                if opinion.weights[i] == 0.0 or not story.acts:
                    continue
                probs_TV = own.distributions(prefixes(story), SAMPLING)
                new_T, entropy_T = of_actions(probs_TV, story).log(), -(probs_TV * probs_TV.log()).sum(dim=1)
                advantage_T = tensor(opinion.advantages[i])
                before = [act.acted for act in story.acts] if rules.to_sampler else old[i]
                loss_T, ratio_T = term(new_T, tensor(before), advantage_T)
                pulled_T = kl_loss(rules.kl, new_T, tensor(old[i]), tensor(ref[i]), probs_TV, reference, story)
                weight_T = tensor(opinion.shares[i]) * tensor(factors[i])
                loss = loss + (weight_T * (loss_T + pulled_T - rules.entropy * entropy_T)).sum()
                ratios += [] if ratio_T is None else zip(ratio_T.tolist(), opinion.advantages[i], strict=True)
                gaps += [new - act.acted for new, act in zip(new_T.tolist(), story.acts, strict=True)]
                entropies += entropy_T.tolist()
            if epoch == 0:
                metrics |= of_sampler(gaps, entropies)
            metrics |= descend(loss, [own.weight])
        if ratios:
            metrics["policy/ratio"] = mean([ratio for ratio, _ in ratios])
        if rules.flag is not None:
            metrics[rules.flag[0]] = mean([float(rules.flag[1](ratio, a)) for ratio, a in ratios])
        chosen = opinion.advantages
        scored = [number for one, story in zip(chosen, some, strict=True) if story.weight > 0 for number in one]
        yield Expected([own.weight], metrics, {"advantage": scored})


def tensor(numbers: Sequence[float]) -> Tensor:
    """[T], in float64."""
    return torch.tensor(numbers, dtype=torch.float64)


def logprobs(numbers: Numbers, some: Sequence[Story]) -> Lists:
    """log pi of every act of every story under SAMPLING."""
    return [of_actions(numbers.distributions(prefixes(s), SAMPLING), s).log().tolist() if s.acts else [] for s in some]


def of_sampler(gaps: list[float], entropies: list[float]) -> dict[str, float]:
    """Entropy, and the gap between the learner's log-probs and the recorded ones."""
    return {
        "policy/entropy": mean(entropies),
        "policy/sampler_gap_mean": mean([abs(gap) for gap in gaps]),
        "policy/sampler_gap_bias": mean(gaps),
        "policy/sampler_gap_max": max(abs(gap) for gap in gaps),
    }


# ------------------------------------------------------------ KL


def penalties(own: Numbers, reference: Numbers, some: Sequence[Story], ref: Lists, kl: KL) -> Lists:
    """weight * estimate of every act where KL is in the reward: of the recorded log-probs, or in full."""
    found = [[0.0] * len(story.acts) for story in some]
    if not kl.weight or kl.placement != "reward":
        return found
    for i, story in enumerate(some):
        for t, act in enumerate(story.acts):
            ratio = act.acted - ref[i][t]
            if kl.estimator == "full":
                p, q = (numbers.distributions([act.prefix], SAMPLING)[0].tolist() for numbers in (own, reference))
                one = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            else:
                one = {"k1": ratio, "k2": ratio**2 / 2, "k3": math.exp(-ratio) - 1 + ratio}[kl.estimator]
            found[i][t] = kl.weight * one
    return found


def kl_loss(
    kl: KL, new_T: Tensor, old_T: Tensor, ref_T: Tensor, probs_TV: Tensor, reference: Numbers, story: Story
) -> Tensor:
    """weight * estimate of every act where KL is in the loss, with gradient."""
    if not kl.weight or kl.placement != "loss":
        return torch.zeros_like(new_T)
    if kl.estimator == "full":
        ref_TV = reference.distributions(prefixes(story), SAMPLING).detach()
        return kl.weight * (probs_TV * (probs_TV / ref_TV).log()).sum(dim=1)
    ratio_T = new_T - ref_T
    k3_T = torch.exp(-ratio_T) - 1 + ratio_T
    return kl.weight * {"k2": ratio_T**2 / 2, "k3": k3_T, "k3_ratio": torch.exp(new_T - old_T) * k3_T}[kl.estimator]


def kl_of(some: Sequence[Story], ref: Lists, weights: list[float]) -> float:
    """The mean log mu - log ref of a sequence, over the stories with a weight."""
    total = sum(
        act.acted - ref[i][t] for i, story in enumerate(some) if weights[i] > 0 for t, act in enumerate(story.acts)
    )
    return total / sum(weight > 0 for weight in weights)


# ------------------------------------------------------------ correction


def corrected(
    some: Sequence[Story], old: Lists, weights: list[float], advantages: Lists, correction: Correction | None
) -> tuple[Lists, dict[str, float]]:
    """The factor on every act's loss, and its metrics."""
    if correction is None:
        return [[1.0] * len(story.acts) for story in some], {}
    newest = max(story.version for story in some if story.acts)
    factors, whole = [], []
    for i, story in enumerate(some):
        ratios = [math.exp(own - act.acted) for own, act in zip(old[i], story.acts, strict=True)]
        drift = mean([-math.log(ratio) for ratio in ratios])
        if correction.level == "sequence":
            ratios = [math.prod(ratios)] * len(ratios)
        is_old = correction.max_staleness is not None and story.version < newest - correction.max_staleness
        found = [bounded(ratio, drift, a, correction) for ratio, a in zip(ratios, advantages[i], strict=True)]
        factors.append([0.0] * len(found) if is_old else found)
        if weights[i] > 0 and ratios:
            whole += ratios if correction.level == "token" else ratios[:1]
    effective = math.fsum(whole) ** 2 / (len(whole) * math.fsum(ratio**2 for ratio in whole))
    said = [number for one, weight in zip(factors, weights, strict=True) if weight > 0 for number in one]
    return factors, {"correction/ess": effective, "correction/weight": mean(said)}


def bounded(ratio: float, drift: float, advantage: float, correction: Correction) -> float:
    """Truncated at the cap, masked outside of floor and cap, or dropped where a bad answer has drifted."""
    if correction.max_drift is not None:
        return 0.0 if advantage < 0 and drift > correction.max_drift else 1.0
    if correction.kind == "truncate":
        return min(ratio, correction.cap)
    return ratio if correction.floor <= ratio <= correction.cap else 0.0
