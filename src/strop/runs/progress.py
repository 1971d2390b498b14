"""The progress of a run on stderr: a live line in a terminal, else plain lines, a few seconds apart."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.text import Text

from strop.runs.budget import Budget
from strop.runs.records import gist, kind
from strop.types import Episode, RolloutEngine, decimals
from strop.types.display import beginning
from strop.words import plural

_BAR = 20
TRAINING = "training"
"""What a live line says between evaluations."""
LOSS = "optimizer/loss"
FOR_REPORTS = ("held_out/loss_", "held_out/perplexity_", "held_out/filled_")
"""Prefixes of scores that are not shown while a run goes on."""
SAMPLE = 200
"""Characters of a text that are shown."""
_FACTS = (
    ("reward/mean", "reward {}", 3),
    ("held_out/reward", "held-out {}", 3),
    ("held_out/perplexity", "held-out perplexity {}", 2),
    ("held_out/filled", "held-out filled in {}", 2),
    (LOSS, "loss {}", 3),
    ("policy/nll", "nll {}", 3),
    ("masked/accuracy", "filled in {}", 2),
    ("preference/accuracy", "accuracy {}", 2),
    ("held_out/accuracy", "held-out accuracy {}", 2),
    ("policy/kl", "kl {}", 4),
    ("policy/entropy", "entropy {}", 2),
    ("rollout/length", "length {}", 1),
    ("time/tokens_per_second", "{} tokens/s", 0),
)


class Progress:
    """Shows steps as they are done. rich honours NO_COLOR."""

    def __init__(self, console: Console | None = None, every_seconds: float = 3.0) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._every = every_seconds
        self._live: Live | None = None
        self._held_out: dict[str, float] = {}
        self._metrics: Mapping[str, float] = {}
        self._warnings: dict[str, list[str]] = {}
        self._facts, self._doing = "", ""
        self._first = self._done = self._total = 0
        self._start = self._budget = Budget()
        self._engine: RolloutEngine | None = None
        self._started = self._shown = self._since = self._end = -float("inf")

    @classmethod
    def silent(cls) -> Progress:
        """Shows nothing."""
        return cls(Console(quiet=True))

    @classmethod
    def of(cls, shown: Progress | bool) -> Progress:
        """The given Progress; the default one for True, a silent one for False."""
        if isinstance(shown, bool):
            return cls() if shown else cls.silent()
        if not isinstance(shown, Progress):
            raise ValueError(f"progress={shown!r}: it is True, False for a silent run, or a Progress.")
        return shown

    def start(self, done: int, total: int, budget: Budget | None = None, engine: RolloutEngine | None = None) -> None:
        """Start showing a run that has done `done` of `total` steps, and used up so much of its time. The live line
        says what the engine is doing."""
        self._engine = engine
        self._first, self._done, self._total, self._started = done, done, total, time.monotonic()
        self._start = self._budget = budget or Budget()
        self._begin("" if self._is_last else TRAINING)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Step `step` (from 0) is done. Steps or time, whichever ends first, says how much is left."""
        now, done = time.monotonic(), step + 1
        self._done, self._metrics = done, metrics
        self._budget = self._budget.after(metrics.get("time/step_seconds", 0.0))
        left = min((self._total - done) / (done - self._first), self._budget.left_since(self._start))
        self._end = now + (now - self._started) * left
        self._facts = facts({**metrics, **self._held_out})
        self._begin("" if self._is_last else TRAINING)
        if self._live is None and (now - self._shown >= self._every or self._is_last):
            self._shown = now
            self._print(f"step {self._done}/{self._total} · {self._facts} · {self._left()} left")

    def judging(self, step: int) -> None:
        """The held-out evaluation after `step` steps begins; it may take as long as several steps."""
        text = f"judging held-out prompts after {plural(step, 'step')}"
        self._begin(text)
        if self._live is None:
            self._print(f"{text} ...")

    def judged(self, step: int, metrics: Mapping[str, float], texts: Sequence[Episode] = ()) -> None:
        """The held-out evaluation after `step` steps is done. The first of the texts is shown, to be read."""
        self._held_out = dict(metrics)
        self._facts = facts({**self._metrics, **metrics}) if self._metrics else ""
        lost = metrics.get("held_out/unscored")  # shown only if there are any
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        scores = ", ".join(
            f"{name.removeprefix('held_out/')} {decimals(value)}"
            for name, value in finite.items()
            if (lost or name != "held_out/unscored") and not name.startswith(FOR_REPORTS)
        )
        self._print(f"held-out after {plural(step, 'step')}: {scores}")
        if texts:
            self._print(f"  a sample: {beginning(texts[0].text, SAMPLE)}")
        self._begin("")

    def note(self, text: str) -> None:
        """Print one line."""
        self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning. One that repeats is printed once, and counted at the end."""
        said = self._warnings.setdefault(kind(text), [])
        said.append(gist(text))
        if len(said) == 1:
            self._print(f"warning: {text}")

    def close(self) -> None:
        """Print how often each warning repeated, and restore the terminal."""
        for said in self._warnings.values():
            if len(said) > 1:
                self._print(f"warning, again at {plural(len(said) - 1, 'more step')}: {said[-1]}")
        self._warnings = {}
        if self._live is not None:
            self._doing = ""
            self._live.stop()
            self._live = None
        self._held_out, self._metrics, self._facts, self._total = {}, {}, "", 0  # the next stage has its own
        self._engine = None

    def _begin(self, doing: str) -> None:
        """Set what the run is doing now; a live line counts the seconds, so that a long step does not look stuck."""
        self._doing, self._since = doing, time.monotonic()
        if self._live is not None:
            self._live.refresh()
        elif self._console.is_terminal and not self._console.quiet:
            # One redraw per second does not slow the training.
            self._live = Live(
                get_renderable=self._draw, console=self._console, refresh_per_second=1, redirect_stdout=False
            )
            self._live.start()

    def _draw(self) -> Text:
        """The progress bar, and the metrics on their own line, so that both fit 80 columns."""
        doing = f"{self._doing} ({time.monotonic() - self._since:.0f} s)" if self._doing else ""
        if self._doing == TRAINING and self._engine is not None and (status := self._engine.status()):
            doing = f"{doing} · {status}"
        if not self._total:
            return Text(doing)
        filled = int(_BAR * max(self._done / self._total, self._budget.share))
        bar = Text.assemble(
            f"step {self._done}/{self._total} ", ("━" * filled, "green"), ("╌" * (_BAR - filled), "dim")
        )
        left = f" {self._left()} left" if self._first < self._done and not self._is_last else ""
        lines = [Text.assemble(bar, left, (f" {doing}", "dim")), *([Text(self._facts)] if self._facts else [])]
        return Text("\n").join(lines)

    def _print(self, text: str) -> None:
        # Texts quote rewards and tracebacks: their square brackets are not rich's markup.
        self._console.print(text, markup=False, soft_wrap=not self._console.is_terminal)

    @property
    def _is_last(self) -> bool:
        return self._done >= self._total or self._budget.is_spent

    def _left(self) -> str:
        return str(timedelta(seconds=max(0, round(self._end - time.monotonic()))))


def facts(metrics: Mapping[str, float]) -> str:
    """The main metrics in one line. The loss is shown only for runs without rewards: the loss of a policy gradient does
    not measure progress."""
    named = [name for name in metrics if name.startswith("reward/") and name not in ("reward/mean", "reward/std")]
    hidden = {LOSS} if named or metrics.get("reward/mean") else set()
    known = {name: value for name, value in metrics.items() if math.isfinite(value) and name not in hidden}
    return " · ".join(form.format(decimals(known[name], digits)) for name, form, digits in _FACTS if name in known)
