"""N-grams that are counted by hand, and vectors beside a slow tf-idf without hashing."""

import math
from collections import Counter

import numpy as np
import pytest

from strop.assistant.nearness import Ngrams, ngrams_of


def test_the_ngrams_of_words_and_of_characters():
    assert ngrams_of("Is ＤＯＧ 我的狗x!") == [
        *("<is", "is>", "<is>"),
        *("<do", "dog", "og>", "<dog", "dog>"),
        *("我", "的", "狗", "我的", "的狗"),
        "<x>",
    ]
    assert ngrams_of(" _!。 ") == []


def test_vectors_are_tf_idf():
    texts = ["a dog, a dog", "a cat", "花生", ""]
    counts = [Counter(ngrams_of(text)) for text in texts]

    def weights(count):
        known = {ngram: sum(ngram in one for one in counts) for ngram in count}
        found = {n: (1 + math.log(count[n])) * (math.log(5 / (1 + known[n])) + 1) for n in count}
        length = math.sqrt(sum(value**2 for value in found.values()))
        return {n: value / length for n, value in found.items()}

    slow = [weights(count) for count in counts]
    expected = [[sum(one[n] * other.get(n, 0.0) for n in one) for other in slow] for one in slow]
    vectors = Ngrams()(texts)
    assert vectors.shape == (4, 4096)
    assert vectors @ vectors.T == pytest.approx(np.array(expected), abs=1e-12)
    assert expected[3][3] == 0.0


def test_half_a_character_is_read():
    assert Ngrams(size=8)(["\ud83d", "a\ud83d"]).shape == (2, 8)


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="size=0: it is at least 1"):
        Ngrams(size=0)
