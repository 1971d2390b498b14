"""What every algorithm says beside its step, and that its several epochs are several steps."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.learners import GRADIENT, as_baseline, learner
from strop.algorithms.distillation import Distillation
from strop.algorithms.remax import ReMax
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, PolicyConfig

TASKS = [kind for kind in GRADIENT if kind.Config.reads == "tasks"]
SILENT = {"OnlineDPO", "RejectionSampling"}
"""They judge whole answers and have nothing to say of a single token."""
EPOCHS = [kind for kind in TASKS if "epochs" in {field.name for field in fields(kind.Config)}]


def pair() -> Batch:
    """Two answers of a group, one better; for ReMax, the other is the greedy one."""
    return batch_of(
        episode(turn((1,), (2, 0)), reward=1.0, id="a"),
        as_baseline(episode(turn((1,), (1,)), reward=0.0, id="b")),
        layout="per_turn",
    )


def table() -> Table:
    """With random logits, and values of 0."""
    policy = Table(3, capacity=16, value_head=True)
    with torch.no_grad():
        policy.weight.copy_(torch.randn(16, 3, generator=torch.Generator().manual_seed(0)))
    return policy


@pytest.mark.parametrize("kind", [kind for kind in TASKS if kind.__name__ not in SILENT])
def test_opinions_are_given_for_every_slot(kind: Any) -> None:
    batch = pair()
    update = learner(kind, table()).update(batch)
    assert update.per_token
    for name, opinion_BT in update.per_token.items():
        assert opinion_BT.shape == batch.tokens_BT.shape, name
        assert bool(opinion_BT[batch.action_BT].isfinite().all()), name
        assert not opinion_BT.requires_grad


def test_distillation_says_how_much_likelier_the_teacher_finds_each_token() -> None:
    batch = pair()
    algorithm = learner(Distillation, table())
    teacher, temperature = algorithm.reference.policy, algorithm.sampling.temperature
    taken = [((1,), 2), ((1, 2), 0), ((1,), 1)]  # (context, token) of the three actions
    rows = [teacher.weight[teacher.row(context)] / temperature for context, _ in taken]
    distributions = [row.log_softmax(-1)[token].item() for row, (_, token) in zip(rows, taken, strict=True)]
    recorded = batch.logprobs_BT[batch.action_BT].tolist()
    found_BT = algorithm.update(batch).per_token["advantage"]
    expected = [distribution - own for distribution, own in zip(distributions, recorded, strict=True)]
    assert found_BT[batch.action_BT].tolist() == pytest.approx(expected)


def test_a_teacher_is_built_in_the_dtype_that_was_set() -> None:
    asked = []

    class Teacher(PolicyConfig):
        def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Any, None]:
            asked.append(dtype)
            return table(), None

    learner(Distillation, table(), teacher=Teacher(), dtype="bfloat16")
    assert asked == ["bfloat16"]


def test_remax_logs_the_mean_reward_of_the_greedy_answers() -> None:
    # two groups: greedy answers pay 4 and 1, beside three sampled answers in the first
    sampled = [episode(turn((1,), (2,)), reward=0.0, id=str(i)) for i in range(3)]
    greedy = [as_baseline(episode(turn((1,), (1,)), reward=r, group=g, id=f"g{g}")) for g, r in enumerate((4.0, 1.0))]
    other = episode(turn((1,), (2,)), reward=0.0, group=1, id="other")
    metrics = learner(ReMax, table()).update(batch_of(*sampled, *greedy, other)).metrics
    assert metrics["policy/baseline"].value == 2.5


@pytest.mark.parametrize("kind", EPOCHS)
def test_two_epochs_are_two_steps(kind: Any) -> None:
    steps = {}
    for epochs in (1, 2):
        policy = table()
        algorithm = learner(kind, policy, epochs=epochs, optimizer=SGD(lr=1e-4))  # GSPO's clip is closed beyond 3e-4
        algorithm.update(pair())
        steps[epochs] = (algorithm.optimizer.num_steps, policy.weight.detach().clone())
    assert (steps[1][0], steps[2][0]) == (1, 2)
    assert not torch.equal(steps[1][1], steps[2][1])
