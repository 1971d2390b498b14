"""The on-policy memory: the episodes of the current step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.types import Draw, Episode, MemoryConfig, Pick, State


class Fresh:
    """On-policy: the episodes of this step, all in one draw; the next step replaces them."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """No fields: how often the same episodes are used is the algorithm's `epochs`."""

        def build(self) -> Fresh:
            return Fresh()

    def __init__(self) -> None:
        self._episodes: tuple[Episode, ...] = ()

    def add(self, episodes: Sequence[Episode]) -> None:
        """Replace the episodes of the step before."""
        self._episodes = tuple(episodes)

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """Every episode, whole, in one draw; none where no episode has a turn."""
        if any(episode.turns for episode in self._episodes):
            yield tuple(Pick(episode) for episode in self._episodes)

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Fresh episodes have no priorities."""

    def held(self) -> list[str]:
        """No episode is kept: nothing outlives its step."""
        return []

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._episodes = ()
