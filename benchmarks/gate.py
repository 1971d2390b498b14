"""How often the assistant's gate is wrong, and how many comparisons it takes to open: simulated, by its own code.

    python benchmarks/gate.py            # minutes; results/gate.json, and the tables of docs/assistant.md and its twin
    python benchmarks/gate.py --page     # only write the pages from what was measured

Versions that should not be promoted: no better, worse, or better with a skill that fell by the margin or more; each
gate is looked at once, at the end, and after every 10 items, where the first time that it opens counts. Versions that
should: how many gates are open after so many comparisons, looked at after every 10.

Canaries: conversations come one by one, a share of them goes to the canary, each has one thumb; how many canaries are
shown to be worse after so many conversations, looked at after every 50.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from marks import put

from strop.assistant.canary import interval_of
from strop.assistant.gate import LOSS, MARGIN, TIE, WIN, decide
from strop.intervals import proportion
from strop.streams import stream

RESULTS, DOCS = Path(__file__).parent / "results", Path(__file__).parents[1] / "docs"
EVERY, ITEMS, MOST = 10, 400, 1600
"""Items between looks; items of a version that should not be promoted, and of one that should."""
SEEN = (50, 100, 200, 400, 800, 1600)
CLEAR = [WIN] * 60
"""Comparisons that open the gate, where a skill decides."""
Odds = tuple[float, float, float]
"""Of a loss, a tie and a win; or of a skill's item that falls, stays and rises."""
WRONG: Mapping[str, Odds] = {
    "no better": (0.5, 0.0, 0.5),
    "no better, a third are ties": (1 / 3, 1 / 3, 1 / 3),
    "worse by 5 points": (0.55, 0.0, 0.45),
    "preferred, a skill fell by .05": (0.10, 0.85, 0.05),
    "preferred, a skill fell by .10": (0.12, 0.86, 0.02),
}
BETTER: Mapping[str, Odds] = {f"{points}": (0.5 - points / 100, 0.0, 0.5 + points / 100) for points in (5, 10, 20)}
UNCHANGED: Mapping[str, Odds] = {
    "none": (0.0, 1.0, 0.0),
    "1 in 50": (0.01, 0.98, 0.01),
    "1 in 10": (0.05, 0.9, 0.05),
}
LIKED, SHARE, CANARY_EVERY = 0.7, 0.1, 50
"""The share of thumbs that are up of the version that serves; the canary's share of the conversations."""
CANARY_SEEN = (200, 500, 1000, 2000, 4000)
LESS: Mapping[str, float] = {"liked as much": 0.0, "liked less by 10 points": 0.1, "by 20": 0.2, "by 40": 0.4}


@dataclass(frozen=True, slots=True)
class Error:
    """How many gates promoted what they should not, with the upper 95 % limit of the share."""

    gates: int
    once: int
    once_high: float
    often: int
    often_high: float


@cache
def opens(losses: int, ties: int, wins: int) -> bool:
    """Whether these comparisons open the gate; their order makes no difference."""
    return decide([LOSS] * losses + [TIE] * ties + [WIN] * wins).promote


@cache
def is_kept(fell: int, stayed: int, rose: int) -> bool:
    """Whether a skill with these items, all half done before, lets a version that is preferred through."""
    before = [1.0] * fell + [0.0] * (stayed + rose)
    after = [0.0] * (fell + stayed) + [1.0] * rose
    return decide(CLEAR, {"skill": (before, after)}).promote


def counts(odds: Odds, items: int, rng: np.random.Generator) -> np.ndarray:
    """The counts [look, 3] of what came up to each look."""
    drawn = rng.choice(3, size=items, p=odds)
    return np.eye(3, dtype=int)[drawn].cumsum(axis=0)[EVERY - 1 :: EVERY]


def error(name: str, odds: Odds, gates: int, items: int) -> Error:
    """The error of gates on versions that should not be promoted."""
    is_open: Callable[..., bool] = is_kept if "skill" in name else opens
    once = often = 0
    for gate in range(gates):
        looks = counts(odds, items, stream(0, f"gate/{name}", gate)).tolist()
        once += is_open(*looks[-1])
        often += any(is_open(*look) for look in looks)
    return Error(gates, once, proportion(once, gates)[1], often, proportion(often, gates)[1])


def opened(odds: Odds, gates: int, items: int, is_open: Callable[..., bool]) -> list[int | None]:
    """After how many items each gate opens; None for one that stays shut."""
    found = list[int | None]()
    for gate in range(gates):
        looks = counts(odds, items, stream(0, f"gate/power {odds}", gate)).tolist()
        found.append(next((EVERY * (i + 1) for i, look in enumerate(looks) if is_open(*look)), None))
    return found


@cache
def limits(ups: int, number: int) -> tuple[float, float]:
    """Of the share of thumbs that are up."""
    found = interval_of([1.0] * ups + [0.0] * (number - ups))
    return found.low, found.high


def is_worse(new: Sequence[int], old: Sequence[int]) -> bool:
    """Whether a canary is taken back with so many thumbs up, of so many. Limits lie around the share itself, so they
    are asked only where that is lower."""
    return new[0] * old[1] < old[0] * new[1] and limits(*new)[1] < limits(*old)[0]


