"""A sweep: one recipe, several values for some of its fields, and a run for every combination.

DIR/sweep.json           the recipe, what is set in every run, and the values of each swept field, as typed
DIR/seed-0/, ...         the runs, named after what varies: DIR/lr-0.1_seed-0/
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from strop.runs.directory import SWEEP, is_sweep
from strop.runs.files import replace_text, writing

MOST_RUNS = 256
SEED = "seed"

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_PIECE = re.compile(r"""[\[({]|[\])}]|"[^"]*"|'[^']*'|,|[^\[\](){}"',]+|["']""")
_UNSAFE = re.compile(r"[^\w.+-]+")
_QUOTES = "[](){}\"' "
_MOST_CHARS = 40


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a sweep: the name of its folder, and its values of the swept fields."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is swept. `source` is the hash of the recipe's file, if it is one; `fixed` is set in every run."""

    recipe: str
    source: str
    fixed: Mapping[str, str]
    swept: Mapping[str, tuple[str, ...]]

    def members(self) -> list[Member]:
        """Every combination, the last field moving fastest."""
        labels = self.labels()
        words = [_words(labels[path], values) for path, values in self.swept.items()]
        names = ("_".join(one) for one in itertools.product(*words))
        combinations = itertools.product(*self.swept.values())
        return [
            Member(name, dict(zip(self.swept, one, strict=True))) for name, one in zip(names, combinations, strict=True)
        ]

    def overrides(self, member: Member) -> list[str]:
        """The overrides of a run, as typed on the command line."""
        return [f"{path}={value}" for path, value in {**self.fixed, **member.values}.items()]

    def extended(self, given: Mapping[str, tuple[str, ...]]) -> Sweep:
        """This sweep with more values of its swept fields. Raises ValueError for any other difference."""
        current = self.settings()
        for path in dict.fromkeys([*current, *given]):
            old, new = current.get(path), given.get(path)
            if old != new and (path not in self.swept or new is None):
                raise ValueError(
                    f"the sweep there has {_typed(path, old)}, not {_typed(path, new)}. "
                    f"It can take further values of {' and '.join(self.swept)}; anything else is another sweep."
                )
        grown = {path: tuple(dict.fromkeys([*old, *given[path]])) for path, old in self.swept.items()}
        return _checked(replace(self, swept=grown))

    def settings(self) -> dict[str, tuple[str, ...]]:
        """The values of every fixed and swept field."""
        return {path: (value,) for path, value in self.fixed.items()} | dict(self.swept)

    def labels(self) -> dict[str, str]:
        """A short label per swept field: the shortest end of its path that is unique among them."""
        return {path: _shortest(path, self.swept) for path in self.swept}


def new(recipe: str, source: str, given: Mapping[str, tuple[str, ...]]) -> Sweep:
    """A sweep over the fields that were given several values."""
    swept = {path: values for path, values in given.items() if len(values) > 1}
    if not swept:
        raise ValueError(
            "a sweep gives a field several values, for example seed=0..4 or algorithm.optimizer.lr=1e-3,1e-4."
        )
    fixed = {path: values[0] for path, values in given.items() if path not in swept}
    return _checked(Sweep(recipe, source, fixed, swept))


def given(overrides: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`seed=0..4` and `lr=1e-3,3e-4` as the values of each field. A field is named once."""
    found: dict[str, tuple[str, ...]] = {}
    for override in overrides:
        path, _, text = override.partition("=")
        if path in found:
            raise ValueError(f"{path} is given twice: put all its values into one list, {path}=a,b.")
        found[path] = _values(path, text)
    return found


def read(directory: Path) -> Sweep:
    """Read the sweep of a folder."""
    file = directory / SWEEP
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        swept = {path: tuple(values) for path, values in facts["swept"].items()}
        return Sweep(facts["recipe"], facts["source"], facts["fixed"], swept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error}.") from error


def write(sweep: Sweep, directory: Path) -> None:
    """Write sweep.json. Raises ValueError if the folder holds something else."""
    if directory.exists() and not is_sweep(directory) and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"{directory} exists and is no sweep; it is left as it is. Choose another --run.")
    with writing(SWEEP, directory):
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(directory / SWEEP, json.dumps(asdict(sweep), indent=2, ensure_ascii=False) + "\n")


def _values(path: str, text: str) -> tuple[str, ...]:
    """The values of one field: a list split at its commas, with each range of whole numbers written out."""
    values = [value for part in _split(text) for value in _range(path, part)]
    if len(values) > 1 and "" in values:
        raise ValueError(f"{path}={text}: there is an empty value between two commas.")
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"{path}={text}: {twice[0]} is there twice.")
    return tuple(values)


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes; quotes around a whole value are removed."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        if piece == "," and depth == 0:
            parts.append("")
            continue
        depth += (piece in "[({") - (piece in "])}")
        parts[-1] += piece
    return [part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "\"'" else part for part in parts]


def _range(path: str, text: str) -> list[str]:
    """`0..4` as 0, 1, 2, 3, 4; anything else as it is."""
    if not (match := _RANGE.fullmatch(text)):
        return [text]
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"{path}={text}: a range goes up, {last}..{first}.")
    if last - first >= MOST_RUNS:
        raise ValueError(f"{path}={text}: these are {last - first + 1:,} values; a sweep has at most {MOST_RUNS} runs.")
    return [str(number) for number in range(first, last + 1)]


def _checked(sweep: Sweep) -> Sweep:
    counts = [len(values) for values in sweep.swept.values()]
    if (total := math.prod(counts)) > MOST_RUNS:
        counted = " x ".join(map(str, counts))
        raise ValueError(f"{counted} values make {total:,} runs; a sweep has at most {MOST_RUNS}.")
    return sweep


def _typed(path: str, values: Sequence[str] | None) -> str:
    return f"{path}={','.join(values)}" if values is not None else f"{path} as in the recipe"


def _shortest(path: str, paths: Mapping[str, object]) -> str:
    words = path.split(".")
    ends = (".".join(words[-count:]) for count in range(1, len(words) + 1))
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in paths) == 1 or end == path)


def _words(label: str, values: Sequence[str]) -> list[str]:
    """Each value of a field as part of a folder's name; a number makes the later of two equal ones unique."""
    found: list[str] = []
    for value in values:
        word = f"{label}-{_UNSAFE.sub('-', value.strip(_QUOTES))[:_MOST_CHARS]}"
        further = (f"{word}-{number}" for number in itertools.count(2))
        found.append(next(one for one in itertools.chain([word], further) if one not in found))
    return found
