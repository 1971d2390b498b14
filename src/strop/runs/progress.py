"""What a person sees of a run, on stderr: a live line in a terminal, else plain lines, a few seconds apart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.text import Text

_BAR = 20
_FACTS = (
    ("reward/mean", "reward {:.3f}"),
    ("held_out/reward", "held-out {:.3f}"),
    ("policy/kl", "kl {:.4f}"),
    ("policy/entropy", "entropy {:.2f}"),
    ("rollout/length", "length {:.1f}"),
    ("time/tokens_per_second", "{:.0f} tokens/s"),
)


class Progress:
    """Shows steps as they are done. rich honours NO_COLOR."""

    def __init__(self, console: Console | None = None, every_seconds: float = 3.0) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._every = every_seconds
        self._live: Live | None = None
        self._held_out: dict[str, float] = {}
        self._first = self._total = 0
        self._started = self._shown = -float("inf")

    @classmethod
    def silent(cls) -> Progress:
        """Shows nothing."""
        return cls(Console(quiet=True))

    def start(self, done: int, total: int) -> None:
        """`done` of `total` steps lie behind us."""
        self._first, self._total, self._started = done, total, time.monotonic()
        if self._console.is_terminal and not self._console.quiet:
            # No refresh thread: the lines change when a step is done, and nothing runs beside the training.
            self._live = Live(self._bar(done), console=self._console, auto_refresh=False, redirect_stdout=False)
            self._live.start()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Step `step` (from 0) is done."""
        known, left = facts({**metrics, **self._held_out}), f"{self._left(step + 1)} left"
        now = time.monotonic()
        if self._live is not None:
            self._live.update(Text.assemble(self._bar(step + 1), f" {left}\n{known}"), refresh=True)
        elif now - self._shown >= self._every or step + 1 == self._total:
            self._shown = now
            self._print(f"step {step + 1}/{self._total} · {known} · {left}")

    def judged(self, step: int, metrics: Mapping[str, float]) -> None:
        """The policy after `step` done steps has been judged."""
        self._held_out = dict(metrics)
        scores = ", ".join(f"{name.removeprefix('held_out/')} {value:.3f}" for name, value in metrics.items())
        self._print(f"held-out after {step} steps: {scores}")

    def note(self, text: str) -> None:
        """One line for the person."""
        self._print(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _bar(self, done: int) -> Text:
        """How far it is. What is measured stands in a line of its own, so that 80 columns are enough for both."""
        filled = _BAR * done // max(1, self._total)
        return Text.assemble(f"step {done}/{self._total} ", ("━" * filled, "green"), ("╌" * (_BAR - filled), "dim"))

    def _print(self, text: str) -> None:
        # Texts quote rewards and tracebacks: square brackets in them are no markup.
        self._console.print(text, markup=False, soft_wrap=not self._console.is_terminal)

    def _left(self, done: int) -> str:
        pace = (time.monotonic() - self._started) / max(1, done - self._first)
        return str(timedelta(seconds=round(pace * (self._total - done))))


def facts(metrics: Mapping[str, float]) -> str:
    """The metrics that a person follows, in one line."""
    return " · ".join(form.format(metrics[name]) for name, form in _FACTS if name in metrics)
