"""N-grams as numbers, their counts, and the distributions made of them: by hand, and beside a slow reference."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from strop.functional import smoothing
from strop.functional.ngrams import Contexts, Counts
from strop.functional.smoothing import Interpolated, add_k, discount_of, kneser_ney
from strop.types import Tokens
from strop.verify.counting import Slow

A, B, C, D = range(4)


def read(tokens: Tokens, size: int, end: int | None, order: int) -> tuple[Counts, Contexts]:
    """The counts of a text's tokens, and the numbers of its contexts."""
    contexts = Contexts.of(size, order, end)
    tokens_1T = np.array([tokens])
    return Counts().plus((contexts.before(tokens_1T) * contexts.base + tokens_1T)[0]), contexts


# ------------------------------------------------------------ by hand

TEXT = (A, B, A, C, A, B, B, A, B, D)
"""Ten words. Bigrams: ^a 1, ab 3, ba 2, ac 1, ca 1, bb 1, bd 1."""


def by_hand(discount: float | None, size: int = 4) -> tuple[Interpolated, Contexts]:
    counts, contexts = read(TEXT, size, None, order=2)
    return kneser_ney(counts.whole, contexts, size, discount), contexts


def test_kneser_ney_of_ten_words_by_hand() -> None:
    # different words before a: ^ b c = 3; b: a b = 2; c: a = 1; d: b = 1; of 7 bigrams
    lower = {A: Fraction(3, 7), B: Fraction(2, 7), C: Fraction(1, 7), D: Fraction(1, 7)}
    half = Fraction(1, 2)
    # after a: b 3, c 1 of 4, two kinds; after b: a 2, b 1, d 1 of 4, three kinds; after c: a 1 of 1; after d: nothing
    after = {
        A: [2 * half / 4 * lower[A], (3 - half) / 4 + 2 * half / 4 * lower[B], half / 4 + 2 * half / 4 * lower[C],
            2 * half / 4 * lower[D]],
        B: [(2 - half) / 4 + 3 * half / 4 * lower[A], half / 4 + 3 * half / 4 * lower[B], 3 * half / 4 * lower[C],
            half / 4 + 3 * half / 4 * lower[D]],
        C: [half + half * lower[A], half * lower[B], half * lower[C], half * lower[D]],
        D: list(lower.values()),
    }  # fmt: skip
    model, _ = by_hand(0.5)
    for context, expected in after.items():
        assert sum(expected) == 1
        assert np.exp(model.logprobs(np.array([context])))[0] == pytest.approx([float(p) for p in expected], rel=1e-14)


def test_words_that_were_never_seen_share_what_the_lowest_level_frees() -> None:
    # six words, of which e and f were not seen: each of the 4 others loses 1/2 of its continuations; they get 2/7 / 2
    model, _ = by_hand(0.5, size=6)
    expected = [(3 - 0.5) / 7, (2 - 0.5) / 7, 0.5 / 7, 0.5 / 7, 1 / 7, 1 / 7]
    assert np.exp(model.logprobs(np.array([D])))[0] == pytest.approx(expected, rel=1e-14)


def test_discounts_are_those_of_ney_and_others() -> None:
    # raw bigrams: five were seen once, one twice: 5 / 7. Continuations 3 2 1 1: two once, one twice: 2 / 4
    model, _ = by_hand(None, size=6)
    assert np.exp(model.logprobs(np.array([A])))[0, D] == pytest.approx(2 * (5 / 7) / 4 * (0.5 / 7), rel=1e-14)
    assert model.lowest_V == pytest.approx([2.5 / 7, 1.5 / 7, 0.5 / 7, 0.5 / 7, 1 / 7, 1 / 7])
    assert discount_of(np.array([1, 1, 1, 2, 5])) == 3 / 5
    assert discount_of(np.array([1, 1, 3])) == discount_of(np.array([2, 2])) == discount_of(np.array([], int)) == 0.5


def test_add_k_by_hand() -> None:
    counts, contexts = read(TEXT, 4, None, order=2)
    model = add_k(counts.whole, contexts, 4, 0.25)
    assert np.exp(model.logprobs(np.array([A, D])))[0] == pytest.approx([0.25 / 5, 3.25 / 5, 1.25 / 5, 0.25 / 5])
    assert np.exp(model.logprobs(np.array([A, D])))[1] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_before_anything_is_counted_every_distribution_is_uniform(order: int) -> None:
    contexts = Contexts.of(5, order, None)
    for model in (add_k(Counts().whole, contexts, 5, 0.1), kneser_ney(Counts().whole, contexts, 5, None)):
        assert np.exp(model.logprobs(np.array([0, contexts.beginning]))) == pytest.approx(np.full((2, 5), 0.2))


# ------------------------------------------------------------ random corpora


def corpus(seed: int) -> tuple[Tokens, int, int | None, int]:
    """Tokens, the size of the vocabulary, its end token or None, and an order."""
    rng = np.random.default_rng(seed)
    size, order = int(rng.integers(2, 51)), 1 + seed % 4
    end = size - 1 if seed % 8 < 4 else None
    weights = rng.dirichlet(np.full(size, rng.choice([0.05, 0.3, 2.0])))
    return tuple(rng.choice(size, p=weights, size=int(rng.integers(1, 200))).tolist()), size, end, order


