"""The frontier benchmark's table, verdicts, JSON and picture."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from frontier_line import LEAST_EFFECTIVE_SIZE, Frontier, Standing, frontier, standing
from frontier_runs import Row
from torch import Tensor

import strop

WINDOW = (2.0, 6.0)
"""Nats of KL within which the best method should reach `WANTED` of the frontier."""
WANTED = 0.9
TICKS = (0, 0.5, 2, 5, 10, 20, 40, 80, 120, 160)
LOOKS = {  # Okabe and Ito's colours, and a marker each
    "RLOO": ("#0072B2", "o"),
    "GRPO": ("#D55E00", "s"),
    "PPO": ("#009E73", "^"),
    "DPO": ("#CC79A7", "D"),
    "best of n": ("#E69F00", "v"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """The rows of one method and strength, averaged over seeds."""

    method: str
    strength: float
    seeds: int
    proxy: float
    gold: float
    kl: float
    share: float


def report(rows: Sequence[Row], rewards_N: Tensor, sizes: Mapping[str, float], results: Path, picture: Path) -> int:
    """Print, write and draw; 1 if a point lies above the frontier."""
    line = frontier(rewards_N)
    standings = [_standing(line, row) for row in rows]
    points = averaged(rows, line)
    above = [row for row, one in zip(rows, standings, strict=True) if one.is_above]
    _print(points, line, above, len(rows))
    record = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} processor cores ({platform.machine()}), no GPU; one thread a run",
        "versions": {"strop": strop.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "sizes": sizes,
        "seeds": sorted({row.seed for row in rows}),
        "reference": {"samples": line.num, "mean": line.start, "std": float(rewards_N.std())},
        "least_effective_size": LEAST_EFFECTIVE_SIZE,
        "frontier": [asdict(point) for point in line.points],
        "points": [asdict(point) for point in points],
        "rows": [asdict(row) | asdict(one) for row, one in zip(rows, standings, strict=True)],
        "above": [asdict(row) for row in above],
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(_finite(record), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draw(rows, points, line, picture)
    print(f"written: {results}, {picture}")
    return 1 if above else 0


def averaged(rows: Sequence[Row], line: Frontier) -> list[Point]:
    """One point a (method, strength), in the order of LOOKS and of rising KL; its share is that of the mean."""
    points = []
    for method in LOOKS:
        strengths = sorted({row.strength for row in rows if row.method == method}, reverse=method != "best of n")
        for strength in strengths:
            some = [row for row in rows if (row.method, row.strength) == (method, strength)]
            proxy, gold, kl = (float(np.mean([getattr(row, n) for row in some])) for n in ("proxy", "gold", "kl"))
            share = standing(line, proxy, kl, 1, 0.0, 0.0, 0.0).share
            points.append(Point(method, strength, len(some), proxy, gold, kl, share))
    return points


def _standing(line: Frontier, row: Row) -> Standing:
    return standing(line, row.proxy, row.kl, row.num, row.proxy_variance, row.kl_variance, row.covariance)


def _print(points: Sequence[Point], line: Frontier, above: Sequence[Row], num: int) -> None:
    print(f"\nThe frontier ends at {line.last_kl:.2f} nats, where its effective size is {LEAST_EFFECTIVE_SIZE:g}.")
    print(f"{'method':10} {'beta or n':>9} {'seeds':>5} {'KL':>7} {'proxy':>7} {'gold':>7}  share of the frontier")
    for p in points:
        share = "beyond its end" if math.isnan(p.share) else f"{p.share:.3f}"
        print(f"{p.method:10} {p.strength:9g} {p.seeds:5d} {p.kl:7.2f} {p.proxy:7.2f} {p.gold:7.2f}  {share}")
    best = max((p for p in points if WINDOW[0] <= p.kl <= WINDOW[1] and p.share == p.share), key=_share, default=None)
    if best is None:
        print(f"no point has a KL in {WINDOW} where the frontier is drawn: nothing says how near the best method is")
    else:
        word = "reached" if best.share >= WANTED else "NOT reached"
        print(
            f"best at KL {WINDOW}: {best.method}, beta or n {best.strength:g}: {best.share:.3f}; {WANTED:g} is {word}"
        )
    print(f"{len(above)} of {num} runs lie above the frontier by more than 2 standard errors")
    for row in above:
        print(f"  ABOVE: {row.method} {row.strength:g} seed {row.seed}: an error in the reward, the KL or the line")


def _share(point: Point) -> float:
    return point.share


def _finite(value: object) -> object:
    """NaN has no JSON: null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _root(kl: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(kl, 0.0))


def draw(rows: Sequence[Row], points: Sequence[Point], line: Frontier, picture: Path) -> None:
    """Left the proxy with the frontier, right gold; a small mark a seed, a line through the means."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    left.plot([p.kl for p in line.points], [p.reward for p in line.points], color="black", linewidth=1.8,
              label=f"optimal frontier (effective size over {LEAST_EFFECTIVE_SIZE:g})")  # fmt: skip
    furthest = max([row.kl for row in rows] + [line.last_kl])
    beyond = np.linspace(line.last_kl, furthest, 50)
    left.plot(beyond, [line.height(kl)[0] for kl in beyond], color="black", linewidth=1.2, linestyle=":",
              label="a bound on it (last tangent)")  # fmt: skip
    for axis, name in ((left, "proxy"), (right, "gold")):
        for method, (color, marker) in LOOKS.items():
            means = [p for p in points if p.method == method]
            if not means:
                continue
            label = f"{method} (KL is a bound)" if method == "best of n" else method
            kls, values = [p.kl for p in means], [getattr(p, name) for p in means]
            axis.plot(kls, values, color=color, marker=marker, markersize=7, linewidth=1.1, label=label)
            some = [row for row in rows if row.method == method]
            own = [row.kl for row in some], [getattr(row, name) for row in some]
            axis.plot(*own, marker, color=color, markersize=3.5, alpha=0.55)
        axis.plot(0, 0, "*", color="black", markersize=11, label="reference")
        axis.set_xscale("function", functions=(_root, np.square))  # near the start reward grows like sqrt(KL)
        axis.set_xticks([tick for tick in TICKS if tick <= 1.1 * furthest], minor=False)
        axis.set_xlim(0.0, 1.05 * furthest)
        axis.set_xlabel("KL to the reference, nats a sequence (root scale)")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    left.set_title("proxy reward: trained on")
    right.set_title("gold reward: never trained on")
    left.set_ylabel("mean proxy, standard deviations of the reference")
    right.set_ylabel("mean gold, standard deviations of the reference")
    left.set_ylim(-0.7, 1.1 * max(row.proxy for row in rows))  # the bound goes on
    figure.legend(*left.get_legend_handles_labels(), fontsize=9, frameon=False, loc="outside lower center", ncols=4)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)
