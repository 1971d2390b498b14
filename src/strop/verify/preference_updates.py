"""Preference methods and reward models against slow references: two updates on the episodes of `awkward`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.simpo import SimPO
from strop.batch import collate
from strop.functional.preferences import log_odds
from strop.types import Comparer, Pick, Sampling
from strop.verify.awkward import SAMPLING, Story, stories, written
from strop.verify.checks import Gap
from strop.verify.chunked import REFERENCE, START, Numbers
from strop.verify.slowly import EXACT, OPTIMIZER, Expected, agree, descend, mean, of_actions, prefixes
from strop.verify.value_updates import PLAIN, build


class Side(NamedTuple):
    """An answer: log pi(y), log pi(y) - log ref(y), its length, and its score for reward models."""

    logprob: Tensor
    ratio: Tensor
    length: int
    score: Tensor
    total: float


Compare = Callable[[Side, Side], tuple[Tensor, Tensor]]
"""(chosen, rejected) -> the pair's loss, and its logit."""
Say = Callable[[list[tuple[Side, Side]], list[float]], dict[str, float]]
"""(pairs, their logits) -> metrics."""


def logprob(numbers: Numbers, story: Story, distribution: Sampling) -> Tensor:
    """log pi of a whole answer, over all its turns."""
    return of_actions(numbers.distributions(prefixes(story), distribution), story).log().sum()


def side(own: Numbers, story: Story, distribution: Sampling) -> Side:
    """An answer under these parameters; its score is the value behind the last act."""
    written, last = logprob(own, story, distribution), story.acts[-1]
    score = own.values([(*last.prefix, last.token)])[0]
    assert story.total is not None
    return Side(
        written, written - logprob(REFERENCE, story, distribution).detach(), len(story.acts), score, story.total
    )


def ordered(some: Sequence[Story]) -> list[tuple[float, int, int]]:
    """(weight, chosen, rejected) of every strictly ordered pair of a group, in a mean over the groups that have one."""
    pairs: dict[int, list[tuple[int, int]]] = {}
    for (i, one), (j, other) in itertools.permutations(enumerate(some), 2):
        known = min(one.weight, other.weight) > 0 and one.acts and other.acts
        if known and one.group == other.group and (one.total or 0.0) > (other.total or 0.0):
            pairs.setdefault(one.group, []).append((i, j))
    return [
        (min(some[i].weight, some[j].weight) / len(group) / len(pairs), i, j)
        for group in pairs.values()
        for i, j in group
    ]


def of_logprobs(pairs: list[tuple[Side, Side]], preferred: list[float]) -> dict[str, float]:
    """Metrics of a policy on pairs."""
    return {
        "preference/accuracy": mean([float(logit > 0) for logit in preferred]),
        "preference/logit": mean(preferred),
        "preference/chosen_logprob": mean([chosen.logprob.item() for chosen, _ in pairs]),
        "preference/rejected_logprob": mean([rejected.logprob.item() for _, rejected in pairs]),
    }


def of_scores(pairs: list[tuple[Side, Side]], preferred: list[float]) -> dict[str, float]:
    """Metrics of a reward model."""
    levels = [one.score.item() for pair in pairs for one in pair]
    accuracy = mean([float(logit > 0) for logit in preferred])
    return {"preference/accuracy": accuracy, "preference/logit": mean(preferred), "preference/score": mean(levels)}


def slow_pairs(
    some: Sequence[Story], compare: Compare, distribution: Sampling, say: Say, has_values: bool
) -> Iterator[Expected]:
    """Repeated steps on all pairs."""
    own, chosen = START.copy(), ordered(some)
    moved = [own.weight, own.value] if has_values else [own.weight]
    while True:
        sides = {i: side(own, some[i], distribution) for _, *both in chosen for i in both}
        pairs = [(sides[i], sides[j]) for _, i, j in chosen]
        compared = [compare(*pair) for pair in pairs]
        metrics = say(pairs, [logit.item() for _, logit in compared]) | {"preference/pairs": float(len(pairs))}
        loss = torch.stack([weight * one for (weight, *_), (one, _) in zip(chosen, compared, strict=True)]).sum()
        yield Expected(moved, metrics | descend(loss, moved))


def one_case(
    config: Any,
    slow: Iterator[Expected],
    name: str = "two updates",
    has_values: bool = False,
    chosen: Sequence[Pick] | None = None,
) -> Gap:
    """A config against its slow reference."""
    algorithm, policy = build(config, has_values)
    return agree(algorithm, policy.parameters(), written() if chosen is None else chosen, slow, name)


