"""Words and runs of words, against Python's own sets of tuples."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from strop.data.shingles import shingles, words_of

TEXTS = [
    "The cat's 2 kittens, THE Cat!",
    "",
    "， 。!?",
    "春眠不覺曉，處處聞啼鳥。",
    "Ünïcode e\u0301 kana カタカナ mixed世界words हिन्दी",
    "ราตรี",
    "a" * 200 + " " + "a" * 199,
    "one",
    "the cat s 2 kittens the cat",
]
ALONE = ("CJK", "HIRAGANA", "KATAKANA", "THAI CHARACTER")


def slow_words(text: str) -> list[str]:
    """Letter by letter: a word is a run of letters, marks and digits; a character of a script without spaces is one."""
    words, before = [], False
    for letter in text.lower():
        name, kind = unicodedata.name(letter, ""), unicodedata.category(letter)[0]
        if name.startswith(ALONE):
            words += [letter] if kind != "M" else []
            before = False
        elif kind in "LMN":
            words += [words.pop() + letter] if before else [letter]
            before = True
        else:
            before = False
    return words


def test_equal_words_and_only_these_have_equal_hashes():
    words = words_of(TEXTS)
    expected = [word for text in TEXTS for word in slow_words(text)]
    assert words.counts_D.tolist() == [len(slow_words(text)) for text in TEXTS]
    assert len(words.hashes_W) == len(expected)
    pairs = set(zip(expected, words.hashes_W.tolist(), strict=True))
    assert len(pairs) == len(set(expected)) == len({code for _, code in pairs})


def test_a_words_hash_does_not_depend_on_its_neighbours():
    alone = words_of(["kittens"]).hashes_W.item()
    assert words_of(TEXTS).hashes_W[4] == alone
    assert words_of(["x 世kittens,"]).hashes_W[-1] == alone


def test_each_word_knows_where_it_begins():
    words = words_of(["  The cat", "世界 cat"])
    assert words.at_W.tolist() == [2, 6, 0, 1, 3]
    assert words.ends_D.tolist() == [2, 5]


def test_runs_are_those_of_each_document_alone():
    words = words_of(TEXTS)
    for length, shorter in ((5, True), (5, False), (2, True), (13, False)):
        hashes, at = shingles(words, length, shorter)
        runs: list[tuple[str, ...]] = []
        for text in TEXTS:
            one = slow_words(text)
            runs += [tuple(one[i : i + length]) for i in range(len(one) - length + 1)]
            runs += [tuple(one)] if shorter and 0 < len(one) < length else []
        assert len(hashes) == len(runs)
        assert ((hashes[:, None] == hashes) == np.array([[a == b for b in runs] for a in runs])).all()
        assert (np.diff(at) > 0).all()


@pytest.mark.parametrize("letter", ["\x80", "\u00ff", "\uffff", "\U00010000", "\U0010ffff"])
def test_every_code_point_is_known_whichever_others_stand_there(letter):
    alone, beside = words_of([letter], signs=True), words_of([letter, "\U0010ffff"], signs=True)
    assert len(alone.hashes_W) == unicodedata.category(letter).startswith("L")
    assert beside.hashes_W.tolist() == alone.hashes_W.tolist()
