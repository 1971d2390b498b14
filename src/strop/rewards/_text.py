"""How rewards read a text: words, sentences, the text of a prompt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from strop.types import Prompt

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Thai, kana, Chinese characters
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['-][^\W_{_UNSPACED}]+)*")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"')\]”’]*+(?=\s)|(?<![。！？])[。！？]++[”’」』]*+")
_CLOSED = re.compile(r"[.!?。！？][\"')\]”’]*\s*\Z")


def words_of(text: str) -> list[str]:
    """The words, in lower case. A script without spaces counts a character as a word."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return _WORD.findall(plain)


def ngrams_of(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All n-grams of words, in order."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def sentences_of(text: str) -> list[str]:
    """The sentences that hold at least one word."""
    lines = _SENTENCE_END.sub(lambda end: end[0] + "\n", text).splitlines()
    return [line.strip() for line in lines if words_of(line)]


def is_closed(text: str) -> bool:
    """Whether the text ends with the mark of a finished sentence. A trailing "..." leaves it open."""
    return bool(_CLOSED.search(text)) and not re.search(r"(\.\.|…)[\"')\]”’]*\s*\Z", text)


def prompt_text(prompt: Prompt) -> str:
    """The text of a prompt: the prompt itself, or the contents of its messages."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(message["content"] for message in prompt)


def fall(value: float, full: float, zero: float) -> float:
    """1 up to `full`, then linear down to 0 at `zero`. With `zero` below `full`, 1 from `full` upwards."""
    return min(1.0, max(0.0, (zero - value) / (zero - full)))
