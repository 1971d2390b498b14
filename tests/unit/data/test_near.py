"""Near duplicates at known similarities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from strop.data.near import PLACES, Sketches, jaccard, near_duplicates, rows_for
from strop.data.shingles import words_of
from strop.data.spool import Spool

WORDS = 104
"""Of a planted document: 100 shingles of five words."""


def slow_jaccard(one: str, other: str) -> float:
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (one.split(), other.split())]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def planted(copies: int, changed: int, rng: np.random.Generator) -> list[str]:
    """Pairs of documents, of which the second has its last words replaced.

    m of 104 different words replaced at the end leave 100 - m of 100 shingles, so J = (100 - m) / (100 + m).
    """
    texts = []
    for _ in range(copies):
        numbers = rng.integers(0, 1 << 40, WORDS + changed).tolist()
        words = [f"w{number}" for number in numbers]
        texts += [" ".join(words[:WORDS]), " ".join(words[: WORDS - changed] + words[WORDS:])]
    return texts


def sketched(folder: Path, texts: Sequence[str], near: float, block: int = 50) -> tuple[Spool, Sketches]:
    with Spool(folder / "documents") as spool, Sketches(folder / "sketches", near) as sketches:
        for start in range(0, len(texts), block):
            for text in texts[start : start + block]:
                spool.add("", text, 0)
            sketches.add(words_of(texts[start : start + block]))
    return spool, sketches


def found(folder: Path, texts: Sequence[str], near: float, block: int = 50) -> dict[int, int]:
    spool, sketches = sketched(folder, texts, near, block)
    return near_duplicates(spool, sketches, np.arange(len(texts)), near, print)


@pytest.mark.parametrize(
    ("changed", "similarity", "least", "most"),
    [
        (2, 98 / 102, 1.0, 1.0),
        (5, 95 / 105, 1.0, 1.0),
        (11, 89 / 111, 0.97, 1.0),
        (12, 88 / 112, 0, 0),
        (40, 60 / 140, 0, 0),
    ],
)
def test_recall_is_that_of_the_similarity(tmp_path, changed, similarity, least, most):
    texts = planted(150, changed, np.random.default_rng(changed))
    assert slow_jaccard(texts[0], texts[1]) == pytest.approx(similarity)
    copies = found(tmp_path, texts, near=0.8)
    assert all(copy == original + 1 and original % 2 == 0 for copy, original in copies.items())
    assert least <= len(copies) / 150 <= most


def test_what_is_dropped_is_as_similar_to_what_stays_and_the_first_stays(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    texts = []
    for _ in range(120):  # each is a variant of the same text, so they form one large group
        other = list(words)
        for place in rng.choice(60, rng.integers(0, 5), replace=False):
            other[place] = f"x{rng.integers(1 << 30)}"
        texts.append(" ".join(other))
    copies = found(tmp_path, texts, near=0.8)
    assert 0 not in copies
    for copy, original in copies.items():
        assert original < copy
        assert original not in copies
        assert slow_jaccard(texts[copy], texts[original]) >= 0.8
    kept = [text for i, text in enumerate(texts) if i not in copies]
    close = [slow_jaccard(a, b) >= 0.8 for i, a in enumerate(kept) for b in kept[:i]]
    assert sum(close) <= 0.02 * len(close)


def test_chinese_characters_are_words_and_short_documents_are_one_shingle(tmp_path):
    poem = "春眠不覺曉處處聞啼鳥夜來風雨聲花落知多少紅豆生南國春來發幾枝願君多采擷此物最相思"
    texts = [poem, poem[:-1] + "憶", "Hello World", "hello world", "hello word", "...", "?!", ""]
    assert found(tmp_path, texts, near=0.8) == {1: 0, 3: 2}


def test_signs_tell_texts_apart(tmp_path):
    texts = ["1 + 2", "1 - 2", "1 * 2", "1 / 2", "Yes!", "Yes?", "🙂", "🙁", "f(x)", "f[x]"]
    assert found(tmp_path, texts, near=0.8) == {}


def test_documents_that_were_not_given_are_not_compared(tmp_path):
    texts = planted(3, 2, np.random.default_rng(1))
    spool, sketches = sketched(tmp_path, texts, 0.8)
    assert near_duplicates(spool, sketches, np.array([0, 1, 2, 5]), 0.8, print) == {1: 0}


def test_of_documents_that_agree_in_a_band_each_is_compared_with_the_first_and_the_one_before(tmp_path):
    with Sketches(tmp_path / "sketches", 0.8) as sketches:
        pass
    agreeing = np.array(
        [[7, 1], [7, 2], [5, 3], [7, 4], [9, 1], [7, 6], [0, 8], [0, 9]], np.uint32
    )  # 0: it has no words
    others = np.zeros((8, sketches.num_bands - 2), np.uint32)
    sketches.file.write_bytes(np.concatenate([agreeing, others], axis=1).tobytes())
    expected = [(0, 1), (0, 3), (1, 3), (0, 4), (0, 5), (3, 5)]
    assert [tuple(pair) for pair in sketches.candidates(np.arange(8)).tolist()] == expected
    assert [tuple(pair) for pair in sketches.candidates(np.array([1, 2, 5, 6])).tolist()] == [(1, 5)]


@pytest.mark.parametrize("near", [0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_band_has_as_many_places_as_find_a_pair(near):
    rows = rows_for(near)

    def missed(rows: int) -> float:
        """The probability that no band agrees, band by band."""
        none = 1.0
        for _ in range(PLACES // rows):
            none *= 1.0 - near**rows
        return none

    assert missed(rows) <= 0.01
    assert all(missed(more) > 0.01 for more in range(rows + 1, PLACES + 1))


def test_jaccard_of_sorted_sets():
    assert jaccard(np.array([1, 2, 3], np.uint64), np.array([2, 3, 4, 5], np.uint64)) == 2 / 5
