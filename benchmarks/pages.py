"""Write what results/*.json hold into the pages: tables between the marks of docs/benchmarks.md and its twin.

    python benchmarks/pages.py

Reads whatever results are there, so a benchmark that was not run has no row. No number is computed anew but medians.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from marks import put
from scores import interval, iqm, verdict
from side_by_side import RESULTS, short, spread

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = "growth.png"
SHARE = "share_of_matrix_rate"
"""The note of training.py: every token of every row counted, so a prompt that is read once for its group adds to it."""
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a page. `titles` are of results by name, `sides` of things that are measured."""

    speed: str
    share: str
    learning: str
    growth: str
    startup: str
    picture: str
    source: str
    titles: Mapping[str, str]
    sides: Mapping[str, str]
    verdicts: Mapping[str, str]
    none: str


ENGLISH = Words(
    "| | what | ours | peer | ours, a second | peer, a second | ratio | peak GB, ours / peer |",
    "| | what | side | share of the processor's measured matrix rate, prompts counted in every row |",
    "| | seeds | strop | TRL | TRL's interval | strop is |",
    "| along | sizes | seconds | slope | worst doubling | peak GB | slope | worst doubling |",
    "| | seconds | allowed |",
    "Time and memory of a step against each size",
    "{number}. {date}, {machine}, {threads} threads, {packages}: `{command}`",
    {},
    {"continuous": "(transformers, continuous)", "vllm": "(vLLM)"},
    {"above": "above", "within": "within", "below": "**below**"},
    "Not measured yet: `make bench` and `make bench-peers` write their tables here.",
)
CHINESE = Words(
    "| | 内容 | 我们 | 对方 | 我们每秒 | 对方每秒 | 比值 | 内存峰值 GB，我们 / 对方 |",
    "| | 内容 | 一方 | 占处理器实测矩阵速率的比例（每一行的提示都计入） |",
    "| | 种子数 | strop | TRL | TRL 的区间 | strop |",
    "| 沿着 | 大小 | 秒 | 斜率 | 最差的一次翻倍 | 内存峰值 GB | 斜率 | 最差的一次翻倍 |",
    "| | 秒 | 允许 |",
    "一步的时间和内存随各个大小的变化",
    "{number}. {date}，{machine}，{threads} 个线程，{packages}：`{command}`",
    {
        "grpo": "GRPO 一步，SmolLM2-135M",
        "grpo-qwen2-0.4b": "GRPO 一步，0.4B 的 Qwen2 形状，随机权重",
        "rollout": "采样，SmolLM2-135M",
        "serving": "服务，SmolLM2-135M",
        "training": "训练一步，SmolLM2-135M",
        "sft": "SFT 一步，SmolLM2-135M",
        "dpo": "DPO 一步，SmolLM2-135M",
        "ppo": "PPO 一步，SmolLM2-135M",
        "learning": "从头 GRPO：抄写一个词",
        "small": "从头 GRPO",
        "pretrain": "从零预训练一步",
        "decision": "SmolLM2-135M 上的决策",
        "tabular": "表格 Q-learning",
        "cartpole_speed": "CartPole",
    },
    {
        "continuous": "（transformers 的连续批处理）",
        "vllm": "（vLLM）",
        "by hand": "手写",
        "together": "一起",
        "one by one": "逐个",
        "plain": "普通循环",
        "trainer": "transformers 的 Trainer",
        "strop update": "strop 只更新",
        "any token": "不限词元",
        "group": "组",
        "tokens": "回答",
        "prompt": "提示",
        "vocabulary": "词表",
    },
    {"above": "更高", "within": "区间内", "below": "**更低**"},
    "还没有测量：`make bench` 和 `make bench-peers` 会把表写在这里。",
)
PAGES = {"benchmarks.md": ENGLISH, "benchmarks.zh-CN.md": CHINESE}


def records(folder: Path) -> list[Record]:
    """Every result of a benchmark beside a peer, of growth and of start-up, by the name of its file."""
    found = [
        json.loads(path.read_text(encoding="utf-8")) | {"file": path.stem} for path in sorted(folder.glob("*.json"))
    ]
    return [record for record in found if "sides" in record and "name" in record]


