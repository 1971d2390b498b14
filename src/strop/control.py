"""Stable-Baselines3's algorithms under our run directory: control beyond text, and a yardstick for our own.

Stable-Baselines3 owns its loop, so there are no Episodes, and a run cannot go on bit for bit: it is shown, plotted and
compared, and its checkpoints are Stable-Baselines3's own zip files. It is the extra strop[control], and this file is
its only home.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import math
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import Any

import numpy as np
import torch

from strop.reports.verdicts import Verdict, verdict
from strop.runs import provenance
from strop.runs.directory import PROVENANCE, RunDirectory
from strop.runs.files import Gone
from strop.runs.global_state import global_state_kept
from strop.runs.interrupt import Interrupt
from strop.runs.measures import cost_measures
from strop.runs.progress import Progress
from strop.runs.records import Event
from strop.runs.spec import RECIPE, encode
from strop.threads import threads_of
from strop.types import check_fields

ALGORITHMS = ("A2C", "DDPG", "DQN", "PPO", "SAC", "TD3")
OURS = ("policy", "env", "seed", "verbose", "device", "action_noise", "tensorboard_log")
"""Arguments of the algorithms that are fields of the config, or that a run decides itself."""
JUDGED = 1_000_000
"""The seed of the first judged episode: far from those that training uses, and the same in every judgement."""
KEEP_LAST = 2
LARGEST = {"steps": 10**9, "interactions": 10**9, "episodes": 10**6, "seed": 2**32 - 1}
"""The seed is numpy's, which Stable-Baselines3 sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """One run of an algorithm of Stable-Baselines3.

    algorithm         its name there: DDPG, TD3, SAC, DQN, A2C or PPO
    environment       the id of a Gymnasium environment
    policy            the network, by its name there
    options           arguments of the algorithm, as it names them
    noise             standard deviation of Gaussian noise on continuous actions, in half ranges of an action
    steps             of the run; each is `interactions` turns of the environment
    interactions      turns of the environment in one step of the run
    episodes          of a judgement, always from the same seeds, by the policy without noise
    eval_every        steps between judgements; 0 judges the start and the end
    checkpoint_every  steps between checkpoints
    seed              of everything random
    threads           of the processor; none takes every core this process may use
    """

    algorithm: str = "DDPG"
    environment: str = "Pendulum-v1"
    policy: str = "MlpPolicy"
    options: Mapping[str, Any] = field(default_factory=dict)
    noise: float = 0.0
    steps: int = 20
    interactions: int = 500
    episodes: int = 10
    eval_every: int = 0
    checkpoint_every: int = 10
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm={self.algorithm!r}: Stable-Baselines3 has {', '.join(ALGORITHMS)}.")
        for name in ("steps", "interactions", "episodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it is at least 1.")
        for name in ("seed", "eval_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: it cannot be negative.")
        for name, largest in LARGEST.items():
            if getattr(self, name) > largest:
                raise ValueError(f"{name}={getattr(self, name)}: it is at most {largest:,}.")
        if not 0.0 <= self.noise < math.inf:
            raise ValueError(f"noise={self.noise}: a standard deviation is 0 or above.")
        if taken := sorted(set(self.options) & set(OURS)):
            raise ValueError(f"options hold {', '.join(taken)}: a run sets this itself, from the config's own fields.")

    def build(self) -> Any:
        """The algorithm with its environment and networks. Raises ValueError for an option that it does not have."""
        found = require_stable_baselines3()
        kind = getattr(found, self.algorithm)
        known = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", *OURS)]
        for name in self.options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}."
                raise ValueError(f"options: {self.algorithm} has no argument {name!r}; {hint}")
        env = importlib.import_module("gymnasium").make(self.environment)
        options = {**self.options, **({"action_noise": _noise(self.noise, env)} if self.noise else {})}
        model = kind(self.policy, env, seed=self.seed, device="cpu", **options)
        model.set_logger(importlib.import_module("stable_baselines3.common.logger").Logger(None, []))
        return model

    def judge(self, model: Any) -> list[float]:
        """The return of each judged episode."""
        env = importlib.import_module("gymnasium").make(self.environment)
        returns = [_play(env, model, JUDGED + episode) for episode in range(self.episodes)]
        env.close()
        return returns


@dataclass(frozen=True, slots=True)
class ControlRun:
    """A finished run: where it is, and the returns of its judgements by step."""

    directory: RunDirectory
    config: ControlConfig
    judged: Mapping[int, list[float]]
    stopped_by: Signals | None

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked for the end."""
        return self.stopped_by is not None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.directory.path

    def metrics(self) -> list[dict[str, float]]:
        """One dict a step, in order."""
        with self.directory.reader() as store:
            return store.metrics()

    def verdicts(self) -> list[Verdict]:
        """The first judgement against the last; nothing where there is only one."""
        if len(self.judged) < 2:
            return []
        return [verdict("reward", self.judged[min(self.judged)], self.judged[max(self.judged)])]


