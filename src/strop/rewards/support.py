"""Customer service: the thumbs that people give, and what they do not tell: was the problem solved, and how politely?

The environment writes thumbs and facts into the data of each turn; a turn without them is none of its.
"""

from __future__ import annotations

from strop.types import Episode, PerTurn, Task, Unscored
from strop.users.phrases import phrases_of

THUMB, SOLVED = "thumb", "solved"
"""Fields of a turn's data, true or false."""
CUSTOMER = "customer"
"""The field of a task's data that holds the facts of who asks."""


def thumbs_up(task: Task, episode: Episode) -> PerTurn | Unscored:
    """The share of a conversation's thumbs that are up, 0 to 1, split over its turns; Unscored where there is no thumb.

    It is a mean and no sum, so that talking longer is worth nothing by itself.

    Cheated by: praise for people who like it; a question to the point and then nothing that helps; leaving alone, in
    one answer, whom one cannot help. Watch `solved`.
    """
    thumbs = [turn.data.get(THUMB) for turn in episode.turns]
    given = sum(thumb is not None for thumb in thumbs)
    if not given:
        return Unscored("nobody gave a thumb: the environment's turns have no data['thumb']")
    return PerTurn([float(thumb is True) / given for thumb in thumbs])


def solved(task: Task, episode: Episode) -> float | Unscored:
    """1 if the hidden problem was solved when the conversation ended, else 0.

    Cheated by: naming every fix, one after the other, as long as people wait.
    """
    if not episode.turns or SOLVED not in episode.turns[-1].data:
        return Unscored("the last turn does not say whether anything is solved: it has no data['solved']")
    return float(episode.turns[-1].data[SOLVED] is True)


def courteous(task: Task, episode: Episode) -> float | Unscored:
    """The share of answers that hold a polite word of the customer's language, 0 to 1.

    Cheated by: the polite word alone. It is there to be reported: not everyone wants it.
    """
    phrases = phrases_of(task.data.get(CUSTOMER, {}).get("language", "en"))
    if not episode.turns:
        return Unscored("there is no answer that might be courteous")
    return sum(phrases.is_courteous(turn.text) for turn in episode.turns) / len(episode.turns)
