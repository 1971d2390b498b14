"""How long one waits: for `strop --help`, for `import strop`, and for the first step of `strop train` on SmolLM2.

    python benchmarks/startup.py [--repeats 5]

Whole processes, from their start to their end. "train" loads SmolLM2-135M from the local cache, makes one step of two
answers of four tokens, saves its checkpoint and ends: its first step is behind it. Python itself is measured too, which
everything else includes. The first call of each kind warms the disk's cache and is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from side_by_side import Measured, keep, measure, spread
from trainers import folder
from training import timed

STROP = "import sys; from strop.cli.main import main; sys.exit(main())"
RECIPE = """
import strop
from strop.recipes.arithmetic import rewards, sum_tasks

def recipe():
    return strop.TrainConfig(policy="smollm2", tasks=sum_tasks("train"), rewards=rewards(),
        sampling=strop.Sampling(max_tokens=4), group_size=2, prompts_per_step=1, steps=1,
        threads={threads})
"""
LIMITS = {"strop --help": 0.3, "import strop": 0.3, "strop train": 10.0}
"""Seconds that each may take."""
Words = Callable[[argparse.Namespace], Sequence[str]]
"""What Python is started with."""


def train_words(args: argparse.Namespace) -> list[str]:
    """A run of one step in a folder of its own."""
    number = len(list(folder().glob("run*")))
    (folder() / "first.py").write_text(RECIPE.format(threads=args.threads))
    return ["-c", STROP, "train", str(folder() / "first.py"), "--run", str(folder() / f"run{number}")]


COMMANDS: Mapping[str, Words] = {
    "python": lambda _: ["-c", "pass"],
    "import strop": lambda _: ["-c", "import strop"],
    "strop --help": lambda _: ["-c", STROP, "--help"],
    "strop train": train_words,
}


def side(words: Words) -> Callable[[argparse.Namespace], Measured]:
    """The processes of one kind."""

    def work(args: argparse.Namespace) -> Measured:
        def start() -> None:
            subprocess.run([sys.executable, *words(args)], check=True, capture_output=True)

        return Measured(timed(args.steps, start), 1)

    return work


def table(measured: Mapping[str, Sequence[Measured]]) -> Table:
    """Every process counts for itself."""
    made = Table()
    for heading in ("", "seconds", "allowed"):
        made.add_column(heading, justify="left" if not heading else "right")
    for name, runs in measured.items():
        allowed = f"{LIMITS[name]:g}" if name in LIMITS else ""
        made.add_row(name, spread([second for run in runs for second in run.seconds]), allowed)
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=3, help="processes of each kind in a repeat, after one more")
    args, measured = measure("Start-up", {name: side(words) for name, words in COMMANDS.items()}, options)
    Console().print(table(measured))
    keep("startup", "Start-up", "processes", args, measured, None, {"limits": LIMITS})


if __name__ == "__main__":
    main()
