"""The tables of assistant.py in two languages, and its picture: win-rates by round, and rounds of useless feedback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from marks import put

from strop.intervals import proportion, student

RESULTS, DOCS = Path(__file__).parent / "results", Path(__file__).parents[1] / "docs"
PICTURE = "assistant.png"
WORDS = {
    "": {
        "head": "| round | preferred to the start | promoted | preference at the gate | guarded skill |",
        "promoted": "{promoted} of {seeds}",
        "poisoned": "{number} (poisoned)",
        "gain": "The last honest round less the first: {change}.",
        "useless": "| rounds on the first version | promoted | and really no better | win-rates of those made |",
        "noise": "thumbs and comparisons by a coin",
        "lies": "all lies",
        "not yet": "Not measured yet: `make bench-assistant` writes its tables here.",
    },
    ".zh-CN": {
        "head": "| 轮 | 相对最初版本的胜率 | 上线 | 关口的偏好 | 受保护的技能 |",
        "promoted": "{promoted} / {seeds}",
        "poisoned": "{number}（被投毒）",
        "gain": "最后一个诚实的轮减第一轮：{change}。",
        "useless": "| 在最初版本上的轮 | 上线 | 其中其实没有变好 | 所得版本的胜率 |",
        "noise": "点赞和比较由掷硬币决定",
        "lies": "全是谎话",
        "not yet": "还没有测：`make bench-assistant` 会把表写在这里。",
    },
}


def recorded() -> dict[str, Any]:
    """What was measured; nothing yet without the file."""
    file = RESULTS / "assistant.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"seeds": [], "useless": []} | found


def page_of(record: Mapping[str, Any], language: str) -> str:
    """The tables by round and of useless feedback, as far as there are any."""
    words = WORDS[language]
    if not record["seeds"]:
        return words["not yet"]
    parts = [rounds_table(record["seeds"], words)]
    if len(record["seeds"]) > 1:
        parts.append(words["gain"].format(change=_mean(gains(record["seeds"]), "+")))
    if record["useless"]:
        parts.append(useless_table(record["useless"], words))
    return "\n\n".join(parts)


def rounds_table(seeds: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """A line for each round: means over seeds, with Student's t limits of the win-rate."""
    lines = [words["head"], "|---|---|---|---|---|"]
    for number, rounds in enumerate(zip(*(one["rounds"] for one in seeds), strict=True), 1):
        count = words["promoted"].format(promoted=sum(map(is_promoted, rounds)), seeds=len(rounds))
        preference = ", ".join("{:.2f} [{:.2f}, {:.2f}]".format(*one["preference"]) for one in rounds)
        skill = ", ".join(f"{one['repeats'][0]:+.3f}" for one in rounds)
        name = words["poisoned"].format(number=number) if rounds[0]["poisoned"] else str(number)
        rates = _mean([one["win_rate"] for one in rounds])
        lines.append(f"| {name} | {rates} | {count} | {preference} | {skill} |")
    return "\n".join(lines)


def useless_table(rounds: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """A line for each kind of useless feedback: promotions, false ones with their upper limit, and win-rates."""
    lines = [words["useless"], "|---|---|---|---|"]
    for kind in dict.fromkeys(one["kind"] for one in rounds):
        some = [one for one in rounds if one["kind"] == kind]
        wrong = sum(map(is_false, some))
        rates = sorted(one["win_rate"] for one in some)
        count = words["promoted"].format(promoted=sum(map(is_promoted, some)), seeds=len(some))
        upper = proportion(wrong, len(some))[1]
        lines.append(f"| {words[kind]} | {count} | {wrong} (≤ {upper:.0%}) | {rates[0]:.2f} – {rates[-1]:.2f} |")
    return "\n".join(lines)


def is_promoted(one: Mapping[str, Any]) -> bool:
    return bool(one["status"] == "promoted")


def is_false(one: Mapping[str, Any]) -> bool:
    """Whether a version was promoted that people really do not like better."""
    return is_promoted(one) and one["win_rate"] <= 0.5


def gains(seeds: Sequence[Mapping[str, Any]]) -> list[float]:
    """By seed: the win-rate after the last honest round less that after the first."""
    honest = [[one["win_rate"] for one in seed["rounds"] if not one["poisoned"]] for seed in seeds]
    return [rates[-1] - rates[0] for rates in honest]


def _mean(values: Sequence[float], sign: str = "") -> str:
    """The mean over seeds with Student's t limits, where there are two seeds."""
    form = f"{{:{sign}.2f}}"
    limits = [form.format(one) for one in student(np.array(values))] if len(values) > 1 else []
    return f"{form.format(np.mean(values))} [{', '.join(limits)}]" if limits else form.format(values[0])


def draw(seeds: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Win-rates against the first version by round: each seed, and the mean with its limits; .5 is no better."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rates = np.array([[0.5, *(one["win_rate"] for one in seed["rounds"])] for seed in seeds])
    rounds = np.arange(rates.shape[1])
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for seed, line in zip(seeds, rates, strict=True):
        panel.plot(rounds, line, color="0.7", linewidth=1, label="a seed" if seed is seeds[0] else None)
    if len(seeds) > 1:
        low, high = zip(*(student(column) for column in rates[:, 1:].T), strict=True)
        panel.fill_between(rounds[1:], low, high, alpha=0.2, color="C0", linewidth=0)
    panel.plot(rounds, rates.mean(axis=0), "o-", color="C0", label="mean, 95 %")
    panel.axhline(0.5, linestyle="--", color="gray", linewidth=1)
    panel.axvspan(rounds[-1] - 0.5, rounds[-1] + 0.5, color="C3", alpha=0.12, linewidth=0, label="everybody lies")
    panel.set(xlabel="round", ylabel="win-rate against the start", xticks=rounds, xlim=(0, rounds[-1] + 0.5))
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)


def write_pages(record: Mapping[str, Any]) -> None:
    """Put the tables between the marks of the pages, and draw the picture."""
    for language in WORDS:
        put(DOCS / f"assistant{language}.md", "rounds", page_of(record, language))
    if record["seeds"]:
        draw(record["seeds"], DOCS / PICTURE)
