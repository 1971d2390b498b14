"""The same transformer twice: on the CPU by the plain path, and on the pretended device."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from exact.build import language_model, policy_over
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Completion, Sampling, Tokens

KINDS = ("llama", "qwen3", "gpt2", "gemma")
ADAPTER = LoRA(rank=2, alpha=4)
PADDED: list[Tokens] = [(1, 3, 4, 5, 6)] * 3 + [(3, 4)] * 3
EQUAL: list[Tokens] = [(1, 3, 4), (5, 6, 7)] * 3


def pair(kind: str, lora: LoRA | None = None, dtype: str = "float32") -> tuple[Transformer, Transformer]:
    """Policies with a value head and equal numbers: here and there. `pretended()` is open."""
    here = policy_over(language_model(kind), lora, dtype, value_head=True, is_plain=True)
    model = copy.deepcopy(here.model).to("pretend:0")
    there = Transformer(model, lora is not None, dtype, value_head=True)
    there.load_state_dict(here.state_dict())
    return here, there


def sampled(
    policy: Any,
    prompts: Sequence[Tokens] = PADDED,
    max_tokens: int = 6,
    stop: frozenset[int] = frozenset({2}),
    top_k: int = 0,
) -> list[Completion]:
    """With each row's own dice."""
    sampling = Sampling(temperature=0.9, top_k=top_k, max_tokens=max_tokens)
    return LocalSampler(policy, stop).sample(prompts, sampling, [stream(0, "pair", i) for i in range(len(prompts))])
