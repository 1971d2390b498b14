"""What an algorithm may require of a policy, with the error where it is missing."""

from __future__ import annotations

from strop.types import Policy


def require_values(policy: Policy) -> None:
    """Raise ValueError for a policy without a value head, as soon as an algorithm that needs values is built."""
    if not policy.has_values:
        raise ValueError("this policy has no value head, which the algorithm reads: set policy.value_head=true.")
