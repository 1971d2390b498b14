"""What a run on a corpus needs beyond other runs: its tokenizer, its chunks, and how held-out documents are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from strop.algorithms.counting import Counting
from strop.batch import collate
from strop.data.corpus import Corpus
from strop.data.prepared import HeldOut, Prepared
from strop.data.vocabulary import backend_of
from strop.filling import example, filled
from strop.learners.blanks import Fills
from strop.likelihood import Likelihood, likelihood
from strop.memory import Chunks
from strop.policies.ngram import NGram
from strop.runs.trained import Start, first_policy, named_policy
from strop.types import (
    Completion,
    End,
    Episode,
    Policy,
    PolicyConfig,
    Sampling,
    Source,
    Task,
    Tokenizer,
    Turn,
)

if TYPE_CHECKING:
    from strop.config import TrainConfig

READS = "corpus"
"""What a run on a corpus learns from, beside demonstrations, preferences and so on."""
NUM_SAMPLES = 3
"""Texts that are sampled at every evaluation, to be read."""
JUDGED_TOKENS = 100_000
"""An evaluation stops after the held-out document that reaches so many tokens."""
LONGEST = 10_000
"""Of a longer held-out document an evaluation reads so many tokens: one book is no fair sample of ten."""
COUNTED_TOKENS = 20_000_000
"""Tokens that the n-gram models beside a run count."""
BASELINES = {"unigram": 1, "trigram": 3}
"""The n-gram models that every run on a corpus is compared with, and their orders."""


def tokenizer_of(policy: PolicyConfig | str) -> Tokenizer | None:
    """The tokenizer that a policy has already; None if the corpus makes one. Raises ValueError if it takes none."""
    first: Any = first_policy(named_policy(policy) if isinstance(policy, str) else policy)
    if "tokenizer" not in [field.name for field in dataclasses.fields(first)]:
        name = policy if isinstance(policy, str) else type(first).__qualname__.split(".")[0]
        raise ValueError(
            f"policy={name} has a vocabulary of its own, and cannot learn from a corpus. Take Scratch, Recurrent, "
            "Convolutional or NGram, or a run that trained one of them."
        )
    if first.words:
        raise ValueError("policy.words is given, and data is a corpus: its tokenizer makes the vocabulary.")
    tokenizer: Tokenizer | None = first.tokenizer
    return tokenizer


def on_corpus(config: TrainConfig, prepared: Prepared) -> TrainConfig:
    """The config with what the prepared corpus says: its place, its tokenizer, and tasks that sample a few texts."""
    policy: Any = named_policy(config.policy) if isinstance(config.policy, str) else config.policy
    if not isinstance(policy, Start):
        policy = dataclasses.replace(policy, tokenizer=prepared.tokenizer)
    samples = [Task(f"sample-{number}", "") for number in range(1, NUM_SAMPLES + 1)] if policy.acts else []
    memory, first = config.memory, first_policy(policy)
    if isinstance(memory, Chunks.Config) and isinstance(first, NGram.Config):  # else a chunk would begin a document
        memory = dataclasses.replace(memory, overlap=max(memory.overlap, first.order - 1))
    placed = dataclasses.replace(
        config, data=prepared.corpus, policy=policy, memory=memory, held_out=config.held_out or samples
    )
    draws = memory.num_draws(len(prepared.train)) if isinstance(memory, Chunks.Config) else None
    return placed if draws is None else dataclasses.replace(placed, steps=min(config.steps, draws))


def chunks_of(corpus: Corpus, memory: Chunks, context: int | None) -> np.ndarray:
    """The training tokens of a prepared corpus. Raises ValueError if the policy cannot read a chunk of them."""
    longest = memory.config.length + memory.config.overlap
    if context is not None and longest > context:
        raise ValueError(
            f"memory.length={memory.config.length}, memory.overlap={memory.config.overlap}: a chunk has {longest} "
            f"tokens, and the policy reads {context}. Set policy.context={longest} or a smaller memory.length."
        )
    return Prepared.open(corpus).train


def is_judged(config: TrainConfig) -> bool:
    """Whether there is anything held out: tasks, or documents of a corpus."""
    return bool(config.held_out) or config.corpus is not None


def judge_corpus(
    corpus: Corpus, policy: Policy, micro_tokens: int, step: int
) -> tuple[list[Episode], dict[str, float]]:
    """How well the held-out documents are predicted, as metrics, or filled in, with sentences to read."""
    prepared = Prepared.open(corpus)
    if isinstance(policy, Fills):
        return _examples(prepared, policy, step), _filled(prepared, policy, micro_tokens, step)
    return [], _predicted(prepared, policy, micro_tokens, step)


def _predicted(prepared: Prepared, policy: Policy, micro_tokens: int, step: int) -> dict[str, float]:
    """The likelihood of the held-out documents; before the first step that of n-gram models beside it."""
    held_out, documents = prepared.held_out, list(_judged(prepared.held_out))
    found = likelihood(policy, documents, micro_tokens)
    num = len(documents)
    share = found.tokens_D.sum() / held_out.starts[num]  # of these documents' tokens, and so about of their words
    metrics = {
        "held_out/loss": found.loss,
        "held_out/loss_error": found.error,
        "held_out/perplexity": found.per(found.tokens_D.sum()),
        "held_out/perplexity_word": found.per(share * held_out.words[:num].sum()),
        "held_out/perplexity_character": found.per(share * held_out.characters[:num].sum()),
    }
    if step == 0:
        beside = {name: _counted(prepared, order, documents, micro_tokens) for name, order in BASELINES.items()}
        metrics |= {f"held_out/loss_{name}": one.loss for name, one in beside.items()}
    return metrics


def _filled(prepared: Prepared, policy: Fills, micro_tokens: int, step: int) -> dict[str, float]:
    """The loss of hidden tokens of the held-out documents, and how many are filled in right; before the first step
    beside a guess by how frequent a token is in the training text."""
    found = filled(policy, list(_judged(prepared.held_out)), micro_tokens)
    metrics = {
        "held_out/loss": found.likelihood.loss,
        "held_out/loss_error": found.likelihood.error,
        "held_out/filled": found.accuracy,
    }
    if step == 0:
        count_V = np.bincount(prepared.train[:COUNTED_TOKENS], minlength=policy.marks.size).astype(float)
        count_V[[*policy.marks.special]] = 0.0
        nats_V = np.log(count_V.sum() + len(count_V)) - np.log(count_V + 1.0)  # each token once more: none has 0
        metrics["held_out/loss_unigram"] = float(nats_V[found.stood_N].mean())
        metrics["held_out/filled_unigram"] = float((found.stood_N == count_V.argmax()).mean())
    return metrics


def _examples(prepared: Prepared, policy: Fills, step: int) -> list[Episode]:
    """A sentence of each of the first held-out documents, with words hidden and filled in."""
    backend, held_out = backend_of(prepared.tokenizer), prepared.held_out
    episodes = []
    for number, document in zip(range(NUM_SAMPLES), _judged(held_out), strict=False):
        one = example(policy, backend, backend.decode(document.tolist()), number)
        turn = Turn(one.read, Completion(one.guessed, None, "stop"), one.filled)
        task = Task(f"hidden-{number + 1}", one.hidden, answer=one.sentence)
        id = f"evaluate-{step:06d}-{number:04d}"
        episodes.append(Episode(id, task, number, (turn,), (), End.TERMINATED, version=step, source=Source.GREEDY))
    return episodes


def _judged(held_out: HeldOut) -> Iterator[np.ndarray]:
    """The first held-out documents, each at most `LONGEST` tokens long, up to the one that reaches `JUDGED_TOKENS`."""
    num = 0
    for first, last in zip(held_out.starts[:-1], held_out.starts[1:], strict=True):
        document = held_out.tokens[first : min(last, first + LONGEST) + 1]
        yield document
        num += len(document) - 1
        if num >= JUDGED_TOKENS:
            return


def _counted(prepared: Prepared, order: int, documents: list[np.ndarray], micro_tokens: int) -> Likelihood:
    """The likelihood under an n-gram model of this order with Kneser-Ney smoothing, of the same training tokens."""
    policy, _ = NGram.Config(tokenizer=prepared.tokenizer, order=order, capacity=1).build(0)
    counting = Counting.Config().build(policy, Sampling(), micro_tokens)
    chunks = Chunks(Chunks.Config(size=64, length=1024, overlap=max(order - 1, 1)))
    chunks.read(prepared.train[:COUNTED_TOKENS], seed=0)
    for draw in chunks.in_order():
        counting.update(collate(draw, policy.layout))
    return likelihood(policy, documents, micro_tokens)
