"""A callback of Stable-Baselines3's loop that records each step of the run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from strop.control.config import ControlConfig
from strop.runs.directory import RunDirectory
from strop.runs.interrupt import Interrupt
from strop.runs.measures import cost_measures
from strop.runs.progress import Progress
from strop.runs.records import Event

KEEP_LAST = 2


class Watcher:
    """Called after every interaction: measures, saves and judges as the config says. Use it in a `with` statement."""

    def __init__(self, config: ControlConfig, home: RunDirectory, model: Any, progress: Progress) -> None:
        self.config, self.home, self.model, self.progress = config, home, model, progress
        self.interrupt = Interrupt()
        self.judged: dict[int, list[float]] = {}
        self.done = 0
        self._episodes: list[Mapping[str, float]] = []
        self._train_metrics: dict[str, float] = {}
        self._started = time.perf_counter()
        with ExitStack() as opened:
            opened.enter_context(home.lock())
            self._store = opened.enter_context(home.writer())
            opened.callback(progress.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def learn(self) -> None:
        """Train from start to end. An error is stored as an event and raised again."""
        config = self.config
        try:
            with self.interrupt:
                self._judge()
                self.progress.start(0, config.steps)
                self._started = time.perf_counter()
                self.model.learn(total_timesteps=config.steps * config.interactions, callback=self.after)
        except BaseException as error:
            self._store.write_event(Event(self.done, "error", f"{type(error).__name__}: {error}"))
            raise

    def after(self, seen: Mapping[str, Any], _: Mapping[str, Any]) -> bool:
        """After an interaction; `seen` are the local variables of the loop. Returns False to stop it."""
        self._episodes += [info["episode"] for info in seen["infos"] if "episode" in info]
        measured = self.model.logger.name_to_value
        self._train_metrics |= {name: float(value) for name, value in measured.items() if name.startswith("train/")}
        if self.model.num_timesteps < (self.done + 1) * self.config.interactions:
            return True
        self._finish()
        return self.done < self.config.steps and self.interrupt.requested is None

    def _finish(self) -> None:
        """Write the step in one transaction, then save and judge on schedule."""
        metrics = cost_measures([], 0, time.perf_counter() - self._started) | self._train_metrics
        if self._episodes:
            metrics["reward/mean"] = float(np.mean([episode["r"] for episode in self._episodes]))
            metrics["rollout/length"] = float(np.mean([episode["l"] for episode in self._episodes]))
        self._store.write_step(self.done, [], metrics, {})
        self.progress.step(self.done, metrics)
        self.done, self._episodes, self._train_metrics = self.done + 1, [], {}
        is_last = self.done == self.config.steps
        if is_last or self.interrupt.requested is not None or self.done % self.config.checkpoint_every == 0:
            self._save()
        if is_last or (self.config.eval_every and self.done % self.config.eval_every == 0):
            self._judge()
        self._started = time.perf_counter()

    def _save(self) -> None:
        """Write a checkpoint under another name, then rename it; old ones are removed."""
        final = self.home.path / "checkpoints" / f"{self.done:06d}.zip"
        beside = final.with_name(f".writing-{final.name}")
        self.model.save(beside)
        os.rename(beside, final)
        kept = self.home.checkpoints
        for old in [] if kept.keeps_all else kept.files()[:-KEEP_LAST]:
            old.unlink()

    def _judge(self) -> None:
        self.progress.judging(self.done)
        self.judged[self.done] = self.config.judge(self.model)
        metrics = {"held_out/reward": float(np.mean(self.judged[self.done]))}
        self._store.write_evaluation(self.done, [], metrics)
        self.progress.judged(self.done, metrics)
