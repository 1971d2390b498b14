"""Language models from scratch, then a reward: six models, two languages, three seeds, in one table.

    python benchmarks/scratch.py [--minutes 2 1] [--only lstm ngram] [--seeds 3] [--workers 2]

Each cell is a process of its own in one thread: two minutes of pretraining on the corpus (counting takes seconds), then
one minute of RLOO on the share of words in short sentences, from the best checkpoint; first the likelihood and then the
reward, as 1511.06732 and 1612.00563 do for translation and captions. How many steps fit into the minutes is measured on
the first ones, in time that the process computed: a busy machine makes no difference. The table is written into
docs/from-scratch.md and its twin, the numbers into results/scratch.json. What is done is kept, so a benchmark that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from budget import in_a_process, steps_within, trained
from marks import put
from rich.console import Console
from side_by_side import RESULTS, machine, packages

from strop.intervals import mean_interval

DOCS = Path(__file__).parents[1] / "docs"
MODELS = ("ngram", "rnn", "lstm", "gru", "convolutional", "transformer")
RATES = {"ngram": 0.05}
"""The learning rate of a reward, where it is not `RATE`: the n-gram model's parameters are single logits."""
RATE = 3e-4
JUDGED = 64
"""Texts that a reward is judged on."""


@dataclass(frozen=True, slots=True)
class Language:
    """A corpus, what a token is in it, and how many words a short sentence has."""

    corpus: str
    tokenizer: str
    vocabulary: int
    words: int


LANGUAGES = {
    "English": Language("grimm", "byte-bpe", 2048, 12),
    "Chinese": Language("tang", "character", 4096, 10),
}


def cell(language: str, model: str, seed: int, minutes: Sequence[float]) -> dict[str, Any]:
    """Pretrain, then reward; what was measured. In a process of its own."""
    import torch

    import strop

    torch.set_num_threads(1)
    chosen = LANGUAGES[language]
    corpus = strop.Corpus(source=chosen.corpus, tokenizer=chosen.tokenizer, vocabulary=chosen.vocabulary)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        first, share = pretrained(strop.pretraining(corpus, model), 60 * minutes[0], Path(folder), seed)
        losses = [row for row in first.metrics() if "held_out/loss" in row]
        best = min(losses, key=lambda row: row["held_out/loss"])
        speeds = [row["time/tokens_per_second"] for row in first.metrics() if "time/tokens_per_second" in row]
        found = {
            "parameters": sum(parameter.numel() for parameter in first.policy.parameters()),
            "perplexity": best["held_out/perplexity_character"],
            "trigram": perplexity_of(losses[0], "trigram"),
            "unigram": perplexity_of(losses[0], "unigram"),
            "tokens_per_second": statistics.median(speeds) / share,
            "steps": first.config.steps,
        }
        second = rewarded(f"{first.path}@best", model, chosen.words, 60 * minutes[1], Path(folder), seed)
        judged = [row for row in second.metrics() if "held_out/reward" in row]
        found["reward steps"] = second.config.steps
    for name in ("reward", "gold"):
        found[f"{name} before"], found[f"{name} after"] = (judged[i][f"held_out/{name}"] for i in (0, -1))
    return found


def perplexity_of(row: Mapping[str, float], name: str) -> float:
    """The perplexity a character of a model beside the run, from its loss a token."""
    ratio = math.log(row["held_out/perplexity_character"]) / row["held_out/loss"]
    return math.exp(row[f"held_out/loss_{name}"] * ratio)


def pretrained(config: Any, seconds: float, folder: Path, seed: int) -> tuple[Any, float]:
    """A run of so many seconds of steps (counting takes what it takes), and the share of its time that it computed."""
    import strop

    config = replace(config, threads=1, seed=seed, patience=0)
    if config.eval_every:
        steps = steps_within(seconds, replace(config, steps=4, eval_every=0), folder / "tried", least=8)
        again = strop.pretraining(config.data, config.policy, steps)
        config = replace(config, steps=steps, algorithm=again.algorithm, eval_every=max(1, steps // 8))
    return trained(config, folder / "likelihood")


def rewarded(policy: str, model: str, words: int, seconds: float, folder: Path, seed: int) -> Any:
    """RLOO from a run's best checkpoint, for so many seconds of steps."""
    import strop
    from strop.recipes.tales import told_short

    config = replace(
        told_short("grimm", words)[1].config,
        policy=strop.FromRun(run=policy),
        held_out=[strop.Task(f"text-{i}", "") for i in range(JUDGED)],
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=RATES.get(model, RATE)), kl=strop.functional.KL(weight=0.02)
        ),
        threads=1,
        seed=seed,
        eval_every=0,
    )
    short = replace(config, steps=3, held_out=(), gold=())
    steps = steps_within(seconds, short, folder / "tried-reward", least=2)
    return strop.train(replace(config, steps=steps), folder / "reward", progress=False)


