"""What the clipped objectives log counts the tokens of scored episodes, and nothing that stands beside them."""

from __future__ import annotations

import math

import torch

from exact.build import batch_of, episode, turn
from strop.functional.objectives import token_objective
from strop.types import Unscored


def test_clip_metrics_leave_out_padding_prompts_and_unscored_episodes() -> None:
    # ratios 2, 1, 1 on the scored tokens, 2 on the unscored one, advantage 1 even where nobody acted: one of three is
    # clipped, and the mean ratio is 4/3
    batch = batch_of(
        episode(turn((1,), (2, 2, 0)), reward=1.0, id="a"), episode(turn((1,), (2,)), reward=Unscored("x"), id="b")
    )
    old_BT = torch.full(batch.tokens_BT.shape, -1.0, dtype=torch.float64)
    logprobs_BT = old_BT.clone()
    logprobs_BT[0, 1] += math.log(2)
    logprobs_BT[1] += math.log(2)
    ones_BT = torch.ones_like(old_BT)
    _, metrics = token_objective(batch, logprobs_BT, old_BT, ones_BT, ones_BT, 0.2, 0.2)
    assert (metrics["policy/clip_active"].total, metrics["policy/clip_active"].count) == (1, 3)
    assert abs(metrics["policy/ratio"].value - 4 / 3) < 1e-12
