"""The allowed ranges of config fields: each bound, with numbers just inside and just outside of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, nan
from typing import Any

from strop.functional import bounds
from strop.functional.ratios import check_clip
from strop.verify.checks import Gap

Cases = list[tuple[Callable[..., None], list[Any], list[Any]]]
"""(check, accepted values, refused values)."""
NUMBERS: Cases = [
    (partial(bounds.check_at_least, "x", least=1), [1, 1.5, inf], [0.999, -inf, nan, None]),
    (partial(bounds.check_at_least, "x", least=1, none="is off"), [None, 1], [0]),
    (partial(bounds.check_positive, "x"), [1e-300, 1.0, 1e300], [0.0, -1.0, inf, nan, None]),
    (partial(bounds.check_positive, "x", none="is off"), [None], [0.0]),
    (partial(bounds.check_not_negative, "x"), [0.0, 1.0, 1e300], [-1e-300, inf, nan, None]),
    (partial(bounds.check_finite, "x"), [-1e300, 0.0], [inf, -inf, nan, None]),
    (partial(bounds.check_share, "x"), [0.0, 0.5, 1.0], [-1e-300, 1.001, nan, None]),
    (partial(bounds.check_positive_share, "x"), [1e-300, 1.0], [0.0, 1.001, nan, None]),
    (partial(bounds.check_below, "x", end=0.5), [0.0, 0.499], [-1e-300, 0.5, nan, None]),
]
CLIPS: Cases = [
    (lambda clip: check_clip(*clip), [(0.0, 0.0), (1.0, 5.0), (0.2, 0.28, 1.28), (0.2, 0.5, inf)],
     [(-0.001, 0.2), (1.001, 0.2), (0.2, -0.001), (nan, 0.2), (0.2, nan), (0.2, 0.28, 1.27)]),
]  # fmt: skip


def passes(check: Callable[..., None], given: Any) -> bool:
    """Whether the check accepts it."""
    try:
        check(value=given) if isinstance(check, partial) else check(given)
    except ValueError:
        return False
    return True


def check_bounds() -> Gap:
    """fields: numbers at their bounds are accepted, those just outside refused (number of mistakes)."""
    wrong = 0
    for check, allowed, refused in NUMBERS + CLIPS:
        wrong += sum(not passes(check, given) for given in allowed) + sum(passes(check, given) for given in refused)
    return Gap(float(wrong), 0.0)
