"""Words and runs of words as 64-bit hashes, for many documents at once.

A word is a run of letters, marks and digits, of any case. Where a script writes no spaces, each letter is a word:
Chinese characters, kana, Thai, Lao, Burmese and Khmer. With `signs` each sign of punctuation or mathematics is one too:
"a + b" is no duplicate of "a - b".
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

APART, LETTER, ALONE = 0, 1, 2
"""Of a character: it separates words, it is a part of one, it is one."""
CHINESE_AND_KANA = (
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
WITHOUT_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
"""Scripts whose vowels are marks on a letter: here the marks separate nothing and count nothing."""
SIZES = (1 << 7, 1 << 16, sys.maxunicode + 1)
"""Code points that are looked up in advance: ASCII, the first plane, or all, which takes a third of a second."""
LONGEST = 64
"""Powers of the polynomial that hashes a word; a longer word uses them again."""
ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""The multipliers of splitmix64."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of D documents, one after another.

    hashes_W  of each word; the same word, in any case, has the same one
    ends_D    how many words stand before the end of each document
    at_W      where each begins in its document, in characters
    """

    hashes_W: np.ndarray
    ends_D: np.ndarray
    at_W: np.ndarray

    @property
    def counts_D(self) -> np.ndarray:
        """The number of words of each document."""
        return np.diff(self.ends_D, prepend=0)


def words_of(texts: Sequence[str], signs: bool = False) -> Words:
    """The words of these documents; with `signs` also the signs between them."""
    codes, ends = _codes(texts)
    kinds = _kinds(signs, next(size for size in SIZES if codes.max(initial=0) < size))[codes]
    is_letter = kinds == LETTER
    is_first = kinds == ALONE
    is_first[0] |= is_letter[0]
    is_first[1:] |= is_letter[1:] & ~is_letter[:-1]
    inside = np.flatnonzero(kinds)
    first = np.flatnonzero(is_first[inside])
    lengths = np.diff(first, append=len(inside))
    offsets = np.arange(len(inside)) - np.repeat(first, lengths)
    letters = mixed(codes[inside].astype(np.uint64)) * _powers()[offsets % LONGEST]
    hashes_W = np.add.reduceat(letters, first) if len(first) else np.zeros(0, np.uint64)
    positions = inside[first]
    ends_D = np.searchsorted(positions, ends)
    begins = np.concatenate([[0], ends[:-1] + 1])
    return Words(hashes_W, ends_D, positions - np.repeat(begins, np.diff(ends_D, prepend=0)))


def shingles(words: Words, length: int, shorter: bool) -> tuple[np.ndarray, np.ndarray]:
    """(hash of each run of `length` words within a document, the word that each begins at).

    With `shorter`, the words of a document of fewer words are one run.
    """
    ends_W = np.repeat(words.ends_D, words.counts_D)
    at = np.arange(len(ends_W))
    is_run = at + length <= ends_W
    if shorter:
        is_run |= at == np.repeat(words.ends_D - words.counts_D, words.counts_D)
    at, ends = at[is_run], ends_W[is_run]
    padded = np.concatenate([words.hashes_W, np.zeros(length, np.uint64)])
    hashes = np.zeros(len(at), np.uint64)
    for offset in range(length):
        hashes = hashes * np.uint64(ODD[0]) + np.where(at + offset < ends, padded[at + offset], np.uint64(0))
    return mixed(hashes), at


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Each 64-bit number, so that every bit of it depends on all of them (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(ODD[1])
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(ODD[2])
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(the code points of the texts in lower case, with a 0 after each; where these are)."""
    lowered = (low if len(low := text.lower()) == len(text) else text for text in texts)
    codes = np.frombuffer("".join(f"{text}\0" for text in lowered).encode("utf-32-le"), np.uint32)
    return codes, np.flatnonzero(codes == 0)


@cache
def _kinds(signs: bool, size: int) -> np.ndarray:
    """APART, LETTER or ALONE for each of the first code points."""
    categories = "".join(unicodedata.category(chr(code))[0] for code in range(size))
    kinds = np.isin(np.frombuffer(categories.encode(), np.uint8), list(b"LMN")).astype(np.uint8)
    is_mark = np.frombuffer(categories.encode(), np.uint8) == ord("M")
    for low, high in CHINESE_AND_KANA + WITHOUT_SPACES:
        kinds[low : high + 1] *= ALONE
    for low, high in WITHOUT_SPACES:
        kinds[low : high + 1][is_mark[low : high + 1]] = APART
    if signs:
        kinds[np.isin(np.frombuffer(categories.encode(), np.uint8), list(b"PS"))] = ALONE
    return kinds


@cache
def _powers() -> np.ndarray:
    """An odd multiplier for each place in a word."""
    return mixed(np.arange(1, LONGEST + 1, dtype=np.uint64) * np.uint64(ODD[0])) | np.uint64(1)
