"""Which episodes a replay memory drops."""

from __future__ import annotations

from collections.abc import Sequence

from strop.types import Episode


def num_outdated(episodes: Sequence[Episode], capacity: int, max_staleness: int | None) -> int:
    """How many whole episodes to drop, from the oldest on.

    An episode is dropped while the newer ones hold at least `capacity` turns, or if it is more than `max_staleness`
    steps older than the newest one (None: age does not matter).
    """
    num_turns = sum(len(episode.turns) for episode in episodes)
    for num_dropped, episode in enumerate(episodes):
        num_turns -= len(episode.turns)
        is_stale = max_staleness is not None and episodes[-1].version - episode.version > max_staleness
        if num_turns < capacity and not is_stale:
            return num_dropped
    return len(episodes)
