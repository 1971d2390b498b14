"""transformers' own forward pass over whole rows, without a cache: what all other ways to run a model are held against.

Rows are padded behind their end, where nothing that is read sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from strop.types import Batch, Tokens

PROMPTS: list[Tokens] = [(1, 2, 3, 4, 5), (6, 7), (8,)]
BEGUN_ALIKE: list[Tokens] = [(1, 2, 3, 4, 5), (1, 2, 3, 4), (1, 2, 3, 4, 7, 8)]
"""The second is the beginning of the others."""
HISTORIES = {
    "a row a prompt": [[0, 1, 2]],
    "groups": [[0, 0, 1, 1, 2, 2]],
    "uneven groups, out of order": [[2, 0, 0, 1, 0]],
    "a row leaves": [[0, 0, 1, 1, 2, 2], [0, 5, 2, 3, 4]],
    "a prompt leaves": [[0, 0, 1, 1, 2, 2], [5, 4, 2, 3], [2, 3]],
    "the last prompt leaves, then the first": [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3], [3, 2]],
    "beams branch": [[0], [0, 0, 0], [1, 1, 2], [2, 2, 0]],
    "one prompt of several": [[1, 1, 1]],
}
"""Rows that are kept, one list after another, with a few tokens for each row between them."""


@torch.no_grad()
def logits_after(model: Any, rows: Sequence[Sequence[int]]) -> Tensor:
    """Logits [B, V] of the token after each row."""
    tokens_BT = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    logits_BTV = model(tokens_BT, use_cache=False).logits
    last_B = torch.tensor([len(row) - 1 for row in rows])
    return logits_BTV[torch.arange(len(rows)), last_B]


def hidden_before(model: Any, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """The last hidden state [N, H] before each decision."""
    hidden_BTH: Tensor = model.base_model(tokens_BT, use_cache=False).last_hidden_state
    return hidden_BTH[:, :-1][decision_BT[:, 1:]]


def logprobs(model: Any, batch: Batch) -> Tensor:
    """The log-prob [N] of each decision's token, differentiable."""
    logits_NV = model.get_output_embeddings()(hidden_before(model, batch.tokens_BT, batch.decision_BT))
    tokens_N1 = batch.tokens_BT[batch.decision_BT].unsqueeze(1)
    picked_N: Tensor = logits_NV.log_softmax(dim=-1).gather(1, tokens_N1).squeeze(1)
    return picked_N


def decoding_gap(
    runner: Any, model: Any, history: Sequence[Sequence[int]], prompts: Sequence[Tokens] = PROMPTS, tokens: int = 2
) -> float:
    """The largest difference between the logits of a decoding history, from its prompts on, and those of whole rows."""
    generator, rows = torch.Generator().manual_seed(0), [list(prompt) for prompt in prompts]
    logits_BV, state = runner.prefill(prompts)
    largest = (logits_BV - logits_after(model, rows)).abs().max().item()
    for kept in history:
        state, rows = state.keep(kept), [[*rows[row]] for row in kept]
        for _ in range(tokens):
            tokens_B = torch.randint(11, (len(rows),), generator=generator)
            for row, token in zip(rows, tokens_B.tolist(), strict=True):
                row.append(token)
            gap_BV = state.step(tokens_B) - logits_after(model, rows)
            largest = max(largest, gap_BV.abs().max().item())
    return largest
