"""Is the free text's answer the right one, as mathematics? By math-verify (`pip install "strop[reason]"`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec

from strop.functional.bounds import check_positive
from strop.rewards._answer import answer_of
from strop.rewards._maths import MATHS
from strop.types import Episode, Task, Unscored, check_fields

MOST_CHARS = 1_000
"""So much of the end of a text is read: an answer stands there."""
_TAG = re.compile(r"</?answer>")


@dataclass(frozen=True, slots=True, kw_only=True)
class SameMaths:
    r"""1 if what the text says last has the value of `task.answer`, else 0: "0.5", "1/2" and "\frac{1}{2}" are equal.

    seconds  for one text; a text that takes longer is Unscored

    Where the answer is a whole number, it is a number that must be said: "4 + 3" is no answer to "4 + 3 =". A number
    that max_tokens may have cut in two does not count. The comparison runs in a process of its own, which is ended when
    it takes too long: a text may be an expression that no computer can simplify.

    Cheated by: where the answer is no whole number, an expression of its value, such as the question's own.
    """

    seconds: float = 5.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("SameMaths.seconds", self.seconds)
        if find_spec("math_verify") is None:
            raise ModuleNotFoundError('SameMaths needs the package math-verify: pip install "strop[reason]"')

    def __call__(self, task: Task, episode: Episode) -> float | Unscored:
        answer = answer_of(task, "SameMaths")
        if not episode.turns:
            return 0.0
        last = episode.turns[-1]
        if last.completion.finish == "length" and last.text[-1:].isdigit():
            return 0.0
        text = _TAG.sub(" ", last.text[-MOST_CHARS:])
        verdict = MATHS.is_same(answer, text, self.seconds)
        if verdict is None:
            return Unscored(f"math-verify had no verdict within {self.seconds:g} seconds")
        return float(verdict)
