"""A slow reference of the actor-critics: loops over the episodes of `awkward`; a method is how it looks ahead."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.functional.corrections import Correction
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.streams import stream
from strop.verify.awkward import SAMPLING, Story
from strop.verify.chunked import REFERENCE, START
from strop.verify.slow_gradients import (
    Flag,
    Lists,
    Term,
    corrected,
    kl_of,
    logprobs,
    of_sampler,
    penalties,
    tensor,
)
from strop.verify.slow_opinions import to_go, token_mean, weights_of
from strop.verify.slow_terms import plain
from strop.verify.slowly import Expected, descend, mean, of_actions, prefixes


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The options of one actor-critic."""

    critic: Critic
    entropy: float
    term: Term = plain
    flag: tuple[str, Flag] | None = None
    kl: KL = field(default_factory=KL)
    correction: Correction | None = None
    reads_old: bool = False
    epochs: int = 1
    minibatches: int = 1
    whitens: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """V, the advantage and the value target of every act, before an update."""

    values: Lists
    advantages: Lists
    targets: Lists


Outlook = Callable[[list[float], list[float], list[float], Sequence[float]], tuple[list[float], list[float]]]
"""(rewards, V, V of what follows, ratios) of a story's acts -> (advantages, targets)."""


class Slow:
    """The parameters of an actor and of its critic: shared, or a copy."""

    def __init__(self, actor: Actor) -> None:
        self.actor, self.own = actor, START.copy()
        self.judge = REFERENCE.copy() if actor.critic.separate else self.own
        self.num_updates, self.weight = 0, actor.kl.weight

    @property
    def parameters(self) -> list[Tensor]:
        """In the algorithm's order."""
        twin = [self.judge.weight, self.judge.value] if self.actor.critic.separate else []
        return [self.own.weight, self.own.value, *twin]

    def look(self, some: Sequence[Story], penalty: Lists, ratios: Lists, outlook: Outlook) -> Seen:
        """Values, advantages and targets before any step."""
        seen = Seen([], [], [])
        for story, taken_off, ratio in zip(some, penalty, ratios, strict=True):
            value, following = (self.judge.values(places).tolist() for places in (prefixes(story), story.after))
            rewards = [act.reward - p for act, p in zip(story.acts, taken_off, strict=True)]
            advantages, targets = outlook(rewards, value, following, ratio) if rewards else ([], [])
            for whole, one in ((seen.values, value), (seen.advantages, advantages), (seen.targets, targets)):
                whole.append(one)
        return seen

    def step(
        self, some: Sequence[Story], seen: Seen, old: Lists, factors: Lists, part: Sequence[int], has_acted: bool
    ) -> tuple[dict[str, float], list[tuple[float, float]], list[float]]:
        """One optimiser step on the stories with these indices: metrics, (ratio, advantage) pairs, and value losses."""
        actor, loss = self.actor, torch.zeros((), dtype=torch.float64)
        weights = [story.weight if i in part else 0.0 for i, story in enumerate(some)]
        shares = token_mean(some, weights)
        ratios: list[tuple[float, float]] = []
        errors, gaps, entropies = list[float](), list[float](), list[float]()
        for i, story in enumerate(some):
            if weights[i] == 0.0 or not story.acts:
                continue
            probs_TV = self.own.distributions(prefixes(story), SAMPLING)
            new_T, entropy_T = of_actions(probs_TV, story).log(), -(probs_TV * probs_TV.log()).sum(dim=1)
            loss_T, ratio_T = actor.term(new_T, tensor(old[i]), tensor(seen.advantages[i]))
            error_T = self.value_loss(story, seen.values[i], seen.targets[i])
            weight_T = tensor(shares[i]) * tensor(factors[i])
            loss = loss + (weight_T * (loss_T + actor.critic.weight * error_T - actor.entropy * entropy_T)).sum()
            ratios += [] if ratio_T is None else zip(ratio_T.tolist(), seen.advantages[i], strict=True)
            errors += error_T.tolist()
            gaps += [new - act.acted for new, act in zip(new_T.tolist(), story.acts, strict=True)]
            entropies += entropy_T.tolist()
        if not errors:
            return {}, [], []
        of_gap = of_sampler(gaps, entropies) if has_acted else {}
        return descend(loss, self.parameters) | of_gap, ratios, errors

    def value_loss(self, story: Story, before: list[float], targets: list[float]) -> Tensor:
        """(V - R)^2 / 2, or where it is larger that of V held near what it was."""
        found = []
        value_T, clip = self.judge.values(prefixes(story)), self.actor.critic.clip
        for value, was, target in zip(value_T, before, targets, strict=True):
            error = (value - target) ** 2 / 2
            if clip is not None:
                near = value if abs(value.item() - was) <= clip else value.detach() * 0 + was + math.copysign(
                    clip, value.item() - was
                )  # fmt: skip
                held = (near - target) ** 2 / 2
                error = held if held.item() > error.item() else error
            found.append(error)
        return torch.stack(found)


def of_critic(some: Sequence[Story], seen: Seen) -> dict[str, float]:
    """Metrics of the values against their targets."""
    pairs = [
        (v, target)
        for story, values, targets in zip(some, seen.values, seen.targets, strict=True)
        for v, target in zip(values, targets, strict=True)
        if story.weight > 0
    ]
    found = {"value/mean": mean([v for v, _ in pairs])}
    if (spread := statistics.pvariance([target for _, target in pairs])) > 0:
        found["value/explained_variance"] = 1 - statistics.pvariance([target - v for v, target in pairs]) / spread
    return found