def section(found: Sequence[Record], words: Words) -> str:
    """All tables of a page, and where their numbers come from."""
    if not found:
        return words.none
    numbered = list(enumerate(found, 1))
    parts = [
        _table(words.speed, [row for number, one in numbered for row in speed_rows(number, one, words)]),
        _table(words.share, [row for number, one in numbered for row in share_rows(number, one, words)]),
        _table(words.learning, [row for number, one in numbered for row in learning_rows(number, one, words)]),
        _table(words.startup, [row for number, one in numbered for row in startup_rows(number, one)]),
        _table(words.growth, [row for number, one in numbered for row in growth_rows(number, one, words)]),
        *([f"![{words.picture}]({PICTURE})"] if any(one["file"] == "growth" for one in found) else []),
        "\n".join(source(number, one, words) for number, one in numbered),
    ]
    return "\n\n".join(part for part in parts if part)


def speed_rows(number: int, one: Record, words: Words) -> list[str]:
    """A row for each side but the peer."""
    if not one["peer"]:
        return []
    peer = one["sides"][one["peer"]]
    rows = []
    for side, ratios in one["ratios"].items():
        runs = one["sides"][side]
        speeds = (f"{_count(_speed(some))} {one['unit']}" for some in (runs, peer))
        memory = " / ".join(short(max(run["peak_gigabytes"] for run in some)) for some in (runs, peer))
        names = (words.sides.get(name, name) for name in (side, one["peer"]))
        rows.append(_row(number, title(one, words), *names, *speeds, spread(ratios), memory))
    return rows


def share_rows(number: int, one: Record, words: Words) -> list[str]:
    """Where each process measured what the processor can do."""
    return [
        _row(number, title(one, words), words.sides.get(side, side), spread(shares))
        for side, runs in one["sides"].items()
        if (shares := [run["notes"][SHARE] for run in runs if SHARE in run.get("notes", {})])
    ]


def learning_rows(number: int, one: Record, words: Words) -> list[str]:
    """Where curves are kept: the interquartile mean over seeds of ours, beside the interval of the peer's."""
    if not one["peer"] or not all(run.get("curve") for runs in one["sides"].values() for run in runs):
        return []
    theirs = [fmean(run["curve"]) for run in one["sides"][one["peer"]]]
    low, high = interval(theirs)
    rows = []
    for side in one["ratios"]:
        ours = [fmean(run["curve"]) for run in one["sides"][side]]
        said = words.verdicts[verdict(float(iqm(ours)), (low, high))]
        means = (f"{iqm(some):.3f}" for some in (ours, theirs))
        rows.append(_row(number, len(ours), *means, f"[{low:.3f}, {high:.3f}]", said))
    return rows


def startup_rows(number: int, one: Record) -> list[str]:
    """Every process counts for itself."""
    if "limits" not in one:
        return []
    return [
        _row(f"`{name}` ({number})", spread([s for run in runs for s in run["seconds"]]), one["limits"].get(name, ""))
        for name, runs in one["sides"].items()
    ]


def growth_rows(number: int, one: Record, words: Words) -> list[str]:
    """A row a size that grows."""
    return [
        _row(
            f"{words.sides.get(along['along'], along['along'])} ({number})",
            ", ".join(map(str, along["sizes"])),
            ", ".join(map(short, along["seconds"])),
            short(along["slope"]),
            short(along["worst"]),
            ", ".join(map(short, along["gigabytes"])),
            short(along["memory_slope"]),
            short(along["worst_memory"]),
        )
        for along in one.get("growth", [])
    ]


def title(one: Record, words: Words) -> str:
    """What was measured, and the label of the run."""
    label = one["file"].removeprefix(one["name"]).removeprefix("-")
    return words.titles.get(one["name"], one["about"]) + (f" ({label})" if label else "")


def source(number: int, one: Record, words: Words) -> str:
    """When, where, with what, and how to do it again."""
    packages = ", ".join(f"{name} {version}" for name, version in one["packages"].items())
    facts = {name: one[name] for name in ("date", "machine", "threads", "command")}
    return words.source.format(number=number, packages=packages, **facts)


def write(folder: Path = RESULTS, docs: Path = DOCS) -> None:
    """Between the marks of each page, and the picture beside it."""
    found = records(folder)
    for name, words in PAGES.items():
        put(docs / name, "speed", section(found, words))
    picture = folder / PICTURE
    if picture.exists():
        shutil.copy(picture, docs / PICTURE)


def _speed(runs: Iterable[Record]) -> float:
    return median(run["units"] / median(run["seconds"]) for run in runs)


def _count(value: float) -> str:
    """Three digits, or all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: str, rows: Sequence[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows]) if rows else ""


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    write()
