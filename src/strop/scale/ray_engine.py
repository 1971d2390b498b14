"""The RolloutEngine on Ray: what is played when, with which version. Who plays it is the pool's affair.

Step k learns from its units in order, however they came about. With staleness S the units of the steps to k + S are
handed out before step k is learnt, so replicas play while the learner learns:

    pacing   a unit of step j is handed out at version j - S or later, so at most S + 1 steps are under way
    bound    a unit that is older when its step comes (S was lowered between two starts) is played again
    once     each unit is returned in exactly one step; those under way are in the checkpoint

With S = 0 a step's units are played by the weights that the step learns, and by nothing else: the embedded engine that
decodes group by group gives the same bits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from strop.rollout.quota import Quota
from strop.scale.ahead import Ahead, from_state, to_state
from strop.scale.engines import Embedded, Ray
from strop.scale.servers import require_causal
from strop.scale.unit import Key, Played, Unit, given_up, units_of, with_greedy
from strop.scale.weights import Manifest, Packed, packed
from strop.types import Episode, Policy, State, Task, TaskSource
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.scale.pool import Pool


class RayEngine:
    """Plays on replicas. Ray is started or joined at the first publish: a run that is only read needs none."""

    def __init__(self, config: TrainConfig, policy: Policy) -> None:
        """`config` is resolved, and its engine is a `Ray`. Raises ValueError for a policy that vLLM would have to serve
        and cannot."""
        assert isinstance(config.engine, Ray)
        if config.engine.vllm:
            require_causal(policy)
        self.settings, self.config = config.engine, config
        self.quota = Quota(config.prompts_per_step, config.extras)
        self._epoch = time.time_ns()
        self._pool: Pool | None = None
        self._ahead: deque[Ahead] = deque()
        self._kept: dict[Key, Played] = {}
        self._weights: Packed | None = None
        self._version = 0
        self._measures: dict[str, float] = {}
        self._stale = 0

    def publish(self, policy: Policy) -> None:
        """Pack the weights: they get their version, and are sent, when the step begins."""
        if self._pool is None:
            from strop.scale.pool import Pool

            self._pool = Pool(self.settings, self._sent_config(), self._given_up)
            self._pool.adopt(self._kept)
            self._kept = {}
        begun = time.perf_counter()
        self._weights = packed(policy)
        self._measures = {"engine/publish_seconds": time.perf_counter() - begun}

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """The episodes of this step, as the embedded engine has them; of policies at most `staleness` steps older."""
        pool, begun = self._pool, time.perf_counter()
        assert pool is not None, "publish comes first"
        assert self._weights is not None
        pool.publish(Manifest(self._epoch, step, self._weights.sha256), self._weights)
        self._version, self._weights = step, None
        self._measures["engine/publish_seconds"] += time.perf_counter() - begun
        lost, begun, self._stale = pool.losses.total, time.perf_counter(), 0
        self._draw(tasks, step)
        current = self._ahead.popleft()
        assert current.step == step, f"the engine is at step {current.step}, and the loop at {step}"
        episodes = self.quota.fill(tasks, step, partial(self._play, pool), current.tasks)
        pool.hand_out(self._share())  # all of the next steps: nobody hands out while the learner learns
        self._measures |= {
            "engine/wait_seconds": time.perf_counter() - begun,
            "engine/replicas": pool.num_ready,
            "engine/lost": pool.losses.total - lost,
            "engine/staleness": sum(step - episode.version for episode in episodes) / max(len(episodes), 1),
            "engine/staleness_max": max((step - episode.version for episode in episodes), default=0),
            "engine/played_again_for_age": self._stale,
        }
        return episodes

    def _draw(self, tasks: TaskSource, step: int) -> None:
        """Draw the tasks of this step and of those that may be played ahead, and have them played."""
        last = min(step + self.settings.staleness, max(self.config.steps - 1, step))
        while step + len(self._ahead) <= last:
            self._ahead.append(Ahead(step + len(self._ahead), tuple(tasks.next(self.quota.prompts_per_step))))
        assert self._pool is not None
        allowed = [ahead for ahead in self._ahead if ahead.step <= last]
        assert len(allowed) <= self.settings.staleness + 1, "too many steps are under way"
        for ahead in allowed:
            self._pool.submit(ahead.units(self.settings.groups))

    def _share(self) -> int:
        """How many units of the steps to come each replica has, if all are there."""
        units = sum(len(ahead.units(self.settings.groups)) for ahead in self._ahead)
        return -(-units // self.settings.replicas)

    def _play(self, pool: Pool, tasks: Sequence[Task], step: int, played: int) -> list[list[Episode]]:
        """Each task's group. One that is older than allowed is played again, with the newest weights."""
        units = units_of(step, played, tasks, self.settings.groups)
        pool.submit(units)
        found = pool.result(units)
        old = [unit for unit in units if found[unit.key].version < step - self.settings.staleness]
        if old:
            pool.submit(old)
            found |= pool.result(old)
            self._stale += len(old)
        assert all(one.version >= step - self.settings.staleness for one in found.values()), "an episode is too old"
        self._add_measures(list(found.values()))
        episodes = [episode for unit in units for episode in found[unit.key].episodes]
        return [episodes[i : i + self._size] for i in range(0, len(episodes), self._size)]

    @property
    def _size(self) -> int:
        """Episodes of a group."""
        return self.config.group_size + self.quota.extras.greedy

    def _add_measures(self, found: Sequence[Played]) -> None:
        """What replicas spent on playing and on loading weights, summed over them, and attempts that failed."""
        failed = [("engine/failed_attempts", sum(one.failed_attempts for one in found))] if self.settings.vllm else []
        for name, value in (
            *failed,
            ("engine/play_seconds", sum(one.seconds for one in found)),
            ("engine/load_seconds", sum(one.load_seconds for one in found)),
        ):
            self._measures[name] = self._measures.get(name, 0.0) + value

    def _sent_config(self) -> TrainConfig:
        """What a replica builds itself from: the tasks come with the units, and held-out ones are judged here."""
        device = "cuda:0" if self.config.device.startswith("cuda") else self.config.device  # Ray shows it one GPU
        engine = self.settings if self.settings.vllm else Embedded()
        return replace(self.config, engine=engine, device=device, tasks=(), held_out=(), gold=(), baselines=())

    def _given_up(self, unit: Unit, version: int, reason: str) -> Played:
        found = given_up(unit, self.config.group_size, self.quota.most, self.config.seed, version, reason)
        return with_greedy(found, unit) if self.quota.extras.greedy else found

    def status(self) -> str:
        """Replicas, groups under way, and the version of the weights."""
        pool = self._pool  # asked by the thread that draws the live line, while another one may close it
        if pool is None:
            return ""
        ready, playing = pool.num_ready, pool.num_playing
        ahead = f", {plural(len(self._ahead), 'step')} ahead" if self._ahead else ""
        lost = f", {pool.losses.total} lost" if pool.losses.total else ""
        return (
            f"{ready} of {self.settings.replicas} replicas{lost}, {playing} under way{ahead}, version {self._version}"
        )

    def news(self) -> list[str]:
        """The losses since it was last asked, with their reasons."""
        if self._pool is None:
            return []
        told, self._pool.news[:] = list(self._pool.news), []
        return told

    def measures(self) -> Mapping[str, float]:
        """Where the step's seconds went, replicas, losses and staleness."""
        return self._measures

    def state_dict(self) -> State:
        """The steps that are under way: their tasks, which the source does not give again, and what was played."""
        if not self._ahead:
            return {}
        finished = self._pool.finished() if self._pool is not None else self._kept
        return {"ahead": [to_state(ahead, finished) for ahead in self._ahead]}

    def load_state_dict(self, state: State) -> None:
        """Go on with what was under way: units without episodes are played again, and those of other sizes."""
        loaded = [from_state(one) for one in state.get("ahead", [])]
        self._ahead = deque(ahead for ahead, _ in loaded)
        units = [unit for ahead in self._ahead for unit in ahead.units(self.settings.groups)]
        sizes = {unit.key: len(unit.tasks) * self._size for unit in units}
        kept = [one for _, done in loaded for one in done.items()]
        self._kept = {key: played for key, played in kept if len(played.episodes) == sizes.get(key)}

    def close(self) -> None:
        """End the replicas; a cluster that was started for them ends too."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
