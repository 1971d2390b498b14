"""Is the text in the right script?"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache

from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class InScript:
    """The share of letters, 0 to 1, that are of a script; 0 for a text without letters.

    script  the first word of the names that Unicode gives its letters: CJK for Chinese characters, LATIN, CYRILLIC,
            ARABIC, DEVANAGARI, ...

    A translation that copies its source shows here, whatever its score. Cheated by: any text of that script.
    """

    script: str = "CJK"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.script not in _scripts():
            some = "CJK, LATIN, CYRILLIC, GREEK, ARABIC, HEBREW, DEVANAGARI, HANGUL, HIRAGANA"
            raise ValueError(f"InScript({self.script!r}): Unicode names no letter so. Scripts are {some} and others.")

    def __call__(self, task: Task, episode: Episode) -> float:
        scripts = [_script(letter) for letter in episode.text if letter.isalpha()]
        return scripts.count(self.script) / len(scripts) if scripts else 0.0


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


@cache
def _scripts() -> frozenset[str]:
    """The scripts of all letters."""
    letters = (chr(code) for code in range(sys.maxunicode + 1))
    return frozenset(unicodedata.name(letter, "").partition(" ")[0] for letter in letters if letter.isalpha()) - {""}
