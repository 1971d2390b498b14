"""Learning curves as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from strop.reports.baselines import attempts_of_run
from strop.reports.series import NO_STAGES, Line, Series, lines
from strop.runs.directory import RunDirectory
from strop.runs.staged import stage_name
from strop.runs.standing import algorithm_name

ENDINGS = ("png", "svg", "pdf")
COLUMNS = 3
LONGEST_LABEL = 48
LEAST_APART = 0.04
"""The share of a panel's height that the label of a line needs."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity: its metric in training steps and its metric in judgements; empty where there is none.

    `offline` panels show only runs without training rewards.
    """

    title: str
    training: str = ""
    held_out: str = ""
    offline: bool = False

    def shows(self, line: Line) -> bool:
        """Whether the panel has something of this line."""
        has_it = self.training in line.series or self.held_out in line.series
        return has_it and not (self.offline and "reward/mean" in line.series)


REWARD = Panel("reward", "reward/mean", "held_out/reward")
GOLD = Panel("gold (never trained on)", "", "held_out/gold")
PANELS = (
    REWARD,
    GOLD,
    Panel("pairs preferred as people do", "preference/accuracy", "held_out/accuracy"),
    Panel("loss", "optimizer/loss", offline=True),
    Panel("negative log-likelihood, nats a token", "policy/nll", "held_out/loss", offline=True),
    Panel("temporal-difference error", "q/error_mean", offline=True),
    Panel("KL to the start, nats a sequence", "policy/kl"),
    Panel("entropy, nats a token", "policy/entropy"),
    Panel("length, tokens", "rollout/length", "held_out/tokens"),
)
METRICS = tuple(name for panel in PANELS for name in (panel.training, panel.held_out) if name)


def draw(runs: Sequence[RunDirectory], file: Path, starts: Mapping[Path, int] = NO_STAGES) -> Path:
    """A panel for every quantity that a run has: training as a line, judgements as dots with their intervals.

    Runs that differ only in their seed are a mean and a band. `starts` are the steps at which stages begin, by their
    folders. The format follows the file's ending (png, svg, pdf). Raises ValueError where there is nothing to draw.
    """
    if file.suffix.lstrip(".") not in ENDINGS:
        raise ValueError(f"{file}: a picture ends in .png, .svg or .pdf.")
    figure = picture(runs, starts)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return file


def picture(runs: Sequence[RunDirectory], starts: Mapping[Path, int] = NO_STAGES) -> Figure:
    """The figure that `draw` writes."""
    drawn = lines(runs, METRICS, starts)
    panels = [panel for panel in PANELS if any(panel.shows(line) for line in drawn)]
    if not panels:
        raise ValueError("there is nothing to draw yet: no step of these runs is finished.")
    figure, axes = _laid_out(panels, _legend(drawn))
    figure.suptitle(_title(runs, drawn, starts), fontsize=12)
    if REWARD in axes and GOLD in axes and _are_shares(drawn):
        axes[GOLD].sharey(axes[REWARD])
    last_step = max(1, *(line.last for line in drawn))
    for panel, axis in axes.items():
        _draw_panel(axis, panel, drawn, last_step)
        if panel is REWARD:
            _mark_baselines(axis, runs)
        _mark_stages(axis, starts)
    return figure


def _laid_out(panels: Sequence[Panel], legend: Sequence[Line2D | Patch]) -> tuple[Figure, dict[Panel, Axes]]:
    """The figure and its axes, sized for the panels and the legend below them."""
    columns = min(len(panels), COLUMNS)
    rows, width = -(-len(panels) // columns), max(6.0, 4.2 * columns)
    label_width = 0.5 + 0.07 * max(len(str(one.get_label())) for one in legend)
    per_row = max(1, int(width / label_width))
    figure = Figure(figsize=(width, 3.0 * rows + 0.5 + 0.2 * -(-len(legend) // per_row)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in grid[len(panels) :]:
        axis.remove()
    figure.legend(handles=legend, loc="outside lower center", ncols=per_row, fontsize=8, frameon=False)
    return figure, dict(zip(panels, grid, strict=False))


def _draw_panel(axis: Axes, panel: Panel, drawn: Sequence[Line], last_step: int) -> None:
    for number, line in enumerate(drawn):
        color = _color(number, drawn)
        offset = (
            last_step * min(0.01, 0.06 / len(drawn)) * (number - (len(drawn) - 1) / 2)
        )  # error bars beside each other
        for size, series in [(1.0, line.series), *((0.5, one) for one in line.tails)] if panel.shows(line) else []:
            if panel.training in series:
                _draw_training(axis, series[panel.training], color, size)
            if panel.held_out in series:
                _draw_judged(axis, series[panel.held_out], color, size, offset)
    axis.set_title(panel.title, fontsize=10)
    axis.set_xlabel("steps done", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_xlim(-0.05 * last_step, 1.05 * last_step)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _mark_stages(axis: Axes, starts: Mapping[Path, int]) -> None:
    """A vertical line where a stage begins, and its name."""
    at_top = axis.get_xaxis_transform()
    for start, name in sorted({(start, stage_name(folder)) for folder, start in starts.items()}):
        axis.axvline(start, color="grey", linewidth=0.8, linestyle=":")
        axis.text(start, 1.0, f" {name}", transform=at_top, va="top", fontsize=7, color="grey")


def _mark_baselines(axis: Axes, runs: Sequence[RunDirectory]) -> None:
    """A dashed line at the mean reward of each baseline, over all runs that have it, and its name."""
    rewards: dict[str, list[float]] = {}
    for run in runs:
        for name, attempts in attempts_of_run(run).items():
            rewards.setdefault(name, []).extend(one.reward for one in attempts if one.reward is not None)
    means = {name: math.fsum(values) / len(values) for name, values in rewards.items() if values}
    for mean in means.values():
        axis.axhline(mean, color="grey", linewidth=0.8, linestyle="--")
    low, high = axis.get_ylim()
    for names, mean in _shared_labels(means, LEAST_APART * (high - low)):
        axis.text(1.0, mean, names, transform=axis.get_yaxis_transform(), ha="right", va="bottom", fontsize=7)


def _shared_labels(means: Mapping[str, float], apart: float) -> list[tuple[str, float]]:
    """Names that would stand on one another share a label, at the highest of their lines."""
    labels = list[tuple[str, float]]()
    for name in sorted(means, key=lambda name: means[name]):
        if labels and means[name] - labels[-1][1] < apart:
            name_before, _ = labels.pop()
            labels.append((f"{name_before}, {name}", means[name]))
        else:
            labels.append((name, means[name]))
    return labels


def _draw_training(axis: Axes, series: Series, color: Any, size: float) -> None:
    """A line, and the band of the seeds; an isolated point is a dot, since a line would not show it."""
    steps, values, low, high = _columns(series)
    axis.plot(steps, values, color=color, alpha=0.75, linewidth=1.4 * size)
    axis.plot(steps, _isolated(values), ".", color=color, alpha=0.75)
    if not all(map(math.isnan, low)):
        axis.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)


def _draw_judged(axis: Axes, series: Series, color: Any, size: float, offset: float) -> None:
    """Dots with their intervals, joined by a thin line."""
    steps, values, low, high = _columns(series)
    bars = np.maximum(0.0, [np.subtract(values, low), np.subtract(high, values)])  # an end may be rounded past its mean
    axis.errorbar(
        [step + offset for step in steps], values, bars, fmt="o-", color=color,
        markersize=5 * size, linewidth=size, elinewidth=1, capsize=2,
    )  # fmt: skip


def _columns(series: Series) -> tuple[list[int], list[float], list[float], list[float]]:
    points = series.values()
    return list(series), [one.value for one in points], [one.low for one in points], [one.high for one in points]


def _isolated(values: Sequence[float]) -> list[float]:
    """The values whose neighbours are NaN; all others become NaN."""
    around = [math.nan, *values, math.nan]
    return [
        value if math.isnan(before) and math.isnan(after) else math.nan
        for before, value, after in zip(around, values, around[2:], strict=False)
    ]


def _are_shares(drawn: Sequence[Line]) -> bool:
    """Whether all rewards and gold scores lie in [0, 1], so that one axis scale makes their changes comparable."""
    scores = [
        point.value
        for line in drawn
        for name in (REWARD.training, REWARD.held_out, GOLD.held_out)
        for point in line.series.get(name, {}).values()
    ]
    return all(math.isnan(score) or 0.0 <= score <= 1.0 for score in scores)


def _legend(drawn: Sequence[Line]) -> list[Line2D | Patch]:
    """Colours for runs, grey for what a mark means."""
    names = [Patch(color=_color(number, drawn), label=_shortened(line.label)) for number, line in enumerate(drawn)]
    marks: list[Line2D | Patch] = [Line2D([], [], color="grey", label="training")]
    if any(panel.held_out in line.series for panel in PANELS for line in drawn):
        has_single = any(line.num_seeds == 1 for line in drawn)
        bars = " with 95 % intervals over prompts" if has_single else ""
        marks.append(Line2D([], [], color="grey", marker="o", markersize=5, label=f"held out{bars}"))
    if any(line.num_seeds > 1 for line in drawn):
        marks.append(Patch(color="grey", alpha=0.3, label="seeds: their mean, from the lowest to the highest"))
    if any(line.tails for line in drawn):
        marks.append(Line2D([], [], color="grey", linewidth=0.7, label="a seed alone, where another has ended"))
    return [*(names if len(names) > 1 else []), *marks]


def _title(runs: Sequence[RunDirectory], drawn: Sequence[Line], starts: Mapping[Path, int]) -> str:
    algorithms = list(dict.fromkeys(algorithm_name(run.config()["algorithm"]) for run in runs))
    what = _shortened(drawn[0].label) if len(drawn) == 1 else f"{len(runs)} runs"
    homes = {run.path.absolute().parent for run in runs}
    if starts.keys() == {run.path for run in runs} and len(homes) == 1:
        what = _shortened(homes.pop().name)
    return f"{what}: {', '.join(algorithms) if len(algorithms) <= 3 else f'{len(algorithms)} algorithms'}"


def _color(number: int, drawn: Sequence[Line]) -> Any:
    return colormaps["tab10" if len(drawn) <= 10 else "tab20"](number % 20)


def _shortened(label: str) -> str:
    """A long name without its middle."""
    half = LONGEST_LABEL // 2
    return label if len(label) <= LONGEST_LABEL else f"{label[:half]} ... {label[-half:]}"
