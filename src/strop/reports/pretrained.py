"""How well a run on a corpus predicts held-out documents, or fills them in, beside n-gram models of the same split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from strop.intervals import Interval
from strop.runs.directory import RunDirectory
from strop.runs.standing import algorithm_name
from strop.types import Episode
from strop.words import plural

LOSS, FILLED = "held_out/loss", "held_out/filled"
BESIDE = ("trigram", "unigram")
MOST_NATS = 700.0
"""A larger exponent has no float."""
SURE = 1.96
"""Standard errors to either side of a 95 % interval of a mean over many documents."""


@dataclass(frozen=True, slots=True)
class Perplexity:
    """A model's perplexity per token, with its 95 % interval over documents where that was measured, and per word and
    character. The one per character compares models with different vocabularies."""

    who: str
    token: Interval
    word: float
    character: float


@dataclass(frozen=True, slots=True)
class Filled:
    """How a masked encoder fills in hidden tokens: -log p of what stood there in nats a token, with its 95 % interval
    over documents where that was measured, and the share that it gets right. It is no perplexity of a text: each token
    is told from what stands on both sides of it."""

    who: str
    loss: Interval
    right: float


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The result of a pretraining: the run at its best and at its last evaluation, and the n-gram models beside it, the
    best first. A masked encoder has `filled` in place of `rows`. `samples` are the texts of the last evaluation, not
    chosen; or sentences with words hidden, and filled in."""

    rows: list[Perplexity]
    best_step: int | None
    samples: list[str]
    filled: list[Filled]


def is_pretrained(directory: RunDirectory) -> bool:
    """Whether a run learns from a corpus."""
    data = directory.config().get("data")
    return isinstance(data, dict) and data.get("class") == "strop.Corpus"


def pretrained_of(directory: RunDirectory) -> Pretrained:
    """Read from the run's files. Without an evaluation there are no rows."""
    with directory.reader() as store:
        by_step = {int(one["step"]): one for one in store.metrics() if LOSS in one}
        best = store.best_step()
        samples = [_sample(episode) for episode in store.episodes("evaluate", max(by_step))] if by_step else []
    if not by_step or best is None:
        return Pretrained([], best, samples, [])
    if any(FILLED in one for one in by_step.values()):
        return Pretrained([], best, samples, _filled(directory, by_step, best))
    first = by_step[min(by_step)]
    least = min(by_step.values(), key=lambda one: one[LOSS])  # whose perplexities are surely no cut ones
    tokens_per = {unit: math.log(least[f"held_out/perplexity_{unit}"]) / least[LOSS] for unit in ("word", "character")}
    losses = _judged(directory, by_step, best)
    rows = [_row(who, one[LOSS], one["held_out/loss_error"], tokens_per) for who, one in losses.items()]
    rows += [_row(who, first[f"{LOSS}_{who}"], math.nan, tokens_per) for who in BESIDE if f"{LOSS}_{who}" in first]
    return Pretrained(sorted(rows, key=lambda row: row.character), best, samples, [])


def _judged(directory: RunDirectory, by_step: Mapping[int, dict[str, float]], best: int) -> dict[str, dict[str, float]]:
    """The best and the last evaluation, by what they are called."""
    name = algorithm_name(directory.config()["policy"])
    return {f"{name} after {plural(step, 'step')}": by_step[step] for step in dict.fromkeys((best, max(by_step)))}


def _filled(directory: RunDirectory, by_step: Mapping[int, dict[str, float]], best: int) -> list[Filled]:
    """The rows of a masked encoder, and of a guess by how frequent a token is."""
    first = by_step[min(by_step)]
    rows = [
        Filled(who, _interval(one[LOSS], one["held_out/loss_error"]), one[FILLED])
        for who, one in _judged(directory, by_step, best).items()
    ]
    if f"{LOSS}_unigram" in first:
        rows.append(Filled("unigram", _interval(first[f"{LOSS}_unigram"], math.nan), first[f"{FILLED}_unigram"]))
    return sorted(rows, key=lambda row: row.loss.mean)


def _interval(mean: float, error: float) -> Interval:
    return Interval(mean, mean - SURE * error, mean + SURE * error)


def _sample(episode: Episode) -> str:
    """A sampled text; or a sentence with words hidden, and what was filled in."""
    hidden = episode.task.prompt
    return f"{hidden}\n{episode.text}" if hidden else episode.text


def _row(who: str, loss: float, error: float, tokens_per: Mapping[str, float]) -> Perplexity:
    """The perplexities of a loss in nats a token; `tokens_per` are the tokens of a word and of a character."""
    mean, low, high = (math.exp(min(nats, MOST_NATS)) for nats in (loss, loss - SURE * error, loss + SURE * error))
    word, character = (math.exp(min(loss * tokens_per[unit], MOST_NATS)) for unit in ("word", "character"))
    return Perplexity(who, Interval(mean, low, high), word, character)
