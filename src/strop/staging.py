"""Train a list of stages in one folder, and go on with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from strop.config import TrainConfig
from strop.home import default_directory
from strop.process import RECIPE
from strop.runs import spec
from strop.runs.directory import CONFIG, RunDirectory, already_exists, claim, config_text, give_back, is_run, started
from strop.runs.disk import free
from strop.runs.files import Gone, Occupied, new_folder, replace_text, write_text, writing
from strop.runs.staged import STAGES, WAITING, folder_name, folders_of, is_staged, names_of, stages_text
from strop.runs.standing import standing
from strop.runs.trained import FromStage
from strop.stages import Stage, resolved, with_starts


class Trained(Protocol):
    """What training one stage gives: a `strop.Run`."""

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it."""
        ...


T = TypeVar("T", bound=Trained)
TrainOne = Callable[[TrainConfig, Path, bool, str], T]
"""Train a config in a folder, new or resumed, with the text of its recipe file."""


def train_in_order(
    stages: Sequence[Stage],
    directory: Path | str | None,
    resume: bool,
    recipe: str,
    tell: Callable[[str], object],
    train_one: TrainOne[T],
) -> T:
    """Train one stage after the other in RUN/1-..., RUN/2-...; returns the last run, or the one that was interrupted.

    A resume goes on with the first unfinished stage. Raises ValueError for stages that cannot be trained, before the
    first one is.
    """
    planned = resolved(stages)
    home = _continued(directory, planned, recipe) if resume else _created(directory, planned, recipe)
    folders = folders_of(home)
    begun = max((number for number, folder in enumerate(folders) if is_run(folder)), default=0)
    with _removed_if_none_began(home, resume):
        for number, (stage, folder) in enumerate(zip(planned, folders, strict=True)):
            place = f"stage {number + 1} of {len(planned)}: {stage.name}"
            is_last = number == len(planned) - 1
            waiting = home / WAITING / folder.name
            if number < begun or (not is_last and _is_done(folder, stage.config)):
                tell(f"{place} is done")
                if number >= begun:
                    free(RunDirectory(folder))
                _remove(waiting)  # a kill may have come between its last step and this
                continue
            tell(place)
            run = train_one(_placed(stage.config, folder), folder, is_run(folder), recipe or _recipe_in(waiting))
            _remove(waiting)
            if run.interrupted:
                break
    return run


def stages_in(home: Path) -> list[Stage]:
    """The stages of a run, from its files."""
    folders = folders_of(home)
    places = [folder if is_run(folder) else home / WAITING / folder.name for folder in folders]
    return [Stage(name, spec.from_files(place)) for name, place in zip(names_of(home), places, strict=True)]


def _placed(config: TrainConfig, folder: Path) -> TrainConfig:
    """The config for the run in this folder, from the checkpoints that earlier stages have now."""

    def placed(start: FromStage) -> FromStage:
        start = start.placed_in(folder)
        return replace(start, checkpoint=start.directory().checkpoint_step(start.checkpoint))

    return with_starts(config, placed)


def _created(directory: Path | str | None, stages: Sequence[Stage], recipe: str) -> Path:
    """The folder of a new run, in which every stage waits."""
    home = Path(directory) if directory else claim(default_directory())
    try:
        with new_folder("a new run", home) as folder:
            for number, stage in enumerate(stages, 1):
                _write(folder / WAITING / folder_name(number, stage.name), _files(stage, recipe))
            write_text(folder / STAGES, stages_text([stage.name for stage in stages]))
    except Occupied:
        raise already_exists(home) from None
    except BaseException:
        if not directory:
            give_back(home)
        raise
    return home


def _continued(directory: Path | str | None, stages: Sequence[Stage], recipe: str) -> Path:
    """The folder of a run that goes on. The stages that have not begun wait as they are given now, and new ones may
    follow them."""
    assert directory is not None, "strop.train refuses a resume without a directory"
    home, given = Path(directory), [stage.name for stage in stages]
    if not is_staged(home):
        raise ValueError(f"{home} is not a run of several stages: it has no {STAGES}. Resume it with its one config.")
    there = names_of(home)
    if given[: len(there)] != there:
        raise ValueError(
            f"{home} has the stages {', '.join(there)}, and these are {', '.join(given)}: a resume may add stages at "
            "the end, and change no others' names."
        )
    with writing(STAGES, home):
        for number, stage in enumerate(stages, 1):
            name = folder_name(number, stage.name)
            if not is_run(home / name):
                _write(home / WAITING / name, _files(stage, recipe))
        if given != there:
            replace_text(home / STAGES, stages_text(given))
    return home


def _write(folder: Path, files: dict[str, str]) -> None:
    """The files of a stage that waits; those that are as they were are not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text:
            replace_text(folder / name, text)


def _files(stage: Stage, recipe: str) -> dict[str, str]:
    """The config of a stage as its run will hold it."""
    encoded, files = spec.to_files(stage.config)
    return {CONFIG: config_text(encoded), **files} | ({f"{RECIPE}.py": recipe} if recipe else {})


def _recipe_in(folder: Path) -> str:
    """The copy of the recipe file that waits with a stage; empty without one."""
    file = folder / f"{RECIPE}.py"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _remove(waiting: Path) -> None:
    """Remove the folder of a stage that waits no more, and with the last one that of all."""
    shutil.rmtree(waiting, ignore_errors=True)
    with suppress(OSError):
        waiting.parent.rmdir()


def _is_done(folder: Path, config: TrainConfig) -> bool:
    """Whether nothing of a stage is left to do. More steps or minutes than it was started with are."""
    found = standing(RunDirectory(folder)) if is_run(folder) else None
    return found is not None and found.is_complete and (found.steps, found.minutes) == (config.steps, config.minutes)


@contextmanager
def _removed_if_none_began(home: Path, resume: bool) -> Iterator[None]:
    """Delete a new run whose first stage ends before its first checkpoint."""
    try:
        yield
    except Gone:
        raise
    except BaseException:
        if not resume and is_staged(home) and started(home) is None:
            shutil.rmtree(home, ignore_errors=True)
        raise
