"""Questions that are answered with tools: is the final answer right, and how was it come by?

The environment writes into the data of each turn whether it `called` a tool, and whether that `failed`.
"""

from __future__ import annotations

from strop.rewards.number import correct_number
from strop.types import End, Episode, Task

CALLED, FAILED = "called", "failed"
"""Fields of a turn's data, true or false."""


def final_number(task: Task, episode: Episode) -> float:
    """1 if the last number of the last text is `task.answer`, else 0. Calls neither earn nor cost anything.

    An episode that ended before an answer was given gets 0, whatever its last call says. Numbers are read as
    `correct_number` reads them, which raises ValueError for a task whose answer is no number.

    Cheated by: numbers that a model knows without a tool, where questions are too easy; a sentence around the number.
    """
    return correct_number(task, episode) if episode.end is End.TERMINATED else 0.0


def only_number(task: Task, episode: Episode) -> float:
    """1 if the last text is the answer as it is written in `task.answer` and nothing else, else 0.

    Cheated by: no cheap way is known.
    """
    answered = bool(episode.turns) and episode.end is End.TERMINATED
    return float(answered and episode.turns[-1].text.strip() == task.answer)


def num_calls(task: Task, episode: Episode) -> float:
    """How many tools were called. It is there to be reported.

    Cheated by: calls that nobody needs.
    """
    return float(sum(turn.data.get(CALLED) is True for turn in episode.turns))


def num_failed_calls(task: Task, episode: Episode) -> float:
    """How many calls were answered by what is wrong with them. It is there to be reported.

    Cheated by: calling nothing.
    """
    return float(sum(turn.data.get(FAILED) is True for turn in episode.turns))
