"""A language model from scratch on a corpus: what `strop pretrain CORPUS` and `strop.pretrain(...)` train.

Then the same run is the policy of any other: `strop train RECIPE policy=RUN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from strop.algorithms.counting import Counting
from strop.algorithms.masked_lm import MaskedLM
from strop.algorithms.sft import SFT
from strop.config import TrainConfig
from strop.data.corpus import Corpus
from strop.memory import Chunks
from strop.optimizer import AdamW
from strop.policies.convolutional import Convolutional
from strop.policies.ngram import NGram
from strop.policies.recurrent import Recurrent
from strop.policies.scratch import Scratch
from strop.run import Run, train
from strop.runs.progress import Progress
from strop.schedules import Linear
from strop.types import PolicyConfig, Sampling

STEPS = 500
"""A million tokens: nine epochs of the bundled tales, in minutes."""
MODELS: Mapping[str, Callable[[], PolicyConfig]] = {
    "transformer": lambda: Scratch(num_layers=4, width=192, num_heads=6, context=256),
    "encoder-decoder": lambda: Scratch(shape="t5", num_layers=2, width=192, num_heads=6, context=256),
    "lstm": lambda: Recurrent.Config(kind="lstm", width=320, num_layers=2, dropout=0.1),
    "gru": lambda: Recurrent.Config(kind="gru", width=320, num_layers=2, dropout=0.1),
    "rnn": lambda: Recurrent.Config(kind="rnn", width=512, num_layers=2, dropout=0.1),
    "convolutional": lambda: Convolutional.Config(width=256, num_layers=6, dropout=0.1),
    "masked": lambda: Scratch(shape="modernbert", num_layers=4, width=192, num_heads=6, context=256),
    "ngram": lambda: NGram.Config(order=4),
}
"""The models that have a short name, of about a million parameters beside those of the vocabulary."""


def pretraining(
    corpus: Corpus | Path | str, model: PolicyConfig | str = "transformer", steps: int = STEPS
) -> TrainConfig:
    """The config of a pretraining: SFT on shuffled chunks; for a masked encoder filling in their hidden tokens; for an
    n-gram model counting, once through the corpus.

    corpus  a `strop.Corpus`, or its source: a .txt, a folder, a .jsonl or .csv, or a name of `strop list corpora`
    model   one of `MODELS`, or the Config of a policy that takes a tokenizer
    steps   over these the learning rate falls to a tenth
    """
    if isinstance(model, str) and model not in MODELS:
        raise ValueError(f"model={model}: it is one of {', '.join(MODELS)}, or in Python the Config of a policy.")
    policy = MODELS[model]() if isinstance(model, str) else model
    if isinstance(corpus, Path):  # never a name, also where a file is called like one
        corpus = str(corpus.expanduser().absolute())
    adam = AdamW(
        lr=Linear(start=2e-3, end=2e-4, steps=max(steps, 1)),
        betas=(0.9, 0.95),
        weight_decay=0.1,
        warmup_steps=min(30, steps),
    )
    learnt = TrainConfig(
        policy=policy,
        data=corpus if isinstance(corpus, Corpus) else Corpus(source=corpus),
        algorithm=SFT.Config(optimizer=adam) if policy.acts else MaskedLM.Config(optimizer=adam),
        memory=Chunks.Config(size=16, length=128),
        sampling=Sampling(temperature=0.8, max_tokens=64),
        steps=steps,
        eval_every=max(steps // 8, 1),
        patience=3,
        checkpoint_every=100,
    )
    if not isinstance(policy, NGram.Config):
        return learnt
    counted = Chunks.Config(size=64, length=512, overlap=max(policy.order - 1, 1), epochs=1)
    return replace(learnt, algorithm=Counting.Config(), memory=counted, steps=10**6, eval_every=0, patience=0)


def pretrain(
    corpus: Corpus | Path | str,
    directory: Path | str | None = None,
    *,
    model: PolicyConfig | str = "transformer",
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress | bool = True,
) -> Run:
    """Train a language model from scratch, and keep everything in `directory` (default: runs/<date-time>).

    For any other field: `strop.train(dataclasses.replace(strop.pretraining(corpus), ...), directory)`.
    Raises ValueError for a corpus that nothing can be learnt from.
    """
    return train(replace(pretraining(corpus, model, steps), seed=seed), directory, progress=progress)
