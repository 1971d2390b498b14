"""A verifiable reward: is the text the answer, and nothing else?"""

from __future__ import annotations

import unicodedata

from strop.rewards._answer import answer_of
from strop.types import Episode, Task

_ENDS = ".!?。！？"


def exact_answer(task: Task, episode: Episode) -> float:
    """1 if the text equals `task.answer`, else 0; case, spacing, full width and one mark at the end are free.

    All else counts: accents, signs, the order of words. A text that holds more than the answer is wrong, so listing
    answers earns nothing. For an answer inside a text take `Matches`, and for a number `correct_number`.

    Cheated by: guessing, where few answers are possible.
    """
    return 1.0 if _plain(episode.text) == _plain(answer_of(task, "exact_answer")) else 0.0


def _plain(text: str) -> str:
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain[:-1].rstrip() if len(plain) > 1 and plain[-1] in _ENDS else plain
