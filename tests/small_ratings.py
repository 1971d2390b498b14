"""Ratings that nobody gave: people like films of one genre alone, so that which film comes next can be learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GENRES = ("Comedy", "Horror")
NUM_FILMS = 40
"""Of each genre."""


def write(file: Path, people: int = 80, likes: int = 14, seed: int = 0) -> Path:
    """A .csv: each person likes so many films of a genre, and dislikes one of the other."""
    rng = np.random.default_rng(seed)
    lines = ["user,film,genres,stars,time"]
    for person in range(people):
        own, other = GENRES[person % 2], GENRES[1 - person % 2]
        for time, film in enumerate(rng.permutation(NUM_FILMS)[:likes]):
            lines.append(f"p{person},{titled(own, int(film))},{own}|Drama,{4 + time % 2},{time}")
        lines.append(f"p{person},{titled(other, person % NUM_FILMS)},{other}|Drama,1.5,{likes}")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def titled(genre: str, number: int) -> str:
    """The title of a film; the comedies are newer."""
    return f"{genre[0]}{number} ({1990 if genre == 'Comedy' else 1950})"
