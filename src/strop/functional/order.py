"""Orders of rows."""

from __future__ import annotations

from collections.abc import Sequence


def closed_up(going: Sequence[int]) -> list[int]:
    """The same rows: those from behind fill the gaps, and no other one moves."""
    stays = set(going)
    behind = (row for row in going if row >= len(going))
    return [row if row in stays else next(behind) for row in range(len(going))]
