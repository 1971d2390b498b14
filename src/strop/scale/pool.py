"""The replicas of a run, and the units that they play. Ray makes, places and ends them; this says who plays what next.

ray.util.ActorPool does the same while nobody dies. It
cannot tell which unit an error belongs to, or end one that hangs.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strop.scale.born import Born, last_words
from strop.scale.cluster import connect, disconnect
from strop.scale.engines import Ray
from strop.scale.losses import Losses, told
from strop.scale.replica import Replica
from strop.scale.unit import Key, Played, Unfit, Unit
from strop.scale.weights import Manifest, Packed, WeightsRefused
from strop.types import Stopped

if TYPE_CHECKING:
    from strop.config import TrainConfig

ATTEMPTS = 3
"""Replicas that a unit may take with it before it is given up."""
TICK = 1.0
"""Seconds after which deadlines are looked at again."""
GiveUp = Callable[[Unit, int, str], Played]
"""(unit, version, reason) -> what stands for a unit that nobody could play."""


@dataclass(slots=True)
class _Call:
    """A unit that was given to a replica. `since` is when it was first seen to be the replica's next."""

    unit: Unit
    version: int
    answer: Any
    since: float | None = None


@dataclass(slots=True)
class _Member:
    """A replica. `starting` is the answer of its start, until that is there; `calls` are its units, the next first."""

    actor: Any
    starting: Any
    born: Born | None = None
    calls: deque[_Call] = field(default_factory=deque)


