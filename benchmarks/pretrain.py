"""A step of pretraining a language model from scratch: strop beside a plain torch loop and transformers' Trainer.

    python benchmarks/pretrain.py [--model transformer|lstm|encoder-decoder|masked] [--size 1M|10M] [--repeats 3]

All sides have the same modules with the same first weights, the same chunks of tokens, AdamW with the same settings,
gradients cut to 1, and the same threads. strop draws the chunks from its memory, collates and updates, as `strop.train`
does; the plain loop slices a tensor, calls the model, torch's cross-entropy and the optimiser. The loss of the first
step is kept: it must be the same number. An encoder-decoder reads the first half of each chunk and learns the second;
there the peer is Seq2SeqTrainer. A masked encoder fills in 15 % of the tokens; the peers get the same ones, drawn
before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from side_by_side import Measured, compare
from torch.nn.functional import cross_entropy, linear

import strop
from strop.batch import collate
from strop.functional.masking import MASKED, RANDOM, SHARE
from strop.learners.blanks import Blanks
from strop.memory import Chunks
from strop.policies.computing import kept_memory
from strop.streams import stream
from strop.types import Completion, Draw, End, Episode, Pick, Task, Turn

VOCABULARY = 4096
WIDTHS = {
    "transformer": {"1M": (128, 2, 4), "10M": (360, 4, 6)},
    "lstm": {"1M": (160, 2, 0), "10M": (672, 2, 0)},
    "encoder-decoder": {"1M": (96, 2, 4), "10M": (336, 3, 6)},
    "masked": {"1M": (128, 2, 4), "10M": (360, 4, 6)},
}
"""Width, layers (an encoder's and a decoder's each) and heads."""
LR, DECAY = 1e-3, 0.1
TASK = Task("corpus", "")


@dataclass(frozen=True, slots=True)
class Work:
    """The tokens of all steps [n], chunks of a step, and tokens of a chunk; of pairs half of them are learnt."""

    tokens: np.ndarray
    size: int
    length: int
    steps: int
    is_pair: bool

    @property
    def num_learnt(self) -> int:
        """Tokens that a step learns."""
        return self.size * (self.length // 2 if self.is_pair else self.length)

    def step(self, number: int) -> torch.Tensor:
        """The chunks of one step, in the order of the text: [size, length + 1]."""
        first = number * self.size
        starts = [(first + i) * self.length for i in range(self.size)]
        return torch.tensor(np.stack([self.tokens[at : at + self.length + 1] for at in starts]).astype(np.int64))


def work(args: argparse.Namespace) -> Work:
    """Tokens as frequent as words are (Zipf), so that the loss falls as on a text."""
    num = (args.steps + 1) * args.batch * args.length + 1
    shares = 1.0 / np.arange(1, VOCABULARY + 1)
    tokens = np.random.default_rng(0).choice(VOCABULARY, size=num, p=shares / shares.sum()).astype(np.uint16)
    return Work(tokens, args.batch, args.length, args.steps + 1, is_pair(args))


def policy_of(args: argparse.Namespace) -> Any:
    width, layers, heads = WIDTHS[args.model][args.size]
    words = [f"w{i}" for i in range(VOCABULARY)]
    if args.model == "lstm":
        config = strop.policies.Recurrent.Config(words=words, has_end=False, width=width, num_layers=layers)
    else:
        shape: Any = {"encoder-decoder": "t5", "masked": "bert"}.get(args.model, "llama")
        config = strop.policies.Scratch(
            words=words,
            has_end=is_masked(args),
            shape=shape,
            width=width,
            num_layers=layers,
            num_heads=heads,
            context=args.length + (4 if is_masked(args) else 1),
        )
    return config.build(seed=0, dtype="float32")[0]


def is_pair(args: argparse.Namespace) -> bool:
    """Whether the model reads one text and writes another."""
    return bool(args.model == "encoder-decoder")


def is_masked(args: argparse.Namespace) -> bool:
    """Whether the model fills in hidden tokens."""
    return bool(args.model == "masked")


def batches(args: argparse.Namespace, policy: Any, done: Work) -> list[torch.Tensor]:
    """What the peers read in each step: chunks [B, T + 1], or of a masked encoder [B, 2, T] what it reads and what it
    learns (-100 elsewhere)."""
    chunks = [done.step(number) for number in range(done.steps)]
    if not is_masked(args):
        return chunks
    weights = [0.0, *[1.0] * done.length]
    texts = [Blanks.of([[(row, weights)] for row in rows.tolist()], policy.marks) for rows in chunks]
    hidden = [
        text.hide(policy.marks, stream(0, "masked", number), SHARE, MASKED, RANDOM) for number, text in enumerate(texts)
    ]
    return [torch.stack([one.read_BT, one.token_BT.masked_fill(~one.hidden_BT, -100)], dim=1) for one in hidden]


def halves(chunks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The source and the target of each chunk [B, T + 1], whose last token is left out."""
    half = chunks.shape[1] // 2
    return chunks[:, :half], chunks[:, half : 2 * half]


def draws_of(args: argparse.Namespace, done: Work) -> Iterator[Draw]:
    """What the memory of strop would draw, in the order of the text."""
    if not is_pair(args):
        memory = Chunks(Chunks.Config(size=done.size, length=done.length))
        memory.read(done.tokens, seed=0)
        yield from memory.in_order()
        return
    for number in range(done.steps):
        pairs = zip(*(half.tolist() for half in halves(done.step(number))), strict=True)
        turns = [Turn(tuple(source), Completion(tuple(target), None, "stop"), "") for source, target in pairs]
        yield tuple(Pick(Episode(str(i), TASK, 0, (one,), (), End.TERMINATED)) for i, one in enumerate(turns))


