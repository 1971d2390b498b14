"""The order of the remaining rows when some of a batch have ended."""

from __future__ import annotations

from collections.abc import Sequence


def compact_order(kept: Sequence[int]) -> list[int]:
    """The kept rows in the order that moves the fewest: rows from the end fill the gaps, all others stay."""
    stays = set(kept)
    from_the_end = (row for row in kept if row >= len(kept))
    return [row if row in stays else next(from_the_end) for row in range(len(kept))]
