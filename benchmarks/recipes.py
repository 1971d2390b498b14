"""What each recipe costs, and what it reaches: minutes, memory and disk of one `strop train NAME` after the other.

    python benchmarks/recipes.py [NAME ...] [--out FILE.json]

Whole processes at their defaults, alone on the machine, each in a folder of its own that is measured and thrown away;
`taste` follows `taste_judge` in one folder, since it reads its run. Memory is the largest resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from side_by_side import machine, packages
from startup import STROP

RECIPES = (
    "two_words",
    "guess_offline",
    "copy_word",
    "taste_judge",
    "taste",
    "story",
    "cartpole",
    "cartpole_ppo",
    "cartpole_a2c",
    "cartpole_dqn",
    "pendulum_ddpg",
    "arithmetic",
)
GB, MB = 1e9, 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """One recipe at its defaults; `before` and `after` are held-out means, none where nothing is judged."""

    recipe: str
    minutes: float
    memory_gb: float
    disk_mb: float
    before: float | None
    after: float | None


def cost(recipe: str, folder: Path) -> Cost:
    """Train it below `folder`."""
    run = folder / "runs" / recipe
    command = [sys.executable, "-c", STROP, "train", recipe, "--run", str(run), "--json"]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"error: strop train {recipe} ended with exit code {process.returncode}")
    minutes = (time.monotonic() - started) / 60
    disk = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return Cost(recipe, minutes, used.ru_maxrss * kilobyte / GB, disk / MB, *judged(json.loads(printed)))


def judged(result: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The held-out reward before and after."""
    verdicts = result.get("verdicts") or []
    return (verdicts[0]["before"]["mean"], verdicts[0]["after"]["mean"]) if verdicts else (None, None)


def row(one: Cost) -> str:
    """A line of the table, in Markdown."""
    score = "" if one.before is None or one.after is None else f"{one.before:.2f} -> {one.after:.2f}"
    return f"| `{one.recipe}` | {score} | {one.minutes:.1f} | {one.memory_gb:.1f} | {one.disk_mb:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=RECIPES, help="recipes (default: all)")
    parser.add_argument("--out", type=Path, help="keep the figures in this file, too")
    args = parser.parse_args()
    print("| recipe | held out | minutes | memory, GB | disk, MB |\n|---|---|---|---|---|", flush=True)
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names:
            costs.append(cost(name, Path(folder)))
            print(row(costs[-1]), flush=True)
    if args.out:
        made = {"date": date.today().isoformat(), "machine": machine(), "packages": packages()}
        args.out.write_text(json.dumps({**made, "recipes": [asdict(one) for one in costs]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
