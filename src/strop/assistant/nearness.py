"""Which texts are near each other, from the letters that they share: no model, no download."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from strop.types import check_fields

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Thai, kana, Chinese characters
_RUN = re.compile(rf"([{_UNSPACED}]+)|[^\W_{_UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Ngrams:
    """Texts as unit vectors: tf-idf of their character n-grams, hashed into `size` places.

    Words give n-grams of 3 and 4 letters, their borders included, so "dogs" is near "dog"; scripts without spaces give
    characters and pairs of them. What stands in many of the given texts weighs less, with the smooth idf of
    scikit-learn, ln((1 + N) / (1 + df)) + 1; a count enters as 1 + ln(count).
    """

    size: int = 4096

    def __post_init__(self) -> None:
        check_fields(self)
        if self.size < 1:
            raise ValueError(f"size={self.size}: it is at least 1.")

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """One unit vector for each text, [N, size], float64; zeros for a text without letters and digits."""
        counts_NF = np.zeros((len(texts), self.size))
        for n, text in enumerate(texts):
            for ngram, count in Counter(ngrams_of(text)).items():
                counts_NF[n, zlib.crc32(ngram.encode("utf-8", "surrogatepass")) % self.size] += count
        is_there_NF = counts_NF > 0
        idf_F = np.log((1 + len(texts)) / (1 + is_there_NF.sum(axis=0))) + 1
        weights_NF = np.where(is_there_NF, 1 + np.log(np.maximum(counts_NF, 1)), 0) * idf_F
        norms_N1 = np.linalg.norm(weights_NF, axis=1, keepdims=True)
        vectors_NF: np.ndarray[Any, Any] = weights_NF / np.where(norms_N1 > 0, norms_N1, 1)
        return vectors_NF


def ngrams_of(text: str) -> list[str]:
    """The n-grams of a text in order; letters are compared without case and width."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    found: list[str] = []
    for run in _RUN.finditer(plain):
        word, sizes = (run[0], (1, 2)) if run[1] else (f"<{run[0]}>", (3, 4))
        found += [word[i : i + n] for n in sizes for i in range(len(word) - n + 1)]
    return found
