"""Which episodes an update learns from. A memory keeps Episode records, never tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.types import Draw, Episode, Pick, State


class Fresh:
    """On-policy: the episodes of this step, all in one draw; then they are forgotten."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Nothing to choose: how often the same episodes are used is the algorithm's `epochs`."""

        def build(self) -> Fresh:
            return Fresh()

    def __init__(self) -> None:
        self._episodes: tuple[Episode, ...] = ()

    def add(self, episodes: Sequence[Episode]) -> None:
        """Replace what was there."""
        self._episodes = tuple(episodes)

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """Every episode, whole, in one draw; none where no episode has a turn."""
        if any(episode.turns for episode in self._episodes):
            yield tuple(Pick(episode) for episode in self._episodes)

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Fresh episodes have no priorities."""

    def held(self) -> list[str]:
        """Nothing outlives its step."""
        return []

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._episodes = ()


class Replay:
    """Off-policy: the newest `capacity` turns; each draw takes `size` of them uniformly, with replacement."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """`capacity`, `size` and `warmup` count turns; `num_draws` updates a step; `n_step` turns a pick."""

        capacity: int = 10_000
        size: int = 64
        num_draws: int = 1
        n_step: int = 1
        warmup: int = 1

        def __post_init__(self) -> None:
            for name in ("capacity", "size", "num_draws", "n_step", "warmup"):
                if getattr(self, name) < 1:
                    raise ValueError(f"memory.{name}={getattr(self, name)}: it is at least 1.")

        def build(self) -> Replay:
            return Replay(self)

    def __init__(self, config: Replay.Config) -> None:
        self.config = config
        self._episodes: list[Episode] = []

    def add(self, episodes: Sequence[Episode]) -> None:
        """Append, then drop whole episodes from the oldest on while the rest still fills the capacity."""
        self._episodes.extend(episode for episode in episodes if episode.turns)
        num_turns = sum(len(episode.turns) for episode in self._episodes)
        while num_turns - len(self._episodes[0].turns if self._episodes else ()) >= self.config.capacity:
            num_turns -= len(self._episodes.pop(0).turns)

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """`num_draws` draws of `size` picks of `n_step` turns (fewer at an episode's end)."""
        places = [(episode, turn) for episode in self._episodes for turn in range(len(episode.turns))]
        if len(places) < self.config.warmup:
            return
        for _ in range(self.config.num_draws):
            chosen = [places[i] for i in rng.integers(len(places), size=self.config.size)]
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


class Dataset:
    """Offline: fixed episodes (demonstrations, preferences) in an order shuffled anew each epoch, `size` a draw."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """`size` counts episodes a draw, `num_draws` updates a step. Groups (pairs) stay together."""

        size: int = 16
        num_draws: int = 1

        def __post_init__(self) -> None:
            for name in ("size", "num_draws"):
                if getattr(self, name) < 1:
                    raise ValueError(f"memory.{name}={getattr(self, name)}: it is at least 1.")

        def build(self) -> Dataset:
            return Dataset(self)

    def __init__(self, config: Dataset.Config) -> None:
        self.config = config
        self._groups: dict[int, list[Episode]] = {}
        self._order: list[int] = []

    def add(self, episodes: Sequence[Episode]) -> None:
        """Grow the data; episodes that are already there stay as they are."""
        known = {episode.id for members in self._groups.values() for episode in members}
        for episode in episodes:
            if episode.id not in known and episode.turns:
                self._groups.setdefault(episode.group, []).append(episode)

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """The next groups in order until `size` episodes are reached; a new order when the old one is used up."""
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
