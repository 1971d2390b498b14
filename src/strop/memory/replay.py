"""Uniform replay of turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.functional.bounds import check_at_least, check_at_most
from strop.memory.outdated import num_outdated
from strop.types import Draw, Episode, MemoryConfig, Pick, State, check_fields


class Replay:
    """Off-policy: the newest `capacity` turns; each draw takes `size` of them uniformly, with replacement."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """Its options.

        Differs from CleanRL's DQN in classic control: `size` 64 (128) and `warmup` 1 (10,000), for shorter runs.

        capacity       most turns that are kept
        size           picks per draw
        num_draws      draws per step, each for one update
        per_turn       num_draws draws for each turn that the step added, not for each step
        n_step         turns per pick
        warmup         turns in the memory before the first draw
        max_staleness  steps after which a turn is dropped; none: only `capacity` limits its age
        """

        capacity: int = 10_000
        size: int = 64
        num_draws: int = 1
        per_turn: bool = False
        n_step: int = 1
        warmup: int = 1
        max_staleness: int | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            for name in ("capacity", "size", "num_draws", "n_step", "warmup"):
                check_at_least(f"memory.{name}", getattr(self, name), 1)
            check_at_most("memory.size", self.size, 1_000_000)
            check_at_least(
                "memory.capacity", self.capacity, self.warmup, hint=f"memory.warmup={self.warmup} has to fit"
            )

            check_at_least("memory.max_staleness", self.max_staleness, 0, none="keeps what fits the capacity")

        def build(self) -> Replay:
            return Replay(self)

    def __init__(self, config: Replay.Config) -> None:
        self.config = config
        self._episodes: list[Episode] = []
        self._num_new = 0

    def add(self, episodes: Sequence[Episode]) -> None:
        """Append, then drop whole episodes from the oldest on: those that no longer fit, and those too stale."""
        self._episodes.extend(episode for episode in episodes if episode.turns)
        self._num_new = sum(len(episode.turns) for episode in episodes)
        del self._episodes[: num_outdated(self._episodes, self.config.capacity, self.config.max_staleness)]

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """Draws of `size` picks of `n_step` turns (fewer at an episode's end)."""
        turns = [(episode, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        if len(turns) < self.config.warmup:
            return
        for _ in range(self.config.num_draws * (self._num_new if self.config.per_turn else 1)):
            chosen = [turns[i] for i in rng.integers(len(turns), size=self.config.size)]
            yield tuple(
                Pick(episode, turn, min(self.config.n_step, len(episode.turns) - turn)) for episode, turn in chosen
            )

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Uniform replay has no priorities."""

    def held(self) -> list[str]:
        return [episode.id for episode in self._episodes]

    def state_dict(self) -> State:
        return {"episodes": self.held()}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._episodes = [episodes[id] for id in state["episodes"]]
