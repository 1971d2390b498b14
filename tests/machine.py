"""What torch says of a machine, and that strop takes the pretended device as it takes CUDA's."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

CARD = "a pretended card"


def report(
    patch: pytest.MonkeyPatch, num_cuda: int = 0, mps: bool = False, bfloat16: bool = True, built: bool = True
) -> None:
    """Let torch report so many GPUs, or MPS; `built` says whether it has CUDA at all."""
    card = SimpleNamespace(name="NVIDIA H200", total_memory=139 * 2**30)
    patch.setattr("torch.cuda.is_available", lambda: num_cuda > 0)
    patch.setattr("torch.cuda.device_count", lambda: num_cuda)
    patch.setattr("torch.cuda.get_device_properties", lambda device: card)
    patch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: bfloat16)
    patch.setattr("torch.backends.cuda.is_built", lambda: built)
    patch.setattr("torch.backends.mps.is_available", lambda: mps)
    patch.setattr("torch.backends.mps.is_built", lambda: mps)


def take_pretended(patch: pytest.MonkeyPatch, is_there: bool = True) -> None:
    """Let a run ask for `pretend:0`, a CARD where AdamW is fused. Without it torch reports no accelerator."""
    patch.setattr("strop.devices._NAME", re.compile("auto|cpu|pretend:0"))
    patch.setattr("strop.devices.accelerators", lambda: ["pretend:0"] if is_there else [])
    patch.setattr("strop.optimizer.FUSED_ON", ("cpu", "pretend"))
    for module in ("devices", "home"):
        patch.setattr(f"strop.{module}.hardware_of", lambda device: "" if device == "cpu" else CARD)
