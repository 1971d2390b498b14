"""The tables of tasks.py in two languages: scores of each seed, baselines, arms against each other, two answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from marks import put
from reasons import in_chinese
from task_arms import APART, recipe_of

from strop.evaluate import paired_difference
from strop.intervals import Interval, mean_interval

DOCS = Path(__file__).parents[1] / "docs" / "tasks"
WORDS = {
    "en": {
        "head": "| | start | {seeds} | mean of seeds | gold: start | gold: end | steps | minutes | GiB |",
        "seed": "seed {seed}",
        "beside": "| baseline | reward | gold | {arms} |",
        "higher": "{arm} is higher by (seeds)",
        "about": "{date}, {machine}; {minutes:g} minutes of training a seed, on {cores} of its cores; {prompts} "
        "held-out tasks. Intervals of a seed are over tasks (95 %), those of the mean over seeds (Student's t); "
        "differences are paired by task.",
        "arms": "**{first} less {second}**, by seed: {told}.",
        "others": "Also judged, means of the seeds: {told}.",
        "apart": "| | {beside} | start | {seeds} | mean of seeds | steps | minutes | GiB |",
        "shown": "The first {num} held-out tasks, not chosen ({arm}, seed 0):",
        "columns": "| task | before | after |",
    },
    "zh": {
        "head": "| | 起点 | {seeds} | 种子的均值 | gold：起点 | gold：终点 | 步数 | 分钟 | GiB |",
        "seed": "种子 {seed}",
        "beside": "| 对照 | 奖励 | gold | {arms} |",
        "higher": "{arm} 高出（各种子）",
        "about": "{date}，{machine}；每个种子在其中 {cores} 个核上训练 {minutes:g} 分钟；{prompts} 个留出任务。"
        "单个种子的区间是对任务的（95 %），均值的区间是对种子的（学生 t）；差按任务配对。",
        "arms": "**{first} 减 {second}**，各种子：{told}。",
        "others": "同时评判的（种子的均值）：{told}。",
        "apart": "| | {beside} | 起点 | {seeds} | 种子的均值 | 步数 | 分钟 | GiB |",
        "shown": "前 {num} 个留出任务，未经挑选（{arm}，种子 0）：",
        "columns": "| 任务 | 之前 | 之后 |",
    },
}
HIDDEN = ("reward", "gold", "tokens", "unscored")
"""Held-out metrics that the tables have already, or that say nothing."""
LONGEST = 300
"""Characters of a shown text."""


def page_of(record: Mapping[str, Any], chinese: bool) -> str:
    """Markdown of one task."""
    words = WORDS["zh" if chinese else "en"]
    if record["task"] in APART:
        return in_chinese(apart(record, words)) if chinese else apart(record, words)
    arms = arms_of(record)
    seeds = " | ".join(words["seed"].format(seed=seed) for seed in range(record["seeds"]))
    head = words["head"].format(seeds=seeds)
    lines = [head, rule(head), *(row(arm, cells, record["seeds"]) for arm, cells in arms.items())]
    prompts = next(iter(arms.values()))[0]["judged"]
    parts = ["\n".join(lines), besides(arms, words), against(arms, words)]
    parts += [words["about"].format(**{**record, "prompts": prompts}), others(arms, words)]
    told = [in_chinese(part) for part in parts] if chinese else parts
    return "\n\n".join(filter(None, [*told, shown(arms, words)]))


def apart(record: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """A line for each arm, which is a task of its own, with its own baselines; where one lacks a baseline the next is
    in its place (a search where no player is perfect), or nothing (where nobody knows the optimum)."""
    arms, seeds = arms_of(record), range(record["seeds"])
    columns = max(
        ([*cells[0]["besides"]] for cells in arms.values()), key=lambda names: (len(names), "perfect" in names)
    )
    named = " | ".join(words["seed"].format(seed=seed) for seed in seeds)
    head = words["apart"].format(beside=" | ".join(columns), seeds=named)
    lines = [head, rule(head)]
    for arm, cells in arms.items():
        beside = [f"{number(one['reward'][0])}{other(name, columns)}" for name, one in cells[0]["besides"].items()]
        beside += [""] * (len(columns) - len(beside))
        own = row(arm, cells, record["seeds"]).strip("| ").split(" | ")
        start, scores_and_mean, ending = own[1], own[2 : 3 + record["seeds"]], own[-3:]
        lines.append(line([arm, *beside, start, *scores_and_mean, *ending]))
    prompts = "/".join(dict.fromkeys(str(cells[0]["judged"]) for cells in arms.values()))
    return "\n".join(lines) + "\n\n" + words["about"].format(**{**record, "prompts": prompts})


def other(name: str, columns: Sequence[str]) -> str:
    """The name of a baseline that has no column of its own."""
    return "" if name in columns else f" ({name})"


def arms_of(record: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The cells of each arm, in the order of the seeds."""
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for name, one in record["cells"].items():
        arm, _, seed = name.rpartition("/")
        found.setdefault(arm, {})[int(seed)] = one
    return {arm: [cells[seed] for seed in sorted(cells)] for arm, cells in found.items()}


