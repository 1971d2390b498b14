"""A policy that is read in several chunks, on any device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.verify.chunked import START, Chunked


def chunked(device: torch.device | str) -> Chunked:
    """In float32, with values."""
    policy = START.policy(has_values=True)
    policy.weight, policy.value = (Parameter(one.detach().float().to(device)) for one in policy.parameters())
    return policy


def numbers(policy: Any) -> list[Tensor]:
    """A policy's parameters on the CPU."""
    return [parameter.detach().cpu() for parameter in policy.parameters()]
