"""A replica: an actor with a copy of the policy that plays whole groups. Ray makes it, in a process of its own."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.scale.unit import Played, Unit
from strop.scale.weights import Manifest, Packed, require_newer, require_whole

if TYPE_CHECKING:
    from strop.config import TrainConfig

STDERR = Path("/proc/self/fd/2")


@dataclass(frozen=True, slots=True)
class Born:
    """Where a replica lives: host, process, and the file of its stderr (empty where the system does not tell)."""

    host: str
    pid: int
    log: str


class Replica:
    """Plays units with given weights. It holds nothing that cannot be lost: a unit says all that it plays."""

    def __init__(self, path: Sequence[str]) -> None:
        """`path` is where the driver finds modules: a recipe may stand beside others."""
        sys.path += [place for place in path if place not in sys.path]
        self._has: Manifest | None = None

    def start(self, config: TrainConfig) -> Born:
        """Build the policy and what plays it, with the run's number of threads."""
        config.set_up_torch()
        assert not isinstance(config.policy, str)
        assert config.dtype is not None
        self._config = config
        self._policy, codec = config.policy.build(config.seed, config.dtype, config.device)
        self._player = config.player(self._policy, codec)
        return Born(socket.gethostname(), os.getpid(), str(STDERR.resolve()) if STDERR.exists() else "")

    def play(self, manifest: Manifest, weights: Sequence[Any], unit: Unit) -> Played:
        """The unit's group. `weights` holds the reference of the bytes, which are fetched only if they are new.

        Raises WeightsRefused for damaged or older ones, and what the user's code may raise in this process (NonFinite).
        """
        before = time.perf_counter()
        self._take(manifest, weights)
        begun = time.perf_counter()
        self._seed_global_generators(unit)
        (group,) = self._player.play([unit.task], unit.step, unit.place)
        seconds = time.perf_counter() - begun
        episodes = tuple(replace(episode, version=manifest.version) for episode in group)
        return Played(episodes, manifest.version, seconds, begun - before)

    def _take(self, manifest: Manifest, weights: Sequence[Any]) -> None:
        if manifest == self._has:
            return
        import ray

        require_newer(manifest, self._has)
        got: Packed = ray.get(weights[0])
        require_whole(manifest, got)
        self._policy.load_state_dict(got.state())
        self._player.publish(self._policy)
        self._has = manifest

    def _seed_global_generators(self, unit: Unit) -> None:
        """A reward that draws from the global generators draws the same wherever and whenever the unit is played."""
        from strop.runs.randomness import seed_all
        from strop.streams import stream

        seed_all(int(stream(self._config.seed, "replica", unit.step, unit.place).integers(2**63)))
