"""A process that ends itself, as a kill would, around a rename, a replace or an fsync."""

from __future__ import annotations

import os


def plan_death(die_at: int, after: bool) -> None:
    """From now on it ends before, or after, its `die_at`-th such call."""
    calls = 0

    def deadly(call):
        def wrapper(*arguments):
            nonlocal calls
            calls += 1
            if calls == die_at and not after:
                os._exit(9)
            result = call(*arguments)
            if calls == die_at:
                os._exit(9)
            return result

        return wrapper

    for name in ("rename", "replace", "fsync"):
        setattr(os, name, deadly(getattr(os, name)))