class Pool:
    """Keeps `settings.replicas` replicas, replaces those that are lost, and has lost units played again."""

    def __init__(self, settings: Ray, config: TrainConfig, give_up: GiveUp) -> None:
        """`config` is what each replica builds itself from."""
        import ray

        self.settings, self._ray, self._give_up = settings, ray, give_up
        self._threads = config.threads or 1
        self._gpus = 1 if config.device.startswith("cuda") else 0
        self.losses, self.news, self.members = Losses(settings.most_losses), list[str](), list[_Member]()
        self._waiting: deque[Unit] = deque()
        self._done: dict[Key, Played] = {}
        self._raised: dict[Key, Exception] = {}
        self._known: dict[Key, int] = {}
        self._manifest: Manifest | None = None
        self._weights: list[Any] = []
        with ExitStack() as opened:
            if connect(settings, settings.replicas * self._threads):
                opened.callback(disconnect)
            self._config = _sent(ray, config)
            self._actor_class = ray.remote(Replica)
            self.members += [self._member() for _ in range(settings.replicas)]
            self._opened = opened.pop_all()
        self._alone_since = time.monotonic()

    # ------------------------------------------------------------ what the engine calls

    def publish(self, manifest: Manifest, weights: Packed) -> None:
        """Units that are handed out from now on are played with these weights."""
        self._manifest, self._weights = manifest, [self._ray.put(weights)]

    def submit(self, units: Iterable[Unit]) -> None:
        """Have these played, in their order; those that were submitted already, once."""
        for unit in units:
            if unit.key not in self._known:
                self._known[unit.key] = 0
                self._waiting.append(unit)

    def result(self, units: Iterable[Unit]) -> dict[Key, Played]:
        """What became of them. Raises Stopped if nobody is there to play within `start_seconds`, or if
        too many replicas were lost; and what a user's code raised in a replica."""
        wanted = [unit.key for unit in units]
        while any(key not in self._done and key not in self._raised for key in wanted):
            self.hand_out(1)
            self._look()
        for key in wanted:
            if key in self._raised:
                raise self._raised[key]
            del self._known[key]
        return {key: self._done.pop(key) for key in wanted}

    def hand_out(self, most: int) -> None:
        """Give waiting units to those with the fewest, until each has `most`."""
        ready = [member for member in self.members if member.born is not None]
        while self._waiting and ready:
            member = min(ready, key=lambda one: len(one.calls))
            if len(member.calls) >= most:
                return
            self._give(member, self._waiting.popleft())

    def finished(self) -> Mapping[Key, Played]:
        """Units that were played, and not asked for yet."""
        settled = -1
        while len(self._done) + len(self._raised) > settled:
            settled = len(self._done) + len(self._raised)
            self._look(seconds=0.0)
        return dict(self._done)

    def adopt(self, done: Mapping[Key, Played]) -> None:
        """Units that were played before this pool was made."""
        self._done |= done
        self._known |= dict.fromkeys(done, 0)

    @property
    def num_ready(self) -> int:
        """Replicas that can play."""
        return sum(member.born is not None for member in self.members)

    @property
    def num_playing(self) -> int:
        """Units that were given to a replica."""
        return sum(len(member.calls) for member in self.members)

    def close(self) -> None:
        """End the replicas, and the cluster if it was started for them."""
        with self._opened:
            for member in self.members:
                self._ray.kill(member.actor)
        self.members = []

    # ------------------------------------------------------------ replicas

    def _member(self) -> _Member:
        """A new replica, which Ray places where there is room; it starts in its own time. Ray restarts none by itself:
        a restarted actor refuses calls until it is there, and a new one lets them wait."""
        options = {"num_cpus": self._threads, "num_gpus": self._gpus, "max_restarts": 0, "max_task_retries": 0}
        actor = self._actor_class.options(**options).remote(list(sys.path))
        return _Member(actor, actor.start.remote(self._config))

    def _give(self, member: _Member, unit: Unit) -> None:
        assert self._manifest is not None
        answer = member.actor.play.remote(self._manifest, self._weights, unit)
        member.calls.append(_Call(unit, self._manifest.version, answer))

    def _look(self, seconds: float = TICK) -> None:
        """Wait until something happens, at most so long, and take what is there."""
        awaited = {member.starting: member for member in self.members if member.starting is not None}
        awaited |= {member.calls[0].answer: member for member in self.members if member.calls}
        now = time.monotonic()
        for member in self.members:
            if member.calls and member.calls[0].since is None:
                member.calls[0].since = now
        ready, _ = self._ray.wait(list(awaited), num_returns=1, timeout=seconds) if awaited else ([], [])
        for answer in ready:
            self._take(awaited[answer], answer)
        if not ready:  # what is there already is not late, however long nobody looked
            self._check_deadlines()

    def _take(self, member: _Member, answer: Any) -> None:
        """A replica's start, a unit's episodes, or the news that the replica is dead."""
        try:
            got = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, WeightsRefused | Unfit):
                self._replace(member, str(error.cause))
            elif answer == member.starting:
                raise error.cause from None
            else:  # raised when its step comes, as it would be in this process
                self._raised[member.calls.popleft().unit.key] = error.cause
        except self._ray.exceptions.RayError as error:
            self._replace(member, told(error))
        else:
            if answer == member.starting:
                member.born, member.starting = got, None
                self._alone_since = time.monotonic()
            else:
                self._done[member.calls.popleft().unit.key] = got

    def _check_deadlines(self) -> None:
        now, settings = time.monotonic(), self.settings
        for member in self.members:
            if member.calls and now - (member.calls[0].since or now) > settings.unit_seconds:
                what = f"{member.calls[0].unit} took longer than {settings.unit_seconds:g} s"
                self._replace(member, f"{what} (engine.unit_seconds)")
        if self.num_ready:
            self._alone_since = now
        elif now - self._alone_since > settings.start_seconds:
            there = self._ray.cluster_resources().get("CPU", 0.0)
            raise Stopped(
                f"waited {settings.start_seconds:g} s (engine.start_seconds) for a replica to start. Ray has "
                f"{there:g} processors, and each of {settings.replicas} replicas asks for {self._threads}"
                f"{' and a GPU' if self._gpus else ''}. {self.news[-1] if self.news else ''}".rstrip()
            )

    def _replace(self, member: _Member, reason: str) -> None:
        """Another replica in place of one that is lost. Its units are played again, before all others."""
        where = f"{member.born.host}, process {member.born.pid}" if member.born else "while it started"
        text = f"lost a replica ({where}): {reason}.{last_words(member.born)}"
        self._ray.kill(member.actor)
        if member.born is not None:  # until now somebody was there, however long ago it was last looked
            self._alone_since = time.monotonic()
        self.members[self.members.index(member)] = self._member()
        self.news.append(text)
        self.losses.add(text)
        if member.calls:
            first, *rest = member.calls
            self._waiting.extendleft(call.unit for call in reversed(rest))
            self._try_again(first, reason)

    def _try_again(self, call: _Call, reason: str) -> None:
        """Put the unit that was played when its replica was lost first in the queue, or give it up."""
        key = call.unit.key
        self._known[key] += 1
        if self._known[key] < ATTEMPTS:
            self._waiting.appendleft(call.unit)
            return
        why = f"{ATTEMPTS} replicas were lost while they played {call.unit}; the last one: {reason}"
        self._done[key] = self._give_up(call.unit, call.version, why)


def _sent(ray: Any, config: TrainConfig) -> Any:
    """The config in Ray's object store. A recipe file is sent with it: no replica can import that."""
    from ray import cloudpickle

    from strop.process import RECIPE

    recipe = sys.modules.get(RECIPE)
    if recipe is not None:
        cloudpickle.register_pickle_by_value(recipe)
    try:
        return ray.put(config)
    except TypeError as error:
        raise ValueError(
            f"this run cannot be sent to a replica ({error}): its rewards, environment and policy are pickled, so they "
            "hold no open file, lock or connection. Open those where they are used, or take engine=embedded."
        ) from error
    finally:
        if recipe is not None:
            cloudpickle.unregister_pickle_by_value(recipe)
