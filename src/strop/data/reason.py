"""Problems to reason about, in levels of difficulty: those of reasoning-gym by name, and sums that need no package."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.util import find_spec
from typing import Any

from strop.data.progress import Tell, to_stderr
from strop.data.tasks import train_test_split
from strop.streams import stream
from strop.types import Task
from strop.words import plural

SUMS = "sums"
"""Sums and differences of our own: (terms, digits) of each level."""
LADDER = ((2, 1), (3, 1), (2, 2), (3, 2), (4, 2), (4, 3))
UNFIT = ("composite",)
"""Of reasoning-gym: a mixture, which wants to be told of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """Training problems by level, the easiest first. No question stands in two lists.

    `development` is for choosing what to train; `held_out` is judged once, at the end.
    """

    levels: Sequence[Sequence[Task]]
    development: Sequence[Task]
    held_out: Sequence[Task]


def problems(
    task: str = "chain_sum", levels: int = 4, per_level: int = 250, seed: int = 0, tell: Tell = to_stderr
) -> Problems:
    """Generate and split problems. A task's prompt is the bare question; its data says how it was made.

    task       sums, or a name of reasoning-gym (`names` lists them)
    levels     of difficulty. Those of reasoning-gym are its own curriculum's; a task without one has one level
    per_level  so many are drawn for each; a question that was drawn before is left out

    A fifth of the questions is held out for the end, and a tenth to choose by. Raises ValueError for an unknown name,
    and ModuleNotFoundError where reasoning-gym is needed and not there.
    """
    if levels < 1 or per_level < 10:
        raise ValueError(f"levels={levels}, per_level={per_level}: at least 1 level of 10 problems is needed.")
    drawn = _sums(levels, per_level, seed) if task == SUMS else _of_gym(task, levels, per_level, seed)
    unique = {str(one.prompt): one for one in reversed(list(drawn))}  # of equal questions the easiest level's stays
    found = list(reversed(unique.values()))
    rest, last = train_test_split(found, 0.2, seed)
    train, chosen_on = train_test_split(rest, 0.125, seed)
    by_level = [[one for one in train if one.data["level"] == level] for level in range(levels)]
    there = [level for level in by_level if level]
    tell(
        f"{task}: {plural(len(train), 'problem')} in {plural(len(there), 'level')} to train on, "
        f"{len(chosen_on)} to choose by, {len(last)} held out"
    )
    return Problems(levels=there, development=chosen_on, held_out=last)


def names() -> list[str]:
    """The tasks of reasoning-gym, in order."""
    _refuse_missing("reasoning-gym's tasks")
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - set(UNFIT))


def score_answer(answer: str, data: Mapping[str, Any]) -> float:
    """What reasoning-gym, or for a sum the value, gives to an answer of the task with this data; 0 to 1.

    An answer on which its scorer fails, as some do on text in place of a number, scores 0.
    """
    if data["made_by"] == SUMS:
        return float(_value(answer) == data["value"])
    dataset = _dataset(data["made_by"], json.dumps(data["settings"], sort_keys=True))
    try:
        return float(dataset.score_answer(answer, dataset[data["index"]]))
    except Exception:  # the boundary to 104 scorers, which read what a model wrote
        return 0.0


def are_numbers(tasks: Sequence[Task]) -> bool:
    """Whether every answer is a number, so that it can be compared by its value."""
    return all(_value(task.answer) is not None for task in tasks)


def _sums(levels: int, per_level: int, seed: int) -> Iterator[Task]:
    if levels > len(LADDER):
        raise ValueError(f"levels={levels}: sums have {len(LADDER)}.")
    for level, (terms, digits) in enumerate(LADDER[:levels]):
        rng = stream(seed, "reason", level)
        least = 0 if digits == 1 else 10 ** (digits - 1)
        for index in range(per_level):
            numbers = [int(number) for number in rng.integers(least, 10**digits, size=terms)]
            signs = [1, *(int(sign) for sign in rng.choice([1, -1], size=terms - 1))]
            value = sum(sign * number for sign, number in zip(signs, numbers, strict=True))
            rest = (
                f" {'+' if sign > 0 else '-'} {number}" for sign, number in zip(signs[1:], numbers[1:], strict=True)
            )
            data = {"made_by": SUMS, "level": level, "value": value}
            yield Task(f"{SUMS}-{level}-{index}", f"What is {numbers[0]}{''.join(rest)}?", str(value), data)


def _of_gym(task: str, levels: int, per_level: int, seed: int) -> Iterator[Task]:
    _refuse_missing(f"task={task}")
    if task not in names():
        near = difflib.get_close_matches(task, [SUMS, *names()], n=1)
        hint = f"did you mean {near[0]}?" if near else f"it is {SUMS} or one of {', '.join(names())}."
        raise ValueError(f"task={task!r}: {hint}")
    for level, settings in enumerate(_settings(task, levels, per_level, seed)):
        dataset = _dataset(task, json.dumps(settings, sort_keys=True))
        for index in range(per_level):
            made = dataset[index]
            data = {"made_by": task, "level": level, "settings": settings, "index": index}
            yield Task(f"{task}-{level}-{index}", made["question"], _answer(task, made), data)


def _answer(task: str, made: Mapping[str, Any]) -> str:
    """A right answer: the only one, or an example of several."""
    found = made["answer"] if made["answer"] is not None else made["metadata"].get("example_answer")
    if found is None:
        raise ValueError(
            f"task={task}: reasoning-gym gives no answer to {made['question']!r}, so nothing can be shown."
        )
    return str(found)


def _settings(task: str, levels: int, per_level: int, seed: int) -> list[dict[str, Any]]:
    """The fields of reasoning-gym's config at each level."""
    from reasoning_gym.factory import CURRICULA, create_curriculum

    own = [{"seed": seed * levels + level, "size": per_level} for level in range(levels if task in CURRICULA else 1)]
    if task not in CURRICULA:
        return own
    found = []
    for level, defaults in enumerate(own):
        curriculum = create_curriculum(task)
        for name, attribute in curriculum.attributes.items():
            curriculum.set_attr_level(name, min(level, len(attribute.levels) - 1))
        found.append(json.loads(json.dumps(asdict(curriculum.generate_configuration(defaults)))))
    return found


@cache
def _dataset(task: str, settings: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(task, **json.loads(settings))


def _value(text: str) -> Decimal | None:
    """The number that a text is; None if it is none."""
    try:
        number = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _refuse_missing(what: str) -> None:
    if find_spec("reasoning_gym") is None:
        raise ModuleNotFoundError(
            f'{what} needs the package reasoning-gym: pip install "strop[reason]"; task={SUMS} needs none'
        )
