"""Prioritised replay: the distribution of the draws, the weights that correct for it, and the sum tree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from strop.memory import Prioritised
from strop.memory.sum_tree import SumTree
from strop.types import Pick, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import episode, turn
from strop.verify.sampling import chi_square_z

DRAWS = 8000


def held(errors: Sequence[float], **fields: Any) -> Prioritised:
    """A memory of one turn an episode, where the episode named i has the error errors[i]."""
    memory = Prioritised.Config(floor=1e-12, **fields).build()
    episodes = [episode(turn((i,), (0,)), id=str(i)) for i in range(len(errors))]
    memory.add(episodes)
    memory.feedback(tuple(Pick(one, 0) for one in episodes), torch.tensor(errors, dtype=torch.float64))
    return memory


def check_prioritised_distribution() -> Iterator[Gap]:
    """Prioritised replay: turns drawn in proportion to |error|^alpha (chi-square, in standard deviations)."""
    errors = [1.0, 4.0, 9.0, 0.25, 2.0]
    for alpha in (0.0, 0.5, 1.0):
        memory = held(errors, alpha=alpha, size=1, num_draws=DRAWS)
        seen: Counter[Tokens] = Counter((int(draw[0].episode.id),) for draw in memory.draws(np.random.default_rng(0)))
        total = math.fsum(error**alpha for error in errors)
        exact: dict[Tokens, float] = {(i,): error**alpha / total for i, error in enumerate(errors)}
        yield Gap(max(chi_square_z(seen, exact, DRAWS), 0.0), 3.7, f"alpha {alpha:g}")


def check_prioritised_weights() -> Iterator[Gap]:
    """Prioritised replay: weights at beta 1 make the weighted mean the uniform mean."""
    errors, f = np.array([3.0, 0.1, 7.0, 1.0, 0.5]), np.array([2.0, -1.0, 5.0, 11.0, 0.3])
    distribution = errors / errors.sum()
    memory = held(errors.tolist(), alpha=1.0, size=600, beta=1.0)
    (draw,) = memory.draws(np.random.default_rng(0))  # the rarest turn has 5 of 600 picks
    weight = {int(pick.episode.id): pick.weight for pick in draw}
    w = np.array([weight[i] for i in range(len(errors))])
    for values, name in ((f, "five numbers"), (np.full(5, 3.0), "a constant")):
        gap = abs(float((distribution * w * values).sum() / (distribution * w).sum() - values.mean()))
        yield Gap(gap, 1e-9, name)  # 1e-12 is added to each error


def check_prioritised_sum() -> Gap:
    """Prioritised replay: the root of the sum tree is the sum of its leaves, after 2000 changes."""
    rng = np.random.default_rng(0)
    tree, slow = SumTree(np.zeros(11)), [0.0] * 11
    for _ in range(2000):
        i, number = int(rng.integers(11)), float(rng.random() * 10.0 ** rng.integers(-9, 9))
        tree[i] = slow[i] = number
    total = math.fsum(slow)
    return Gap(abs(tree.total - total) / total, 1e-15)