def scored(some: Sequence[Story], lists: Lists) -> list[float]:
    """The numbers of the scored acts, in order."""
    return [number for story, one in zip(some, lists, strict=True) if story.weight > 0 for number in one]


def slow_updates(
    some: Sequence[Story], actor: Actor, outlook: Outlook, controller: KLController | None = None
) -> Iterator[Expected]:
    """A2C and PPO: opinions of the whole batch, then steps on parts of it."""
    slow = Slow(actor)
    count = sum(story.weight > 0 for story in some)
    while True:
        kl = KL(weight=slow.weight, placement=actor.kl.placement, estimator=actor.kl.estimator)
        old, ref = logprobs(slow.own, some), logprobs(REFERENCE, some)
        penalty = penalties(slow.own, REFERENCE, some, ref, kl)
        seen = slow.look(some, penalty, old, outlook)
        metrics = of_critic(some, seen)
        if actor.whitens:
            every = scored(some, seen.advantages)
            middle, spread = statistics.fmean(every), statistics.pstdev(every)
            white = [[(a - middle) / (spread + 1e-8) for a in one] for one in seen.advantages]
            seen = Seen(seen.values, white, seen.targets)
            metrics["policy/kl_weight"] = slow.weight
        factors, said = corrected(some, old, weights_of(some), seen.advantages, actor.correction)
        metrics |= said
        if actor.kl.weight:
            metrics["policy/kl"] = kl_of(some, ref, weights_of(some))
        ratios, errors = list[tuple[float, float]](), list[float]()
        for number, part in enumerate(dealt(len(some), actor, slow.num_updates)):
            of_step, some_ratios, some_errors = slow.step(some, seen, old, factors, part, number == 0)
            metrics |= of_step
            ratios, errors = ratios + some_ratios, errors + some_errors
        metrics["value/loss"] = mean(errors)
        if actor.flag is not None:
            metrics["policy/ratio"] = mean([ratio for ratio, _ in ratios])
            metrics[actor.flag[0]] = mean([float(actor.flag[1](ratio, a)) for ratio, a in ratios])
        if controller is not None:
            far = min(max(metrics["policy/kl"] / controller.target - 1, -0.2), 0.2)
            slow.weight *= 1 + far * count / controller.horizon
        slow.num_updates += 1
        opinions = {"advantage": scored(some, seen.advantages), "value": scored(some, seen.values)}
        yield Expected(slow.parameters, metrics, opinions)


def dealt(count: int, actor: Actor, num_updates: int) -> Iterator[list[int]]:
    """The stories of each step: shuffled by the random stream of the update and the epoch."""
    for epoch in range(actor.epochs):
        order = stream(0, "minibatches", num_updates, epoch).permutation(count) % actor.minibatches
        for part in range(actor.minibatches):
            yield [i for i in range(count) if actor.minibatches == 1 or order[i] == part]


def ahead(discount: float, steps: int | None) -> Outlook:
    """A2C: n rewards, and V of the state after them."""

    def outlook(
        rewards: list[float], values: list[float], following: list[float], ratios: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        found = []
        for t in range(len(rewards)):
            last = len(rewards) if steps is None else min(t + steps, len(rewards))
            gain = sum(discount**k * r for k, r in enumerate(rewards[t:last]))
            found.append(gain + discount ** (last - t) * following[last - 1] - values[t])
        return found, [v + a for v, a in zip(values, found, strict=True)]

    return outlook


def generalised(discount: float, trace: float) -> Outlook:
    """PPO: the sum of temporal-difference errors under (discount * trace)^k."""

    def outlook(
        rewards: list[float], values: list[float], following: list[float], ratios: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        errors = [r + discount * after - v for r, after, v in zip(rewards, following, values, strict=True)]
        found = to_go(errors, discount * trace)
        return found, [v + a for v, a in zip(values, found, strict=True)]

    return outlook


def traced(discount: float, ratio_cap: float, trace_cap: float) -> Outlook:
    """V-trace: backwards, from the last act."""

    def outlook(
        rewards: list[float], values: list[float], following: list[float], ratios: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        targets, advantages, after = [0.0] * len(rewards), [0.0] * len(rewards), following[-1]
        for t in reversed(range(len(rewards))):
            rho, c = min(ratio_cap, ratios[t]), min(trace_cap, ratios[t])
            error = rewards[t] + discount * following[t] - values[t]
            targets[t] = values[t] + rho * error + discount * c * (after - following[t])
            advantages[t] = rho * (rewards[t] + discount * after - values[t])
            after = targets[t]
        return advantages, targets

    return outlook


def slow_vtrace(some: Sequence[Story], actor: Actor, outlook: Outlook, ratio_cap: float) -> Iterator[Expected]:
    """V-trace: as A2C, with the ratios in the targets; only the first update is known to be on-policy."""
    slow = Slow(actor)
    ones = [[1.0] * len(story.acts) for story in some]
    while True:
        ratios = [
            [math.exp(own - act.acted) for own, act in zip(one, story.acts, strict=True)]
            for one, story in zip(logprobs(slow.own, some), some, strict=True)
        ]
        seen = slow.look(some, [[0.0] * len(one) for one in ones], ratios, outlook)
        metrics = of_critic(some, seen)
        every = scored(some, ratios)
        metrics |= {"policy/ratio": mean(every), "policy/ratio_capped": mean([float(r > ratio_cap) for r in every])}
        of_step, _, errors = slow.step(some, seen, ones, ones, range(len(some)), slow.num_updates == 0)
        slow.num_updates += 1
        opinions = {"advantage": scored(some, seen.advantages), "value": scored(some, seen.values)}
        yield Expected(slow.parameters, metrics | of_step | {"value/loss": mean(errors)}, opinions)
