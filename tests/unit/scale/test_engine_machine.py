"""The engine on a pretended Ray, whatever happens in whatever order: hypothesis looks for a history that breaks a rule.

Weights are a function of the version, and the embedded engine says what each unit gives under them. So whatever comes
out of a step can be compared with what must come out. The rules are checked where work arrives at a replica, and where
a step is learnt:

    pacing   a unit is played at most S steps before its own
    order    a step is its own units, in order of their places
    once     a step is learnt once; what was played, and is kept, is not played again unless it is too old
    age      no episode is more than S versions older than the step that learns from it
    fencing  what a replica is asked for only gets newer, and it refuses what is older or damaged
    truth    an answer counts for its own unit alone, however late it comes
"""

import random
from collections import Counter
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import fleet
import strop
from pretend_ray import DAMAGED, DIES, FINE, HANGS, LATE, pretended
from strop.scale import pool
from strop.scale.ahead import from_state
from strop.scale.pool import ATTEMPTS
from strop.scale.unit import Key, Unit
from strop.scale.weights import Manifest, WeightsRefused
from strop.types import End, Episode, State

STEPS, PLACES, SIZE = 8, 3, 2
PATIENCE = 10_000
"""Looks at the clock, after which a step does not end any more."""
FATES = (FINE, FINE, FINE, DIES, HANGS, LATE, DAMAGED)
POLICY = strop.policies.Table.Config(words=fleet.WORDS, has_end=True, order=1, capacity=8)


def config(engine) -> strop.TrainConfig:
    algorithm = strop.algorithms.REINFORCE.Config()
    made = fleet.config(
        engine=engine, policy=POLICY, algorithm=algorithm, steps=STEPS, group_size=SIZE, prompts_per_step=PLACES
    )
    return made.resolve()


def on_ray(staleness: int) -> strop.TrainConfig:
    return config(fleet.ray_of(staleness=staleness, unit_seconds=1.5, most_losses=10**6))


def set_version(policy, version: int) -> None:
    """The weights of this version."""
    for token in range(policy.vocabulary):
        policy.row((token,))
    dice = torch.Generator().manual_seed(version)
    with policy.lock.changing(), torch.no_grad():
        policy.weight.copy_(torch.randn(policy.weight.shape, generator=dice, dtype=policy.weight.dtype))


class Truth:
    """What must come out, by the embedded engine."""

    def __init__(self) -> None:
        self.parts = config(strop.scale.Embedded(batch="group")).build()
        self.units = {
            (step, place): Unit(step, place, (task,))
            for step in range(STEPS)
            for place, task in enumerate(self.parts.tasks.next(PLACES))
        }
        self._played = dict[tuple[Key, int], list[Episode]]()

    def of(self, key: Key, version: int) -> list[Episode]:
        if (key, version) not in self._played:
            set_version(self.parts.policy, version)
            self.parts.engine.publish(self.parts.policy)
            unit = self.units[key]
            (group,) = self.parts.engine.play(unit.tasks, unit.step, unit.place)
            self._played[key, version] = [replace(episode, version=version) for episode in group]
        return self._played[key, version]


@cache
def truth() -> Truth:
    return Truth()


@dataclass
class Saved:
    """A checkpoint: the next step, and the states of the engine and of the source of tasks."""

    step: int
    engine: State = field(default_factory=dict)
    tasks: State = field(default_factory=lambda: {"num_drawn": 0})

    def kept(self, staleness: int) -> dict[Key, list[Episode]]:
        """The units that were played, and are young enough."""
        played = {key: one for ahead in self.engine.get("ahead", ()) for key, one in from_state(ahead)[1].items()}
        return {key: list(one.episodes) for key, one in played.items() if one.version >= key[0] - staleness}