@global_state_kept()
def train(
    config: ControlConfig,
    directory: Path | str | None = None,
    *,
    recipe: str = "",
    command: str = "",
    keep_all: bool = False,
    progress: Progress | bool = True,
) -> ControlRun:
    """Let Stable-Baselines3 learn, and keep what it measures in `directory` (default: runs/<date-time>).

    The rest is as in `strop.train`. Raises ImportError where it is not installed.
    """
    threads = threads_of(config.threads).number
    torch.set_num_threads(threads)
    model = config.build()
    origin = provenance.collect(seed=config.seed, dtype="float32", threads=threads, data={})
    facts = json.dumps({"command": command} | origin, indent=2, ensure_ascii=False)
    files = {PROVENANCE: facts} | ({f"{RECIPE}.py": recipe} if recipe else {})
    make = RunDirectory.create if directory else RunDirectory.create_new
    home = make(Path(directory or f"runs/{datetime.now():%Y%m%d-%H%M%S}"), encode(config), files)
    if keep_all:
        home.checkpoints.keep_all()
    try:
        with _Watcher(config, home, model, Progress.of(progress)) as watcher:
            watcher.learn()
            return ControlRun(home, config, watcher.judged, watcher.interrupt.requested)
    except BaseException as error:
        if not isinstance(error, Gone) and not checkpoints(home):
            shutil.rmtree(home.path, ignore_errors=True)
        raise


def checkpoints(home: RunDirectory) -> list[Path]:
    """The zip files of a run, oldest first."""
    return sorted((home.path / "checkpoints").glob("[0-9]*.zip"))


class _Watcher:
    """Stands beside Stable-Baselines3's loop: called after every interaction, it writes each step of the run."""

    def __init__(self, config: ControlConfig, home: RunDirectory, model: Any, progress: Progress) -> None:
        self.config, self.home, self.model, self.progress = config, home, model, progress
        self.interrupt = Interrupt()
        self.judged: dict[int, list[float]] = {}
        self.done = 0
        self._ended: list[Mapping[str, float]] = []
        self._learnt: dict[str, float] = {}
        self._started = time.perf_counter()
        with ExitStack() as opened:
            opened.enter_context(home.lock())
            self._store = opened.enter_context(home.writer())
            opened.callback(progress.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> _Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def learn(self) -> None:
        """The whole run. What ends it is written down and raised on."""
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
        """After an interaction; `seen` are the loop's own variables. Says whether it goes on."""
        self._ended += [info["episode"] for info in seen["infos"] if "episode" in info]
        measured = self.model.logger.name_to_value
        self._learnt |= {name: float(value) for name, value in measured.items() if name.startswith("train/")}
        if self.model.num_timesteps < (self.done + 1) * self.config.interactions:
            return True
        self._finish()
        return self.done < self.config.steps and self.interrupt.requested is None

    def _finish(self) -> None:
        """Write the step in one transaction, then save and judge on schedule."""
        metrics = cost_measures([], time.perf_counter() - self._started) | self._learnt
        if self._ended:
            metrics["reward/mean"] = float(np.mean([episode["r"] for episode in self._ended]))
            metrics["rollout/length"] = float(np.mean([episode["l"] for episode in self._ended]))
        self._store.write_step(self.done, [], metrics, {})
        self.progress.step(self.done, metrics)
        self.done, self._ended, self._learnt = self.done + 1, [], {}
        is_last = self.done == self.config.steps
        if is_last or self.interrupt.requested is not None or self.done % self.config.checkpoint_every == 0:
            self._save()
        if is_last or (self.config.eval_every and self.done % self.config.eval_every == 0):
            self._judge()
        self._started = time.perf_counter()

    def _save(self) -> None:
        """Written beside and renamed; older ones go."""
        final = self.home.path / "checkpoints" / f"{self.done:06d}.zip"
        beside = final.with_name(f".writing-{final.name}")
        self.model.save(beside)
        os.rename(beside, final)
        for old in [] if self.home.checkpoints.keeps_all else checkpoints(self.home)[:-KEEP_LAST]:
            old.unlink()

    def _judge(self) -> None:
        self.progress.judging(self.done)
        self.judged[self.done] = self.config.judge(self.model)
        metrics = {"held_out/reward": float(np.mean(self.judged[self.done]))}
        self._store.write_evaluation(self.done, [], metrics)
        self.progress.judged(self.done, metrics)


def require_stable_baselines3() -> Any:
    """The package, or one line that says how to get it."""
    try:
        return importlib.import_module("stable_baselines3")
    except ImportError as error:
        raise ImportError('this recipe needs Stable-Baselines3: pip install "strop[control]"') from error


def _noise(share: float, env: Any) -> Any:
    """Gaussian noise on each number of an action, which the algorithms scale to [-1, 1]."""
    if not hasattr(env.action_space, "low"):
        raise ValueError(f"noise={share}: the actions of {env.spec.id} are not continuous; set noise=0.")
    shape = env.action_space.shape
    kind = importlib.import_module("stable_baselines3.common.noise").NormalActionNoise
    return kind(np.zeros(shape), np.full(shape, share))


def _play(env: Any, model: Any, seed: int) -> float:
    """The return of one episode without exploration."""
    observation, _ = env.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, is_over = total + float(reward), terminated or truncated
    return total
