"""SFT: which tokens are targets, and what their mean is over."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import build
from strop.algorithms.sft import SFT
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling


def test_sft_trains_the_end_token_though_padding_has_the_same_id() -> None:
    # id 0 ends, pads and fills: the mask comes from the episode, so exactly the two completions' tokens are targets
    batch = batch_of(episode(turn((1,), (2, 0), None)), episode(turn((1,), (2, 2, 2, 0), None)))
    assert batch.action_BT.int().tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]]
    policy = Table(3, capacity=16)
    before = torch.log_softmax(policy.weight[policy.row((1, 2))], -1)[0].item()
    build(SFT, policy).update(batch_of(episode(turn((1,), (2, 0), None)), layout="per_turn"))
    assert torch.log_softmax(policy.weight[policy.row((1, 2))], -1)[0].item() > before


def test_sft_denominator_is_global_not_a_mean_of_means() -> None:
    # lengths 1 and 3, micro-batches of one row: the loss is the sum over 4 tokens / 4, with every token at ln 3
    algorithm = SFT.Config(optimizer=SGD(lr=1.0)).build(Table(3, capacity=16), Sampling(), 1)
    rows = batch_of(episode(turn((1,), (2,), None)), episode(turn((1,), (2, 2, 0), None)), layout="per_turn")
    update = algorithm.update(rows)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log(3))
    nll = update.metrics["policy/nll"]
    assert (nll.value, nll.count) == (pytest.approx(math.log(3)), 4)
    # after (1,): 2 twice, -log pi gradient 2/4 of (2/3, -1/3, -1/3) up
    assert algorithm.policy.weight[0].tolist() == pytest.approx([-1 / 6, -1 / 6, 1 / 3])


def test_a_pass_holds_no_more_than_micro_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, heads = [], Table.heads

    def counted(table: Table, micro: Batch, *more: Any) -> Any:
        sizes.append(micro.tokens_BT.numel())
        return heads(table, micro, *more)

    monkeypatch.setattr(Table, "heads", counted)
    rows = batch_of(*(episode(turn((1,), (2, 0), None), id=str(i)) for i in range(4)))
    SFT.Config(optimizer=SGD(lr=1.0)).build(Table(3, capacity=16), Sampling(), 7).update(rows)
    assert sizes == [6, 6]  # two rows of three slots; three rows would be nine
