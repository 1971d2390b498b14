"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from strop.runs.directory import RunDirectory

PANELS = (
    ("reward", ("reward/mean",), ("held_out/reward",)),
    ("gold (never trained on)", (), ("held_out/gold",)),
    ("pairs preferred as people do", ("preference/accuracy",), ("held_out/accuracy",)),
    ("KL to the start, nats a sequence", ("policy/kl",), ()),
    ("entropy, nats a token", ("policy/entropy",), ()),
    ("length, tokens", ("rollout/length",), ("held_out/tokens",)),
)

COLUMNS = 3


def draw(runs: Sequence[RunDirectory], file: Path) -> Path:
    """One panel for every quantity that a run has: training as a line, held-out as dots. Raises ValueError if none has.

    The format follows the file's ending (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    series = [_series(run) for run in runs]
    panels = [panel for panel in PANELS if any(name in one for one in series for name in panel[1] + panel[2])]
    if not panels:
        raise ValueError("there is nothing to draw yet: no step of these runs is finished.")
    if file.suffix.lstrip(".") not in ("png", "svg", "pdf"):
        raise ValueError(f"{file}: a picture ends in .png, .svg or .pdf.")
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    axes = grid[: len(panels)]
    for axis in grid[len(panels) :]:
        axis.remove()
    for axis, (title, lines, dots) in zip(axes, panels, strict=True):
        for number, (run, one) in enumerate(zip(runs, series, strict=True)):
            color = f"C{number}"
            for name in lines:
                if name in one:
                    axis.plot(*one[name], color=color, alpha=0.75, linewidth=1.4, label=f"{run.path.name}, training")
            for name in dots:
                if name in one:
                    axis.plot(
                        *one[name], "o-", color=color, markersize=6, linewidth=1, label=f"{run.path.name}, held out"
                    )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return file


def _series(run: RunDirectory) -> dict[str, tuple[list[int], list[float]]]:
    names = {name for _, lines, dots in PANELS for name in lines + dots}
    with run.reader() as store:
        found = {name: store.series(name) for name in names}
    return {name: ([s for s, _ in points], [v for _, v in points]) for name, points in found.items() if points}
