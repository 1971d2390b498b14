"""A run of several stages is a folder with `stages.json`: the names of the stages, in order.

RUN/stages.json          {"format": 1, "stages": ["sft", "rl"]}
RUN/1-sft/, RUN/2-rl/    the runs of the stages, made when they begin
RUN/waiting/2-rl/        the config of a stage that has not begun, as the run will hold it
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

STAGES, WAITING = "stages.json", "waiting"
FORMAT = 1


def is_staged(path: Path | str) -> bool:
    """Whether a folder is a run of several stages."""
    return (Path(path) / STAGES).is_file()


def stages_text(names: Sequence[str]) -> str:
    """The text of stages.json."""
    return json.dumps({"format": FORMAT, "stages": list(names)}, indent=2) + "\n"


def names_of(path: Path) -> list[str]:
    """The names of its stages, in order. Raises ValueError if they cannot be read."""
    file = path / STAGES
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        found, names = int(facts["format"]), [str(name) for name in facts["stages"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {error}.") from error
    if found != FORMAT:
        raise ValueError(f"{file} has format {found}, and this version of strop reads {FORMAT}.")
    return names


def folder_name(number: int, name: str) -> str:
    """`2-rl` of the second stage."""
    return f"{number}-{name}"


def stage_name(folder: Path) -> str:
    """`rl` of the folder 2-rl."""
    return folder.name.partition("-")[2]


def folders_of(path: Path) -> list[Path]:
    """The folders of its stages, in order, begun or not."""
    return [path / folder_name(number, name) for number, name in enumerate(names_of(path), 1)]


def folder_of(path: Path, name: str) -> Path:
    """The folder of one stage. Raises ValueError where there is none of this name."""
    names = names_of(path)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
        raise ValueError(f"{path} has no stage {name!r}; {hint}")
    return folders_of(path)[names.index(name)]
