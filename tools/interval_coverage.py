"""How often the intervals of strop.evaluate hold the true mean; docs/decisions/0015-intervals.md quotes it.

python tools/interval_coverage.py

Right-or-wrong scores are counted, every outcome with its probability, so nothing of theirs is chance. Other scores are
simulated. A sample that tells no interval (all of it is equal) is left out, as there is nothing that could be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from strop.evaluate import interval, paired_difference
from strop.intervals import Interval

SIZES = (8, 20, 48)
CHANCES = np.linspace(0.02, 0.98, 49)
RUNS = 20_000
Draw = Callable[[np.random.Generator, int], np.ndarray]
SCORES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda dice, n: dice.normal(size=n), 0.0),
    "exponential": (lambda dice, n: dice.exponential(size=n), 1.0),
    "difference of two exponential": (lambda dice, n: dice.exponential(size=n) - dice.exponential(size=n), 0.0),
    "0, 1/2, 1 with chances .1, .1, .8": (lambda dice, n: dice.choice([0.0, 0.5, 1.0], n, p=[0.1, 0.1, 0.8]), 0.85),
    "0, 2 with chances .1, .9": (lambda dice, n: dice.choice([0.0, 2.0], n, p=[0.1, 0.9]), 1.8),
    "lognormal": (lambda dice, n: dice.lognormal(size=n), math.exp(0.5)),
    "0 in nine of ten, else exponential": (lambda dice, n: dice.exponential(size=n) * (dice.random(n) < 0.1), 0.1),
}


def of_proportion(n: int, chances: np.ndarray) -> np.ndarray:
    """Of n scores that are 1 with each of these chances."""
    held = np.zeros(len(chances))
    for ones in range(n + 1):
        found = interval([1.0] * ones + [0.0] * (n - ones))
        held += float(math.comb(n, ones)) * chances**ones * (1 - chances) ** (n - ones) * _holds(found, chances)
    return held


def of_change(n: int, gain: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Of the paired difference of n prompts, each a gain or a loss with these chances."""
    held, same = np.zeros(len(gain)), np.clip(1 - gain - loss, 0.0, 1.0)
    for gains in range(n + 1):
        for losses in range(n + 1 - gains):
            rest = n - gains - losses
            found = paired_difference([0.0] * gains + [1.0] * (n - gains), [1.0] * (n - losses) + [0.0] * losses)
            ways = float(math.comb(n, gains) * math.comb(n - gains, losses))
            held += ways * gain**gains * loss**losses * same**rest * _holds(found, gain - loss)
    return held


def pairs(correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """The chances of a gain and of a loss, for all chances before and after that this correlation allows."""
    before, after = (grid.ravel() for grid in np.meshgrid(CHANCES, CHANCES))
    both = before * after + correlation * np.sqrt(before * (1 - before) * after * (1 - after))
    gain, loss = after - both, before - both
    possible = np.min([both, gain, loss, 1 - both - gain - loss], axis=0) > -1e-12
    return np.clip(gain[possible], 0.0, 1.0), np.clip(loss[possible], 0.0, 1.0)


def simulated(draw: Draw, mean: float, n: int, runs: int = RUNS) -> float:
    """Of the mean of n scores."""
    dice = np.random.default_rng(n)
    found = [interval(draw(dice, n)) for _ in range(runs)]
    return float(np.mean([_holds(one, mean) for one in found if not one.reason]))


def _holds(found: Interval, mean: np.ndarray | float) -> np.ndarray:
    return (found.low - 1e-9 <= mean) & (mean <= found.high + 1e-9)


def main() -> None:
    """Print the tables as Markdown."""
    print("| right or wrong, counted | 8 | 20 | 48 |\n|---|---|---|---|")
    _row("a mean", [of_proportion(n, CHANCES) for n in SIZES])
    _row("the paired difference, both chances equal, uncorrelated", [_equal(n) for n in SIZES])
    for correlation in (-0.5, 0.0, 0.3, 0.6, 0.9):
        _row(f"the paired difference, correlation {correlation:g}", [of_change(n, *pairs(correlation)) for n in SIZES])
    print("\n| any other scores, simulated | 8 | 20 | 48 |\n|---|---|---|---|")
    for name, (draw, mean) in SCORES.items():
        print(f"| {name} | " + " | ".join(f"{simulated(draw, mean, n):.1%}" for n in SIZES) + " |", flush=True)


def _equal(n: int) -> np.ndarray:
    return of_change(n, CHANCES * (1 - CHANCES), CHANCES * (1 - CHANCES))


def _row(name: str, coverages: list[np.ndarray]) -> None:
    print(f"| {name} | " + " | ".join(f"{one.min():.1%}, {one.mean():.1%}" for one in coverages) + " |", flush=True)


if __name__ == "__main__":
    main()
