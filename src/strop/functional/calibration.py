"""How far the probabilities of choices can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 10


def brier_score(probs: Sequence[Sequence[float]], answers: Sequence[int]) -> float:
    """The mean squared distance of the probabilities from 1 at the answer and 0 elsewhere; 0 is best, 2 worst.

    Brier 1950, with all choices summed.
    """
    rows = zip(probs, answers, strict=True)
    return float(np.mean([sum((p - (i == answer)) ** 2 for i, p in enumerate(row)) for row, answer in rows]))


def calibration_error(confidence: Sequence[float], is_right: Sequence[bool], bins: int = BINS) -> float:
    """The expected calibration error: |share of right ones - mean confidence| in bins of equal width, weighted by size.

    Naeini et al. 2015; Guo et al. 2017 (1706.04599, eq. 3). `confidence` is the probability of what was chosen, and bin
    m of M holds ((m - 1) / M, m / M].
    """
    confidence_N, is_right_N = np.asarray(confidence), np.asarray(is_right, dtype=float)
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(int) - 1, 0, bins - 1)
    gaps = [
        (bin_N == m).sum() * abs(is_right_N[bin_N == m].mean() - confidence_N[bin_N == m].mean())
        for m in np.unique(bin_N)
    ]
    return float(sum(gaps) / len(confidence_N))
