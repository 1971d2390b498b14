"""Films as words: a small transformer that reads five of them and says the next one, as others read a sentence."""

from __future__ import annotations

from collections.abc import Sequence, Set

from strop.policies.scratch import Scratch
from strop.types import Task

RARE, NEXT = "rare", "next"
"""What stands for a film that too few people like to be asked about, and what ends the list."""


def words_of(tasks: Sequence[Task]) -> list[str]:
    """The films that these tasks ask about, each once."""
    return list(dict.fromkeys(_word(film["title"]) for task in tasks for film in task.data["films"]))


def in_words(task: Task, words: Set[str]) -> Task:
    """The task as words: the liked films, and what comes next; its options are words too."""
    liked = [_word(film["title"]) for film in task.data["liked"]]
    options = [_word(film["title"]) for film in task.data["films"]]
    return Task(
        task.id,
        " ".join([*(word if word in words else RARE for word in liked), NEXT]),
        options[task.data["options"].index(task.answer)],
        {**task.data, "options": options},
    )


def transformer_of(words: Sequence[str], num_liked: int) -> Scratch:
    """One layer, 32 wide: a film's vector is what it is read as and what is said (tied), so that films which the same
    people like come to point the same way."""
    return Scratch(words=[*words, RARE, NEXT], has_end=False, num_layers=1, width=32, context=num_liked + 2)


def _word(title: str) -> str:
    return "_".join(title.split())
