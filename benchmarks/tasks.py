"""Real tasks: three seeds of each arm beside its baselines, within so many minutes, for the tables of docs/tasks.

    python benchmarks/tasks.py                          # every task; hours
    python benchmarks/tasks.py sentiment --seeds 3 --minutes 10
    python benchmarks/tasks.py games --side-by-side 2   # two cells at a time, each on half of the cores
    python benchmarks/tasks.py sentiment --page         # only write the pages from what was measured

Each cell is a process of its own that trains a recipe by its name, on all cores or on its share of them. It is judged
by the run itself: on its held-out tasks, before and after, beside its baselines. The numbers go to
results/task-NAME.json, the tables into docs/tasks/NAME.md and its twin, the curves into docs/tasks/NAME.png. What is
done is kept, so a benchmark that was stopped goes on. `task_arms.py` lists the arms.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.console import Console
from side_by_side import RESULTS, machine, packages
from task_arms import APART, TASKS, recipe_of
from task_page import page_of, write

from strop.words import plural

NUM_SHOWN = 2
"""Held-out tasks whose answers are kept to be read: the first ones, not chosen."""
KIB_PER_GIB = 1024 * 1024


def cell(task: str, arm: str, seed: int, minutes: float, folder: Path) -> dict[str, Any]:
    """Train one arm, and what its run says of itself. In a process of its own."""
    import strop

    made = configured(task, TASKS[task][arm], seed, minutes)
    started = time.perf_counter()
    run = strop.train(made, folder / f"{task}-{arm.replace(' ', '-')}-{seed}")
    found = facts_of(run)
    if task in APART:
        del found["rewards"]  # which pair the arms of a task
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB
    return found | {"all_minutes": (time.perf_counter() - started) / 60, "gib": peak, "run": str(run.path)}


def configured(task: str, parameters: Mapping[str, Any], seed: int, minutes: float) -> Any:
    """What the recipe makes of these parameters, with a seed and a time. A list of stages divides the time itself."""
    from strop.recipes import __getattr__ as named

    recipe = named(recipe_of(task)).recipe
    takes_minutes = "minutes" in inspect.signature(recipe).parameters
    made = recipe(**parameters, **({"minutes": minutes} if takes_minutes else {}))
    if isinstance(made, list):
        return [replace(stage, config=replace(stage.config, seed=seed)) for stage in made]
    return replace(made, seed=seed, minutes=made.minutes if takes_minutes else minutes)


def facts_of(run: Any) -> dict[str, Any]:
    """Scores before and after, the baselines, what each held-out task earned, and two answers."""
    from strop.data.twins import prompt_text
    from strop.reports.outcome import outcome_of
    from strop.runs.directory import RunDirectory
    from strop.types import Unscored

    stages = [RunDirectory(one) for one in sorted(run.path.parent.glob("[0-9]*-*")) if one.is_dir()]
    runs = stages if run.path in [one.path for one in stages] else [run.directory]
    first, last = outcome_of(runs[0]), outcome_of(runs[-1])
    with run.directory.reader() as store:
        judged = [row for row in store.metrics() if "held_out/reward" in row][-1]
    seconds, steps = list[float](), list[int]()
    for one in runs:
        with one.reader() as store:
            seconds.append(store.seconds())
            steps.append(len(store.series("time/step_seconds")))
    return {
        "steps": steps,
        "minutes": sum(seconds) / 60,
        "verdicts": {
            one.name: {"before": one.before.mean, "after": spread(after.after)}
            for one, after in zip(first.verdicts, last.verdicts, strict=True)
        },
        "besides": {
            one.name: {
                "reward": spread(one.reward),
                "difference": spread(one.difference),
                "gold": None if one.gold is None else one.gold.mean,
            }
            for one in last.besides
        },
        "held_out": {name.removeprefix("held_out/"): value for name, value in judged.items() if name != "step"},
        "judged": len(last.after),
        "rewards": {
            one.task.id: None if isinstance(one.reward, Unscored) else round(one.reward, 6) for one in last.after
        },
        "shown": [
            [prompt_text(old.task), old.text, new.text]
            for old, new in zip(first.before[:NUM_SHOWN], last.after[:NUM_SHOWN], strict=False)
        ],
    }


def spread(interval: Any) -> list[Any]:
    """Mean, low and high, and why there is no interval."""
    return [interval.mean, interval.low, interval.high, interval.reason]


def measure(task: str, args: argparse.Namespace, file: Path) -> dict[str, Any]:
    """Every cell of a task that is not done yet, one after the other, each kept when it is done."""
    record = begun(args, file)
    about = {"task": task, "minutes": args.minutes, "date": date.today().isoformat(), "seeds": args.seeds}
    shares = SimpleQueue[list[int]]()
    for share in shares_of(sorted(os.sched_getaffinity(0)), args.side_by_side):
        shares.put(share)
        about["cores"] = len(share)
    record |= {**about, "machine": machine(), "packages": packages()}
    jobs = [(arm, seed) for seed in range(args.seeds) for arm in args.arms or TASKS[task]]
    with ThreadPoolExecutor(args.side_by_side) as pool:
        waiting = {
            pool.submit(in_a_process, task, arm, seed, args, shares): (arm, seed)
            for arm, seed in jobs
            if f"{arm}/{seed}" not in record["cells"]
        }
        failed = None
        for done in as_completed(waiting):
            if done.cancelled():
                continue
            if error := done.exception():
                failed = error
                pool.shutdown(wait=False, cancel_futures=True)  # those that run are kept
                continue
            arm, seed = waiting[done]
            record["cells"][f"{arm}/{seed}"] = done.result()
            keep(record, file)
            Console(stderr=True).print(f"{task}, {arm}, seed {seed} done")
    if failed:
        raise failed
    return record


def shares_of(cores: Sequence[int], num: int) -> list[list[int]]:
    """The cores in so many equal shares. Raises SystemExit if there are fewer."""
    if num > len(cores):
        raise SystemExit(f"error: --side-by-side {num}: this machine has {plural(len(cores), 'core')}")
    size = len(cores) // num
    return [list(cores[first : first + size]) for first in range(0, size * num, size)]


def in_a_process(
    task: str, arm: str, seed: int, args: argparse.Namespace, shares: SimpleQueue[list[int]]
) -> dict[str, Any]:
    """What a process on a free share of the cores prints last. Raises SystemExit with what it said if it fails."""
    cores = shares.get()
    told = [sys.executable, __file__, task, "--cell", arm, str(seed), "--minutes", str(args.minutes)]
    told += ["--runs", str(args.runs), "--cores", *map(str, cores)]
    env = {**os.environ, "OMP_NUM_THREADS": str(len(cores))}
    try:
        done = subprocess.run(told, capture_output=True, text=True, env=env, timeout=1800 + 360 * args.minutes)
    finally:
        shares.put(cores)
    if done.returncode:
        raise SystemExit(f"error: {task}, {arm}, seed {seed}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return found


def begun(args: argparse.Namespace, file: Path) -> dict[str, Any]:
    """The record that goes on, or a new one. Raises SystemExit if it was measured in another time."""
    if not file.is_file() or args.again:
        return {"cells": {}}
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if record["minutes"] != args.minutes:
        raise SystemExit(f"error: {file} was begun with minutes={record['minutes']}: --again begins anew")
    return record


def keep(record: Mapping[str, Any], file: Path) -> None:
    """Write the record, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".partial")
    beside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(file)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tasks", nargs="*", metavar="TASK", help=f"{', '.join(TASKS)} (default: all)")
    options.add_argument("--arms", nargs="+", help="only these arms")
    options.add_argument("--minutes", type=float, default=10.0, help="of training, in each cell")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--side-by-side", type=int, default=1, metavar="N", help="cells at a time, each on its cores")
    options.add_argument("--again", action="store_true", help="do again what is done")
    options.add_argument("--runs", type=Path, default=Path("runs/tasks"), help="folder of the runs")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options.add_argument("--page", action="store_true", help="only write the pages from the results")
    options.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    options.add_argument("--cores", nargs="+", type=int, help=argparse.SUPPRESS)
    args = options.parse_args()
    if unknown := [task for task in args.tasks if task not in TASKS]:
        options.error(f"{unknown[0]}: the tasks are {', '.join(TASKS)}")
    if args.cell:
        os.sched_setaffinity(0, args.cores)
        arm, seed = args.cell
        found = cell(args.tasks[0], arm, int(seed), args.minutes, args.runs)
        print("\n" + json.dumps(found, ensure_ascii=False))
        return
    for task in args.tasks or TASKS:
        file = args.out / f"task-{task}.json"
        record = json.loads(file.read_text(encoding="utf-8")) if args.page else measure(task, args, file)
        Console().print(page_of(record, chinese=False), soft_wrap=True, markup=False)
        if args.out == RESULTS:
            write(record)


if __name__ == "__main__":
    main()
