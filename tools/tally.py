"""What noticed each planted bug: counted, with the interval of the share that `strop verify` notices by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from sites import Site

By = Literal["verify", "tests"]


@dataclass(slots=True)
class Tally:
    """The verdicts so far. `survivors` are the bugs that nothing noticed."""

    verify: int = 0
    tests: int = 0
    timed_out: int = 0
    survivors: list[Site] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many bugs were judged."""
        return self.verify + self.tests + len(self.survivors)

    def add(self, site: Site, by: By | None, timed_out: bool) -> None:
        """A bug, and what noticed it first."""
        self.verify += by == "verify"
        self.tests += by == "tests"
        self.timed_out += timed_out
        if by is None:
            self.survivors.append(site)

    def report(self, num_planned: int, num_equivalent: int | None) -> str:
        """In a few lines; the interval counts where the bugs are a random sample."""
        low, high = wilson(self.verify, self.count)
        share = self.verify / self.count if self.count else math.nan
        lines = [
            f"{self.count} of {num_planned} planted",
            f"noticed by strop verify   {self.verify:5d}   {share:.1%} [{low:.1%}, {high:.1%}]",
            f"by a test alone           {self.tests:5d}",
            f"by nothing                {len(self.survivors):5d}",
            f"{self.timed_out} were noticed because something did not end",
        ]
        if num_equivalent is not None:
            lines.append(f"{num_equivalent} were left out: they change nothing, or were judged before")
        return "\n".join(lines)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, room = hits / count, z * z / count
    middle, half = share + room / 2, z * math.sqrt(share * (1 - share) / count + room / (4 * count))
    return (middle - half) / (1 + room), (middle + half) / (1 + room)
