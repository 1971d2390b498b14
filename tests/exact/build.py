"""Hand-made episodes and tiny models: the inputs of the exact tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from strop.batch import collate
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt
from strop.types import Batch, Completion, End, Episode, Part, Pick, Task, Tokens, Turn, Unscored

TASK = Task(id="0", prompt="")


def turn(
    prompt: Sequence[int], tokens: Sequence[int], logprobs: Sequence[float] | None = (), reward: float = 0.0
) -> Turn:
    """A turn; empty `logprobs` stand for -1 a token, None for unknown ones."""
    known = None if logprobs is None else tuple(logprobs) or (-1.0,) * len(tokens)
    return Turn(tuple(prompt), Completion(tuple(tokens), known, "stop"), "", reward)


def episode(
    *turns: Turn,
    reward: float | Unscored = 0.0,
    group: int = 0,
    end: End = End.TERMINATED,
    final: Tokens = (),
    parts: Mapping[str, Part] | None = None,
    id: str = "e",
) -> Episode:
    """An episode with one named reward, unless `parts` are given."""
    named = {"r": Part(1.0, reward)} if parts is None else parts
    return Episode(id=id, task=TASK, group=group, turns=turns, final=final, end=end, parts=named)


def batch_of(*episodes: Episode, layout: Any = "joined") -> Batch:
    """Whole episodes as a batch."""
    return collate(tuple(Pick(one) for one in episodes), layout)


def llama(vocabulary: int = 7, seed: int = 0, width: int = 16, context: int = 32) -> Any:
    """A 2-layer Llama (rotary positions)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=context,
            initializer_range=0.3,  # far from uniform, so that a wrong position or mask shows
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
    )


def gpt2(vocabulary: int = 7, seed: int = 0, width: int = 16, context: int = 32) -> Any:
    """A 2-layer GPT-2 (absolute positions; every operation exists in float64)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=context,
            n_embd=width,
            n_layer=2,
            n_head=2,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def transformer(
    kind: str = "gpt2", lora: bool = False, seed: int = 0, value_head: bool = False, **shape: int
) -> Transformer:
    """A tiny policy: "gpt2" computes in float64, "llama" in float32 (its norms do)."""
    model = gpt2(seed=seed, **shape).double() if kind == "gpt2" else llama(seed=seed, **shape)
    return adapt(model, LoRA(rank=2, alpha=4) if lora else None, seed, "float32", value_head)


def flat(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """All parameters as one vector, detached."""
    return torch.cat([parameter.detach().flatten() for parameter in parameters]).clone()
