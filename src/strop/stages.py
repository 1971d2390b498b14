"""Several stages, one after the other: `strop.Stage`, and what a list of them must be."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strop import loader
from strop.config import TrainConfig
from strop.contradictions import name_of
from strop.runs.trained import FromStage
from strop.types import PolicyConfig, check_fields, shown

NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")
SKIPPED = ("tasks", "held_out")
"""Fields of a config in which no policy stands."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a recipe that is a list: `strop.Stage("sft", strop.TrainConfig(...))`.

    name    lower-case letters, digits, - and _; the run of the stage is RUN/1-NAME
    config  what it trains; `policy=strop.FromStage("sft")` goes on with what an earlier stage trained
    """

    name: str
    config: TrainConfig

    def __post_init__(self) -> None:
        if not isinstance(self.config, TrainConfig):
            raise ValueError(f"Stage({shown(self.name)}, {shown(self.config)}): it takes a name and a TrainConfig.")
        check_fields(self)
        if not NAME.fullmatch(self.name):
            raise ValueError(f"Stage({shown(self.name)}): a name has lower-case letters, digits, - and _ only.")


def check_stages(stages: Sequence[object]) -> None:
    """Raise ValueError for a list that is not one of stages, or in which a name is there twice."""
    names: list[str] = []
    for stage in stages:
        if not isinstance(stage, Stage):
            raise ValueError(f"{shown(stage)} in a list: a list has stages, strop.Stage(name, config).")
        if stage.name in names:
            raise ValueError(f"two stages are called {stage.name}: their names tell them apart.")
        names.append(stage.name)
    if not names:
        raise ValueError("an empty list of stages: there is nothing to train.")


def check_arguments(config: object, directory: object, resume: object) -> None:
    """Check what `strop.train` is given: a TrainConfig or a list of stages, and a folder."""
    if isinstance(config, list | tuple):
        check_stages(config)
    elif not isinstance(config, TrainConfig):
        raise ValueError(
            f"strop.train({shown(config)}): it takes a strop.TrainConfig, or a list of strop.Stage{_config_of(config)}."
        )
    if directory is not None and not isinstance(directory, str | Path):
        raise ValueError(f"directory={shown(directory)}: it is the folder of the run.")
    if resume and directory is None:
        raise ValueError("resume=True: say which run to resume, directory='runs/mine'.")


def _config_of(given: object) -> str:
    """How to get the TrainConfig that was probably meant."""
    if callable(given):
        return "; a recipe is called: strop.train(recipe())"
    if not isinstance(given, str):
        return ""
    if given.endswith(".py"):
        return f"; in Python: from {Path(given).stem} import recipe; strop.train(recipe())"
    names = [module.name for module in loader.modules("recipes") if "recipe" in module.functions]
    near = (difflib.get_close_matches(given, names, n=1) or names)[0]
    return f"; of a recipe: from strop.recipes import {near}; strop.train({near}.recipe())"


def resolved(stages: Sequence[Stage]) -> list[Stage]:
    """The stages with nothing left open; in place of what an earlier stage will have trained stands its policy, to
    plan with. Raises ValueError for stages that cannot be trained."""
    return [Stage(stage.name, config) for stage, config in _resolved(stages)]


def last_config(stages: Sequence[Stage]) -> TrainConfig:
    """The config of the last stage, to judge with: its policy is that of the earlier stages before any training."""
    return [stage.config for stage, _ in _resolved(stages)][-1]


def _resolved(stages: Sequence[Stage]) -> Iterator[tuple[Stage, TrainConfig]]:
    """Each stage with the policies of the earlier ones in it, and its config resolved."""
    check_stages(stages)
    before: dict[str, TrainConfig] = {}
    for stage in stages:
        try:
            linked = with_starts(stage.config, lambda start: _planned(start, before))
            config = linked.resolve()
            _refuse_no_values(config)
        except ValueError as error:
            raise ValueError(f"stage {stage.name}: {error}") from error
        yield Stage(stage.name, linked), config
        before[stage.name] = config


def _planned(start: FromStage, before: dict[str, TrainConfig]) -> FromStage:
    """The start with the policy of an earlier stage as it is before training."""
    if start.stage not in before:
        near = difflib.get_close_matches(start.stage, before, n=1, cutoff=0.4)
        there = f"before it there are {', '.join(before)}." if before else "it is the first."
        hint = f"did you mean {near[0]}? {there.capitalize()}" if near else there
        raise ValueError(f"FromStage({start.stage!r}) names no earlier stage; {hint}")
    config = before[start.stage]
    if start.checkpoint == "best" and not config.held_out and config.data is None:
        raise ValueError(
            f"FromStage({start.stage!r}, checkpoint='best'): that stage has no held-out tasks to judge on."
        )
    assert isinstance(config.policy, PolicyConfig)
    return replace(start, origin=config.policy)


def with_starts(config: TrainConfig, change: Callable[[FromStage], FromStage]) -> TrainConfig:
    """The config with every FromStage in it changed: the policy, or inside a component or a list of
    them, such as a teacher or an opponent."""
    changed: TrainConfig = _with_starts(config, change)
    return changed


def _with_starts(value: Any, change: Callable[[FromStage], FromStage]) -> Any:
    if isinstance(value, FromStage):
        return change(value)
    if isinstance(value, list | tuple):
        items = [_with_starts(item, change) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init and f.name not in SKIPPED}
    changed = {name: new for name, old in fields.items() if (new := _with_starts(old, change)) is not old}
    return dataclasses.replace(value, **changed) if changed else value


def _refuse_no_values(config: TrainConfig) -> None:
    """What `build` would refuse, before an earlier stage is trained."""
    policy = config.policy
    if isinstance(policy, FromStage) and "value" in config.algorithm.heads and not policy.value_head:
        raise ValueError(
            f"{name_of(config.algorithm)} reads values: policy=strop.FromStage({policy.stage!r}, value_head=True)."
        )
