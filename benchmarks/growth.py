"""How the time and memory of a GRPO step grow with the group, the answer, the prompt and the vocabulary.

    python benchmarks/growth.py [--policy scratch] [--repeats 3]

One size is doubled at a time while the others stay. A step samples the answers and takes one optimiser step; each point
has processes of its own, so that its peak memory is its own. The slope is that of a straight line through the
logarithms of size and time: 1 is linear, below 1 something else weighs more. The worst doubling is the largest factor
from one size to the next: near 2 or below there is no cliff. Writes results/growth-LABEL.json, and a picture beside it.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from side_by_side import Measured, keep, measure
from training import episodes, timed

import strop
from strop.batch import collate
from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Completion

SCRATCH = {"group": 8, "tokens": 32, "prompt": 64, "vocabulary": 1024}, (1, 2, 4, 8)
SMOLLM2 = {"group": 4, "tokens": 16, "prompt": 32}, (1, 2, 4)
"""Where each size begins, and its factors. A pretrained model has the vocabulary that it has."""
PROMPTS = 2
ABOUT = "How a GRPO step grows"
WIDTH, LAYERS = 128, 4


@dataclass(frozen=True, slots=True)
class Growth:
    """Along one size: medians at every value of it, the slopes, and the worst doublings of time and memory."""

    along: str
    sizes: list[int]
    seconds: list[float]
    gigabytes: list[float]
    slope: float
    worst: float
    memory_slope: float
    worst_memory: float


def points(base: Mapping[str, int], factors: Sequence[int]) -> dict[str, dict[str, int]]:
    """Every point by its name. The base is measured anew along each size."""
    return {f"{along} {size * by}": {**base, along: size * by} for along, size in base.items() for by in factors}


def side(sizes: Mapping[str, int]) -> Callable[[argparse.Namespace], Measured]:
    """The work of one point."""

    @kept_memory()  # as strop.train does
    def work(args: argparse.Namespace) -> Measured:
        policy = built(args, sizes)
        sampler = LocalSampler(policy, stop=frozenset())
        sampling = strop.Sampling(max_tokens=sizes["tokens"])
        config = strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-6))
        algorithm = config.build(policy, sampling, micro_tokens=4096)
        dice = np.random.default_rng(0)
        distinct = [tuple(dice.integers(0, policy.vocabulary, sizes["prompt"]).tolist()) for _ in range(PROMPTS)]
        prompts = [prompt for prompt in distinct for _ in range(sizes["group"])]
        rngs = [stream(args.seed, "benchmark", row) for row in range(len(prompts))]

        def step() -> None:
            answers: list[Completion] = sampler.sample(prompts, sampling, rngs)
            played = episodes(sizes["group"], prompts, [answer.tokens for answer in answers])
            algorithm.update(collate(tuple(strop.Pick(episode) for episode in played), policy.layout))

        return Measured(timed(args.steps, step), len(prompts))

    return work


def built(args: argparse.Namespace, sizes: Mapping[str, int]) -> Transformer:
    """The policy of a point: all weights train."""
    if args.policy == "smollm2":
        return strop.policies.Transformer.Config(lora=None).build(0, "float32")[0]
    scratch = strop.policies.Scratch(
        words=[f"w{i}" for i in range(sizes["vocabulary"])],
        has_end=False,
        num_layers=LAYERS,
        width=WIDTH,
        context=sizes["prompt"] + sizes["tokens"],
    )
    return scratch.build(0, "float32")[0]


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Of the straight line (least squares) through the logarithms: cost grows as size ** slope."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def worst_doubling(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The largest factor of the cost from one size to the next, as for a size that doubles."""
    steps = zip(sizes, sizes[1:], costs, costs[1:], strict=False)
    return max((after / before) ** (1 / math.log2(larger / size)) for size, larger, before, after in steps)


def growths(measured: Mapping[str, Sequence[Measured]]) -> list[Growth]:
    """What the points say along each size, in their order."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for point, runs in measured.items():
        along, size = point.split()
        seconds = statistics.median(statistics.median(run.seconds) for run in runs)
        found.setdefault(along, []).append((int(size), seconds, max(run.peak_gigabytes for run in runs)))
    return [_growth(along, *map(list, zip(*rows, strict=True))) for along, rows in found.items()]


def _growth(along: str, sizes: list[int], seconds: list[float], gigabytes: list[float]) -> Growth:
    numbers = (f(sizes, costs) for costs in (seconds, gigabytes) for f in (slope, worst_doubling))
    return Growth(along, sizes, seconds, gigabytes, *numbers)


def table(found: Sequence[Growth]) -> Table:
    """A row a size that grows."""
    made = Table()
    for heading in ("", "sizes", "seconds", "slope", "worst doubling", "peak GB", "worst doubling"):
        made.add_column(heading, justify="left" if not heading else "right")
    for one in found:
        sizes, seconds = (f"{values[0]:.3g} to {values[-1]:.3g}" for values in (one.sizes, one.seconds))
        memory = f"{one.gigabytes[0]:.2f} to {one.gigabytes[-1]:.2f}"
        made.add_row(
            one.along, sizes, seconds, f"{one.slope:.2f}", f"{one.worst:.2f}", memory, f"{one.worst_memory:.2f}"
        )
    return made


def draw(found: Sequence[Growth], path: Path) -> Path:
    """Time and memory against size, both as factors of the first point, with a line that is linear."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for panel, title, costs in zip(panels, ("time of a step", "peak memory"), ("seconds", "gigabytes"), strict=True):
        for one in found:
            values = getattr(one, costs)
            panel.plot(
                [size / one.sizes[0] for size in one.sizes], [v / values[0] for v in values], "o-", label=one.along
            )
        ends = (1, max(one.sizes[-1] / one.sizes[0] for one in found))
        panel.plot(ends, ends, "--", color="gray", label="linear")
        for axis, scale in ((panel.xaxis, panel.set_xscale), (panel.yaxis, panel.set_yscale)):
            scale("log", base=2)
            axis.set_major_formatter(ScalarFormatter())
        panel.set(xlabel="size, times the first", title=f"{title}, times the first")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=120)
    return path


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--policy", choices=("scratch", "smollm2"), default="scratch")
    options.add_argument("--steps", type=int, default=3, help="measured in each process, after one that warms up")
    policy = options.parse_known_args()[0].policy
    sides = {name: side(sizes) for name, sizes in points(*(SMOLLM2 if policy == "smollm2" else SCRATCH)).items()}
    args, measured = measure(ABOUT, sides, options)
    found = growths(measured)
    Console().print(table(found))
    path = keep("growth", ABOUT, "episodes", args, measured, None, {"growth": [asdict(one) for one in found]})
    Console().print(f"drawn: {draw(found, path.with_suffix('.png'))}")


if __name__ == "__main__":
    main()
