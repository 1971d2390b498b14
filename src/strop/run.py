"""`strop.train`, and the Run that it returns: a run directory as an object."""

from __future__ import annotations

import json
import random
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from strop import spec
from strop.allocator import kept_memory
from strop.batch import collate
from strop.comparing import text_scores
from strop.config import TrainConfig
from strop.data.written import written
from strop.functional.reading import read_after_last
from strop.loop import loop
from strop.plan import Plan, make_plan
from strop.runs import provenance
from strop.runs.directory import CONFIG, PLAN, PROVENANCE, RunDirectory, Selector, parse_run
from strop.runs.guards import GapTolerance
from strop.runs.progress import Progress
from strop.runs.recorder import RunRecorder
from strop.types import Codec, Episode, Parts, Pick, Policy, Prompt, Sampling, Task
from strop.verdicts import Verdict, verdicts_of
from strop.words import plural


class Run:
    """A run on disk: its config, what happened in it, and its policy at any checkpoint."""

    def __init__(
        self,
        directory: RunDirectory,
        selector: Selector = "latest",
        config: TrainConfig | None = None,
        interrupted: bool = False,
    ) -> None:
        self.directory, self.selector, self.interrupted = directory, selector, interrupted
        self._config = config
        self._parts: Parts | None = None
        self._reader: tuple[Policy, Codec] | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.directory.path

    @property
    def config(self) -> TrainConfig:
        """The resolved config, rebuilt from the run's files where it was not given."""
        if self._config is None:
            self._config = spec.from_files(self.path)
        return self._config

    @property
    def parts(self) -> Parts:
        """Every part of the run, with the policy as the selected checkpoint has it."""
        if self._parts is None:
            self.config.set_up_torch()
            parts = self.config.build()
            _, state = self.directory.load(self.selector)
            parts.policy.load_state_dict(state["policy"])
            self._parts = parts
        return self._parts

    @property
    def policy(self) -> Policy:
        """The trained policy."""
        return self.parts.policy

    def actor(self) -> tuple[Policy, Codec, Sampling]:
        """The policy of the selected checkpoint, its codec, and the law it acts by: what talking to it needs, and no
        optimiser, memory or reward."""
        of = spec.some_of(self.path, ("policy", "seed", "dtype", "threads", "sampling"))
        step, state = self.directory.load(self.selector)
        torch.set_num_threads(of["threads"])
        policy, codec = of["policy"].build(of["seed"], of["dtype"])
        policy.load_state_dict(state["policy"])
        return policy, codec, of["sampling"].at(step)

    def score(self, prompt: Prompt, texts: Sequence[str]) -> list[float]:
        """What a trained reward model says of each text as a finished answer to the prompt."""
        policy, codec = self._reader = self._reader or self._read_only()
        task = Task("score", prompt)
        episodes = [written(task, text, codec, i, str(i), policy.context) for i, text in enumerate(texts)]
        if not all(episode.num_actions for episode in episodes):
            raise ValueError("a text without any token has no score.")
        if not episodes:
            return []
        batch = collate(tuple(Pick(episode) for episode in episodes), policy.layout)
        with torch.no_grad():
            return text_scores(policy, read_after_last(batch)).tolist()

    def _read_only(self) -> tuple[Policy, Codec]:
        """The policy and its codec, loaded beside a run that may be training: its threads and recipe stay."""
        threads, recipe = torch.get_num_threads(), sys.modules.get(spec.RECIPE)
        policy, codec, _ = self.actor()
        torch.set_num_threads(threads)
        if recipe is not None:
            sys.modules[spec.RECIPE] = recipe
        return policy, codec

    def metrics(self) -> list[dict[str, float]]:
        """One dict a step, in order; held-out scores stand at the steps where they were judged."""
        with self.directory.reader() as store:
            return store.metrics()

    def episodes(self, step: int | None = None) -> list[Episode]:
        """The training episodes of a step, or of all steps whose tokens are kept."""
        with self.directory.reader() as store:
            return store.episodes("train", step)

    def judged(self, step: int) -> list[Episode]:
        """The held-out episodes of the judgement after `step` steps."""
        with self.directory.reader() as store:
            return store.episodes("evaluate", step)

    def verdicts(self) -> list[Verdict]:
        """Reward, and gold where there is one: the first judgement against the last. Empty with fewer than two."""
        return verdicts_of(self.directory)

    def evaluate(self) -> dict[str, float]:
        """Judge the selected checkpoint on the held-out tasks again; nothing is written."""
        if not self.config.held_out:
            raise ValueError(f"{self.path} has no held-out tasks to judge on.")
        return self.config.judge(self.parts, self.directory.checkpoint_step(self.selector))[1]

    def plot(self, file: Path | str) -> Path:
        """Draw the learning curves into a picture."""
        from strop.curves import draw

        return draw([self.directory], Path(file))


