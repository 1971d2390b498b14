"""`strop.train`, and the Run that it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from signal import Signals

import torch

from strop import beside
from strop.batch import collate
from strop.choices import Choosing
from strop.config import TrainConfig
from strop.corpora import is_judged
from strop.data.written import written
from strop.devices import device_here
from strop.functional.value_slots import add_last_value_slots
from strop.home import default_directory, opened_home, removed_if_never_saved
from strop.learners.heads import text_scores
from strop.loop import loop
from strop.policies.computing import kept_memory
from strop.preparing import prepared
from strop.process import RECIPE
from strop.reports import preflight
from strop.reports.plan import Plan, make_plan
from strop.reports.verdicts import Verdict, verdicts_of
from strop.runs import randomness, spec
from strop.runs.directory import CONFIG, PLAN, RunDirectory, Selector, config_text, parse_run
from strop.runs.global_state import global_state_kept
from strop.runs.guards import GapTolerance
from strop.runs.progress import Progress
from strop.runs.recorder import RunRecorder
from strop.runs.standing import run_line, run_table
from strop.scale import Ray
from strop.scale.cluster import require_ray
from strop.stages import Stage, check_arguments
from strop.staging import train_in_order
from strop.threads import threads_of
from strop.types import Codec, Episode, Parts, Pick, Policy, Prompt, Sampling, Task, shown


class Run:
    """A run on disk: its config, what happened in it, and its policy at any checkpoint."""

    def __init__(
        self,
        directory: RunDirectory | Path | str,
        selector: Selector = "latest",
        config: TrainConfig | None = None,
        stopped_by: Signals | None = None,
    ) -> None:
        """`directory` may be a run's folder, or its name in ./runs, with @STEP or @best for one of its checkpoints."""
        if isinstance(directory, str | Path):
            directory, named = parse_run(str(directory))
            selector = selector if named == "latest" else named
        if not isinstance(directory, RunDirectory):
            raise ValueError(f"strop.Run({shown(directory)}): give the folder of a run, strop.Run('runs/mine').")
        if type(selector) is not int and selector not in ("latest", "best"):
            raise ValueError(f"selector={shown(selector)}: it is a step, 'latest' or 'best'.")
        self.directory, self.selector, self.stopped_by = directory, selector, stopped_by
        self._config = config
        self._parts: Parts | None = None
        self._reader: tuple[Policy, Codec, Choosing] | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM ended the training that made this object."""
        return self.stopped_by is not None

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.directory.path

    @property
    def config(self) -> TrainConfig:
        """The resolved config, rebuilt from the run's files if it was not given."""
        self._config = self._config or spec.from_files(self.path)
        return self._config

    @property
    def parts(self) -> Parts:
        """Every part of the run, with the policy of the selected checkpoint."""
        if self._parts is None:
            config = self.config.here()
            config.set_up_torch()
            parts = config.build()
            parts.policy.load_state_dict(self.directory.load(self.selector)[1]["policy"])
            self._parts = parts
        return self._parts

    @property
    def policy(self) -> Policy:
        """The trained policy."""
        return self.parts.policy

    def actor(self) -> tuple[Policy, Codec, Sampling]:
        """The policy of the selected checkpoint, its codec and its sampling: enough to generate text, without an
        optimiser, memory or rewards."""
        with spec.recipe_kept():
            fields = spec.some_of(self.path, ("policy", "seed", "dtype", "device", "threads", "sampling"))
            step, state = self.directory.load(self.selector)
            torch.set_num_threads(fields["threads"])
            kind, seed, dtype = (fields[name] for name in ("policy", "seed", "dtype"))
            policy, codec = kind.build(seed, dtype, device_here(fields["device"], kind))
        policy.load_state_dict(state["policy"])
        return policy, codec, fields["sampling"].at(step)

    def score(self, prompt: Prompt, texts: Sequence[str]) -> list[float]:
        """The score of each text as a finished answer to the prompt, if the run trained a reward model."""
        policy, codec, choosing = self._reader = self._reader or self._read_only()
        task = Task("score", prompt)
        episodes = [written(task, text, codec, i, str(i), policy.context, choosing) for i, text in enumerate(texts)]
        if not all(episode.num_actions for episode in episodes):
            raise ValueError("a text without any token has no score.")
        if not episodes:
            return []
        batch = collate(tuple(Pick(episode) for episode in episodes), policy.layout)
        with torch.no_grad():
            return text_scores(policy, add_last_value_slots(batch)).tolist()

    def _read_only(self) -> tuple[Policy, Codec, Choosing]:
        """The policy, its codec and its turns' choices. The number of threads, which may be a training's, stays."""
        threads = torch.get_num_threads()
        policy, codec, sampling = self.actor()
        torch.set_num_threads(threads)
        return policy, codec, Choosing(codec, sampling)

    def __repr__(self) -> str:
        return run_line(self._name, self.directory)

    def _repr_html_(self) -> str:
        return run_table(self._name, self.directory)

    @property
    def _name(self) -> str:
        return str(self.path) + ("" if self.selector == "latest" else f"@{self.selector}")

    def metrics(self) -> list[dict[str, float]]:
        """One dict per step, in order; held-out scores are in the dicts of the steps that were evaluated."""
        with self.directory.reader() as store:
            return store.metrics()

    def episodes(self, step: int | None = None) -> list[Episode]:
        """The training episodes of a step, or of all steps whose tokens are kept."""
        with self.directory.reader() as store:
            return store.episodes("train", step)

    def judged(self, step: int) -> list[Episode]:
        """The episodes of the held-out evaluation after `step` steps."""
        with self.directory.reader() as store:
            return store.episodes("evaluate", step)

    def verdicts(self) -> list[Verdict]:
        """The change of reward and gold from the first evaluation to the last. Empty with fewer than two."""
        return verdicts_of(self.directory)

    def evaluate(self) -> dict[str, float]:
        """Evaluate the selected checkpoint on the held-out tasks; nothing is written."""
        if not is_judged(self.config):
            raise ValueError(f"{self.path} has no held-out tasks to judge on.")
        self.directory.check()
        with global_state_kept():
            parts = self.parts
            self.config.set_up_torch()
            return self.config.judge(parts, self.directory.checkpoint_step(self.selector))[1]

    def plot(self, file: Path | str) -> Path:
        """Draw the learning curves into an image file."""
        from strop.reports.curves import draw

        return draw([self.directory], Path(file))


