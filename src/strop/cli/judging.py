"""A held-out judgement on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.cli import recipes
from strop.cli.actors import as_run
from strop.cli.errors import Problem, Usage
from strop.cli.output import console, number, pairs, print_json, print_rich, table
from strop.cli.show_verdicts import side_by_side, verdicts
from strop.evaluate import gold_of, interval, rewards_of
from strop.intervals import METHOD, Interval
from strop.reports.verdicts import Verdict, compare
from strop.types import Episode
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.run import Run


REWARD = "held_out/reward"
"""Measured where something gives the answers a score."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was judged, its scores, and how they differ from the start where that was judged too."""

    who: str
    step: int | None
    prompts: int
    scores: dict[str, Interval]
    means: dict[str, float]
    verdicts: list[Verdict]


def judge(typed: str, recipe: str | None) -> tuple[Judgement, list[Episode], list[Episode]]:
    """The judgement, the start's episodes (none where there are none), and the new ones."""
    found = as_run(typed)
    if found is None:
        if recipe is None:
            raise Usage(f"{typed} is a model: on which prompts?", hint=f"strop eval {typed} --recipe RECIPE")
        return _model(typed, recipes.trainable(recipe))
    from strop.run import Run

    run = Run(*found)
    run.directory.check()
    return _own(run) if recipe is None else _other(run, recipes.trainable(recipe).resolve())


def show(found: tuple[Judgement, Sequence[Episode], Sequence[Episode]], as_json: bool) -> None:
    """Scores with intervals; before and after where there are both."""
    judgement, before, after = found
    if as_json:
        print_json(judgement)
        return
    at = "" if judgement.step is None else f" after {plural(judgement.step, 'step')}"
    console().print(f"{judgement.who}{at}, judged on {plural(judgement.prompts, 'held-out prompt')}\n", style="bold")
    if judgement.verdicts:
        verdicts(judgement.verdicts)
    elif judgement.scores:
        rows = [(name, str(score)) for name, score in judgement.scores.items()]
        print_rich(table(["held out", "mean, 95 % interval"], rows))
        console().print(f"means over prompts\n{METHOD}", style="dim")
    if judgement.verdicts or judgement.scores:
        console().print()
    told = {name: value for name, value in judgement.means.items() if value or name != "unscored"}
    print_rich(pairs((name, number(value)) for name, value in told.items()))
    side_by_side(before, after, is_scored="reward" in judgement.scores)


def _own(run: Run) -> tuple[Judgement, list[Episode], list[Episode]]:
    """Against the judgement that the run has of its own start."""
    if not run.config.held_out:
        raise Problem(f"{run.path} has no held-out tasks to judge on.", hint=f"strop eval {run.path} --recipe RECIPE")
    step = run.directory.checkpoint_step(run.selector)
    after, means = run.config.judge(run.parts, step)
    ids = {task.id for task in run.config.held_out}
    start = [episode for episode in run.judged(0) if episode.task.id in ids] if step > 0 else []
    found = compare(start, after, run.config.gold_weights) if start and REWARD in means else []
    return _judgement(str(run.path), step, run.config, start, after, means, found), start, after


def _other(run: Run, config: TrainConfig) -> tuple[Judgement, list[Episode], list[Episode]]:
    step = run.directory.checkpoint_step(run.selector)
    _require_held_out(config)
    after, means = config.judge(run.parts, step)
    return _judgement(str(run.path), step, config, [], after, means, []), [], after


def _model(name: str, config: TrainConfig) -> tuple[Judgement, list[Episode], list[Episode]]:
    from dataclasses import replace

    from strop.policies.transformer import Transformer

    config = replace(config, policy=Transformer.Config(model=name, lora=None)).resolve()
    _require_held_out(config)
    config.set_up_torch()
    after, means = config.judge(config.build(), 0)
    return _judgement(name, None, config, [], after, means, []), [], after


def _judgement(
    who: str,
    step: int | None,
    config: TrainConfig,
    start: Sequence[Episode],
    after: Sequence[Episode],
    means: dict[str, float],
    found: list[Verdict],
) -> Judgement:
    scores = {"reward": interval(rewards_of(after), rewards_of(start))} if REWARD in means else {}
    if weights := config.gold_weights:
        scores["gold"] = interval(gold_of(after, weights), gold_of(start, weights))
    short = {name.removeprefix("held_out/"): value for name, value in means.items()}
    return Judgement(
        who, step, len(config.held_out), scores, {n: v for n, v in short.items() if n not in scores}, found
    )


def _require_held_out(config: TrainConfig) -> None:
    if not config.held_out:
        raise Problem("the recipe has no held-out prompts to judge on.", hint="held_out=[strop.Task(...), ...]")
