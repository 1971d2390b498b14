"""The table of translate.py: scores of each arm, what the reward adds, and the first translations, in two languages."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from marks import put
from reasons import in_chinese

from strop.intervals import Interval, mean_interval

DOCS = Path(__file__).parents[1] / "docs" / "tasks"
SHAPES = ("marian", "llama")
ARMS = ("sft", "sft, then rl")
SCORES = ("bleu", "chrf", "script", "length", "sampled chrf")
HEADS = {
    "en": (
        "| | parameters | minutes | steps | BLEU | chrF | in the script | length | chrF, sampled |",
        {"sft": "{shape}: SFT", "sft, then rl": "{shape}: SFT, then RLOO"},
        {"dictionary": "word for word", "copy": "the source copied", "reference": "the reference"},
        "{date}, {machine}; one thread each, {minutes:g} minutes; means of {seeds} seeds with 95 % intervals "
        "(Student's t); {data}, {source} to {target}: {sizes[0]:,} pairs to train on, {sizes[2]:,} held out "
        "(BLEU by sacrebleu, tokenised by `{words}`; greedy but in the last column).",
        "**What the reward adds at equal minutes**, by seed: {told}.",
        "{shape}: BLEU {bleu}, chrF {chrf}",
        {"more": " (more)", "less": " (less)", "unknown": " (may be chance)"},
        "| source | reference | word for word | {arms} |",
    ),
    "zh": (
        "| | 参数 | 分钟 | 步数 | BLEU | chrF | 目标文字占比 | 长度 | chrF（采样） |",
        {"sft": "{shape}：SFT", "sft, then rl": "{shape}：先 SFT，再 RLOO"},
        {"dictionary": "逐词翻译", "copy": "照抄原文", "reference": "参考译文"},
        "{date}，{machine}；每格单线程 {minutes:g} 分钟；{seeds} 个种子的均值和 95 % 区间（学生 t）；{data}，"
        "{source} 到 {target}：训练 {sizes[0]:,} 对，留出 {sizes[2]:,} 对（BLEU 由 sacrebleu 计算，分词 `{words}`；"
        "除最后一列外均为贪心解码）。",
        "**同样的时间，奖励带来什么**（按种子配对）：{told}。",
        "{shape}：BLEU {bleu}，chrF {chrf}",
        {"more": "（更好）", "less": "（更差）", "unknown": "（可能是偶然）"},
        "| 原文 | 参考译文 | 逐词翻译 | {arms} |",
    ),
}


def page_of(record: Mapping[str, Any], chinese: bool) -> str:
    """The table in Markdown, what it was measured on, what the reward adds, and the first translations."""
    from strop.recipes.translate import words_of

    head, arms, others, about, adds, *_ = HEADS["zh" if chinese else "en"]
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    lines += [row(others[name], [one]) for name, one in record["beside"].items()]
    for shape in SHAPES:
        for arm in ARMS:
            if seeds := of_arm(record, shape, arm):
                lines.append(row(arms[arm].format(shape=shape), seeds))
    facts = {name: value for name, value in record.items() if name not in ("cells", "beside")}
    told = added(record, chinese)
    words = words_of(record["target"])
    parts = ["\n".join(lines), about.format(**facts, words=words), adds.format(told=told) if told else ""]
    told = [in_chinese(part) for part in parts] if chinese else parts
    return "\n\n".join(part for part in [*told, shown(record, chinese)] if part)


def of_arm(record: Mapping[str, Any], shape: str, arm: str) -> list[Mapping[str, Any]]:
    """What each seed of an arm measured, in the order of the seeds."""
    cells = {name: one for name, one in record["cells"].items() if name.rsplit("/", 1)[0] == f"{shape}/{arm}"}
    return [cells[name] for name in sorted(cells, key=lambda name: int(name.rsplit("/", 1)[1]))]


def row(name: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    """A line of the table; what was not measured is empty."""
    parameters = f"{seeds[0]['parameters'] / 1e6:.1f}M" if "parameters" in seeds[0] else ""
    minutes = [f"{one:.1f}" for one in sorted(one["minutes"] for one in seeds if "minutes" in one)]
    spent = "–".join(dict.fromkeys([minutes[0], minutes[-1]])) if minutes else ""
    steps = " + ".join(
        f"{statistics.median(of):,.0f}" for of in zip(*(one.get("steps", ()) for one in seeds), strict=True)
    )
    scores = [score(name, seeds) if name in seeds[0] else "" for name in SCORES]
    return f"| {' | '.join([name, parameters, spent, steps, *scores])} |"


def score(name: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    """The mean with its interval; a number alone where there is one seed."""
    values = np.array([one[name] for one in seeds])
    return (
        str(mean_interval(values, "score", values)) if len(values) > 1 else f"{values[0]:.{2 if values[0] < 2 else 1}f}"
    )


def added(record: Mapping[str, Any], chinese: bool) -> str:
    """The differences of the two arms of each shape, paired by seed; empty where no seed has both."""
    *_, one_shape, verdicts, _ = HEADS["zh" if chinese else "en"]
    told = []
    for shape in SHAPES:
        both = [of_arm(record, shape, arm) for arm in ARMS]
        if len(both[0]) == len(both[1]) > 0:
            scores = {name: told_difference(difference(both, name), verdicts) for name in ("bleu", "chrf")}
            told.append(one_shape.format(shape=shape, **scores))
    return ("；" if chinese else "; ").join(told)


def difference(both: Sequence[Sequence[Mapping[str, Any]]], name: str) -> Interval:
    """Of the second arm to the first, over the seeds."""
    first, second = (np.array([one[name] for one in arm]) for arm in both)
    return mean_interval(second - first, "difference", np.concatenate([first, second]))


def told_difference(found: Interval, verdicts: Mapping[str, str]) -> str:
    """`+1.2 [+0.3, +2.1] (more)`."""
    kind = "more" if found.low > 0 else "less" if found.high < 0 else "unknown"
    return f"{found:+}{verdicts[kind]}"


def shown(record: Mapping[str, Any], chinese: bool) -> str:
    """The first held-out messages, as seed 0 translates them."""
    *_, head = HEADS["zh" if chinese else "en"]
    arms = [(shape, arm) for shape in SHAPES for arm in ARMS if of_arm(record, shape, arm)]
    if not arms:
        return ""
    columns = [record["sources"], record["beside"]["reference"]["shown"], record["beside"]["dictionary"]["shown"]]
    columns += [of_arm(record, *one)[0]["shown"] for one in arms]
    head = head.format(arms=" | ".join(f"{shape}: {arm}" for shape, arm in arms))
    lines = [
        f"| {' | '.join(text.replace('|', '/').replace(chr(10), ' ') for text in texts)} |"
        for texts in zip(*columns, strict=True)
    ]
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *lines])


def write(record: Mapping[str, Any], docs: Path = DOCS) -> None:
    """The table into the pages, between their marks."""
    for name, chinese in (("translate.md", False), ("translate.zh-CN.md", True)):
        put(docs / name, "translate", page_of(record, chinese))