@dataclass(frozen=True, slots=True)
class TrainedScore:
    """`score(prompt, texts)` of the reward model that a run trained: what `rewards.Learned` takes.

    `run` is a run's folder or its name in ./runs, with @STEP or @best for one of its checkpoints. It is loaded at the
    first call and read as it stands then.
    """

    run: str

    def __call__(self, prompt: Prompt, texts: Sequence[str]) -> list[float]:
        """One number a text."""
        directory, selector = parse_run(self.run)
        return _opened(directory.path.resolve(), selector).score(prompt, texts)


@cache
def _opened(path: Path, selector: Selector) -> Run:
    return Run(RunDirectory(path), selector)


def train(
    config: TrainConfig,
    directory: Path | str | None = None,
    *,
    resume: bool = False,
    recipe: str = "",
    command: str = "",
    progress: Progress | None = None,
    announce: Callable[[Plan], None] | None = None,
) -> Run:
    """Train, and keep everything in `directory` (default: runs/<date-time>).

    With `resume` an existing run goes on to `config.steps`; fields that differ from its config are recorded as forks.
    `recipe` is the text of a recipe file, of which the run keeps a copy; `command` is what started it, for its
    provenance. `announce` is told the plan before any step. A run that ends before its first checkpoint leaves nothing.
    Raises ValueError for a config or directory that cannot be used, NonFinite and Stopped for a run that was stopped;
    whatever ends it, what was done is kept and can be resumed.
    """
    config = config.resolve()
    assert config.dtype is not None
    config.set_up_torch()
    written, files = spec.to_files(config)
    origin = provenance.collect(seed=config.seed, dtype=config.dtype, threads=config.threads or 1, data=files)
    path = Path(directory) if directory else _default_directory()
    files |= {f"{spec.RECIPE}.py": recipe} if recipe else {}
    if resume:
        home = RunDirectory.open(path)
        _refuse_fewer_steps(home, config.steps)
        forks = _forks(home, written, origin)
    else:
        facts = json.dumps({"command": command} | origin, indent=2, ensure_ascii=False)
        home, forks = RunDirectory.create(path, written, files | {PROVENANCE: facts}), []
    _seed_global_generators(config.seed)

    def tell_plan(parts: Parts) -> None:
        if announce is not None:
            announce(make_plan(config, parts))

    def adopt(parts: Parts) -> None:
        changed = {CONFIG: json.dumps(written, indent=2, ensure_ascii=False), **files} if forks else {}
        for name, text in {**changed, PLAN: make_plan(config, parts).to_json()}.items():
            home.write(name, text)

    try:
        with RunRecorder(
            home,
            sampling=config.sampling,
            evaluate=config.judge if config.held_out else None,
            eval_every=config.eval_every,
            checkpoint_every=config.checkpoint_every,
            tolerance=_gap_tolerance(config),
            progress=progress,
            resume=resume,
            forks=forks,
            announce=tell_plan,
            adopt=adopt,
        ) as recorder:
            with kept_memory():
                _loop_or_fail(config, recorder)
            return Run(home, config=config, interrupted=recorder.interrupted)
    except BaseException:
        if not resume and not home.checkpoints.steps():
            shutil.rmtree(home.path, ignore_errors=True)
        raise


def _gap_tolerance(config: TrainConfig) -> GapTolerance:
    """What the coarser of sampler and trainer explains."""
    found = (config.dtype, getattr(config.sampler, "precision", None))
    coarse = next((kind for kind in ("int8", "bfloat16") if kind in found), "float32")
    return GapTolerance.of(coarse) if config.sampler.shares_weights else GapTolerance.of_engine(coarse)


def _loop_or_fail(config: TrainConfig, recorder: RunRecorder) -> None:
    """What ends the loop is written down and raised on."""
    try:
        loop(config, recorder)
    except BaseException as error:
        recorder.fail(recorder.step, error)
        raise


def _refuse_fewer_steps(home: RunDirectory, steps: int) -> None:
    """A run goes on and never back: `steps` below what is done is a misunderstanding, or nothing at all."""
    done = max(home.checkpoints.steps(), default=0)
    if steps < done:
        raise ValueError(
            f"{home.path} has {plural(done, 'step')} behind it, and steps={steps} is fewer: steps counts from the "
            f"start of the run, so nothing is trained. For {steps} more: "
            f"strop train --resume --run {shlex.quote(str(home.path))} steps={done + steps}"
        )


def _forks(home: RunDirectory, written: Mapping[str, Any], origin: Mapping[str, Any]) -> list[str]:
    """What has changed since the run was last used: fields of the config, then versions and machine."""
    around = {key: value for key, value in origin.items() if key not in ("seed", "dtype", "threads", "data")}
    before = {key: home.provenance().get(key) for key in around}
    return spec.changes(home.config(), written) + provenance.differences(before, around)


def _default_directory() -> Path:
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


def _seed_global_generators(seed: int) -> None:
    """strop draws from its own streams; this is for a user's reward or environment that draws from the global ones."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
