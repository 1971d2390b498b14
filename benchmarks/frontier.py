"""The reward-KL frontier: PPO, RLOO, GRPO, DPO and best-of-n against the best reward that any policy has at its KL.

    python benchmarks/frontier.py [--workers 2] [--seeds 2] [--quick] [--home runs/frontier]

A small transformer, trained from scratch on invented reviews, is tuned with a proxy reward at several strengths of the
pull towards its start, and measured on fresh completions: proxy, gold, KL. Finished runs are lines of HOME/rows.jsonl
and are not run again. Exits with 1 if a point lies above the frontier, which no policy can do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import frontier_report
import torch
from frontier_runs import QUICK, Job, Row, Sizes, judges, pretrain, reference_rewards, run

BETAS = (1.0, 0.3, 0.1, 0.03)
METHODS = ("RLOO", "GRPO", "PPO", "DPO")
CANDIDATES = (2, 4, 16, 64)
RESULTS = Path(__file__).parent / "results" / "frontier.json"
PICTURE = Path(__file__).parent.parent / "docs" / "frontier.png"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a tiny whole pass in a temporary folder; judges nothing")
    parser.add_argument("--home", type=Path, default=Path("runs/frontier"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.quick:
        return whole(args.home, Sizes(), args.seeds, args.workers, RESULTS, PICTURE)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        whole(home, QUICK, 1, 1, home / "frontier.json", home / "frontier.png")
    return 0


def whole(home: Path, sizes: Sizes, seeds: int, workers: int, results: Path, picture: Path) -> int:
    """Every stage; the exit code."""
    home.mkdir(parents=True, exist_ok=True)
    keep_settings(home, sizes)
    folder = pretrain(home, sizes)
    proxy, gold = judges(folder, sizes.standardised_on)
    rewards_N = reference_rewards(home, folder, proxy, sizes)
    jobs = [Job(method=m, strength=s, seed=seed) for seed in range(seeds) for m, s in points()]
    rows = finished(home)
    done = {(row.method, row.strength, row.seed) for row in rows}
    waiting = [job for job in jobs if (job.method, job.strength, job.seed) not in done]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(run, job, home, folder, proxy, gold, sizes) for job in waiting]
        for future in as_completed(running):
            row = future.result()
            rows.append(row)
            with (home / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(f"{row.method} {row.strength:g} seed {row.seed}: proxy {row.proxy:.2f}, KL {row.kl:.2f}", flush=True)
    return frontier_report.report(rows, rewards_N, asdict(sizes), results, picture)


def points() -> list[tuple[str, float]]:
    """(method, beta) and ("best of n", n)."""
    return [(m, beta) for beta in BETAS for m in METHODS] + [("best of n", float(n)) for n in CANDIDATES]


def keep_settings(home: Path, sizes: Sizes) -> None:
    """Rows of other sizes do not belong together."""
    file, text = home / "sizes.json", json.dumps(asdict(sizes))
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        sys.exit(f"{home} holds runs of other sizes: remove it, or give another --home.")
    file.write_text(text, encoding="utf-8")


def finished(home: Path) -> list[Row]:
    """What earlier passes measured, once each; a line that was cut by a kill is left out."""
    file = home / "rows.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rows = [Row(**json.loads(line)) for line in lines if line.endswith("}")]
    return list({(row.method, row.strength, row.seed): row for row in rows}.values())


if __name__ == "__main__":
    sys.exit(main())
