"""How far what people say can be believed: whether they prefer what stands first, and whether they agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from strop.assistant.records import Comparison, Feedback, last_words
from strop.intervals import Interval, proportion


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha: 1 if all agree, 0 as by chance, below 0 less than that. NaN, with a reason, if unknown."""

    alpha: float
    units: int
    raters: int
    reason: str = ""


def position_bias(feedback: Iterable[Feedback]) -> Interval:
    """The share of comparisons in which the one that stood first was chosen, of those with a better one: .5 is none.

    Comparisons whose order is not known do not count.
    """
    compared = (one.value for one in feedback if isinstance(one.value, Comparison))
    first = [one.choice == one.shown_first for one in compared if one.better is not None and one.shown_first]
    if not first:
        return Interval(math.nan, math.nan, math.nan, "no comparison has a better one and a known order")
    return Interval(sum(first) / len(first), *proportion(sum(first), len(first)))


def agreement(feedback: Sequence[Feedback], kind: str) -> Agreement:
    """How far people agree on thumbs, or on comparisons, where two or more judged the same."""
    units: dict[tuple[str, ...], dict[str, Hashable]] = {}
    for one in last_words(feedback):
        if one.kind == kind:
            value = one.value
            label = (value.better or value.choice) if isinstance(value, Comparison) else value
            units.setdefault(one.target, {})[one.rater] = label
    shared = {unit: labels for unit, labels in units.items() if len(labels) > 1}
    raters = {rater for labels in shared.values() for rater in labels}
    alpha = nominal_alpha(list(shared.values()))
    reason = "" if not math.isnan(alpha) else "no two people judged the same" if not shared else "all said the same"
    return Agreement(alpha, len(shared), len(raters), reason)


def nominal_alpha(units: Sequence[Mapping[str, Hashable]]) -> float:
    """Krippendorff's alpha for labels without order: 1 - D_observed / D_expected (2019, Content Analysis, ch. 12).

    `units` are what was judged: the label by rater. Those with one rater do not count. NaN where there are none, or
    only one label.
    """
    pairs: Counter[tuple[Hashable, Hashable]] = Counter()
    for labels in units:
        for first, second in permutations(labels.values(), 2):
            pairs[first, second] += 1 / (len(labels) - 1)  # type: ignore[assignment]
    totals: Counter[Hashable] = Counter()
    for (first, _), count in pairs.items():
        totals[first] += count
    n = sum(totals.values())
    observed = sum(count for (first, second), count in pairs.items() if first != second)
    expected = sum(totals[first] * totals[second] for first, second in permutations(totals, 2))
    return 1.0 - (n - 1) * observed / expected if expected else math.nan
