"""Prompts and answers as padded rows of tokens, in every arrangement that matters to a training pass."""

from __future__ import annotations

import torch
from torch import Tensor


def rows(*parts: tuple[list[int], list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens and decisions [B, T] of (prompt, answer) rows."""
    width = max(len(prompt) + len(answer) for prompt, answer in parts)
    tokens_BT = torch.zeros(len(parts), width, dtype=torch.long)
    decision_BT = torch.zeros(len(parts), width, dtype=torch.bool)
    for b, (prompt, answer) in enumerate(parts):
        tokens_BT[b, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        decision_BT[b, len(prompt) : len(prompt) + len(answer)] = True
    return tokens_BT, decision_BT


LONG, SHORT = [1, 2, 3, 4, 5], [6, 7]
BEGUN = [*LONG, 6]
"""What the prompts of some cases begin with: enough of it to be read once for all."""
CASES = {
    "shared": rows((LONG, [1, 2]), (LONG, [3]), (SHORT, [1, 2, 3, 4, 5, 6]), (SHORT, [4]), (SHORT, [8, 9])),
    "one word each": rows((LONG, [1]), (LONG, [3]), (SHORT, [2])),
    "alone": rows((LONG, [1, 2]), (SHORT, [3, 4, 5])),
    "one": rows((SHORT, [3, 4, 5])),
    "without an answer": rows((LONG, [1, 2]), (LONG, []), (LONG, [3])),
    "nothing to read": rows((LONG, []), (LONG, [])),
    "long answers": rows(([1], [*range(1, 11)] * 2), ([1], [2])),
    "35 tokens, read as 36": rows((LONG * 4, [*range(1, 11)]), (LONG * 4, [2] * 7)),
    "35 tokens alone": rows((LONG * 4, [*range(1, 6)]), (LONG, [6] * 7)),
    "begun alike": rows(([*BEGUN, 7], [1, 2]), ([*BEGUN, 8, 9], [3]), ([*BEGUN, 7], [4]), ([*BEGUN, 8, 9], [])),
    "begun alike, alone": rows(([*BEGUN, 7], [1, 2]), ([*BEGUN, 8, 9], [3, 4, 5]), ([*BEGUN, 9], [6])),
    "one word each, begun alike": rows(([*BEGUN, 7], [1]), ([*BEGUN, 8, 9], [3]), ([*BEGUN, 7], [2])),
    "a prompt begins another": rows((BEGUN, [1]), ([*BEGUN, 9, 2], [3, 1]), (BEGUN, [2])),
}
