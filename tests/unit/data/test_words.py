from itertools import islice

import pytest

from strop.data.words import draw_sets, nouns, split_words, with_article


def test_nouns_are_plain_sorted_and_different():
    words = nouns()
    assert len(words) >= 300
    assert list(words) == sorted(set(words))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


def test_no_noun_is_another_ones_plural():
    words = set(nouns())
    assert not {word for word in words if {word + "s", word + "es"} & words}


def test_a_split_shares_no_word_and_depends_on_words_and_seed_only():
    train, held_out = split_words(nouns(), num_held_out=72)
    assert not set(train) & set(held_out)
    assert len(held_out) == 72
    assert set(train) | set(held_out) == set(nouns())
    assert split_words(nouns()[::-1], num_held_out=72) == (train, held_out)
    assert split_words(nouns(), num_held_out=72, seed=1)[1] != held_out


def test_every_word_is_used_once_before_any_is_used_again():
    sets = list(islice(draw_sets(tuple("abcdefg"), size=3), 4))
    assert all(len(set(words)) == 3 for words in sets)
    assert not set(sets[0]) & set(sets[1])
    assert not set(sets[2]) & set(sets[3])


def test_impossible_sizes_are_errors():
    with pytest.raises(ValueError, match="hold out 1 to 1 of 2 words"):
        split_words(("a", "b"), num_held_out=2)
    with pytest.raises(ValueError, match="a set has 1 to 2 of 2 words"):
        next(draw_sets(("a", "b"), size=3))


def test_articles():
    assert [with_article(noun) for noun in ("lamp", "acorn")] == ["a lamp", "an acorn"]
