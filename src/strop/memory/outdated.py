"""What a replay memory forgets."""

from __future__ import annotations

from collections.abc import Sequence

from strop.types import Episode


def num_outdated(episodes: Sequence[Episode], capacity: int, max_staleness: int | None) -> int:
    """How many whole episodes leave, from the oldest on.

    One leaves while the rest still holds `capacity` turns, or where the newest was played more than `max_staleness`
    steps later (none: however old it is).
    """
    num_turns = sum(len(episode.turns) for episode in episodes)
    for gone, episode in enumerate(episodes):
        num_turns -= len(episode.turns)
        is_stale = max_staleness is not None and episodes[-1].version - episode.version > max_staleness
        if num_turns < capacity and not is_stale:
            return gone
    return len(episodes)
