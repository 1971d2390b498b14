"""Latin letters, with whatever marks: what words of names are made of outside of Chinese, as classes of regular
expressions without their brackets."""

from __future__ import annotations

import unicodedata

_LATIN = [chr(i) for i in (*range(0x41, 0x250), *range(0x1E00, 0x1F00)) if chr(i).isalpha() and chr(i) not in "ªº"]
MARKS = "\u0300-\u036f"
"""Of letters that are written apart from their marks."""
UPPER = "".join(letter for letter in _LATIN if letter.isupper())
LOWER = "".join(letter for letter in _LATIN if letter.islower()) + MARKS
LETTERS = UPPER + LOWER
_BARE = str.maketrans("đłøħıß", "dlohis")
_CHINESE = "\u2e80"
"""Where letters begin that are written without gaps."""


def is_of_word(character: str) -> bool:
    """Whether it is a letter or a digit of a script that sets its words apart."""
    return character.isalnum() and character < _CHINESE


def bare(word: str) -> str:
    """A word in small letters without marks, as lists of names spell it: `Đặng` is `dang`."""
    apart = unicodedata.normalize("NFD", word.lower())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_BARE)
