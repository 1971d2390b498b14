"""Translation from scratch: an encoder-decoder beside a decoder alone, and what a reward adds, in one table.

    python benchmarks/translate.py [--minutes 10] [--seeds 3] [--only marian llama] [--workers 2]

Each cell is a process of its own in one thread: a shape, and either SFT for all of the minutes, or SFT for most of them
and RLOO on chrF for the rest, so that both have the same time. How many steps fit is measured on the first ones, in
time that the process computed: a busy machine makes no difference. The held-out pairs are translated greedily, and
judged as a corpus by sacrebleu; beside them stand a word-for-word dictionary learnt from the same pairs, and the source
copied. The table is written into docs/tasks/translate.md and its twin, the numbers into results/translate.json. What is
done is kept, so a benchmark that was stopped goes on.

Settings are chosen on the development split (`--split development`, which writes no page); the page has the held-out
one, which nothing was chosen on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from budget import in_a_process, steps_within, trained
from rich.console import Console
from side_by_side import RESULTS, machine, packages
from translate_page import ARMS, SHAPES, page_of, write

RL_SHARE = 0.4
"""Of the minutes of an arm that ends with a reward."""
NUM_SHOWN = 6
"""Translations that are kept to be read: the first ones, not chosen."""
FIXED = ("data", "source", "target", "split", "minutes")
"""What must not change while a stopped benchmark goes on."""


def cell(shape: str, arm: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train, translate and judge; what was measured. In a process of its own."""
    import torch

    from strop.recipes.translate import stages

    torch.set_num_threads(1)
    found = pairs(args)
    first, second = (stage.config for stage in stages(found, args.target, shape))  # type: ignore[arg-type]
    seconds = 60 * args.minutes
    shares = (1.0, 0.0) if arm == "sft" else (1.0 - RL_SHARE, RL_SHARE)
    with tempfile.TemporaryDirectory() as folder:
        run, share = imitated(first, shares[0] * seconds, Path(folder), seed)
        steps, spent = [run.config.steps], seconds_of(run) * share
        if shares[1]:
            run, share = rewarded(second, run, shares[1] * seconds, Path(folder), seed)
            steps.append(run.config.steps)
            spent += seconds_of(run) * share
        made = translations(run, found, args)
    numbers = {"parameters": sum(one.numel() for one in run.policy.parameters()), "minutes": spent / 60}
    return numbers | {"steps": steps} | made


def pairs(args: argparse.Namespace) -> Any:
    """The pairs in their splits, without a word."""
    from strop.data.parallel import parallel

    return parallel(args.data, args.source, args.target, tell=lambda line: None)


def imitated(config: Any, seconds: float, folder: Path, seed: int) -> tuple[Any, float]:
    """A run of SFT, of so many seconds of steps, as `trained` gives it."""
    from strop.recipes.translate import imitating

    config = plain(config, seed)
    steps = steps_within(seconds, replace(imitating(config, 8), eval_every=0), folder / "tried", least=8)
    return trained(replace(imitating(config, steps), eval_every=0), folder / "sft")


def rewarded(config: Any, start: Any, seconds: float, folder: Path, seed: int) -> tuple[Any, float]:
    """RLOO from the end of a run of SFT, for so many seconds of steps, as `trained` gives it."""
    import strop

    config = replace(plain(config, seed), policy=strop.FromRun(run=str(start.path)))
    steps = steps_within(seconds, replace(config, steps=4), folder / "tried-reward", least=2)
    return trained(replace(config, steps=steps), folder / "reward")


def plain(config: Any, seed: int) -> Any:
    """The config without judging, in one thread: the minutes are for learning."""
    return replace(config, held_out=(), gold=(), threads=1, seed=seed, eval_every=0, checkpoint_every=10**6)


def seconds_of(run: Any) -> float:
    """Of all its steps together."""
    return sum(row["time/step_seconds"] for row in run.metrics() if "time/step_seconds" in row)


def translations(run: Any, found: Any, args: argparse.Namespace) -> dict[str, Any]:
    """The scores of the judged pairs, translated greedily, and their chrF where each is drawn once."""
    from strop.recipes.translate import translated

    sources = [pair.source for pair in getattr(found, args.split)]
    texts, drawn = translated(run, sources), translated(run, sources, temperature=1.0)
    sampled = scores_of(drawn, found, args)["chrf"]
    return scores_of(texts, found, args) | {"sampled chrf": sampled, "shown": texts[:NUM_SHOWN]}


