"""A learner of pairs on a loss that is written down here: which pairs it reads, and how they weigh."""

from __future__ import annotations

import pytest
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.functional.preferences import Pairs
from strop.learners.heads import VALUE, state_value
from strop.learners.preference import Preference, preference_metrics
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Metrics, Policy

REWARDS = ((2.0, 1.0, 0.0), (1.0, 0.0), (5.0, 5.0))
"""Three pairs, one pair, and a tie."""


def first_values(policy: Policy, micro: Batch, pairs: Pairs) -> tuple[Tensor, Metrics]:
    """The negative difference of the values in slot 1, behind the one token of both prompts."""
    value_BT = policy.heads(micro, state_value, VALUE)["value"]
    row_E = {int(pick): b for b, pick in enumerate(micro.episode_B)}
    chosen, rejected = (value_BT[[row_E[int(i)] for i in side_P], 1] for side_P in (pairs.chosen_P, pairs.rejected_P))
    return rejected - chosen, preference_metrics(chosen - rejected)


@pytest.mark.parametrize("micro_tokens", [1, 4096])
def test_every_prompt_that_has_a_pair_counts_once(micro_tokens: int) -> None:
    # prompts 0 and 1 have pairs: half each. Of prompt 0 the best wins two of three pairs and the worst loses two
    policy = Table(4, capacity=16, value_head=True)
    batch = batch_of(*(
        episode(turn((10 * g + i,), (1,)), reward=reward, group=g, id=f"{g}-{i}")
        for g, rewards in enumerate(REWARDS) for i, reward in enumerate(rewards)
    ))  # fmt: skip
    algorithm = Preference("toy", SGD(lr=1.0), policy, micro_tokens, first_values)
    assert policy.value is not None
    metrics = algorithm.update(batch).metrics
    moved = [policy.value[policy.row((10 * g + i,))].item() for g, many in enumerate(REWARDS) for i in range(len(many))]
    assert moved == pytest.approx([1 / 3, 0.0, -1 / 3, 1 / 2, -1 / 2, 0.0, 0.0])
    assert metrics["preference/pairs"].value == 4
    assert metrics["preference/accuracy"].value == 0.0  # before the step nothing was preferred
    told = algorithm.compare(batch)
    assert told["preference/accuracy"].value == 1.0
    assert told["preference/logit"].value == pytest.approx((1 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