def pairwise(
    config: Any, compare: Compare, distribution: Sampling = PLAIN, say: Say = of_logprobs, has_values: bool = False
) -> Iterator[Gap]:
    """A method against its slow reference, and its metrics from `compare`, without a step."""
    some = stories(written())
    yield one_case(config, slow_pairs(some, compare, distribution, say, has_values), has_values=has_values)
    algorithm, _ = build(config, has_values)
    if not isinstance(algorithm, Comparer):
        return
    metrics = next(slow_pairs(some, compare, distribution, say, has_values)).metrics
    wanted = {n: x for n, x in metrics.items() if n.startswith("preference/") and n != "preference/pairs"}
    got = algorithm.compare(collate(tuple(written()), "joined"))
    gap = max(abs(got[name].value - number) for name, number in wanted.items())
    yield Gap(gap if got.keys() == wanted.keys() else torch.inf, EXACT, "compared without a step")


def log_sigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), as written."""
    return torch.log(1 / (1 + torch.exp(-x)))


def difference(beta: float, chosen: Side, rejected: Side) -> Tensor:
    """DPO's logit."""
    return beta * (chosen.ratio - rejected.ratio)


def check_dpo_updates() -> Iterator[Gap]:
    """DPO: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit = difference(0.4, chosen, rejected)
        return -0.8 * log_sigmoid(logit) - 0.2 * log_sigmoid(-logit), logit

    yield from pairwise(DPO.Config(optimizer=OPTIMIZER, beta=0.4, smoothing=0.2), compare)


def check_robust_dpo_updates() -> Iterator[Gap]:
    """Robust DPO: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit = difference(0.4, chosen, rejected)
        return (-0.7 * log_sigmoid(logit) + 0.3 * log_sigmoid(-logit)) / 0.4, logit

    yield from pairwise(RobustDPO.Config(optimizer=OPTIMIZER, beta=0.4, flipped=0.3), compare)


def check_online_dpo_updates() -> Iterator[Gap]:
    """Online DPO: a slow reference, two updates on edge-case episodes, under the sampling distribution."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit = difference(0.4, chosen, rejected)
        return -log_sigmoid(logit), logit

    yield from pairwise(OnlineDPO.Config(optimizer=OPTIMIZER, beta=0.4), compare, SAMPLING)


def check_ipo_updates() -> Iterator[Gap]:
    """IPO: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit = difference(1.0, chosen, rejected)
        return (logit - 1 / 0.6) ** 2, logit

    yield from pairwise(IPO.Config(optimizer=OPTIMIZER, tau=0.3), compare)


def check_simpo_updates() -> Iterator[Gap]:
    """SimPO: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit = 1.7 * (chosen.logprob / chosen.length - rejected.logprob / rejected.length)
        return -log_sigmoid(logit - 0.6), logit

    yield from pairwise(SimPO.Config(optimizer=OPTIMIZER, beta=1.7, gamma=0.6), compare)


def check_orpo_updates() -> Iterator[Gap]:
    """ORPO: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        first, second = (one.logprob / one.length for one in (chosen, rejected))
        odds, others = (torch.exp(one) / (1 - torch.exp(one)) for one in (first, second))
        logit = torch.log(odds) - torch.log(others)
        return -first - 0.3 * log_sigmoid(logit), logit

    yield from pairwise(ORPO.Config(optimizer=OPTIMIZER, weight=0.3), compare)


def check_orpo_odds() -> Gap:
    """ORPO: the log of p / (1 - p) near 0 and near 1, against 50 digits."""
    logprobs = [-(10.0**power) * digit for power in range(-13, 3) for digit in (1, 2.5, 5)]
    with localcontext(prec=50):
        exact = [float((Decimal(x).exp() / (1 - Decimal(x).exp())).ln()) for x in logprobs]
    got = log_odds(torch.tensor(logprobs, dtype=torch.float64)).tolist()
    return Gap(max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(got, exact, strict=True)), 1e-15)


def check_reward_model_updates() -> Iterator[Gap]:
    """Reward model: a slow reference, two updates on edge-case episodes."""

    def compare(chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        apart = chosen.score - rejected.score
        loss = -log_sigmoid(apart - 0.7 * (chosen.total - rejected.total))
        return loss + 0.2 * (chosen.score + rejected.score) ** 2, apart

    config = RewardModel.Config(optimizer=OPTIMIZER, margin=0.7, centring=0.2)
    yield from pairwise(config, compare, say=of_scores, has_values=True)
