"""A replica: an actor with a copy of the policy that plays whole groups. Ray makes it, in a process of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from strop.scale.born import Born, last_words
from strop.scale.engines import Ray
from strop.scale.unit import Played, Unfit, Unit
from strop.scale.weights import Manifest, Packed, require_newer, require_whole

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.rollout.engine import EmbeddedEngine
    from strop.scale.http_sampler import HttpSampler
    from strop.types import Codec


class Replica:
    """Plays units with given weights. It holds nothing that cannot be lost: a unit says all that it plays."""

    def __init__(self, path: Sequence[str]) -> None:
        """`path` is where the driver finds modules: a recipe may stand beside others."""
        sys.path += [place for place in path if place not in sys.path]
        self._has: Manifest | None = None
        self._asking: HttpSampler | None = None

    def start(self, config: TrainConfig) -> Born:
        """Build the policy and what plays it, with the run's number of threads.

        Where the config's engine is `Ray` a vLLM server samples, which this replica starts, and which has its
        accelerator. Raises ValueError where there is no such command, Unfit where it does not start.
        """
        owns = isinstance(config.engine, Ray)
        config = replace(config, device="cpu") if owns else config
        config.set_up_torch()
        assert not isinstance(config.policy, str)
        assert config.dtype is not None
        self._config = config
        self._policy, codec = config.policy.build(config.seed, config.dtype, config.device)
        self._player = self._with_server(codec) if owns else config.player(self._policy, codec)
        return Born.here()

    def _with_server(self, codec: Codec) -> EmbeddedEngine:
        """What plays with completions of a vLLM server, which is started."""
        from strop.scale.http_sampler import HttpSampler
        from strop.scale.own_vllm import OwnVLLM

        try:
            self._asking = HttpSampler(OwnVLLM(self._config, self._policy, codec))
        except Unfit as unfit:
            raise Unfit(f"{unfit}.{last_words(Born.here())}") from None
        return self._config.played_with(self._asking, self._policy, codec)

    def play(self, manifest: Manifest, weights: Sequence[Any], unit: Unit) -> Played:
        """The unit's groups. `weights` holds the reference of the bytes, which are fetched only if they are new.

        Raises WeightsRefused for damaged or older ones, Unfit where its server is gone, and what the user's code may
        raise in this process (NonFinite).
        """
        before = time.perf_counter()
        self._take(manifest, weights)
        begun = time.perf_counter()
        self._seed_global_generators(unit)
        failed = len(self._asking.failures) if self._asking is not None else 0
        groups = self._player.play(unit.tasks, unit.step, unit.place)
        if self._asking is not None and (failed := len(self._asking.failures) - failed):
            self._asking.require_server()  # what failed for want of a server is played again elsewhere
        seconds = time.perf_counter() - begun
        episodes = tuple(replace(episode, version=manifest.version) for group in groups for episode in group)
        return Played(episodes, manifest.version, failed, seconds, begun - before)

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