def scores_of(texts: Sequence[str], found: Any, args: argparse.Namespace) -> dict[str, float]:
    """Of translations of the judged pairs: BLEU and chrF of the corpus, 0 to 100; the share of letters in the target's
    script; and characters, as a multiple of the references'."""
    import sacrebleu

    from strop.recipes.translate import script_of, words_of

    references = [pair.target for pair in getattr(found, args.split)]
    bleu = sacrebleu.corpus_bleu(list(texts), [references], tokenize=words_of(args.target))
    return {
        "bleu": bleu.score,
        "chrf": sacrebleu.corpus_chrf(list(texts), [references]).score,
        "script": share_in_script("".join(texts), script_of(found.train)),
        "length": sum(map(len, texts)) / sum(map(len, references)),
    }


def share_in_script(text: str, script: str) -> float:
    """The share of a text's letters that are of a script, as `InScript` counts them."""
    import unicodedata

    letters = [unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()]
    return letters.count(script) / max(1, len(letters))


def beside(found: Any, args: argparse.Namespace) -> dict[str, Any]:
    """What needs no network: the dictionary, the source itself, and the references."""
    from strop.data.dictionary import learnt
    from strop.recipes.translate import vocabulary_of

    judged = getattr(found, args.split)
    dictionary = learnt(found.train, vocabulary_of(found.train, 4096))
    texts = {
        "dictionary": [dictionary.translated(pair.source) for pair in judged],
        "copy": [pair.source for pair in judged],
        "reference": [pair.target for pair in judged],
    }
    return {name: scores_of(made, found, args) | {"shown": made[:NUM_SHOWN]} for name, made in texts.items()}


def measured(shape: str, arm: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One cell, in a process of its own."""
    told = ["--cell", shape, arm, seed, "--minutes", args.minutes, "--split", args.split]
    told += ["--data", args.data, "--source", args.source, "--target", args.target]
    return in_a_process(__file__, told, f"{shape}, {arm}, seed {seed}", 3600 + 180 * args.minutes)


def measure(args: argparse.Namespace, file: Path) -> dict[str, Any]:
    """Every cell that is not done yet, `workers` at a time, each kept when it is done."""
    found = pairs(args)
    settings = {name: getattr(args, name) for name in FIXED}
    record = begun(args, file, settings)
    record |= {
        **settings,
        "date": date.today().isoformat(),
        "seeds": args.seeds,
        "machine": machine(),
        "packages": packages(),
        "sizes": [len(found.train), len(found.development), len(found.held_out)],
        "sources": [pair.source for pair in getattr(found, args.split)[:NUM_SHOWN]],
        "beside": beside(found, args),
    }
    jobs = [(shape, arm, seed) for seed in range(args.seeds) for shape in args.only for arm in ARMS]
    left = [job for job in jobs if "/".join(map(str, job)) not in record["cells"]]
    started, writing = time.monotonic(), Lock()

    def work(job: tuple[str, str, int]) -> None:
        found = measured(*job, args)
        with writing:
            record["cells"]["/".join(map(str, job))] = found
            keep(record, file)
        gone = (time.monotonic() - started) / 60
        Console(stderr=True).print(f"{', '.join(map(str, job))} done; {gone:.1f} minutes, {len(jobs)} in all")

    keep(record, file)
    with ThreadPoolExecutor(args.workers) as pool:
        list(pool.map(work, left))
    return record


def begun(args: argparse.Namespace, file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The record that goes on, or a new one. Raises SystemExit if its cells were measured with other settings."""
    if not file.is_file() or args.again:
        return {"cells": {}}
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for name, value in settings.items():
        if record[name] != value:
            raise SystemExit(f"error: {file} was begun with {name}={record[name]}, not {value}: --again begins anew")
    return record


def keep(record: Mapping[str, Any], file: Path) -> None:
    """Write the record, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".partial")
    beside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(file)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10.0, help="of learning, in each cell")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES), help="shapes (default: both)")
    options.add_argument("--workers", type=int, default=2, help="processes at a time, each with one thread")
    options.add_argument("--data", default="auto", help="catalogues or a file, as of the recipe")
    options.add_argument("--source", default="en")
    options.add_argument("--target", default="zh_Hans")
    options.add_argument("--split", choices=("held_out", "development"), default="held_out", help="what is judged")
    options.add_argument("--again", action="store_true", help="do again what is done")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options.add_argument("--page", action="store_true", help="only write the pages from the results")
    options.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.cell:
        print("\n" + json.dumps(cell(args.cell[0], args.cell[1], int(args.cell[2]), args), ensure_ascii=False))
        return
    if args.data == "auto":
        from strop.data.catalogues import usual

        args.data = usual()
    file = args.out / ("translate.json" if args.split == "held_out" else f"translate-{args.split}.json")
    record = json.loads(file.read_text(encoding="utf-8")) if args.page else measure(args, file)
    Console().print(page_of(record, chinese=False), soft_wrap=True, markup=False)
    if args.out == RESULTS and args.split == "held_out":
        write(record)


if __name__ == "__main__":
    main()
