"""A policy's parameters change only while its lock is held, whatever changes them; a sampler reads within it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, flat, transformer, turn
from exact.learners import ACTOR_CRITIC, TRAINED, as_baseline, learner
from strop.codec import WordCodec
from strop.learners.actor_critic import Critic
from strop.planning import FiniteMDP, Planner
from strop.policies.mlp import MLP
from strop.policies.ngram import NGram
from strop.policies.steered import Steered
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.serving.actor import Actor
from strop.serving.conversation import Conversation
from strop.types import Batch, End, Policy, Sampling, WeightsLock


class Watching(WeightsLock):
    """Checks at every entry that nothing has changed since the last exit."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy, self.num_changes = policy, 0
        self.last = self.now()

    def now(self) -> Tensor:
        return flat(self.policy.parameters()).clone()

    @contextmanager
    def changing(self) -> Iterator[None]:
        with super().changing():
            assert torch.equal(self.now(), self.last), "a parameter changed outside the lock"
            yield
            self.last, self.num_changes = self.now(), self.num_changes + 1


def watched(policy: Any) -> Watching:
    """The policy's new lock; to be made before whatever takes the lock from it."""
    policy.lock = Watching(policy)
    return policy.lock


def moved(lock: Watching, change: Callable[[], object]) -> bool:
    """Whether the parameters changed, all of it within the lock."""
    before = lock.now()
    change()
    assert torch.equal(lock.now(), lock.last), "a parameter changed outside the lock"
    return lock.num_changes > 0 and not torch.equal(lock.now(), before)


def batch() -> Batch:
    return batch_of(
        episode(turn((1,), (2, 3)), reward=1.0),
        as_baseline(episode(turn((1,), (0,)), turn((4,), (3,)), reward=0.0, end=End.TRUNCATED, final=(4, 3, 1))),
        layout="per_turn",
    )


@pytest.mark.parametrize("kind", TRAINED)
def test_every_algorithm_changes_weights_within_the_lock(kind: Any) -> None:
    policy = Table(5, capacity=64, value_head=True)
    lock = watched(policy)
    algorithm = learner(kind, policy)
    assert moved(lock, lambda: algorithm.update(batch()))


@pytest.mark.parametrize("kind", ACTOR_CRITIC)
def test_a_critic_of_its_own_takes_the_lock_of_the_policy_that_acts(kind: Any) -> None:
    policy = Table(5, capacity=64, value_head=True)
    lock = watched(policy)
    algorithm = learner(kind, policy, critic=Critic(separate=True))
    assert algorithm.critic.lock is not lock
    assert moved(lock, lambda: algorithm.update(batch()))


def test_a_steered_policy_has_the_lock_of_its_critic() -> None:
    critic = Table(5, capacity=64, value_head=True)
    lock = watched(critic)
    policy = Steered(critic.reference(), critic, 1.0)
    (ilql,) = (kind for kind in TRAINED if kind.__name__ == "ILQL")
    algorithm = learner(ilql, policy)
    assert moved(lock, lambda: algorithm.update(batch()))
    assert moved(lock, lambda: policy.load_state_dict(Table(5, capacity=64, value_head=True).state_dict()))


def test_a_planner_writes_its_table_within_the_lock() -> None:
    mdp = FiniteMDP([[[0.0, 1.0]], [[0.0, 1.0]]], np.array([[1.0], [0.0]]), [1.0, 0.0], [False, True])
    policy = Table(2)
    lock = watched(policy)
    planner = Planner.Config(mdp=mdp, states=[(0,), (1,)]).build(policy, Sampling(), 64)
    assert moved(lock, lambda: planner.update(batch()))


def ngram() -> NGram:
    return NGram(5, order=2, value_head=True)


@pytest.mark.parametrize(
    "make", [lambda: Table(5, value_head=True), lambda: MLP(2, 3), lambda: transformer("llama"), ngram]
)
def test_weights_are_loaded_within_the_lock(make: Callable[[], Any]) -> None:
    policy, other = make(), make()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    lock = watched(policy)
    assert moved(lock, lambda: policy.load_state_dict(other.state_dict()))


def test_a_copy_has_weights_and_so_a_lock_of_its_own() -> None:
    for policy in (Table(3), MLP(2, 3), ngram(), transformer("llama")):
        for other in (policy.twin(), policy.reference()):
            assert other.lock is not policy.lock


class Counting(WeightsLock):
    """Counts those who have read."""

    def __init__(self) -> None:
        super().__init__()
        self.num_readers = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        with super().reading():
            yield
        self.num_readers += 1


def test_a_sampler_holds_the_lock_from_the_first_token_to_the_last() -> None:
    class Looking(Table):
        """Notes whether the lock is held whenever it is read."""

        def __init__(self) -> None:
            super().__init__(3)
            self.held: list[bool] = []

        def _read(self, prefixes: Any) -> Tensor:
            self.held.append(bool(self.lock._reading))
            return super()._read(prefixes)

    policy = Looking()
    policy.lock = lock = Counting()
    rngs = [np.random.default_rng(i) for i in range(5)]
    LocalSampler(policy, WordCodec(["a", "b"], True).stop, batch=2).sample([(0,)] * 5, Sampling(max_tokens=4), rngs)
    assert len(policy.held) > 3
    assert all(policy.held)
    assert lock.num_readers == 1  # once for the whole call, not once for each batch


def test_a_chat_reads_within_the_lock() -> None:
    policy, codec = Table.Config(words=["a", "b"], has_end=True).build(0)
    policy.lock = lock = Counting()
    talk = Conversation.begin(Actor(policy, codec, Sampling(max_tokens=2), "table"), None, {}, 0)
    talk.answer("a")
    talk.answer("b")
    assert lock.num_readers == 2
