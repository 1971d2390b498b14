"""Serving: many requests at once, answered in one batch, beside one after another; tokens a second and the first token.

    python benchmarks/serving.py [--streams 8] [--tokens 64] [--dtype float32] [--repeats 3]

All requests come at once, each with a prompt of its own, and each is read by a thread of its own. "together" is an
engine that they join, "one by one" the same engine with a single row: who comes later waits. Nobody stops early, so
that both make the same number of tokens. A request's first token is counted from the moment it was asked.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table
from side_by_side import Measured, Side, keep, measure, ratios, spread

from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer
from strop.recipes.story import story_tasks
from strop.serving.actor import Actor
from strop.serving.ask import Ask
from strop.serving.engine import Engine
from strop.types import Sampling

PEER = "one by one"
FIRST = "first_token_seconds"


def loaded(args: argparse.Namespace) -> tuple[Actor, list[Ask]]:
    """The model, which stops at no token, and the requests."""
    policy, codec = Transformer.Config(lora=None).build(0, args.dtype)
    codec.stop = frozenset()
    sampling = Sampling(max_tokens=args.tokens)
    prompts = [codec.start(task.prompt) for task in story_tasks("train", args.streams)]
    asks = [Ask(prompt=prompt, sampling=sampling, seed=seed) for seed, prompt in enumerate(prompts)]
    return Actor(policy, codec, sampling, "smollm2"), asks


def read(engine: Engine, ask: Ask) -> tuple[float, int]:
    """The seconds until the first token, and the number of tokens."""
    asked = time.perf_counter()
    pieces = iter(engine.ask(ask))
    next(pieces)
    return time.perf_counter() - asked, 1 + sum(1 for _ in pieces)


def served(batch: int | None) -> Side:
    """All requests, by an engine of so many rows, or a row for each."""

    @kept_memory()
    def work(args: argparse.Namespace) -> Measured:
        actor, asks = loaded(args)
        seconds, first = list[float](), list[float]()
        with (
            Engine(actor, waiting=args.streams, batch=batch or args.streams) as engine,
            ThreadPoolExecutor(args.streams) as pool,
        ):
            for _ in range(args.steps + 1):
                began = time.perf_counter()
                found = list(pool.map(lambda ask: read(engine, ask), asks))
                seconds.append(time.perf_counter() - began)
                first.append(statistics.median(one for one, _ in found))
                assert [tokens for _, tokens in found] == [args.tokens] * args.streams
        return Measured(seconds[1:], args.streams * args.tokens, {FIRST: statistics.median(first[1:])})

    return work


def sooner(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[float]:
    """How many times sooner the first token is there, repeat by repeat: of the request in the middle."""
    return [other.notes[FIRST] / one.notes[FIRST] for one, other in zip(ours, theirs, strict=True)]


def table(measured: Mapping[str, Sequence[Measured]]) -> Table:
    """A row a side: speed, the first token, and both beside the peer."""
    made = Table()
    for heading in ("", "tokens/s", "first token, s", f"times {PEER}", "first token, times sooner"):
        made.add_column(heading, justify="left" if not heading else "right")
    for side, runs in measured.items():
        speed = spread([run.units / statistics.median(run.seconds) for run in runs])
        first = spread([run.notes[FIRST] for run in runs])
        beside = [spread(of(runs, measured[PEER])) for of in (ratios, sooner)] if side != PEER else ["", ""]
        made.add_row(side, speed, first, *beside)
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--streams", type=int, default=8, help="requests at once")
    options.add_argument("--tokens", type=int, default=64, help="of every answer")
    options.add_argument("--steps", type=int, default=1, help="measured in each process, after one that warms up")
    options.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    sides = {"together": served(None), PEER: served(1)}
    args, measured = measure("Serving, SmolLM2-135M", sides, options)
    Console().print(table(measured))
    more = {"first_token_ratios": {"together": sooner(measured["together"], measured[PEER])}}
    keep("serving", "Serving, SmolLM2-135M", "tokens", args, measured, PEER, more)


if __name__ == "__main__":
    main()