def row(arm: str, cells: Sequence[Mapping[str, Any]], num_seeds: int) -> str:
    """An arm: each seed's score with its interval, the mean, gold, steps, minutes and memory."""
    rewards = [one["verdicts"]["reward"] for one in cells]
    seeds = [str(Interval(*one["after"])) for one in rewards] + [""] * (num_seeds - len(cells))
    golds = [one["verdicts"]["gold"] for one in cells if "gold" in one["verdicts"]]
    steps = " + ".join(span([one["steps"][i] for one in cells], "{:,.0f}") for i in range(len(cells[0]["steps"])))
    columns = [
        arm,
        number(mean([one["before"] for one in rewards])),
        *seeds,
        str(over_seeds([one["after"][0] for one in rewards])),
        number(mean([one["before"] for one in golds])) if golds else "",
        number(mean([one["after"][0] for one in golds])) if golds else "",
        steps,
        span([one["minutes"] for one in cells], "{:.1f}"),
        span([one["gib"] for one in cells], "{:.1f}"),
    ]
    return line(columns)


def besides(arms: Mapping[str, Sequence[Mapping[str, Any]]], words: Mapping[str, str]) -> str:
    """The baselines, and by how much each seed of each arm is above them."""
    first = next(iter(arms.values()))[0]["besides"]
    if not first:
        return ""
    head = words["beside"].format(arms=" | ".join(words["higher"].format(arm=arm) for arm in arms))
    lines = [head, rule(head)]
    for name, one in first.items():
        higher = [
            "; ".join(f"{Interval(*cell['besides'][name]['difference']):+}" for cell in cells)
            for cells in arms.values()
        ]
        gold = "" if one["gold"] is None else number(one["gold"])
        lines.append(line([name, str(Interval(*one["reward"])), gold, *higher]))
    return "\n".join(lines)


def against(arms: Mapping[str, Sequence[Mapping[str, Any]]], words: Mapping[str, str]) -> str:
    """The first arm less each other one, paired by task and seed."""
    (first, cells), *rest = arms.items()
    told = []
    for second, others in rest:
        pairs = zip(cells, others, strict=False)
        each = [f"{paired_difference(scores(two, one), scores(one, two)):+}" for one, two in pairs]
        told.append(words["arms"].format(first=first, second=second, told="; ".join(each)))
    return "\n".join(told)


def scores(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
    """The rewards of the tasks that both have, in one order."""
    values = [one["rewards"][task] for task in one["rewards"] if task in other["rewards"]]
    return [math.nan if value is None else value for value in values]


def others(arms: Mapping[str, Sequence[Mapping[str, Any]]], words: Mapping[str, str]) -> str:
    """The other held-out metrics of each arm."""
    told = []
    for arm, cells in arms.items():
        names = [name for name in cells[0]["held_out"] if name not in HIDDEN]
        told.append(
            f"{arm}: "
            + ", ".join(
                f"{name.replace('_', ' ')} {number(mean([c['held_out'][name] for c in cells]))}" for name in names
            )
        )
    return words["others"].format(told="; ".join(told)) if any(": " in one and one[-2:] != ": " for one in told) else ""


def shown(arms: Mapping[str, Sequence[Mapping[str, Any]]], words: Mapping[str, str]) -> str:
    """The first answers of the first arm."""
    arm, cells = next(iter(arms.items()))
    rows = [line([flat(text) for text in texts]) for texts in cells[0]["shown"]]
    head = words["columns"]
    about = words["shown"].format(num=len(rows), arm=arm)
    return "\n".join([about, "", head, rule(head), *rows]) if rows else ""


def write(record: Mapping[str, Any]) -> None:
    """Put the tables between the markers of both pages, and draw the curves of the first arm."""
    from strop.reports.curves import draw
    from strop.runs.directory import RunDirectory

    for chinese in (False, True):
        page = DOCS / f"{recipe_of(record['task'])}{'.zh-CN' if chinese else ''}.md"
        put(page, record["task"], page_of(record, chinese))
    runs = [Path(one["run"]) for one in next(iter(arms_of(record).values()))]
    if all(run.is_dir() for run in runs):
        draw([RunDirectory.open(run) for run in runs], DOCS / f"{record['task']}.png")


def over_seeds(values: Sequence[float]) -> Interval:
    """The mean of the seeds with Student's t interval."""
    return mean_interval(np.array(values), "seed", np.array(values))


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def span(values: Sequence[float], form: str) -> str:
    """The smallest and the largest, once if they are equal."""
    return "–".join(dict.fromkeys([form.format(min(values)), form.format(max(values))]))


def number(value: float) -> str:
    return f"{value:.3f}"


def flat(text: str) -> str:
    """A text as it can stand in a table."""
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def line(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |"


def rule(head: str) -> str:
    return "|" + "---|" * (head.count("|") - 1)
