"""Tiny random models as policies, on the CPU and with the same numbers on a device."""

from __future__ import annotations

from exact.build import language_model, policy_over
from gpu.accelerator import Accelerator
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt

KINDS = ("llama", "gpt2", "qwen3")
VOCABULARY = 11
ADAPTER = LoRA(rank=4)


def on_the_cpu(kind: str, lora: bool = False, dtype: str = "float32") -> Transformer:
    """A policy with a value head, far from uniform."""
    return policy_over(language_model(kind), ADAPTER if lora else None, dtype, value_head=True)


def on_the_device(accelerator: Accelerator, kind: str, lora: bool = False, dtype: str = "float32") -> Transformer:
    """The same policy there."""
    with accelerator.computing():
        policy = adapt(language_model(kind), ADAPTER if lora else None, 0, dtype, True, accelerator.name)
        policy.load_state_dict(on_the_cpu(kind, lora).state_dict())
    return policy