def measured(language: str, model: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One cell, in a process of its own."""
    told = ["--cell", language, model, seed, "--minutes", *args.minutes]
    return in_a_process(__file__, told, f"{language}, {model}, seed {seed}", 3600)


def measure(args: argparse.Namespace, file: Path) -> dict[str, Any]:
    """Every cell that is not done yet, `workers` at a time, each kept when it is done."""
    cells: dict[str, Any] = json.loads(file.read_text())["cells"] if file.is_file() and not args.again else {}
    jobs = [(language, model, seed) for seed in range(args.seeds) for language in LANGUAGES for model in args.only]
    left = [job for job in jobs if " ".join(map(str, job)) not in cells]
    started = time.monotonic()

    def work(job: tuple[str, str, int]) -> None:
        cells[" ".join(map(str, job))] = measured(*job, args)
        record = {"date": date.today().isoformat(), "machine": machine(), "packages": packages(), "cells": dict(cells)}
        record["minutes"], record["seeds"] = list(args.minutes), args.seeds
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        gone = (time.monotonic() - started) / 60
        Console(stderr=True).print(f"{' '.join(map(str, job))} done; {len(cells)} of {len(jobs)}, {gone:.1f} minutes")

    with ThreadPoolExecutor(args.workers) as pool:
        list(pool.map(work, left))
    return json.loads(file.read_text())


def table(record: Mapping[str, Any], chinese: bool) -> str:
    """The table in Markdown: means over seeds with 95 % intervals."""
    heads = HEADS["zh" if chinese else "en"]
    lines = [heads[0], "|" + "---|" * (heads[0].count("|") - 1)]
    for language in LANGUAGES:
        for model in MODELS:
            seeds = [
                found for name, found in record["cells"].items() if name.rsplit(" ", 1)[0] == f"{language} {model}"
            ]
            if seeds:
                lines.append(row(language, model, seeds, chinese))
    minutes = [f"{minute:g}" for minute in record["minutes"]]
    about = heads[1].format(date=record["date"], machine=record["machine"], seeds=record["seeds"], minutes=minutes)
    return "\n".join([*lines, "", about + " " + beside(record, heads[2])])


HEADS = {
    "en": (
        "| language | model | parameters | tokens/s, one thread | perplexity a character "
        "| reward before | reward after | not repeated, before -> after |",
        "{date}, {machine}; one thread each, {minutes[0]} minutes of pretraining (the n-gram model counts once) and "
        "{minutes[1]} of RLOO; means of {seeds} seeds with 95 % intervals (Student's t), which equal scores have not.",
        "{language}: unigram {unigram:.2f}, trigram {trigram:.2f} a character.",
    ),
    "zh": (
        "| 语言 | 模型 | 参数 | 词元/秒（单线程） | 每字符困惑度 | 奖励（前） | 奖励（后） | 不重复（前 -> 后） |",
        "{date}，{machine}；每格单线程，预训练 {minutes[0]} 分钟（n-gram 只数一遍），RLOO {minutes[1]} 分钟；"
        "{seeds} 个种子的均值和 95 % 区间（学生 t）；分数都相同时没有区间。",
        "{language}：每字符困惑度 unigram {unigram:.2f}，trigram {trigram:.2f}。",
    ),
}
NAMES = {"English": "英文", "Chinese": "中文"}


def row(language: str, model: str, seeds: Sequence[Mapping[str, float]], chinese: bool) -> str:
    def mean(name: str) -> str:
        values = np.array([seed[name] for seed in seeds])
        return f"{values[0]:.4g}" if np.ptp(values) == 0 else str(mean_interval(values, "score", values))

    gold = " -> ".join(
        f"{statistics.fmean(seed[f'gold {when}'] for seed in seeds):.2f}" for when in ("before", "after")
    )
    speed = statistics.median(seed["tokens_per_second"] for seed in seeds)
    cells = [
        NAMES[language] if chinese else language,
        model,
        f"{seeds[0]['parameters'] / 1e6:.1f}M",
        f"{speed:,.0f}",
        mean("perplexity"),
        mean("reward before"),
        f"**{mean('reward after')}**",
        gold,
    ]
    return f"| {' | '.join(cells)} |"


def beside(record: Mapping[str, Any], words: str) -> str:
    """The n-gram models of the same split, of the first cell of each language."""
    told = []
    for language in LANGUAGES:
        found = next((one for name, one in record["cells"].items() if name.startswith(language)), None)
        if found is not None:
            name = NAMES[language] if "：" in words else language
            told.append(words.format(language=name, unigram=found["unigram"], trigram=found["trigram"]))
    return " ".join(told)


def write(record: Mapping[str, Any]) -> None:
    """The table into the pages, between their marks."""
    for name, chinese in (("from-scratch.md", False), ("from-scratch.zh-CN.md", True)):
        put(DOCS / name, "scratch", table(record, chinese))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, nargs=2, default=(2.0, 1.0), help="of pretraining and of reward")
    options.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), help="models (default: all)")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--workers", type=int, default=2, help="processes at a time, each with one thread")
    options.add_argument("--again", action="store_true", help="do again what is done")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options.add_argument("--page", action="store_true", help="only write the pages from the results")
    options.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.cell:
        print("\n" + json.dumps(cell(args.cell[0], args.cell[1], int(args.cell[2]), args.minutes)))
        raise SystemExit
    file = args.out / "scratch.json"
    record = json.loads(file.read_text()) if args.page else measure(args, file)
    Console().print(table(record, chinese=False), soft_wrap=True)
    if args.out == RESULTS:
        write(record)
