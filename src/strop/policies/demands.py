"""What an algorithm may demand of a policy, and how a policy that lacks it says so."""

from __future__ import annotations

from strop.types import Policy


def require_values(policy: Policy) -> None:
    """Refuse a policy without a value head, as soon as an algorithm that reads values is built."""
    if not policy.has_values:
        raise ValueError("this policy has no value head, which the algorithm reads: set policy.value_head=true.")