def taken_back(name: str, less: float, canaries: int, most: int) -> list[int | None]:
    """After how many conversations each canary is taken back; None for one that is not."""
    found = list[int | None]()
    for canary in range(canaries):
        rng = stream(0, f"canary/{name}", canary)
        is_new = rng.random(most) < SHARE
        is_up = rng.random(most) < np.where(is_new, LIKED - less, LIKED)
        columns = [is_new & is_up, is_new, ~is_new & is_up, ~is_new]
        looks = np.stack(columns, axis=1).cumsum(axis=0)[CANARY_EVERY - 1 :: CANARY_EVERY].tolist()
        after = (CANARY_EVERY * (i + 1) for i, look in enumerate(looks) if is_worse(look[:2], look[2:]))
        found.append(next(after, None))
    return found


def measured_canaries(canaries: int, few: int, most: int = CANARY_SEEN[-1]) -> dict[str, Any]:
    """The share of canaries that are taken back by then: of those that are as good, with its upper limit at the end."""
    seen = [number for number in CANARY_SEEN if number <= most]
    found = {name: taken_back(name, less, few if less else canaries, most) for name, less in LESS.items()}
    same = found["liked as much"]
    wrong = sum(one is not None for one in same)
    rows = {name: _shares(ones, seen) for name, ones in found.items()}
    return {"canaries": canaries, "few": few, "wrong_high": proportion(wrong, len(same))[1], "rows": rows}


def measured(gates: int, few: int, items: int = ITEMS, most: int = MOST) -> dict[str, Any]:
    """All numbers, of so many gates for errors and for power."""
    seen = [number for number in SEEN if number <= most]
    power = {name: opened(odds, few, most, opens) for name, odds in BETTER.items()}
    skills = {name: opened(odds, few, most, is_kept) for name, odds in UNCHANGED.items()}
    return {
        "items": items,
        "margin": MARGIN,
        "errors": {name: asdict(error(name, odds, gates, items)) for name, odds in WRONG.items()},
        "power_gates": few,
        "power": {name: _shares(found, seen) for name, found in power.items()},
        "skills": {name: _shares(found, seen) for name, found in skills.items()},
    }


def _shares(found: Sequence[int | None], seen: Sequence[int]) -> dict[str, float]:
    return {str(number): sum(one is not None and one <= number for one in found) / len(found) for number in seen}


CANARY_WORDS = {"": "| canary | {seen} |", ".zh-CN": "| 金丝雀 | {seen} |"}
WORDS = {
    "": ("| version | looked at once | after every {every} |", "| better by, in points |", "| items that changed |"),
    ".zh-CN": ("| 版本 | 只看一次 | 每 {every} 次看一次 |", "| 好多少（百分点） |", "| 变化的题 |"),
}
CHINESE = {
    "no better": "一样好",
    "no better, a third are ties": "一样好，三分之一是平局",
    "worse by 5 points": "差 5 个百分点",
    "preferred, a skill fell by .05": "更受喜爱，但一项技能下降 .05",
    "preferred, a skill fell by .10": "更受喜爱，但一项技能下降 .10",
    "liked as much": "同样受喜爱",
    "liked less by 10 points": "受喜爱的比例少 10 个百分点",
    "by 20": "少 20",
    "by 40": "少 40",
    "none": "无",
    "1 in 50": "五十分之一",
    "1 in 10": "十分之一",
}


def page_of(record: Mapping[str, Any], language: str) -> str:
    """The three tables: errors, power, and skills that did not change."""
    errors, power, skills = WORDS[language]
    lines = [errors.format(every=EVERY), "|---|---|---|"]
    for name, one in record["errors"].items():
        cells = [f"{one[way] / one['gates']:.1%} (≤ {one[f'{way}_high']:.1%})" for way in ("once", "often")]
        lines.append(f"| {_said(name, language)} | {' | '.join(cells)} |")
    for title, rows in ((power, record["power"]), (skills, record["skills"])):
        seen = list(next(iter(rows.values())))
        lines += ["", f"{title} {' | '.join(seen)} |", "|---" * (len(seen) + 1) + "|"]
        lines += [
            f"| {_said(name, language)} | {' | '.join(f'{share:.0%}' for share in row.values())} |"
            for name, row in rows.items()
        ]
    return "\n".join(lines)


def canaries_of(record: Mapping[str, Any], language: str) -> str:
    """The table of canaries."""
    rows = record["rows"]
    seen = list(next(iter(rows.values())))
    lines = [CANARY_WORDS[language].format(seen=" | ".join(seen)), "|---" * (len(seen) + 1) + "|"]
    for name, row in rows.items():
        cells = [f"{share:.1%}" if name == "liked as much" else f"{share:.0%}" for share in row.values()]
        if name == "liked as much":
            cells[-1] += f" (≤ {record['wrong_high']:.1%})"
        lines.append(f"| {_said(name, language)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _said(name: str, language: str) -> str:
    return CHINESE.get(name, name) if language else name


def write_pages(record: Mapping[str, Any]) -> None:
    """Put the tables between the marks of the pages."""
    for language in WORDS:
        page = DOCS / f"assistant{language}.md"
        put(page, "gate", page_of(record, language))
        put(page, "canary", canaries_of(record["canaries"], language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--gates", type=int, default=2000, help="of each kind of version that should not be promoted")
    parser.add_argument("--few", type=int, default=400, help="of each kind that should")
    args = parser.parse_args()
    file = RESULTS / "gate.json"
    if not args.page:
        record = measured(args.gates, args.few) | {"canaries": measured_canaries(args.gates, args.few)}
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(page_of(record, ""), canaries_of(record["canaries"], ""), sep="\n\n")
    write_pages(json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
