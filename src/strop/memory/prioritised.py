"""Prioritised replay: turns with a large TD error are drawn more often.

Schaul et al. 2016 (1511.05952), proportional variant, algorithm 1:

    P(i) = p_i^alpha / sum_j p_j^alpha,   p_i = |TD error| + floor,   w_i = (N P(i))^-beta / max_j w_j

The weight w_i multiplies the pick's loss and corrects for the uneven sampling, fully at beta 1. The max is over the
draw: over the whole memory, a single turn without error would shrink all other weights to almost 0. New turns get the
largest p seen so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from strop.functional.bounds import check_at_least, check_at_most, check_not_negative, check_positive, check_share
from strop.memory.outdated import num_outdated
from strop.memory.sum_tree import Numbers, SumTree
from strop.schedules import Linear
from strop.types import Draw, Episode, MemoryConfig, Pick, Schedule, State, check_fields


class Prioritised:
    """Off-policy: the newest `capacity` turns; each draw takes `size` of them by priority, with replacement
    (stratified: one from each of `size` equal parts of the total priority)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """Its options.

        capacity       most turns that are kept
        size           picks per draw
        num_draws      draws per step, each for one update
        per_turn       num_draws draws for each turn that the step added, not for each step
        n_step         turns per pick
        warmup         turns in the memory before the first draw
        alpha          how strongly the error counts in sampling; 0 samples uniformly
        beta           how far the weights correct for that, 1 fully; a schedule counts the draws made
        floor          added to every error, so that no turn has probability 0
        max_staleness  steps after which a turn is dropped; none: only `capacity` limits its age
        """

        capacity: int = 10_000
        size: int = 64
        num_draws: int = 1
        per_turn: bool = False
        n_step: int = 1
        warmup: int = 1
        alpha: float = 0.6
        beta: float | Schedule = field(default_factory=lambda: Linear(start=0.4, end=1.0, steps=10_000))
        floor: float = 1e-6
        max_staleness: int | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            for name in ("capacity", "size", "num_draws", "n_step", "warmup"):
                check_at_least(f"memory.{name}", getattr(self, name), 1)
            check_at_most("memory.size", self.size, 1_000_000)
            check_at_least(
                "memory.capacity", self.capacity, self.warmup, hint=f"memory.warmup={self.warmup} has to fit"
            )
            check_not_negative("memory.alpha", self.alpha, hint="0 draws uniformly")
            if not callable(self.beta):
                check_share("memory.beta", self.beta)
            check_positive("memory.floor", self.floor, hint="at 0 a turn without error never comes back")

            check_at_least("memory.max_staleness", self.max_staleness, 0, none="keeps what fits the capacity")

        def build(self) -> Prioritised:
            return Prioritised(self)

    def __init__(self, config: Prioritised.Config) -> None:
        self.config = config
        self._episodes: list[Episode] = []
        self._tree = SumTree(np.zeros(0))
        self._leaf: dict[tuple[str, int], int] = {}
        self._largest, self._num_drawn, self._num_new = 1.0, 0, 0

    def add(self, episodes: Sequence[Episode]) -> None:
        """Append with the largest priority; drop what no longer fits or is too stale, as Replay does."""
        new = [episode for episode in episodes if episode.turns]
        self._episodes.extend(new)
        self._num_new = sum(len(episode.turns) for episode in new)
        leaves = np.concatenate([self._tree.leaves, np.full(self._num_new, self._largest**self.config.alpha)])
        num_dropped = num_outdated(self._episodes, self.config.capacity, self.config.max_staleness)
        num_turns_dropped = sum(len(episode.turns) for episode in self._episodes[:num_dropped])
        del self._episodes[:num_dropped]
        self._index(leaves[num_turns_dropped:])

    def _index(self, leaves: Numbers) -> None:
        """Build the tree over the leaves, and the leaf of each turn."""
        self._tree = SumTree(leaves)
        keys = [(episode.id, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        self._leaf = {key: i for i, key in enumerate(keys)}

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """Draws of `size` picks of `n_step` turns (fewer at an episode's end)."""
        if self._tree.size < self.config.warmup:
            return
        turns = [(episode, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        for _ in range(self.config.num_draws * (self._num_new if self.config.per_turn else 1)):
            chosen = self._choose(rng)
            weights = self._weights(chosen)
            self._num_drawn += 1
            yield tuple(
                Pick(*turns[i], min(self.config.n_step, len(turns[i][0].turns) - turns[i][1]), weight)
                for i, weight in zip(chosen, weights, strict=True)
            )

    def _choose(self, rng: np.random.Generator) -> list[int]:
        """Stratified sampling: one leaf from each of `size` equal parts of the mass; a leaf's probability stays P."""
        share = (np.arange(self.config.size) + rng.random(self.config.size)) / self.config.size
        return [self._tree.find(mass) for mass in (share * self._tree.total).tolist()]

    def _weights(self, chosen: Sequence[int]) -> list[float]:
        """(N P(i))^-beta over its largest value in the draw, which belongs to the smallest P."""
        beta = self.config.beta(self._num_drawn) if callable(self.config.beta) else self.config.beta
        check_share("memory.beta", beta)  # the number of a schedule is known only now
        smallest = min(self._tree[i] for i in chosen)
        return [(smallest / self._tree[i]) ** beta for i in chosen]

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Set the new priorities of the drawn turns. Raises ValueError if the algorithm gives none."""
        if priority_K is None:
            raise ValueError(
                "prioritised replay needs an algorithm that returns a priority for each pick, such as DQN: use "
                "memory=strop.memory.Replay.Config() with this one."
            )
        for pick, error in zip(draw, priority_K.tolist(), strict=True):
            priority = error + self.config.floor
            assert pick.turn is not None
            self._tree[self._leaf[pick.episode.id, pick.turn]] = priority**self.config.alpha
            self._largest = max(self._largest, priority)

    def held(self) -> list[str]:
        return [episode.id for episode in self._episodes]

    def state_dict(self) -> State:
        return {
            "episodes": self.held(),
            "leaves": torch.from_numpy(self._tree.leaves),
            "largest": self._largest,
            "num_drawn": self._num_drawn,
        }

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._episodes = [episodes[id] for id in state["episodes"]]
        self._largest, self._num_drawn = state["largest"], state["num_drawn"]
        self._index(state["leaves"].numpy())
