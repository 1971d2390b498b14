"""Which film next: a person liked five films, and of four others one is what they liked next.

The other three are films that this person never rated, as popular as the right one: of the four, the right one is the
most popular in one case of four, the second in another, and so on, so that popularity alone is right about a quarter. A
person's films are all in one split.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from strop.data.progress import Tell, to_stderr
from strop.data.ratings import NAME, Film, Rating, ratings
from strop.streams import stream
from strop.types import Task
from strop.words import plural

LIKED = 4.0
"""Stars, of five."""
NUM_LIKED, NUM_OPTIONS = 5, 4
SHARES = {"held_out": 0.3, "development": 0.15}
"""Of the people."""
MOST = {"train": 12, "development": 2, "held_out": 2}
"""Questions about one person."""
FEWEST_LIKES = 5
"""Of a film that is asked about, among the people who are trained on."""
NEAR = 60
"""The other films are among so many that are next in popularity on either side."""
LETTERS = ("A", "B", "C", "D")
QUESTION = (
    "A person liked the five films of the first list, in this order. Which film of the second list do they like next?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """Questions in three splits that share no person: `development` to choose by, `held_out` to judge at the end."""

    train: Sequence[Task]
    development: Sequence[Task]
    held_out: Sequence[Task]


@dataclass(frozen=True, slots=True)
class Question:
    """Five films that a person liked, in order, and four others, of which they like the one at `right` next."""

    user: str
    liked: tuple[Film, ...]
    options: tuple[Film, ...]
    right: int


@lru_cache(2)
def recommended(
    data: str = NAME, seed: int = 0, letters: bool = False, draws: int = 0, tell: Tell = to_stderr
) -> Recommended:
    """Read ratings, and ask which film comes next.

    data     movielens, or a file with the columns user, film, genres, stars and time
    seed     deals people and films anew
    letters  whether an answer is a letter, in place of a film's title
    draws    of the other three films for every six liked ones in a row, to train on; 0 trains on a few questions a
             person, which share no film
    tell     is given lines on what was read; by default they go to stderr

    Raises ValueError for data that cannot be read or downloaded, or that is too little to ask about.
    """
    people = _likes(ratings(data, tell))
    split_of = _dealt([user for user, (liked, _) in people.items() if len(liked) > NUM_LIKED], seed)
    likes = Counter(film for user, split in split_of.items() if split == "train" for film in people[user][0])
    known = Popular(likes)
    found: dict[str, list[Task]] = {split: [] for split in MOST}
    for user, split in split_of.items():
        liked, rated = people[user][0], known.places(people[user][1])
        if split == "train" and draws:
            asked = list(_drawn(user, liked, rated, known, stream(seed, f"draws {user}"), draws))
        else:
            asked = list(_questions(user, liked, rated, known, seed))[-MOST[split] :]
        found[split] += [_task(f"{split}-{user}-{i}", one, letters) for i, one in enumerate(asked)]
    if not all(found.values()):
        raise ValueError(
            f"data={data}: {plural(len(split_of), 'person', 'people')} liked six films or more: too few to ask in "
            "three splits about films that several people liked."
        )
    sizes = ", ".join(
        f"{len(found[split]):,} {what}"
        for split, what in (
            ("train", "questions to train on"),
            ("development", "to choose by"),
            ("held_out", "held out"),
        )
    )
    tell(f"{sizes}; no person is in two of them")
    return Recommended(train=found["train"], development=found["development"], held_out=found["held_out"])


class Popular:
    """Films in the order of how many people like them; those whom few like are left out."""

    def __init__(self, likes: Mapping[Film, int]) -> None:
        often = [(count, _hash(film.title), film) for film, count in likes.items() if count >= FEWEST_LIKES]
        self.films = [film for _, _, film in sorted(often, key=lambda one: one[:2])]
        self.rank = {film: place for place, film in enumerate(self.films)}

    def beside(self, right: Film, never: set[int], rng: np.random.Generator) -> tuple[Film, ...] | None:
        """Three other films, at no place of `never`, of which none to three are more popular, each number with the same
        chance; None if there are too few."""
        if right not in self.rank:
            return None
        place, num_above = self.rank[right], int(rng.integers(NUM_OPTIONS))
        below = [one for one in range(max(0, place - NEAR), place) if one not in never]
        above = [one for one in range(place + 1, min(place + 1 + NEAR, len(self.films))) if one not in never]
        if min(len(below), len(above)) < NUM_OPTIONS - 1:
            return None  # else the number would depend on the place
        drawn = [(above, num_above), (below, NUM_OPTIONS - 1 - num_above)]
        return tuple(
            self.films[places[int(i)]] for places, num in drawn for i in rng.choice(len(places), num, replace=False)
        )

    def places(self, films: Iterable[Film]) -> set[int]:
        """Where these films stand, as far as they do."""
        return {self.rank[film] for film in films if film in self.rank}


def _likes(given: Sequence[Rating]) -> dict[str, tuple[list[Film], set[Film]]]:
    """Of each person the films that they liked, in the order of time, and all that they rated."""
    found: dict[str, tuple[list[Film], set[Film]]] = {}
    for one in sorted(given, key=lambda one: (one.time, _hash(one.film.title))):
        liked, rated = found.setdefault(one.user, ([], set()))
        if one.stars >= LIKED and one.film not in rated:
            liked.append(one.film)
        rated.add(one.film)
    return found


def _dealt(users: Sequence[str], seed: int) -> dict[str, str]:
    """The split of each person."""
    order = sorted(users, key=lambda user: _hash(f"{seed} {user}"))
    ends = np.cumsum([round(share * len(order)) for share in SHARES.values()]).tolist()
    names = [*SHARES, "train"]
    return {user: names[bisect_left(ends, place + 1)] for place, user in enumerate(order)}


def _questions(user: str, liked: Sequence[Film], rated: set[int], known: Popular, seed: int) -> Iterator[Question]:
    """Questions that share no film: six liked films in a row, of which the last one is asked for."""
    for begin in range(0, len(liked) - NUM_LIKED, NUM_LIKED + 1):
        yield from _question(user, liked[begin:], rated, known, stream(seed, f"recommend {user}", begin))


def _drawn(
    user: str, liked: Sequence[Film], rated: set[int], known: Popular, rng: np.random.Generator, draws: int
) -> Iterator[Question]:
    """Of every six liked films in a row the last one, so many times beside others."""
    for begin in range(len(liked) - NUM_LIKED):
        for _ in range(draws):
            yield from _question(user, liked[begin:], rated, known, rng)


def _question(
    user: str, liked: Sequence[Film], rated: set[int], known: Popular, rng: np.random.Generator
) -> Iterator[Question]:
    """The first five of these films, and the next one beside three others, if there are any to draw."""
    *before, right = liked[: NUM_LIKED + 1]
    others = known.beside(right, rated, rng)
    if others is not None:
        four = (right, *others)
        order = [int(i) for i in rng.permutation(NUM_OPTIONS)]
        yield Question(user, tuple(before), tuple(four[i] for i in order), order.index(0))


def _task(id: str, asked: Question, letters: bool) -> Task:
    options = LETTERS if letters else [film.title for film in asked.options]
    lines = ["Liked:", *map(told, asked.liked), "Next is one of these:"]
    lines += [
        f"{letter}. {told(film)}" if letters else told(film)
        for letter, film in zip(LETTERS, asked.options, strict=True)
    ]
    choices = [f" {option}" for option in options]
    data: dict[str, Any] = {
        "user": asked.user,
        "liked": [_kept(film) for film in asked.liked],
        "films": [_kept(film) for film in asked.options],
        "options": choices,
    }
    return Task(
        id,
        [{"role": "system", "content": QUESTION}, {"role": "user", "content": "\n".join(lines)}],
        choices[asked.right],
        data,
    )


def told(film: Film) -> str:
    """A film in a line."""
    return f"{film.title}: {', '.join(film.genres)}" if film.genres else film.title


def _kept(film: Film) -> dict[str, Any]:
    """A film as a task's data has it."""
    return {"title": film.title, "genres": list(film.genres)}


def _hash(text: str) -> bytes:
    """Deals as by chance."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
