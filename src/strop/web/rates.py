"""How often somebody may ask: so many requests at once, and as many again as time goes by (a bucket of tokens)."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from strop.web.errors import Refused

MOST_KNOWN = 10_000
"""Of so many the requests are counted; who has not asked for longest is forgotten first, with a full bucket."""


@dataclass(slots=True)
class _Bucket:
    left: float
    when: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The requests of each key, or of each address without one.

    rate     a second
    burst    at once, after a while without any
    at_once  requests of one key that are answered at the same time
    """

    rate: float
    burst: int
    at_once: int
    clock: Callable[[], float] = time.monotonic
    buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    running: Counter[str] = field(default_factory=Counter)

    def take(self, who: str) -> None:
        """Count a request. Raises Refused if there were too many."""
        now = self.clock()
        bucket = self.buckets.setdefault(who, _Bucket(float(self.burst), now))
        self.buckets.move_to_end(who)
        while len(self.buckets) > MOST_KNOWN:
            self.buckets.popitem(last=False)
        bucket.left = min(float(self.burst), bucket.left + (now - bucket.when) * self.rate)
        bucket.when = now
        if bucket.left < 1.0:
            raise _too_many(f"more than {self.rate:g} requests a second", 1.0 / self.rate)
        bucket.left -= 1.0

    @contextmanager
    def answering(self, person: str) -> Iterator[None]:
        """One more request of this key is being answered within the block. Raises Refused if too many are."""
        if self.running[person] >= self.at_once:
            raise _too_many(f"{self.at_once} requests of this key are being answered", 1.0)
        self.running[person] += 1
        try:
            yield
        finally:
            self.running[person] -= 1
            if not self.running[person]:
                del self.running[person]


def _too_many(what: str, seconds: float) -> Refused:
    return Refused(
        f"{what}: wait a little.", status=429, code="rate_limit", headers={"Retry-After": str(max(1, round(seconds)))}
    )
