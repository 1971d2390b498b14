"""Score a text with a counted n-gram model: strop beside nltk.lm, on the same counts.

    python benchmarks/ngram.py [--smoothing add-k] [--order 3] [--words 20000] [--scored 3000] [--repeats 3]

The text is strop's own documentation: `--words` of it are counted, the next `--scored` are scored, one by one after
those before them. "strop" is `NGram.score`; "strop heads" reads the whole distribution after every word, as training
and evaluation do. All sides end with the same perplexity, which is kept.
"""

from __future__ import annotations

import argparse
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from side_by_side import Measured, compare

import strop
from strop.functional.distributions import gather
from strop.policies.ngram import NGram
from strop.types import Heads
from strop.verify.episodes import batch_of, episode, turn

DOCS = Path(__file__).parents[1] / "docs"
DISCOUNT, K = 0.75, 0.1
ROUNDS = 5
"""Measured, after one that warms up."""


def words(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The words to count and those to score, of which unknown ones are left out."""
    text = " ".join(file.read_text(encoding="utf-8") for file in sorted(DOCS.glob("**/*.md")) if "zh" not in file.name)
    found = re.findall(r"[a-z]+|[^\sa-z]", text.lower())
    seen = found[: args.words]
    known = set(seen)
    return seen, [word for word in found[args.words :] if word in known][: args.scored]


def counted(args: argparse.Namespace) -> tuple[NGram, tuple[int, ...], tuple[int, ...]]:
    """The policy, and the ids of what it counted and of what it will score."""
    seen, scored = words(args)
    is_add_k = args.smoothing == "add-k"
    fields: dict[str, Any] = {"k": K} if is_add_k else {"discount": DISCOUNT}
    own = sorted(set(seen)) + ["<UNK>"] * is_add_k  # nltk's vocabulary holds it too, and add-k gives it its share
    config = strop.policies.NGram.Config(words=own, has_end=False, order=args.order, smoothing=args.smoothing, **fields)
    policy, codec = config.build(0)
    ids = [tuple(codec.encode(" ".join(some))) for some in (seen, scored)]
    tokens_1T = torch.tensor([ids[0]])
    policy.count(tokens_1T, torch.ones_like(tokens_1T, dtype=torch.bool))
    return policy, ids[0], ids[1]


def timed(score: Callable[[], float], num_words: int, rounds: int = ROUNDS) -> Measured:
    """`score` gives the mean log-prob. It warms up once, if it is asked for more than one round."""
    seconds, mean = [], math.nan
    for _ in range(rounds + (rounds > 1)):
        start = time.perf_counter()
        mean = score()
        seconds.append(time.perf_counter() - start)
    return Measured(seconds[rounds > 1 :], num_words, {"perplexity": math.exp(-mean)})


def strop_side(args: argparse.Namespace) -> Measured:
    policy, _, scored = counted(args)
    return timed(lambda: policy.score(scored).mean().item(), len(scored))


def heads_side(args: argparse.Namespace) -> Measured:
    policy, _, scored = counted(args)
    # the first word stands before the row of actions: it is scored apart, so that the perplexities can be compared
    batch, first = batch_of(episode(turn(scored[:1], scored[1:], None))), policy.score(scored[:1]).item()

    def chosen(heads: Heads) -> dict[str, torch.Tensor]:
        assert heads.logits_NV is not None
        return {"x": gather(torch.log_softmax(heads.logits_NV, dim=-1), heads.tokens_N)}

    @torch.no_grad()
    def score() -> float:
        return (policy.heads(batch, chosen)["x"].sum().item() + first) / len(scored)

    return timed(score, len(scored))


def nltk_side(args: argparse.Namespace) -> Measured:
    from nltk.lm import KneserNeyInterpolated, Lidstone

    seen, scored = words(args)
    known = sorted(set(seen))
    model = KneserNeyInterpolated(args.order, DISCOUNT) if args.smoothing == "kneser-ney" else Lidstone(K, args.order)
    grams = ngrams(seen, args.order)
    model.fit([[ngram[-n:] for ngram in grams] for n in range(1, args.order + 1)], vocabulary_text=known)

    def score() -> float:
        total = sum(math.log(model.score(ngram[-1], ngram[:-1])) for ngram in ngrams(scored, args.order))
        return total / len(scored)

    return timed(score, len(scored), rounds=1 if args.smoothing == "kneser-ney" else ROUNDS)


def ngrams(text: list[str], order: int) -> list[tuple[str, ...]]:
    """The n-gram that ends with each word; marks stand before the first ones."""
    padded = ["<s>"] * (order - 1) + text
    return [tuple(padded[i : i + order]) for i in range(len(text))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--smoothing", choices=["kneser-ney", "add-k"], default="kneser-ney")
    options.add_argument("--order", type=int, default=3)
    options.add_argument("--words", type=int, default=20_000, help="that are counted")
    options.add_argument("--scored", type=int, default=3_000, help="words that are scored")
    sides = {"strop": strop_side, "strop heads": heads_side, "nltk": nltk_side}
    compare("ngram", "Scoring a text with an n-gram model", sides, "words", options)


if __name__ == "__main__":
    main()
