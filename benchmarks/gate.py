"""How often the assistant's gate is wrong, and how many comparisons it takes to open: simulated, by its own code.

    python benchmarks/gate.py            # minutes; results/gate.json, and the tables of docs/assistant.md and its twin
    python benchmarks/gate.py --page     # only write the pages from what was measured

Versions that should not be promoted: no better, worse, or better with a skill that fell by the margin or more; each
gate is looked at once, at the end, and after every 10 items, where the first time that it opens counts. Versions that
should: how many gates are open after so many comparisons, looked at after every 10.
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


def _said(name: str, language: str) -> str:
    return CHINESE.get(name, name) if language else name


def write_pages(record: Mapping[str, Any]) -> None:
    """Put the tables between the marks of the pages."""
    for language in WORDS:
        file = DOCS / f"assistant{language}.md"
        text = file.read_text(encoding="utf-8")
        before, rest = text.split("<!-- gate -->\n", 1)
        after = rest.split("<!-- /gate -->", 1)[1]
        table = page_of(record, language)
        file.write_text(f"{before}<!-- gate -->\n{table}\n<!-- /gate -->{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--gates", type=int, default=2000, help="of each kind of version that should not be promoted")
    parser.add_argument("--few", type=int, default=400, help="of each kind that should")
    args = parser.parse_args()
    file = RESULTS / "gate.json"
    if not args.page:
        record = measured(args.gates, args.few)
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(page_of(record, ""))
    write_pages(json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
