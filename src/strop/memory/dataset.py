"""Fixed data in shuffled epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.functional.bounds import check_at_least, check_at_most
from strop.types import Draw, Episode, MemoryConfig, Pick, State, check_fields


class Dataset:
    """Offline: fixed episodes (demonstrations, preferences) in an order shuffled anew each epoch, `size` per draw."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """Groups (pairs) stay together.

        size       episodes per draw
        num_draws  draws per step, each for one update
        """

        size: int = 16
        num_draws: int = 1

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("memory.size", self.size, 1)
            check_at_most("memory.size", self.size, 1_000_000)
            check_at_least("memory.num_draws", self.num_draws, 1)

        def build(self) -> Dataset:
            return Dataset(self)

    def __init__(self, config: Dataset.Config) -> None:
        self.config = config
        self._groups: dict[int, list[Episode]] = {}
        self._order: list[int] = []

    def add(self, episodes: Sequence[Episode]) -> None:
        """Add episodes; those already known by their id, and those without a turn, are ignored."""
        known = {episode.id for members in self._groups.values() for episode in members}
        for episode in episodes:
            if episode.id not in known and episode.turns:
                self._groups.setdefault(episode.group, []).append(episode)

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """The next groups in order until `size` episodes are reached; a new order when all groups are used."""
        for _ in range(self.config.num_draws if self._groups else 0):
            picks: list[Pick] = []
            while len(picks) < self.config.size:
                if not self._order:
                    self._order = rng.permutation(sorted(self._groups)).tolist()
                picks.extend(Pick(episode) for episode in self._groups[self._order.pop()])
            yield tuple(picks)

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Fixed data has no priorities."""

    def held(self) -> list[str]:
        """The data comes from the config, not from the run."""
        return []

    def state_dict(self) -> State:
        return {"order": list(self._order)}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._order = list(state["order"])
