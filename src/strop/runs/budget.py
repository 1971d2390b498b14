"""The time that a run may train, beside its number of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from strop.words import plural


@dataclass(frozen=True, slots=True)
class Budget:
    """`minutes` of training, None for no limit, of which `seconds` are used up.

    Only the time in steps counts: acting, rewarding and learning. Start-up, held-out evaluations, checkpoints and the
    time while a run is stopped do not, so two runs with the same minutes have trained for as long, however often they
    were judged or resumed.
    """

    minutes: float | None = None
    seconds: float = 0.0

    def after(self, seconds: float) -> Budget:
        """The budget after a step that took so long."""
        return Budget(self.minutes, self.seconds + seconds)

    @property
    def left(self) -> float:
        """The seconds that are left, infinite without a limit."""
        return math.inf if self.minutes is None else max(0.0, 60 * self.minutes - self.seconds)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0.0

    @property
    def share(self) -> float:
        """The share that is used up, 0 without a limit."""
        return 0.0 if self.minutes is None else min(1.0, self.seconds / (60 * self.minutes))

    def left_since(self, start: Budget) -> float:
        """What is left, as a multiple of what was used up since `start`; infinite where that is nothing."""
        used = self.seconds - start.seconds
        return self.left / used if used > 0.0 else math.inf

    def why_over(self, done: int, steps: int) -> str:
        """Why the run ends before its last step; empty while time is left."""
        if self.minutes is None or not self.is_spent:
            return ""
        spent = f"{self.minutes:g} minute{'' if self.minutes == 1 else 's'}"
        return (
            f"out of time: {spent} of training ended after {plural(done, 'step')} of {steps}. "
            f"minutes={2 * self.minutes:g} goes on."
        )
