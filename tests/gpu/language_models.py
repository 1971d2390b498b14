"""Tiny random models as policies, on the CPU and with the same numbers on a device."""

from __future__ import annotations

from typing import Any

import torch

from exact.build import gpt2, language_model, pair
from gpu.accelerator import Accelerator
from strop.policies.adapters import LoRA
from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.transformer import Transformer

KINDS = ("llama", "gpt2", "qwen3", "t5")
VOCABULARY = 11
ADAPTER = LoRA(rank=4)
SHOWS = 0.05
"""The spread of an adapter's numbers and a value head's, which begin at 0: enough to show, and so little that rounding
errors do not grow from layer to layer."""


def on_the_cpu(kind: str, lora: bool = False, dtype: str = "float32") -> Transformer:
    """A policy with a value head."""
    policy = _class(kind).of(_model(kind), ADAPTER if lora else None, 0, dtype, value_head=True)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in policy.state_dict()["trainable"].items():
        if "lora_" in name or "value_head" in name:
            parameter.normal_(std=SHOWS, generator=generator)
    return policy


def on_the_device(accelerator: Accelerator, kind: str, lora: bool = False, dtype: str = "float32") -> Transformer:
    """The same policy there."""
    with accelerator.computing():
        policy = _class(kind).of(_model(kind), ADAPTER if lora else None, 0, dtype, True, accelerator.name)
        policy.load_state_dict(on_the_cpu(kind, lora).state_dict())
    return policy


def _class(kind: str) -> type[Transformer]:
    return EncoderDecoder if kind == "t5" else Transformer


def _model(kind: str) -> Any:
    """Far from uniform, with heads of width 16, for which devices have their own kernels of attention."""
    if kind == "t5":
        return pair(VOCABULARY)
    return gpt2(VOCABULARY, width=32, context=128) if kind == "gpt2" else language_model(kind, head_dim=16)
