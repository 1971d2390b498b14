"""A tiny policy of every kind that is a language model, for the checks that hold for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from strop.batch import collate
from strop.policies.convolutional import Convolutional
from strop.policies.ngram import NGram
from strop.policies.recurrent import Recurrent
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.policies.textgenrnn import TextGenRNN
from strop.types import Batch, Heads, Pick, Policy, Tokens
from strop.verify.episodes import episode, turn

WORDS = ("red", "blue", "green", "pink", "grey")
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "table": (Table.Config, {"has_end": True, "capacity": 512}),
    "ngram": (NGram.Config, {"order": 3, "capacity": 512}),
    "llama": (Scratch, {"shape": "llama", "width": 8, "num_heads": 2, "context": 32}),
    "gpt2": (Scratch, {"shape": "gpt2", "width": 8, "num_heads": 2, "context": 32}),
    "qwen3": (Scratch, {"shape": "qwen3", "width": 8, "num_heads": 2, "context": 32}),
    "t5": (Scratch, {"shape": "t5", "width": 8, "num_heads": 2, "context": 32}),
    "bart": (Scratch, {"shape": "bart", "width": 8, "num_heads": 2, "context": 32}),
    "marian": (Scratch, {"shape": "marian", "width": 8, "num_heads": 2, "context": 32}),
    "lstm": (Recurrent.Config, {"kind": "lstm", "width": 8}),
    "gru": (Recurrent.Config, {"kind": "gru", "width": 8}),
    "rnn": (Recurrent.Config, {"kind": "rnn", "width": 8, "tied": False}),
    "convolutional": (Convolutional.Config, {"width": 8, "num_layers": 3}),
    "textgenrnn": (TextGenRNN.Config, {"embedding": 5, "width": 8, "window": 6}),
}
ALL = list(CONFIGS)
NEURAL = [name for name in ALL if name not in ("table", "ngram")]


def config_of(name: str, **given: Any) -> Any:
    """The Config of this name, with these fields."""
    kind, usual = CONFIGS[name]
    return kind(**{"words": WORDS, **usual, **given})


def policy_of(name: str, seed: int = 0, **given: Any) -> Policy:
    """The policy of this name, its weights far from where they start: a wrong position, mask or state shows."""
    policy: Policy = config_of(name, **given).build(seed, "float32")[0]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return policy


def batch_after(rows: Sequence[Tokens], layout: Any = "joined", prompts: Sequence[int] = ()) -> Batch:
    """Rows of which everything after the prompt is a completion; a prompt has so many tokens, or 1."""
    sizes = prompts or [1] * len(rows)
    made = [
        Pick(episode(turn(row[:size], row[size:]), reward=1.0, group=i))
        for i, (row, size) in enumerate(zip(rows, sizes, strict=True))
    ]
    return collate(tuple(made), layout)


def logits_of(policy: Policy, rows: Sequence[Tokens], prompts: Sequence[int] = ()) -> list[Tensor]:
    """Of each row the logits [T - P, V] after its prompt (of P tokens, or 1) and every token behind it but the last, as
    `heads` gives them."""
    found: list[Tensor] = []

    def collect(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        found.append(heads.logits_NV)
        return {}

    batch = batch_after(rows, policy.layout, prompts)
    policy.heads(batch, collect)
    return list(torch.split(torch.cat(found), batch.action_BT.sum(dim=1).tolist()))
