"""A state that is saved and loaded goes on as if nothing had happened, to the bit."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, transformer, turn
from exact.coin import identical
from exact.learners import ACTOR_CRITIC, CORE, GRADIENT, TRAINED, VALUE_BASED, as_baseline, learner, suited
from strop.algorithms.ppo import PPO
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD, AdamW
from strop.policies.ngram import NGram
from strop.policies.table import Table
from strop.types import Batch, End
from strop.verify.counting import counted, texts


def lesson(step: int) -> Batch:
    """A batch that changes from step to step."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(5, (4, 3), generator=generator).tolist()
    many = [
        episode(
            turn((1, 2), row[: 1 + i % 3]), reward=float(i + step % 3), group=i // 2, end=End.TRUNCATED, final=(1, *row)
        )
        for i, row in enumerate(tokens)
    ]
    return batch_of(*(as_baseline(one) if i % 2 else one for i, one in enumerate(many)))


def ngram() -> NGram:
    """It has counted a little, and its 12 rows are full after a few lessons."""
    policy = NGram(5, order=3, capacity=12, value_head=True)
    counted(policy, texts(0, end=None))
    return policy


POLICIES = {
    "ngram": ngram,
    "table": lambda: Table(5, capacity=256, value_head=True),
    "gpt2": lambda: transformer("gpt2", vocabulary=5, value_head=True),
    "lora": lambda: transformer("llama", lora=True, vocabulary=5, value_head=True),
}
ADAM, MOMENTUM = AdamW(lr=0.01, warmup_steps=3, weight_decay=0.1), SGD(lr=0.05, momentum=0.9)
CASES = [(kind, "table", MOMENTUM, {}) for kind in TRAINED]
CASES += [
    (PPO, "table", MOMENTUM, {"kl_controller": KLController(target=0.01, horizon=10), "minibatches": 2}),
    *((kind, "table", MOMENTUM, {"critic": Critic(separate=True)}) for kind in ACTOR_CRITIC),
    *((kind, "table", ADAM, {"critic": Critic(separate=True, warmup=3)}) for kind in ACTOR_CRITIC),
    *((kind, "table", MOMENTUM, {"target_share": 0.3, "target_every": 1}) for kind in VALUE_BASED),
]
CASES += [
    pytest.param(kind, name, ADAM, {}, marks=[] if kind.__name__ in CORE else pytest.mark.matrix)
    for kind in GRADIENT
    for name in POLICIES
]


@pytest.mark.matrix
@pytest.mark.parametrize(("kind", "name", "optimizer", "fields"), CASES)
def test_save_load_continue_is_bitwise_the_uninterrupted_run(
    kind: Any, name: str, optimizer: Any, fields: dict[str, Any]
) -> None:
    def start() -> tuple[Any, Any]:
        policy = POLICIES[name]()
        given = {"optimizer": optimizer, "kl": KL(weight=0.1), "epochs": 2, "rate_decay": 0.8} | fields
        return policy, learner(kind, policy, **given)

    policy, algorithm = start()
    for step in range(2):
        algorithm.update(suited(kind, lesson(step)))
    saved = copy.deepcopy((policy.state_dict(), algorithm.state_dict()))
    metrics = [algorithm.update(suited(kind, lesson(step))).metrics for step in (2, 3)]
    resumed, again = start()
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert [again.update(suited(kind, lesson(step))).metrics for step in (2, 3)] == metrics
    assert identical(resumed.state_dict(), policy.state_dict())
    assert identical(again.state_dict(), algorithm.state_dict())


def test_a_state_is_made_of_strings_numbers_and_tensors() -> None:
    def check(state: Any) -> None:
        if isinstance(state, dict):
            assert all(isinstance(key, str) for key in state)
            for value in state.values():
                check(value)
        elif isinstance(state, list | tuple):
            for value in state:
                check(value)
        else:
            assert isinstance(state, torch.Tensor | int | float | str | None.__class__)

    for kind in TRAINED:
        algorithm = learner(kind, Table(5, capacity=256, value_head=True), optimizer=AdamW(lr=0.1))
        algorithm.update(suited(kind, lesson(0)))
        check(algorithm.state_dict())
