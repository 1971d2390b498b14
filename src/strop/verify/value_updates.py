"""DQN, ILQL and path consistency against slow references: two updates on parts of edge-case episodes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.dqn import DQN
from strop.algorithms.ilql import ILQL, add_noise
from strop.algorithms.path_consistency import PathConsistency
from strop.types import Sampling, Tokens
from strop.verify.awkward import SAMPLING, Story, parts, stories
from strop.verify.checks import Gap
from strop.verify.chunked import REFERENCE, START, Chunked, Numbers
from strop.verify.slow_opinions import token_mean, weights_of
from strop.verify.slowly import MICRO, OPTIMIZER, Expected, agree, descend, mean, of_actions, prefixes, trail

PLAIN = Sampling()


def build(config: Any, has_values: bool = True) -> tuple[Any, Chunked]:
    """The algorithm, built with the policy (and so its copies) at REFERENCE; then the policy moves to START."""
    policy = REFERENCE.policy(has_values)
    algorithm = config.build(policy, SAMPLING, MICRO)
    with torch.no_grad():
        for number, start in zip(policy.parameters(), (START.weight, START.value), strict=False):
            number.copy_(start)
    return algorithm, policy


def counting(some: Sequence[Story]) -> Iterator[tuple[Story, list[float]]]:
    """The scored stories, each with the weights of its acts in the mean over acts."""
    for story, share in zip(some, token_mean(some, weights_of(some)), strict=True):
        if story.weight > 0 and story.acts:
            yield story, share


def priorities(some: Sequence[Story], errors: Sequence[Sequence[float]]) -> list[float]:
    """The largest error of each story; 0 of one without a weight."""
    left = iter(errors)
    return [max(map(abs, next(left))) if story.weight > 0 and story.acts else 0.0 for story in some]


def flat(lists: Sequence[Sequence[float]]) -> list[float]:
    """The lists joined."""
    return [number for one in lists for number in one]


def of_errors(errors: list[float], values: list[float]) -> dict[str, float]:
    """Metrics of the errors and of the values of the actions."""
    sizes = [abs(error) for error in errors]
    largest = {"q/error_max": max(sizes), "q/largest": max(map(abs, values))}
    return {"q/error_mean": mean(sizes), "q/mean": mean(values)} | largest


def ahead(
    story: Story, terms: Sequence[Any], discount: float, steps: int | None
) -> Iterator[tuple[Any, float, Tokens]]:
    """For every act: the discounted sum of its next terms, discount^(their number), and the prefix behind them."""
    for t in range(len(story.acts)):
        last = len(terms) if steps is None else min(t + steps, len(terms))
        total = sum(discount**k * term for k, term in enumerate(terms[t:last]))
        yield total, discount ** (last - t), story.after[last - 1]


# ------------------------------------------------------------ DQN


def action_values(numbers: Numbers, places: Sequence[Tokens], is_dueling: bool) -> Tensor:
    """Q [T, V]: the rows, or V + A - mean A."""
    table_TV = numbers.rows(places)
    if not is_dueling:
        return table_TV
    return numbers.values(places).unsqueeze(1) + table_TV - table_TV.mean(dim=1, keepdim=True)


def slow_dqn(some: Sequence[Story], config: DQN.Config) -> Iterator[Expected]:
    """DQN; the copy starts at REFERENCE."""
    own, copy = START.copy(), REFERENCE.copy()
    moved = [own.weight, own.value] if config.dueling else [own.weight]
    for number in itertools.count(1):
        loss, errors, taken_values = torch.zeros((), dtype=torch.float64), [], []
        for story, share in counting(some):
            q_T = of_actions(action_values(own, prefixes(story), config.dueling), story)
            rewards, found = [act.reward for act in story.acts], []
            for q, weight, (gain, factor, place) in zip(
                q_T, share, ahead(story, rewards, config.discount, config.n_step), strict=True
            ):
                error = gain + factor * best(own, copy, place, config) - q
                found.append(error.item())
                loss = loss + weight * huber(error, config.huber)
            errors.append(found)
            taken_values += q_T.tolist()
        metrics = descend(loss, moved) | of_errors(flat(errors), taken_values)
        if number % config.target_every == 0:
            trail(copy, own, config.target_share)
        yield Expected(moved, metrics, {"td_error": flat(errors)}, priorities(some, errors))


def best(own: Numbers, copy: Numbers, place: Tokens, config: DQN.Config) -> float:
    """The copy's value of its best action, or with `double` of the policy's best; 0 behind an end."""
    if not place:
        return 0.0
    judged, chooser = (
        action_values(numbers, [place], config.dueling)[0].tolist()
        for numbers in (copy, own if config.double else copy)
    )
    return float(judged[chooser.index(max(chooser))])


def huber(error: Tensor, threshold: float | None) -> Tensor:
    """A square half, then a straight line of the same slope."""
    if threshold is None or abs(error.item()) <= threshold:
        return error**2 / 2
    return threshold * (error.abs() - threshold / 2)


def check_dqn_updates() -> Iterator[Gap]:
    """DQN: a slow reference, two updates on parts of edge-case episodes."""
    cases: dict[str, dict[str, Any]] = {
        "one step": {"double": False, "huber": 0.5},
        "three steps": {"double": False, "huber": None, "n_step": 3, "target_share": 1.0},
        "double": {"huber": None, "n_step": 2},
        "dueling, three steps": {"dueling": True, "double": False, "huber": 0.3, "n_step": 3},
        "double, dueling": {"dueling": True, "huber": 0.7},
    }
    for name, fields in cases.items():
        given = {"discount": 0.9, "target_every": 2, "target_share": 0.4} | fields
        config = DQN.Config(optimizer=OPTIMIZER, **given)
        algorithm, policy = build(config, config.dueling)
        yield agree(algorithm, policy.parameters(), parts(), slow_dqn(stories(parts()), config), name, updates=3)


# ------------------------------------------------------------ ILQL


def slow_ilql(some: Sequence[Story], config: ILQL.Config, second: Numbers) -> Iterator[Expected]:
    """ILQL; the second network is passed in, since its noise is random."""
    own, copies = START.copy(), (REFERENCE.copy(), second.copy())
    while True:
        loss, errors, taken_values = torch.zeros((), dtype=torch.float64), [], []
        for story, share in counting(some):
            both = [of_actions(one.rows(prefixes(story)), story).tolist() for one in copies]
            floor = [min(pair) for pair in zip(*both, strict=True)]
            following = own.values(story.after).tolist()
            targets = [a.reward + config.discount * v for a, v in zip(story.acts, following, strict=True)]
            tables = [one.rows(prefixes(story)) for one in (own, second)]
            for t, value in enumerate(own.values(prefixes(story))):
                gap = floor[t] - value
                term = (config.level if gap.item() >= 0 else 1 - config.level) * gap**2
                for table_TV in tables:
                    q = table_TV[t][story.acts[t].token]
                    term = term + (targets[t] - q) ** 2 + config.conservative * (table_TV[t].exp().sum().log() - q)
                loss = loss + share[t] * term
            q_T = of_actions(tables[0], story).tolist()
            errors.append([target - q for target, q in zip(targets, q_T, strict=True)])
            taken_values += q_T
        moved = [own.weight, own.value, second.weight, second.value]
        metrics = descend(loss, moved) | of_errors(flat(errors), taken_values)
        for copy, fast in zip(copies, (own, second), strict=True):
            trail(copy, fast, config.target_share)
        yield Expected(moved, metrics, {"td_error": flat(errors)}, priorities(some, errors))


def check_ilql_updates() -> Iterator[Gap]:
    """ILQL: a slow reference, two updates on parts of edge-case episodes."""
    for level, conservative in ((0.8, 0.3), (0.3, 0.0)):
        config = ILQL.Config(
            optimizer=OPTIMIZER, discount=0.9, level=level, conservative=conservative, target_share=0.3, jitter=0.5
        )
        algorithm, policy = build(config)
        second = Numbers(*algorithm.method.second.parameters())
        slow = slow_ilql(stories(parts()), config, second)
        own = [*policy.parameters(), *algorithm.method.second.parameters()]
        yield agree(algorithm, own, parts(), slow, f"level {level:g}, conservative {conservative:g}")


def check_ilql_noise() -> Iterator[Gap]:
    """ILQL: normal noise on the second network, scaled to each tensor's std (in standard deviations)."""
    size = 40_000
    policy = Chunked(3.0 + 2.0 * torch.arange(size, dtype=torch.float64).remainder(2).view(-1, 4), None)
    before = policy.weight.detach().clone()
    add_noise(policy, 0.1)  # the numbers are 3 and 5: their std is 1
    noise = (policy.weight.detach() - before) / 0.1
    yield Gap(abs(noise.mean().item()) * size**0.5, 4.0, "its mean is 0")
    yield Gap(abs(noise.square().mean().item() - 1) * (size / 2) ** 0.5, 4.0, "its square's mean is 1")
    yield Gap(abs(noise.abs().gt(1.959964).double().mean().item() - 0.05) * (size / 0.0475) ** 0.5, 4.0, "its tails")
    again = Chunked(before, None)
    add_noise(again, 0.1)
    yield Gap(float((again.weight - policy.weight).detach().abs().max()), 0.0, "the same every time")