@pytest.mark.parametrize("seed", range(16))
def test_kneser_ney_sums_to_1_in_every_context_and_is_its_definition(seed: int) -> None:
    tokens, size, end, order = corpus(seed)
    counts, contexts = read(tokens, size, end, order)
    rng = np.random.default_rng(seed)
    some = [tuple(rng.integers(size, size=rng.integers(0, 6)).tolist()) for _ in range(20)]
    prefixes = [*(tokens[:i] for i in range(len(tokens))), *some]
    numbers_N = contexts.behind(prefixes)
    assert np.array_equal(numbers_N[: len(tokens)], contexts.before(np.array([tokens]))[0])
    for discount in (None, 0.9):
        model = kneser_ney(counts.whole, contexts, size, discount)
        probs_NV = np.exp(model.logprobs(numbers_N))
        assert np.abs(probs_NV.sum(-1) - 1.0).max() < 1e-12
        assert probs_NV.min() > 0.0
        tokens_N = rng.integers(size, size=len(numbers_N))
        assert model.probs_of(numbers_N, tokens_N) == pytest.approx(
            np.take_along_axis(probs_NV, tokens_N[:, None], 1)[:, 0], rel=1e-12
        )
    slow = Slow([((), tokens)], order, size, end)
    for prefix, probs_V in list(zip(prefixes, probs_NV, strict=True))[-22::3]:
        expected = [float(p) for p in slow.kneser_ney(prefix, Fraction(9, 10))]
        assert probs_V == pytest.approx(expected, rel=1e-11)


def test_a_probability_that_is_too_small_for_a_float_has_a_finite_logarithm() -> None:
    counts, contexts = read(TEXT, 5, None, order=2)
    least = math.nextafter(0.0, 1.0)
    for model in (add_k(counts.whole, contexts, 5, least), kneser_ney(counts.whole, contexts, 5, least)):
        assert np.isfinite(model.logprobs(np.arange(6))).all()


# ------------------------------------------------------------ numbers and counts


@pytest.mark.parametrize("end", [3, None])
def test_a_context_never_looks_beyond_the_beginning_of_a_document(end: int | None) -> None:
    contexts = Contexts.of(4, 4, end)
    mark, base = (3, 4) if end is not None else (4, 5)
    tokens = (0, 1, 2, 3, 1, 0)
    read = contexts.before(np.array([tokens]))[0]
    written = ["^^^", "^^0", "^01", "012", "^^^" if end is not None else "123", "^^1" if end is not None else "231"]
    assert [int(n) for n in read] == [int(text.replace("^", str(mark)), base) for text in written]


def test_an_n_gram_that_is_no_64_bit_number_is_refused_with_the_largest_order() -> None:
    assert Contexts.of(50_000, 4, 0).span == 50_000**3
    with pytest.raises(ValueError, match=r"policy\.order=5: over 50,000 tokens an n-gram has at most 4"):
        Contexts.of(50_000, 5, 0)
    with pytest.raises(ValueError, match="at most 62"):
        Contexts.of(2, 70, 0)
    with pytest.raises(ValueError, match="at most 62"):
        Contexts.of(2, 63, 0)
    assert Contexts.of(2, 62, 0).beginning == 0
    assert Contexts.of(1, 62, None).span == 2**61
    numbers = Contexts.of(2, 62, 1).before(np.ones((1, 70), dtype=np.int64))
    assert set(numbers[0].tolist()) == {2**61 - 1}


def test_counts_of_many_batches_are_those_of_all_at_once() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.geometric(0.001, size=rng.integers(0, 60)) * 1_000_003 for _ in range(60)]
    counts, seen, most = Counts(), Counter[int](), 0
    for batch in batches:
        counts = counts.plus(batch)
        seen.update(batch.tolist())
        sizes = [len(ngrams_M) for ngrams_M, _ in counts.runs]
        assert all(long > 2 * short for long, short in itertools.pairwise(sizes))
        assert counts.num_ngrams == len(seen)
        most = max(most, len(sizes))
    ngrams_M, counts_M = counts.whole
    assert dict(zip(ngrams_M.tolist(), counts_M.tolist(), strict=True)) == dict(seen)
    assert ngrams_M.tolist() == sorted(seen)
    assert most > 2
    assert len(counts.settled().runs) == 1
    assert [len(Counts().plus(np.arange(100)).plus(np.arange(n)).runs) for n in (49, 50, 100)] == [2, 1, 1]
    again = Counts.of(counts.whole).plus(batches[0])
    assert again.num_ngrams == counts.num_ngrams
    assert again.whole[1].sum() == seen.total() + len(batches[0])


# ------------------------------------------------------------ planted


def test_the_checks_see_raw_counts_in_place_of_continuations(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raw:
        """numpy, whose `unique` counts every n-gram as often as there are some."""

        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

        def unique(self, ngrams_M: np.ndarray, return_counts: bool) -> tuple[np.ndarray, np.ndarray]:
            found, counts = np.unique(ngrams_M, return_counts=True)
            return found, counts + 1

    monkeypatch.setattr(smoothing, "np", Raw())
    with pytest.raises(AssertionError):
        test_kneser_ney_of_ten_words_by_hand()