def timed(step: Callable[[int], float], work: Work, policy: Any) -> Measured:
    """The seconds of every step but the first, which warms up."""
    seconds, losses = [], []
    for number in range(work.steps):
        started = time.perf_counter()
        losses.append(step(number))
        seconds.append(time.perf_counter() - started)
    parameters = sum(parameter.numel() for parameter in policy.parameters())
    notes = {"first loss": losses[0], "last loss": losses[-1], "parameters": parameters}
    return Measured(seconds[1:], work.num_learnt, notes)


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    policy, done = policy_of(args), work(args)
    optimizer = strop.optimizer.AdamW(lr=LR, weight_decay=DECAY, betas=(0.9, 0.95))
    micro_tokens = done.size * (done.length + 1)
    kind = strop.algorithms.MaskedLM if is_masked(args) else strop.algorithms.SFT
    algorithm = kind.Config(optimizer=optimizer).build(policy, strop.Sampling(), micro_tokens + 2 * done.size)
    draws = draws_of(args, done)

    def step(number: int) -> float:
        update = algorithm.update(collate(next(draws), policy.layout))
        return float(update.metrics["optimizer/loss"].value)

    return timed(step, done, policy)


@kept_memory()
def plain_side(args: argparse.Namespace) -> Measured:
    policy, done = policy_of(args), work(args)
    loss_of, read = loss_function(args, policy), batches(args, policy, done)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=LR, weight_decay=DECAY, betas=(0.9, 0.95), fused=True)

    def step(number: int) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(read[number])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        return float(loss)

    return timed(step, done, policy)


def loss_function(args: argparse.Namespace, policy: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean negative log-likelihood of chunks [B, T + 1], as one writes it in torch."""
    model = Torch(args, policy)
    return lambda chunks: model(chunks)


class Torch(torch.nn.Module):
    """The policy's own modules, called plainly."""

    def __init__(self, args: argparse.Namespace, policy: Any) -> None:
        super().__init__()
        self.is_recurrent, self.is_pair, self.is_masked = args.model == "lstm", is_pair(args), is_masked(args)
        self.inner = policy.net if self.is_recurrent else policy.model
        self.scale = self.inner.embedding.weight.shape[1] ** 0.5 if self.is_recurrent else 1.0

    def forward(self, chunks: torch.Tensor) -> torch.Tensor:
        if self.is_pair:
            inputs, targets = halves(chunks)
            written = torch.cat([torch.full_like(targets[:, :1], self.inner.config.decoder_start_token_id), targets], 1)
            logits = self.inner(input_ids=inputs, decoder_input_ids=written[:, :-1], use_cache=False).logits
            return cross_entropy(logits.flatten(0, 1), targets.flatten())
        if self.is_masked:
            inputs, targets = chunks.unbind(1)
            return cross_entropy(self.inner(input_ids=inputs).logits.flatten(0, 1), targets.flatten())
        inputs, targets = chunks[:, :-1], chunks[:, 1:]
        if self.is_recurrent:
            hidden = self.inner.embedding(inputs) * self.scale
            for layer in self.inner.trunk.layers:
                hidden, _ = layer(hidden)
            logits = linear(self.inner.norm(hidden), self.inner.embedding.weight)
        else:
            logits = self.inner(input_ids=inputs, use_cache=False).logits
        return cross_entropy(logits.flatten(0, 1), targets.flatten())


def trainer_side(args: argparse.Namespace) -> Measured:
    from transformers import (
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    trainer, arguments = (Seq2SeqTrainer, Seq2SeqTrainingArguments) if is_pair(args) else (Trainer, TrainingArguments)
    policy, done = policy_of(args), work(args)
    model, seconds = Counted(Torch(args, policy)), []

    class Clock(TrainerCallback):
        """Seconds of each step, from the end of the last one: loading its batch counts."""

        started = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            now = time.perf_counter()
            seconds.append(now - self.started)
            self.started = now

    rows = [{"chunks": row} for step in batches(args, policy, done) for row in step]
    settings = arguments(
        output_dir=os.environ["STROP_BENCHMARK_FOLDER"],
        per_device_train_batch_size=done.size,
        max_steps=done.steps,
        learning_rate=LR,
        weight_decay=DECAY,
        adam_beta2=0.95,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        max_grad_norm=1.0,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=True,
        seed=0,
    )
    trainer(model, settings, train_dataset=rows, callbacks=[Clock()]).train()
    parameters = sum(parameter.numel() for parameter in policy.parameters())
    return Measured(seconds[1:], done.num_learnt, {"last loss": model.last, "parameters": parameters})


class Counted(torch.nn.Module):
    """What the Trainer takes: a model that returns its loss in a dict."""

    def __init__(self, model: Torch) -> None:
        super().__init__()
        self.model, self.last = model, 0.0

    def forward(self, chunks: torch.Tensor) -> dict[str, torch.Tensor]:
        loss = self.model(chunks)
        self.last = float(loss.detach())
        return {"loss": loss}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", choices=list(WIDTHS), default="transformer")
    options.add_argument("--size", choices=["1M", "10M"], default="1M")
    options.add_argument("--batch", type=int, default=32, help="chunks of a step")
    options.add_argument("--length", type=int, default=128, help="tokens of a chunk")
    options.add_argument("--steps", type=int, default=10)
    sides = {"strop": strop_side, "trainer": trainer_side, "plain": plain_side}
    compare("pretrain", "Pretraining step, from scratch", sides, "tokens", options)
