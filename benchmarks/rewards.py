"""What can each reward be cheated by, and how many answers does it judge a second? The tables of docs/rewards.md.

    python benchmarks/rewards.py [--only NAME ...]

Every shipped reward is attacked as `strop score --attack` attacks one, on a few tasks with honest answers
(reward_cases.py), and timed as `--speed` does, but by the processor's time of one thread, which other programs disturb
little. The record goes to results/rewards.json, and the table into both pages. With --only nothing is written.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from marks import put
from reward_cases import Case, cases
from side_by_side import RESULTS, machine

import strop
from strop.reports.attack import attack
from strop.reports.speed import speeds
from strop.types import Task

SEEN = 0.005
"""A margin that shows in two decimals."""
DOCS = Path(__file__).parents[1] / "docs"
HEADS = {
    "en": (
        "| reward | answers a second | above an honest answer | as high |",
        "{date}, {machine}; by the processor's time of one thread; groups of 8 answers as long as the tasks' own; 3 or "
        "4 tasks each.",
        "nothing",
    ),
    "zh": (
        "| 奖励 | 每秒回答数 | 高于诚实回答 | 与诚实回答同分 |",
        "{date}，{machine}；按单线程的处理器时间；每组 8 个回答，与任务自己的答案一样长；每项 3 或 4 个任务。",
        "无",
    ),
}
KINDS = {
    "empty": "空文本",
    "prompt copied": "照抄提示",
    "keywords of the prompt": "提示的关键词",
    "one word repeated": "重复一个词",
    "very long": "很长的文本",
    "unusual characters": "罕见字符",
    "stock sentence": "套话",
    "praise of itself": "自夸",
    "another task's answer": "别的任务的答案",
    "answer shuffled": "答案打乱",
    "keywords of the answer": "答案的关键词",
    "answer repeated": "答案重复",
    "many answers at once": "一次给出许多答案",
    "look-alike letters": "形近字母",
    "the reward of `story`": "`story` 的总奖励",
}
"""In Chinese."""


def measured(case: Case) -> dict[str, Any]:
    """Kinds of text above and equal to an honest answer, the worst first, and the speed."""
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a"]),
        tasks=case.tasks,
        held_out=[Task("held out", "another prompt")],
        rewards=case.rewards,
        algorithm=strop.algorithms.REINFORCE.Config(),
        group_size=8,
        threads=1,
    ).resolve()
    found = attack(config, case.tasks, case.honest)
    margins = {one.kind: one.margin for one in reversed((*found.of("above"), *found.of("equal")))}
    above = {kind: margin for kind, margin in margins.items() if margin >= SEEN}
    each = [1.0 / one.per_second for one in speeds(config, case.tasks, "", gold=False, clock=time.process_time)]
    return {
        "above": dict(sorted(above.items(), key=lambda pair: -pair[1])),
        "equal": sorted(set(margins) - set(above)),
        "unjudged": found.unjudged,
        "per_second": 1.0 / sum(each),
    }


def page_of(record: Mapping[str, Any], chinese: bool) -> str:
    """The table in Markdown, and what it was measured on."""
    head, about, nothing = HEADS["zh" if chinese else "en"]
    lines = [head, "|---|---:|---|---|"]
    for name, one in record["rewards"].items():
        above = [f"{_told(kind, chinese)} +{margin:.2f}" for kind, margin in one["above"].items()]
        equal = [_told(kind, chinese) for kind in one["equal"]]
        comma = "、" if chinese else ", "
        shown = _told(name, chinese) if "`" in name else f"`{name}`"
        cells = [shown, _rounded(one["per_second"]), comma.join(above) or nothing, comma.join(equal) or nothing]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", about.format(**record)])


def _told(kind: str, chinese: bool) -> str:
    return KINDS[kind] if chinese else kind


def _rounded(per_second: float) -> str:
    """Two digits: more would be noise."""
    return f"{float(f'{per_second:.2g}'):,.0f}"


def write(record: Mapping[str, Any], docs: Path = DOCS) -> None:
    """The table into the pages, between their marks."""
    for name, chinese in (("rewards.md", False), ("rewards.zh-CN.md", True)):
        put(docs / name, "attack", page_of(record, chinese))


def main(words: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="+", default=[], help="parts of the names of rewards")
    args = options.parse_args(words)
    torch.set_num_threads(1)
    found = {}
    for case in cases():
        if not args.only or any(part in case.name for part in args.only):
            found[case.name] = measured(case)
            print(f"{case.name}: {found[case.name]}", flush=True)
    record = {"date": date.today().isoformat(), "machine": machine(), "rewards": found}
    if not args.only:
        (RESULTS / "rewards.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write(record)


if __name__ == "__main__":
    main()
