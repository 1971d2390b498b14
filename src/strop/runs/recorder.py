"""The recorder: the loop's only way to disk, screen and held-out evaluation.

Checkpoint k is the state after k steps. A resume starts from the newest intact checkpoint k; later rows (training steps
>= k, evaluations > k) are deleted in one transaction and made again, bit for bit. All metrics except `time/*`,
`memory/*` and `engine/*` are deterministic. What is kept on disk: `disk.DiskPolicy`.
"""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from traceback import format_exception
from typing import TypeAlias

import numpy as np

from strop.runs import randomness
from strop.runs.budget import Budget
from strop.runs.directory import RunDirectory, Selector
from strop.runs.disk import DiskPolicy
from strop.runs.failures import keep_failure, stop_if_all_lost
from strop.runs.files import WriteFailed
from strop.runs.guards import GapTolerance, Watch, close_warning, late_warning, sampler_gap
from strop.runs.interrupt import Interrupt
from strop.runs.measures import add_opinions, cost_measures, step_measures
from strop.runs.progress import Progress
from strop.runs.records import Event, Level
from strop.runs.resuming import load_into, newest_intact, state_of
from strop.types import Batch, Draw, Episode, Metrics, NonFinite, Parts, Sampling, Stopped, Update, merge_metrics

Evaluate: TypeAlias = "Callable[[Parts, int], tuple[Sequence[Episode], Mapping[str, float]]]"