class Runs(RuleBasedStateMachine):
    """One run, killed and resumed now and then."""

    @initialize(dice=st.randoms(use_true_random=False), staleness=st.integers(0, 3))
    def begin(self, dice: random.Random, staleness: int) -> None:
        self.dice, self.saved, self.learnt, self.epoch = dice, Saved(0), dict[int, list[Episode]](), 0
        self.opened, self.clock, self.num_looks = ExitStack(), 1.0, 0
        patched = self.opened.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(
            pool, "time", SimpleNamespace(monotonic=self.look_at_the_clock)
        )  # so that no history needs time
        self.ray = self.opened.enter_context(pretended(self.fate))
        self.ray.dice, self.wait = dice, self.ray.wait
        self.ray.wait = self.wait_a_while
        self.open(staleness)

    def open(self, staleness: int) -> None:
        """Start, or go on from what was saved."""
        self.staleness, self.step, self.parts = staleness, self.saved.step, on_ray(staleness).build()
        self.parts.engine.load_state_dict(deepcopy(self.saved.engine))
        self.parts.tasks.load_state_dict(self.saved.tasks)
        self.kept, self.losses, self.last_epoch = self.saved.kept(staleness), Counter[Key](), self.epoch
        self.learnt = {step: episodes for step, episodes in self.learnt.items() if step < self.step}
        self.publish()

    def publish(self) -> None:
        set_version(self.parts.policy, self.step)
        self.parts.engine.publish(self.parts.policy)
        self.num_looks = 0

    # ------------------------------------------------------------ what happens to replicas

    def look_at_the_clock(self) -> float:
        self.num_looks += 1
        assert self.num_looks < PATIENCE, f"step {self.step} does not end"
        return self.clock

    def wait_a_while(self, refs, num_returns, timeout):
        """The clock goes on while nothing happens."""
        ready, others = self.wait(refs, num_returns, timeout)
        self.clock += not ready
        return ready, others

    def fate(self, name: str, arguments: tuple) -> str:
        """What becomes of a replica that begins with something."""
        if name == "start":
            return self.dice.choice((FINE, FINE, FINE, DIES))
        manifest, _, unit = arguments
        self.check_work(manifest, unit)
        (actor,) = [one for one in self.ray.actors if one.calls and one.calls[0][2] is arguments]
        fate = self.dice.choice(FATES)
        if fate == DAMAGED and actor.object._has == manifest:
            return FINE  # it has these weights: nothing is carried that could be damaged
        self.losses[unit.key] += fate != FINE
        return fate

    def check_work(self, manifest: Manifest, unit: Unit) -> None:
        assert unit == truth().units[unit.key]
        assert unit.step <= manifest.version + self.staleness, "a unit is played too early"
        assert manifest.epoch > self.last_epoch, "a start has the epoch of an earlier one"
        assert unit.key not in self.kept, "what was kept is played again"
        assert unit.step not in self.learnt, "what was learnt is played again"
        self.epoch = manifest.epoch

    # ------------------------------------------------------------ what the loop does

    @precondition(lambda self: self.step < STEPS)
    @rule(is_saved=st.booleans())
    def learn_a_step(self, is_saved: bool) -> None:
        episodes = self.parts.engine.rollout(self.parts.tasks, self.step)
        assert len(episodes) == PLACES * SIZE
        for place in range(PLACES):
            self.check_group((self.step, place), episodes[place * SIZE : (place + 1) * SIZE])
        self.learnt[self.step] = episodes
        self.step += 1
        if is_saved:
            self.save()
        self.publish()

    def check_group(self, key: Key, group: list[Episode]) -> None:
        version = group[0].version
        assert self.step - self.staleness <= version <= self.step, "an episode is too old"
        if key in self.kept:
            assert group == self.kept[key]
            is_given_up = group[0].end is End.FAILED
        else:
            is_given_up = self.losses[key] == ATTEMPTS
        whole = truth().of(key, version)
        if not is_given_up:
            assert group == whole
            return
        assert f"{ATTEMPTS} replicas were lost" in group[0].error
        empty = {"turns": (), "parts": {}, "end": End.FAILED, "error": group[0].error}
        assert group == [replace(one, **empty) for one in whole]

    @rule(calls=st.integers(1, 12))
    def meanwhile(self, calls: int) -> None:
        """The learner learns: replicas play, and nobody looks."""
        for _ in range(calls):
            self.ray.work()

    def save(self) -> None:
        self.saved = Saved(self.step, deepcopy(self.parts.engine.state_dict()), dict(self.parts.tasks.state_dict()))

    @rule(staleness=st.integers(0, 3))
    def kill_and_resume(self, staleness: int) -> None:
        """The driver is killed, its replicas with it, and goes on from what was saved."""
        self.parts.engine.close()
        self.ray.actors.clear()
        self.open(staleness)

    @rule(start=st.integers(0, 1), version=st.integers(0, STEPS))
    def ask_with_older_weights(self, start: int, version: int) -> None:
        """As a driver that was replaced may still do."""
        for replica in [actor.object for actor in self.ray.actors if not actor.is_dead and actor.object is not None]:
            has = replica._has
            older = None if has is None else replace(has, epoch=has.epoch - start, version=version)
            if older is not None and older.age < has.age:
                with pytest.raises(WeightsRefused):
                    replica.play(older, [], truth().units[0, 0])
                assert replica._has == has

    @invariant()
    def every_step_is_learnt_once_and_in_order(self) -> None:
        assert list(self.learnt) == list(range(self.step))
        ids = [one.id for episodes in self.learnt.values() for one in episodes]
        assert len(set(ids)) == len(ids) == self.step * PLACES * SIZE

    def teardown(self) -> None:
        with self.opened:
            self.parts.engine.close()


@pytest.mark.matrix
class TestRuns(Runs.TestCase):
    """A history that breaks a rule is printed as a program."""

    settings = settings(
        max_examples=60,
        stateful_step_count=20,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