@global_state_kept()
def train(
    config: TrainConfig | Sequence[Stage],
    directory: Path | str | None = None,
    *,
    resume: bool = False,
    recipe: str = "",
    command: str = "",
    keep_all: bool = False,
    progress: Progress | bool = True,
    announce: Callable[[Plan], None] | None = None,
) -> Run:
    """Train, and keep everything in `directory` (default: runs/<date-time>).

    A list of `strop.Stage` is trained one after the other, in directory/1-NAME and so on; the run of the last one comes
    back, or of the one that was interrupted, and a resume goes on with the first unfinished one.
    `resume` continues an existing run to `config.steps`; fields that differ from its config are recorded as forks.
    `keep_all` keeps every checkpoint, now and after every resume, instead of the last two and the best.
    `progress` is the output on stderr (in a notebook: under the cell): True prints a line every few seconds, False
    nothing. `recipe` is the text of a recipe file, which is copied into the run; `command` is the command line, for the
    provenance. `announce` is called with the plan before the first step. A run that ends before its first checkpoint
    leaves nothing.
    Threads may train at once, each in a folder of its own: with the bits of one after the other, unless a reward or an
    environment draws from a global random generator, which they share.
    Raises ValueError for a config or directory that cannot be used, NonFinite and Stopped for a run that was stopped;
    its checkpoints are kept, and it can be resumed.
    """
    check_arguments(config, directory, resume)
    if not isinstance(config, TrainConfig):

        def train_one(config: TrainConfig, folder: Path, resume: bool, recipe: str) -> Run:
            return train(
                config, folder, resume=resume, recipe=recipe, command=command, keep_all=keep_all,
                progress=progress, announce=announce,
            )  # fmt: skip

        return train_in_order(config, directory, resume, recipe, Progress.of(progress).note, train_one)
    progress = Progress.of(progress)
    source = threads_of(config.threads).source
    with prepared(config, Path(directory or default_directory()), resume, progress.note) as config:
        config = config.resolve()
        if isinstance(config.engine, Ray):
            require_ray()
        config.set_up_torch()
        spec_of_run, files = spec.to_files(config)
        files |= {f"{RECIPE}.py": recipe} if recipe else {}
        home, forks = opened_home(config, directory, spec_of_run, files, command, resume)
    config = config.placed_in(home.path)
    if keep_all:
        home.checkpoints.keep_all()
    randomness.seed_all(config.seed)

    def tell_plan(parts: Parts) -> Sequence[str]:
        warnings = preflight.warnings(config, parts)
        if announce is not None:
            announce(make_plan(config, parts, source, warnings))
        else:
            for text in warnings:
                progress.note(f"warning: {text}")
        if config.baselines and (forks or not (home.path / beside.FILE).is_file()):
            with randomness.undisturbed():
                home.write(beside.FILE, beside.to_lines(beside.attempts_of(config, progress.note)))
        return warnings

    def adopt(parts: Parts) -> None:
        changed = {CONFIG: config_text(spec_of_run), **files} if forks else {}
        for name, text in {**changed, PLAN: make_plan(config, parts, source, num_samples=0).to_json()}.items():
            home.write(name, text)

    with (
        removed_if_never_saved(home, resume),
        RunRecorder(
            home,
            sampling=config.sampling,
            evaluate=config.judge if is_judged(config) else None,
            eval_every=config.eval_every,
            patience=config.patience,
            minutes=config.minutes,
            checkpoint_every=config.checkpoint_every,
            pays=config.pays,
            tolerance=_gap_tolerance(config),
            progress=progress,
            resume=resume,
            forks=forks,
            announce=tell_plan,
            adopt=adopt,
        ) as recorder,
    ):
        with kept_memory():
            _loop_or_fail(config, recorder)
        return Run(home, config=config, stopped_by=recorder.stopped_by)


def _gap_tolerance(config: TrainConfig) -> GapTolerance:
    """The tolerance for the policy's own sampler, or for another engine. `config` is resolved."""
    assert config.dtype is not None
    if config.staleness:
        return GapTolerance(max=None)  # an older policy differs by what was learnt since, and is corrected for
    if config.acts_with_newest:
        return GapTolerance.of(config.dtype)
    return GapTolerance.of_engine(config.dtype, config.sampler.gap, always=config.is_on_policy)


def _loop_or_fail(config: TrainConfig, recorder: RunRecorder) -> None:
    """Run the loop; record the error that ends it, and raise it again."""
    try:
        loop(config, recorder)
    except BaseException as error:
        recorder.fail(recorder.step, error)
        raise