class RunRecorder:
    """The only writer of a run, from construction to `close`; use it in a `with` statement."""

    def __init__(
        self,
        directory: RunDirectory,
        *,
        sampling: Sampling,
        evaluate: Evaluate | None = None,
        eval_every: int = 0,
        patience: int = 0,
        minutes: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        checkpoint_every: int = 10,
        keep_last: int = 2,
        keep_episode_steps: int = 200,
        pays: bool = True,
        tolerance: GapTolerance | None = None,
        progress: Progress | None = None,
        resume: bool = False,
        selector: Selector = "latest",
        forks: Sequence[str] = (),
        announce: Callable[[Parts], Sequence[str]] | None = None,
        adopt: Callable[[Parts], None] | None = None,
    ) -> None:
        """Lock the run and open its store. `eval_every` 0: evaluate only at the start and at the end. `patience`: end
        after so many evaluations without a better score; 0 never does. `minutes`: end after so long in steps.

        `resume` continues from the checkpoint that `selector` names; without it the run must be new. `forks` are the
        changes of the config since then, in words; each becomes an event. `announce` is called with the parts before
        anything is evaluated or trained, and returns warnings; `adopt` is called with them once the checkpoint is
        loaded. If nothing `pays`, there are no reward metrics and no warnings about them.
        """
        self.directory, self._max_tokens = directory, sampling.max_tokens
        self._watches_entropy = not callable(sampling.temperature)  # one that falls by plan takes the entropy with it
        self._evaluate, self._eval_every, self._patience = evaluate, eval_every, patience
        self._checkpoint_every, self._disk = checkpoint_every, DiskPolicy(keep_last, keep_episode_steps)
        self._pays, self._tolerance = pays, tolerance or GapTolerance()
        self._resume, self._selector, self._forks = resume, selector, forks
        self._budget, self._clock, self._announce, self._adopt = Budget(minutes), clock, announce, adopt
        self._progress, self._interrupt, self._watch = progress or Progress(), Interrupt(), Watch()
        self._measures: Callable[[], Mapping[str, float]] = dict
        self._news: Callable[[], Sequence[str]] = list
        self._stop_tokens: frozenset[int] = frozenset()
        self._pending: list[Metrics] = []
        self._opinions: dict[tuple[str, str], np.ndarray] = {}
        self._done = self._first = self._learnt = self._num_actions = 0
        self._gap_measured, self._step_started = False, 0.0
        with ExitStack() as resources:
            resources.enter_context(directory.lock())
            directory.checkpoints.clean()
            self._store = resources.enter_context(directory.writer())
            if resume:
                self._store.check()
            self._refuse_second_start()
            resources.callback(self._progress.close)
            resources.callback(self._interrupt.leave)  # an error in the loop leaves the generator of `steps` suspended
            self._resources = resources.pop_all()

    def __enter__(self) -> RunRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal, close the store and free the lock."""
        self._resources.close()

    @property
    def step(self) -> int:
        """The number of steps done, which is also the number of the current step."""
        return self._done

    @property
    def stopped_by(self) -> signal.Signals | None:
        """The signal that asked the run to stop (SIGINT or SIGTERM), or None."""
        return self._interrupt.requested

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked the run to stop."""
        return self.stopped_by is not None

    @property
    def resume_command(self) -> str:
        """The command that continues this run."""
        return f"strop train --resume --run {shlex.quote(str(self.directory.path))}"

    # ------------------------------------------------------------ what the loop calls

    def steps(self, parts: Parts, n: int) -> Iterator[int]:
        """Load the newest checkpoint, evaluate, then yield the remaining steps; save and evaluate on schedule."""
        self._stop_tokens, self._num_actions = parts.codec.stop, parts.policy.vocabulary
        self._measures, self._news = (lambda: {**parts.tasks.measures(), **parts.engine.measures()}), parts.engine.news
        self._resources.callback(parts.engine.close)
        warnings = [] if self._announce is None else self._announce(parts)
        with self._interrupt:
            self._done = self._first = self._begin(parts)
            self._budget = self._budget.after(self._store.seconds())
            self._note_once(warnings)
            if self._adopt is not None:
                self._adopt(parts)
            self._evaluate_if_due(parts, n)
            self._disk.apply(self.directory, self._store, self._done)  # after a kill perhaps no further step does it
            self._progress.start(self._done, n, self._budget, parts.engine)
            while self._done < n and not self.interrupted and not self._is_over(n):
                step = self._done
                self._step_started = self._clock()
                yield step
                assert self._done == step + 1, "finish(step, ...) ends every step"
                self._after_step(parts, n)

    def update(self, step: int, draw: Draw, batch: Batch, update: Update) -> None:
        """Hold the metrics and per-token opinions of an update until the step is finished."""
        self._pending.append(update.metrics)
        self._learnt += int(batch.action_BT.sum())
        add_opinions(self._opinions, draw, batch, update.per_token)
        if self._tolerance.always or not self._gap_measured:
            self._tell_gap(sampler_gap(update.metrics, self._tolerance))

    def _tell_gap(self, text: str) -> None:
        """Once: its numbers are in strop show."""
        if text and not self._gap_measured:
            self._store.write_event(Event(self._done, "info", text))
            self._progress.note(text.partition(":")[0])
        self._gap_measured = True

    def finish(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write the step in one transaction, show it, and stop the run if a guard requires it."""
        seconds = self._clock() - self._step_started
        metrics = {
            **{name: metric.value for name, metric in merge_metrics(self._pending).items()},
            **step_measures(episodes, self._pays),
            **self._measures(),
            **cost_measures(episodes, self._learnt, seconds),
        }
        entropy = metrics.get("policy/entropy") if self._watches_entropy else None
        seen = (step, episodes, self._stop_tokens, self._max_tokens, self._pays, entropy, self._num_actions)
        watch, events = self._watch.after(*seen)
        events += [Event(step, "warning", text) for text in self._news()]
        self._store.write_step(step, episodes, metrics, self._opinions, events)
        self._watch, self._pending, self._opinions, self._learnt = watch, [], {}, 0
        self._done, self._budget = step + 1, self._budget.after(seconds)
        self._progress.step(step, metrics)
        if step == self._first:
            stop_if_all_lost(self.directory.path, step, episodes, f"step {step}")
        for event in events:
            self._progress.warn(event.text)
        watch.check(episodes)

    def fail(self, step: int, error: BaseException) -> None:
        """Record the error that ended the run; for a non-finite number, keep the batch."""
        try:
            text = str(error) if isinstance(error, (Stopped, NonFinite)) else "".join(format_exception(error)).strip()
            if isinstance(error, NonFinite):
                kept = f"What it was computed from is in {keep_failure(self.directory.path, step, error)}."
                text = f"{text.rstrip('.')}. {kept}"
                self._progress.note(kept)
            self._store.write_event(Event(step, "error", text))
        except WriteFailed as refused:
            # A full disk may also be the cause of `error`, which is what the user must see: only print this one.
            if str(refused) != str(error):
                self._progress.note(str(refused))

    def tell(self, level: Level, text: str) -> None:
        """Write an event at the current step, and show it."""
        self._store.write_event(Event(self._done, level, text))
        self._progress.note(text if level == "info" else f"{level}: {text}")

    def _note_once(self, warnings: Sequence[str]) -> None:
        """Write the warnings known before the first step, except those that a resumed run has already."""
        known = {event.text for event in self._store.events()}
        for text in warnings:
            if text not in known:
                self._store.write_event(Event(self._done, "warning", text))

    # ------------------------------------------------------------ begin

    def _refuse_second_start(self) -> None:
        started = self._store.latest_step() is not None or self.directory.checkpoints.steps()
        if started and not self._resume:
            raise ValueError(
                f"{self.directory.path} has been started already. Continue it: {self.resume_command}, "
                "or choose another --run."
            )

    def _begin(self, parts: Parts) -> int:
        """Start or resume: the number of steps done, 0 for a new run, k if checkpoint k was loaded."""
        loaded = newest_intact(self.directory, self._store, self._selector) if self._resume else None
        if loaded is None:
            # A run that died before its first checkpoint has no training step, but may have an evaluation.
            self._store.rewind(0)
            self._save(parts, 0)
            return 0
        step, state, damaged = loaded
        load_into(parts, self.directory, self._store, step, state)
        self._watch = Watch.from_state(state["watch"])
        # LATEST first: after a crash between these lines, a resume starts from the same checkpoint.
        checkpoints = self.directory.checkpoints
        checkpoints.mark_latest(step)
        self._store.rewind(step)
        checkpoints.prune({other for other in checkpoints.steps() if other <= step})
        self._done = step
        for text in damaged:
            self.tell("warning", text)
        self.tell("resume", f"goes on after step {step}, from {checkpoints.directory(step)}")
        for text in self._forks:
            self.tell("fork", text)
        randomness.restore(state["random"])
        return step

    # ------------------------------------------------------------ after a step

    def _after_step(self, parts: Parts, n: int) -> None:
        """Save and evaluate on schedule. A checkpoint comes first, so that the best one can be kept."""
        scheduled = self._done % self._checkpoint_every == 0 or self._is_last(n)
        if scheduled or self.interrupted or self._evaluation_is_due(n):
            self._save(parts, self._done)
            if not self.interrupted:
                self._evaluate_if_due(parts, n)
            self._disk.apply(self.directory, self._store, self._done)

    def _is_last(self, n: int) -> bool:
        """Whether no step follows: all are done, or the time is used up."""
        return self._done == n or self._budget.is_spent

    def _save(self, parts: Parts, step: int) -> None:
        self._store.require_there()
        state = {"step": step, **state_of(parts), "random": randomness.capture(), "watch": self._watch.state_dict()}
        self.directory.checkpoints.save(step, state)

    def _evaluation_is_due(self, n: int) -> bool:
        on_schedule = self._eval_every > 0 and self._done % self._eval_every == 0
        return self._evaluate is not None and (self._done == 0 or self._is_last(n) or on_schedule)

    def _evaluate_if_due(self, parts: Parts, n: int) -> None:
        if self._evaluate is None or not self._evaluation_is_due(n) or self._store.has_evaluation(self._done):
            return
        self._progress.judging(self._done)
        with randomness.undisturbed():
            episodes, metrics = self._evaluate(parts, self._done)
        if self._done == self._first:
            stop_if_all_lost(self.directory.path, self._done, episodes, "the first judgement")
        self._store.write_evaluation(self._done, episodes, metrics)
        self._progress.judged(self._done, metrics, [] if self._pays else episodes)
        for text in filter(None, (close_warning(episodes), late_warning(episodes))):
            self.tell("warning", text)

    def _is_over(self, n: int) -> bool:
        """Whether the time is used up, or the last evaluations brought nothing better: then the run ends, and says
        why."""
        why = self._budget.why_over(self._done, n)
        if not why and self._store.has_evaluation(self._done):  # the answer reads the metrics of all steps
            why = self._store.why_stop_early(self._patience)
        if why:
            self.tell("info", why)
        return bool(why)
