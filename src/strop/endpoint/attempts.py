"""Attempt after attempt at one request, with waits between them, until there is an answer or the time is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from strop.endpoint.request import Failed
from strop.words import plural

T = TypeVar("T")
FIRST_SECONDS, LONGEST_SECONDS = 0.5, 20.0
"""Before the second attempt, doubled for each further one; and at most."""
_jitter = random.Random()
"""Dice of its own: a run's are restored when it resumes."""


async def attempted(
    attempt: Callable[[], Awaitable[T]], turns: asyncio.Semaphore, most: int, deadline: float, total_seconds: float
) -> T:
    """What the first attempt that succeeds brings; each has one of `turns`. Raises Failed with the last reason.

    There are `most` of them, and none after `deadline`, the time of the loop's clock at which `total_seconds` are over.
    """
    failures: list[str] = []
    try:
        async with asyncio.timeout_at(deadline):
            return await _until_answered(attempt, turns, most, deadline, failures)
    except TimeoutError:
        last = failures[-1] if failures else "no reply, or no turn"
        raise Failed(f"nothing within total_seconds={total_seconds:g}", note=f"; last: {last}") from None


async def _until_answered(
    attempt: Callable[[], Awaitable[T]], turns: asyncio.Semaphore, most: int, deadline: float, failures: list[str]
) -> T:
    while True:
        try:
            async with turns:
                return await attempt()
        except Failed as failed:
            failures.append(failed.reason)
            if failed.is_final or len(failures) == most:
                tried = f" ({plural(len(failures), 'attempt')})" if len(failures) > 1 else ""
                raise Failed(failed.reason, note=tried, status=failed.status) from None
            wait = max(backoff_seconds(len(failures)), failed.wait)
            if deadline - asyncio.get_running_loop().time() < wait:
                raise Failed(failed.reason, note="; the next attempt would be too late") from None
        await asyncio.sleep(wait)


def backoff_seconds(failures: int) -> float:
    """The wait after so many failures: it doubles, and half of it is drawn, so that many askers do not come at once."""
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    return longest * _jitter.uniform(0.5, 1.0)
