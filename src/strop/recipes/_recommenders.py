"""What the rules of recommendation count: shared genres, years, who likes what, and which films are liked together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from strop.types import Observation, Task

Film = Mapping[str, Any]
"""A film in the data of a task: its title and its genres."""
YEAR = re.compile(r"\((\d{4})\)$")


def shared_genres(task: Task, film: Film) -> float:
    """The genres that a film shares with each liked one, of those that either has (Jaccard), summed."""
    own = set(film["genres"])
    both = ((own & set(liked["genres"]), own | set(liked["genres"])) for liked in task.data["liked"])
    return sum(len(shared) / len(either) for shared, either in both if either)


def best_film(task: Task, score: Callable[[Film], float]) -> str:
    """The option whose film scores highest; of equal ones the first."""
    scores = [score(film) for film in task.data["films"]]
    return str(task.data["options"][scores.index(max(scores))])


def has_year(film: Film) -> bool:
    """Whether its title ends in a year: "Alien (1979)"."""
    return YEAR.search(film["title"]) is not None


def year_of(film: Film) -> int:
    """The year in which its title ends. Raises ValueError if it ends in none."""
    found = YEAR.search(film["title"])
    if found is None:
        raise ValueError(f"the title {film['title']!r} does not end in a year: Alien (1979).")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Counted:
    """Counted likes: how often a film is liked with each of the five; without cosines, how often it is liked at all."""

    likes: Mapping[str, int]
    cosines: Mapping[tuple[str, str], float]

    def __call__(self, task: Task, seen: Observation) -> str:
        if not self.cosines:
            return best_film(task, lambda film: self.likes.get(film["title"], 0))
        liked = [film["title"] for film in task.data["liked"]]
        return best_film(task, lambda film: sum(self.cosines.get((film["title"], one), 0.0) for one in liked))


def likes_of(tasks: Sequence[Task]) -> Counter[str]:
    """How many people of these tasks like each title."""
    return Counter(title for titles in liked_by(tasks).values() for title in titles)


def cosines_of(tasks: Sequence[Task]) -> dict[tuple[str, str], float]:
    """Of two titles, how many people like both, over the root of the product of how many like each one."""
    likes = likes_of(tasks)
    both = Counter(pair for titles in liked_by(tasks).values() for pair in permutations(sorted(titles), 2))
    return {(one, other): count / (likes[one] * likes[other]) ** 0.5 for (one, other), count in both.items()}


def liked_by(tasks: Sequence[Task]) -> dict[str, set[str]]:
    """The titles that each person of these tasks likes, the answers among them."""
    found: dict[str, set[str]] = {}
    for task in tasks:
        answer = task.data["films"][task.data["options"].index(task.answer)]
        titles = {film["title"] for film in (*task.data["liked"], answer)}
        found.setdefault(task.data["user"], set()).update(titles)
    return found
