"""Our DQN, A2C and PPO beside Stable-Baselines3's on CartPole-v1 and Acrobot-v1, with the same budget of turns.

    python benchmarks/control.py [--workers 2] [--quick]

Each run learns from --budget turns of the environment and is judged greedily on held-out episodes, the same for both
sides. A finished run is a line of OUT/control.jsonl; one that stands there with the same settings is not run again, so
the command can be stopped and started at will. At the end OUT/control.json holds the summary, and the pages of docs/
their tables. Needs the extra strop[control].
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import control_ours
import control_peer
import control_report
import numpy as np
import scores

ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1")
ALGORITHMS = ("DQN", "A2C", "PPO")
SIDES = {"strop": control_ours, "stable-baselines3": control_peer}
HOME = Path(__file__).parent / "results"
BUDGET, SEEDS, EPISODES = 50_000, 5, 100
QUICK = {"budget": 400, "seeds": 1, "episodes": 2, "workers": 0}


@dataclass(frozen=True, slots=True)
class Job:
    """One run. `settings` is a digest: a result of other settings is not this job's."""

    environment: str
    algorithm: str
    side: str
    seed: int
    budget: int
    episodes: int
    settings: str

    def __str__(self) -> str:
        return f"{self.environment} {self.algorithm} {self.side} seed {self.seed}"


def jobs(
    environments: Sequence[str],
    algorithms: Sequence[str],
    sides: Sequence[str],
    seeds: Sequence[int],
    budget: int,
    episodes: int,
) -> list[Job]:
    """Every run of the table; seed by seed, so that a stopped benchmark has something of each."""
    return [
        Job(env, algorithm, side, seed, budget, episodes, digest(SIDES[side].describe(env, algorithm)))
        for seed in seeds
        for env in environments
        for algorithm in algorithms
        for side in sides
    ]


def digest(text: str) -> str:
    """A short name of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def done(path: Path) -> dict[Job, dict[str, Any]]:
    """The finished runs. A last line that a kill cut short is no result."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[Job(**result["job"])] = result
    return found


def append(path: Path, result: dict[str, Any]) -> None:
    """One more line, on a line of its own even behind one that was cut short."""
    is_torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a") as file:
        file.write(("\n" if is_torn else "") + json.dumps(result) + "\n")
        file.flush()
        os.fsync(file.fileno())


def perform(job: Job) -> dict[str, Any]:
    """Learn and be judged."""
    started, busy = time.perf_counter(), time.process_time()
    actor, turns = SIDES[job.side].learn(job.environment, job.algorithm, job.seed, job.budget)
    learnt, worked = time.perf_counter() - started, time.process_time() - busy
    returns = scores.judge(actor, job.environment, job.episodes)
    return {
        "job": asdict(job),
        "mean": float(np.mean(returns)),
        "turns": turns,
        "seconds": round(learnt, 1),
        "processor_seconds": round(worked, 1),
        "returns": returns,
    }


def performed(open_jobs: Sequence[Job], workers: int) -> Iterator[dict[str, Any]]:
    """The results as they come: each from a process of its own, or with no worker from this one."""
    if not workers:
        yield from map(perform, open_jobs)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        yield from (future.result() for future in as_completed([pool.submit(perform, job) for job in open_jobs]))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(wanted: Sequence[Job], path: Path, workers: int) -> list[dict[str, Any]]:
    """Do what is not done yet; every result of what is wanted, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    finished = done(path)
    open_jobs = [job for job in wanted if job not in finished]
    say(f"{len(wanted)} runs, {len(wanted) - len(open_jobs)} of them done before")
    for i, result in enumerate(performed(open_jobs, workers), 1):
        append(path, result)
        job = Job(**result["job"])
        finished[job] = result
        say(
            f"{i}/{len(open_jobs)} {job}: {result['mean']:.1f} after {result['turns']} turns, {result['seconds']:.0f} s"
        )
    return [finished[job] for job in wanted]


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="+", choices=ENVIRONMENTS, default=ENVIRONMENTS)
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=ALGORITHMS)
    parser.add_argument("--budget", type=int, default=BUDGET, help="turns of the environment in a run")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="settings are chosen on 100, 101, ...")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--episodes", type=int, default=EPISODES, help="held-out episodes of a judgement")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes side by side, each of one thread; 0: this one"
    )
    parser.add_argument("--out", type=Path, default=HOME, help="folder of the results")
    parser.add_argument(
        "--quick", action="store_true", help="does it run at all? seconds, no learning, no page changed"
    )
    args = parser.parse_args(None if arguments is None else list(arguments))
    if args.quick:
        vars(args).update(QUICK)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    wanted = jobs(args.environments, args.algorithms, args.sides, seeds, args.budget, args.episodes)
    results = run(wanted, args.out / ("quick.jsonl" if args.quick else "control.jsonl"), args.workers)
    rows = control_report.summary(results)
    print(control_report.table(rows, control_report.ENGLISH))
    whole = jobs(ENVIRONMENTS, ALGORITHMS, list(SIDES), range(SEEDS), BUDGET, EPISODES)
    if not args.quick and set(wanted) == set(whole):  # the pages hold the whole table or nothing
        control_report.write(rows, args.out, results)


if __name__ == "__main__":
    try:
        main()
    except ImportError as error:
        sys.exit(f"error: {error}")
