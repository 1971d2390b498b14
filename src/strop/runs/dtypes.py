"""The number type that a run computes in where its config names none."""

from __future__ import annotations

from typing import get_args

from strop import devices
from strop.policies.computing import has_bfloat16
from strop.runs.trained import first_policy
from strop.types import ComputesIn, PolicyConfig


def default_dtype(policy: PolicyConfig, device: str) -> str:
    """What the policy computes in where the run does not say: for small models bfloat16 would round, and be no
    faster."""
    asked = first_policy(policy).computes_in
    if asked not in get_args(ComputesIn):
        raise ValueError(
            f"policy={type(policy).__qualname__} computes in {asked!r}: its computes_in is one of "
            f"{', '.join(get_args(ComputesIn))}."
        )
    if asked != "fastest":
        return asked
    is_fast = has_bfloat16() if device == devices.CPU else devices.has_bfloat16(device)
    return "bfloat16" if is_fast else "float32"
