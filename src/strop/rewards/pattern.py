"""Does the text have the form that a regular expression describes?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import regex

from strop.types import Episode, Task, Unscored, check_fields

SECONDS = 1.0
"""A pattern with nested repeats can take years on a text that nearly matches."""


@dataclass(frozen=True, slots=True)
class Matches:
    r"""1 if the whole text, without the space around it, matches the pattern, else 0.

    pattern  a regular expression of the package regex, which knows all that `re` does; None takes
             `task.data["pattern"]`. Flags stand in front: `(?i)` case is free, `(?s)` a dot is also a line's end

    `Matches(r"(?s).*<answer>\d+</answer>")` wants a number in a frame at the end. A search that takes longer than a
    second is Unscored.

    Cheated by: anything that the pattern allows: `.*` allows everything.
    """

    pattern: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pattern is not None:
            _compiled(self.pattern)

    def __call__(self, task: Task, episode: Episode) -> float | Unscored:
        pattern = task.data.get("pattern") if self.pattern is None else self.pattern
        if not isinstance(pattern, str):
            raise ValueError(f'task {task.id!r}: Matches() needs data["pattern"], a regular expression.')
        try:
            return 1.0 if _compiled(pattern).fullmatch(episode.text.strip(), timeout=SECONDS) else 0.0
        except TimeoutError:
            return Unscored(f"the pattern {pattern!r} took longer than {SECONDS:g} second: nest no repeats in it")


@cache
def _compiled(pattern: str) -> Any:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"Matches({pattern!r}): it is no regular expression: {error}.") from None