# ------------------------------------------------------------ path consistency


def slow_paths(some: Sequence[Story], config: PathConsistency.Config) -> Iterator[Expected]:
    """Path consistency; the reference and the copy start at REFERENCE."""
    own, start, copy = START.copy(), REFERENCE, REFERENCE.copy()

    def values(numbers: Numbers, places: Sequence[Tokens]) -> Tensor:
        return config.beta * numbers.rows(places).exp().sum(dim=1).log() if config.unified else numbers.values(places)

    while True:
        loss, residuals = torch.zeros((), dtype=torch.float64), []
        for story, share in counting(some):
            places = prefixes(story)
            ratio_T = (
                of_actions(own.distributions(places, PLAIN), story).log()
                - of_actions(start.distributions(places, PLAIN), story).log().detach()
            )
            terms = [act.reward - config.beta * ratio for act, ratio in zip(story.acts, ratio_T, strict=True)]
            found = []
            for value, weight, (gain, factor, place) in zip(
                values(own, places), share, ahead(story, terms, config.discount, config.n_step), strict=True
            ):
                behind = values(copy, [place])[0].item() if place else 0.0
                residual = gain + factor * behind - value
                found.append(residual.item())
                loss = loss + weight * residual**2 / 2
            residuals.append(found)
        moved = [own.weight] if config.unified else [own.weight, own.value]
        sizes = [abs(one) for one in flat(residuals)]
        metrics = descend(loss, moved) | {"path/residual_mean": mean(sizes), "path/residual_max": max(sizes)}
        trail(copy, own, config.target_share)
        yield Expected(moved, metrics, {"residual": flat(residuals)}, priorities(some, residuals))


def check_path_consistency_updates() -> Iterator[Gap]:
    """Path consistency: a slow reference, two updates on parts of edge-case episodes."""
    for is_unified, steps, discount in ((True, None, 1.0), (True, 2, 0.9), (False, 1, 0.8), (False, None, 0.9)):
        config = PathConsistency.Config(
            optimizer=OPTIMIZER, beta=0.4, discount=discount, n_step=steps, unified=is_unified, target_share=0.3
        )
        algorithm, policy = build(config, not is_unified)
        name = f"{'unified' if is_unified else 'a value head'}, {steps or 'all'} steps, discount {discount:g}"
        slow = slow_paths(stories(parts()), config)
        yield agree(algorithm, policy.parameters(), parts(), slow, name)
