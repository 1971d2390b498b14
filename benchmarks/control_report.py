"""What `benchmarks/control.py` writes down: a summary as JSON, and the tables of docs/benchmarks.md and its twin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import scores
from marks import put

from strop.runs import provenance

DOCS = Path(__file__).parents[1] / "docs"
OURS, THEIRS = "strop", "stable-baselines3"
COMMAND = "make bench-control"


@dataclass(frozen=True, slots=True)
class Row:
    """One (environment, algorithm, side): the IQM over seeds, its interval, and what stands behind it."""

    environment: str
    algorithm: str
    side: str
    iqm: float
    low: float
    high: float
    means_S: list[float]
    turns_S: list[int]
    seconds_S: list[float]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a page."""

    head: str
    verdicts: Mapping[str, str]
    facts: str


ENGLISH = Words(
    "| environment | algorithm | strop | its seeds | Stable-Baselines3 | its seeds | strop is |",
    {"above": "above", "within": "within", "below": "**below**"},
    "{date}, {processor}, {cores} cores, Python {python}, torch {torch}, Gymnasium {gymnasium}, Stable-Baselines3 "
    "{peer}. {seeds} seeds, {budget} turns of the environment a run, {episodes} held-out episodes a judgement. Median "
    "minutes a run: strop {ours:.1f}, Stable-Baselines3 {theirs:.1f}, for information: other work ran beside it.",
)
CHINESE = Words(
    "| 环境 | 算法 | strop | 各种子 | Stable-Baselines3 | 各种子 | strop |",
    {"above": "更高", "within": "区间内", "below": "**更低**"},
    "{date}，{processor}，{cores} 核，Python {python}，torch {torch}，Gymnasium {gymnasium}，Stable-Baselines3 {peer}。"
    "{seeds} 个种子，每次运行 {budget} 步环境交互，每次评判 {episodes} 个留出回合。"
    "每次运行的中位分钟数：strop {ours:.1f}，Stable-Baselines3 {theirs:.1f}，仅供参考：机器上同时有别的任务。",
)
PAGES = {"benchmarks.md": ENGLISH, "benchmarks.zh-CN.md": CHINESE}


def summary(results: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each (environment, algorithm, side), in the order in which they come."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        job = result["job"]
        groups.setdefault((job["environment"], job["algorithm"], job["side"]), []).append(result)
    return [_row(key, sorted(group, key=lambda result: result["job"]["seed"])) for key, group in groups.items()]


def _row(key: tuple[str, str, str], group: Sequence[Mapping[str, Any]]) -> Row:
    means_S = [result["mean"] for result in group]
    turns_S, seconds_S = [result["turns"] for result in group], [result["seconds"] for result in group]
    return Row(*key, float(scores.iqm(means_S)), *scores.interval(means_S), means_S, turns_S, seconds_S)


def pairs(rows: Sequence[Row]) -> list[tuple[Row, Row, str]]:
    """(ours, theirs, verdict) of each environment and algorithm that both sides have run."""
    found = {(row.environment, row.algorithm, row.side): row for row in rows}
    peers = [(row, found.get((row.environment, row.algorithm, THEIRS))) for row in rows if row.side == OURS]
    both = [(ours, theirs) for ours, theirs in peers if theirs is not None]
    return [(ours, theirs, scores.verdict(ours.iqm, (theirs.low, theirs.high))) for ours, theirs in both]


def table(rows: Sequence[Row], words: Words) -> str:
    """Markdown."""
    lines = [words.head, "|---|---|---|---|---|---|---|"]
    for ours, theirs, verdict in pairs(rows):
        sides = " | ".join(f"{_score(row)} | {_means(row)}" for row in (ours, theirs))
        lines.append(f"| {ours.environment} | {ours.algorithm} | {sides} | {words.verdicts[verdict]} |")
    return "\n".join(lines)


def _score(row: Row) -> str:
    return f"{row.iqm:.1f} [{row.low:.1f}, {row.high:.1f}]"


def _means(row: Row) -> str:
    return ", ".join(f"{mean:.0f}" for mean in row.means_S)


def write(rows: Sequence[Row], home: Path, results: Sequence[Mapping[str, Any]], docs: Path = DOCS) -> None:
    """HOME/control.json, and between the marks of each page its facts and its table."""
    origin = provenance.collect(seed=0, dtype="float32", threads=1, data={})
    record = {
        "command": COMMAND,
        **{name: origin[name] for name in ("started", "git", "machine", "versions")},
        "rows": [asdict(row) for row in rows],
        "verdicts": {f"{ours.environment} {ours.algorithm}": verdict for ours, _, verdict in pairs(rows)},
    }
    (home / "control.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    for name, words in PAGES.items():
        put(docs / name, "control", f"{table(rows, words)}\n\n{_facts(rows, results, origin, words)}")


def _facts(rows: Sequence[Row], results: Sequence[Mapping[str, Any]], origin: Mapping[str, Any], words: Words) -> str:
    """One paragraph: when, where, with what, how much."""
    versions, job = origin["versions"], results[0]["job"]
    minutes = {
        side: median([s for row in rows if row.side == side for s in row.seconds_S]) / 60 for side in (OURS, THEIRS)
    }
    return words.facts.format(
        date=origin["started"][:10],
        processor=origin["machine"]["processor"],
        cores=origin["machine"]["cores"],
        python=versions["python"],
        torch=versions["torch"],
        gymnasium=versions["gymnasium"],
        peer=versions["stable-baselines3"],
        seeds=len(rows[0].means_S),
        budget=job["budget"],
        episodes=job["episodes"],
        ours=minutes[OURS],
        theirs=minutes[THEIRS],
    )
