"""Prioritised replay: turns that surprised the critic are drawn more often.

Schaul et al. 2016 (1511.05952), proportional variant, algorithm 1:

    P(i) = p_i^alpha / sum_j p_j^alpha,   p_i = |TD error| + floor,   w_i = (N P(i))^-beta / max_j w_j

The pick's weight w_i multiplies its loss and takes back what the uneven draw did to the mean: wholly at beta 1. The
max is over the draw: over all that is held, one turn without error would shrink every other step to nothing. New turns
get the largest p seen.
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
    """Off-policy: the newest `capacity` turns; each draw takes `size` of them by priority, one from each equal share
    of the mass, with replacement."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """Its fields.

        capacity       turns that are remembered
        size           picks a draw
        num_draws      draws, and so updates, a step
        per_turn       as many draws for each turn that the step added
        n_step         turns of a pick
        warmup         turns that are there before the first draw
        alpha          how much an error counts in the choice; 0 draws uniformly
        beta           how far the weights undo that choice; it may depend on the number of draws made
        floor          what is added to every error, so that each turn comes back
        max_staleness  steps after which a turn is forgotten; none: only `capacity` bounds its age
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
        """Append with the largest priority; forget what no longer fits or is too stale, as Replay does."""
        new = [episode for episode in episodes if episode.turns]
        self._episodes.extend(new)
        self._num_new = sum(len(episode.turns) for episode in new)
        leaves = np.concatenate([self._tree.leaves, np.full(self._num_new, self._largest**self.config.alpha)])
        num_gone = num_outdated(self._episodes, self.config.capacity, self.config.max_staleness)
        num_turns_gone = sum(len(episode.turns) for episode in self._episodes[:num_gone])
        del self._episodes[:num_gone]
        self._index(leaves[num_turns_gone:])

    def _index(self, leaves: Numbers) -> None:
        """The tree over the leaves, and which turn each of them is."""
        self._tree = SumTree(leaves)
        places = [(episode.id, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        self._leaf = {place: i for i, place in enumerate(places)}

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """Draws of `size` picks of `n_step` turns (fewer at an episode's end)."""
        if self._tree.size < self.config.warmup:
            return
        places = [(episode, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        for _ in range(self.config.num_draws * (self._num_new if self.config.per_turn else 1)):
            chosen = self._choose(rng)
            weights = self._weights(chosen)
            self._num_drawn += 1
            yield tuple(
                Pick(*places[i], min(self.config.n_step, len(places[i][0].turns) - places[i][1]), weight)
                for i, weight in zip(chosen, weights, strict=True)
            )

    def _choose(self, rng: np.random.Generator) -> list[int]:
        """Leaves, one from each of `size` equal shares of the mass: each draw is spread, each leaf's chance is P."""
        share = (np.arange(self.config.size) + rng.random(self.config.size)) / self.config.size
        return [self._tree.find(mass) for mass in (share * self._tree.total).tolist()]

    def _weights(self, chosen: Sequence[int]) -> list[float]:
        """(N P(i))^-beta over the largest of the draw, which is that of its smallest P."""
        beta = self.config.beta(self._num_drawn) if callable(self.config.beta) else self.config.beta
        check_share("memory.beta", beta)  # a schedule says its numbers only now
        smallest = min(self._tree[i] for i in chosen)
        return [(smallest / self._tree[i]) ** beta for i in chosen]

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """The drawn turns get their new priorities. Raises ValueError where the algorithm gives none."""
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
