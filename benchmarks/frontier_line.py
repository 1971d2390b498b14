"""The best reward that any policy can have at its KL, from rewards of the reference's completions alone.

`strop.planning.boltzmann.frontier_point` gives one point a beta. Between the points the frontier is the concave dual

    height(KL) = min over beta of J*(beta) + beta * KL,    J*(beta) = beta ln mean e^{r / beta}

because no policy has r - beta * KL above J*(beta). A larger grid of betas only tightens it, and beyond the last beta
that is believed it is still a bound: the last tangent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.planning.boltzmann import FrontierPoint, frontier_point

LEAST_EFFECTIVE_SIZE = 100.0
GRID = tuple(np.geomspace(200.0, 0.02, 240).tolist())


@dataclass(frozen=True, slots=True)
class Frontier:
    """Believed points, from a large beta to a small one, of `num` completions whose mean reward is `start`."""

    points: tuple[FrontierPoint, ...]
    num: int
    start: float

    @property
    def last_kl(self) -> float:
        """Where the line ends: a smaller beta rests on too few completions."""
        return self.points[-1].kl

    def height(self, kl: float) -> tuple[float, FrontierPoint]:
        """The most reward at this KL, and the point whose tangent says so."""
        return min(((_objective(p) + p.beta * kl, p) for p in self.points), key=lambda pair: pair[0])

    def height_error(self, point: FrontierPoint) -> float:
        """The standard error of J*(beta): beta times that of ln mean w."""
        return point.beta * math.sqrt(max(1 / point.effective_size - 1 / self.num, 0.0))


def frontier(rewards_N: Tensor, least: float = LEAST_EFFECTIVE_SIZE) -> Frontier:
    """The points of GRID whose effective sample size is at least `least`, up to the first that falls below it."""
    points: list[FrontierPoint] = []
    for beta in GRID:
        point = frontier_point(rewards_N, beta)
        if point.effective_size < least:
            break
        points.append(point)
    if not points:
        raise ValueError(f"{len(rewards_N)} rewards give no point with an effective size of {least:g}: sample more.")
    return Frontier(tuple(points), len(rewards_N), float(rewards_N.mean()))


@dataclass(frozen=True, slots=True)
class Standing:
    """A measured policy beside the frontier. `share` is of the best gain over the reference; NaN where no line is."""

    height: float
    above: float
    error: float
    share: float

    @property
    def is_above(self) -> bool:
        """Above by more than 2 standard errors: an error in the reward, the KL or the line."""
        return self.above > 2 * self.error


def standing(
    line: Frontier, reward: float, kl: float, num: int, reward_variance: float, kl_variance: float, covariance: float
) -> Standing:
    """Where (KL, reward), means of `num` samples with these (co)variances of one sample, stand."""
    height, point = line.height(kl)
    # height - reward = J* - mean of (r - beta * log-ratio): two independent means
    variance = reward_variance - 2 * point.beta * covariance + point.beta**2 * kl_variance
    error = math.hypot(math.sqrt(max(variance, 0.0) / num), line.height_error(point))
    gain = height - line.start
    share = (reward - line.start) / gain if 0.0 < kl <= line.last_kl and gain > 0.0 else math.nan
    return Standing(height, reward - height, error, share)


def _objective(point: FrontierPoint) -> float:
    return point.reward - point.beta * point.kl
