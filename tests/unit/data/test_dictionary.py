"""IBM Model 1 by hand, and translation word by word."""

from __future__ import annotations

import pytest

import small_pairs
from strop.data.dictionary import NULL, joined, learnt, model_1, units_of
from strop.data.pairs import Pair
from strop.data.vocabulary import trained

HOUSE = [(["the", "house"], ["das", "Haus"]), (["the", "book"], ["das", "Buch"])]


def test_the_first_round_by_hand():
    """Every source has three words with NULL, so each target word counts 1/3 for each of them.

    the:   das 2/3, Haus 1/3, Buch 1/3, of 4/3      NULL: the same
    house: das 1/3, Haus 1/3, of 2/3
    """
    table = model_1(HOUSE, 1)
    for word in ("the", NULL):
        assert table[word] == pytest.approx({"das": 1 / 2, "Haus": 1 / 4, "Buch": 1 / 4})
    assert table["house"] == pytest.approx({"das": 1 / 2, "Haus": 1 / 2})
    assert table["book"] == pytest.approx({"das": 1 / 2, "Buch": 1 / 2})


def test_the_second_round_by_hand():
    """das in either pair: the, NULL and house (or book) have 1/2 each, so each counts 1/3.
    Haus: the 1/4, NULL 1/4, house 1/2, so 1/4, 1/4, 1/2.

    the:   das 2/3, Haus 1/4, Buch 1/4, of 7/6, so 4/7, 3/14, 3/14
    house: das 1/3, Haus 1/2, of 5/6, so 2/5, 3/5
    """
    table = model_1(HOUSE, 2)
    assert table["the"] == pytest.approx({"das": 4 / 7, "Haus": 3 / 14, "Buch": 3 / 14})
    assert table["house"] == pytest.approx({"das": 2 / 5, "Haus": 3 / 5})


def slowly(pairs, rounds):
    """The same with dicts of dicts, as the formulas are written."""
    pairs = [([NULL, *source], target) for source, target in pairs]
    t = {(f, e): 1.0 for source, target in pairs for f in target for e in source}
    for _ in range(rounds):
        count = dict.fromkeys(t, 0.0)
        for source, target in pairs:
            for f in target:
                total = sum(t[f, e] for e in source)
                for e in source:
                    count[f, e] += t[f, e] / total
        t = {(f, e): count[f, e] / sum(count[g, d] for g, d in count if d == e) for f, e in t}
    return t


def test_words_that_occur_twice_in_a_pair_count_twice():
    pairs = [(["a", "a", "b"], ["x", "x"]), (["b", "c"], ["y"]), (["a"], [])]
    expected = slowly(pairs, 3)
    table = model_1(pairs, 3)
    assert {(f, e): t for e, row in table.items() for f, t in row.items()} == pytest.approx(expected)


def dictionary():
    """From sentences with one character for each word, and of 40 of them also with `the`, which is none."""
    first = {word: other[0] for word, other in small_pairs.WORDS.items()}
    sources = [source for source, _ in small_pairs.sentences()]
    pairs = [Pair(text, "".join(first[word] for word in text.split()), "") for text in sources]
    pairs += [Pair(f"{pair.source} the", f"{pair.target}的", "") for pair in pairs[:40]]
    pairs += [Pair(pair.source, f"{pair.target}的", "") for pair in pairs[:80]]
    return learnt(pairs, trained("character", 600, lambda: [pair.target for pair in pairs]))


def test_a_toy_language_is_learnt_and_unknown_words_stay():
    found = dictionary()
    assert found.translated("delete blue page") == "删蓝页"
    assert found.translated("Delete the BLUE %(name)s") == "删蓝%(name)s"
    assert found.translated("delete quux") == "删quux"
    assert found.translated("") == ""


def test_words_are_divided_where_a_script_has_no_spaces():
    tokenizer = trained("bpe", 600, lambda: ["删除页面", "删除文件", "打开页面"] * 20)
    units = units_of(tokenizer)
    assert "".join(units("删除PDF文件，%(a)s！")) == "删除PDF文件，%(a)s！"
    assert "删除" in units("删除PDF文件")
    assert units("don't save it: {x}.") == ["don't", "save", "it", ":", "{x}", "."]
    assert units("龘") == ["龘"]  # spelt in bytes by the tokenizer, and one unit still


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (["Save", "the", "page", "."], "Save the page."),
        (["a", ",", "b"], "a, b"),
        (["删除", "PDF", "文件"], "删除PDF文件"),
        (["%s", "page"], "%s page"),
        ([], ""),
    ],
)
def test_words_are_joined_as_their_script_writes_them(units, text):
    assert joined(units) == text
