"""Sentiment: a review is read, and one decision is taken among a few words. Topics of news by the same recipe.

    strop train sentiment
    strop train sentiment method=sft
    strop train sentiment data=zh
    strop train sentiment data=bbc
    strop train sentiment data=mine.csv

The model reads a question and a text, and its action is one of the labels. RLOO draws eight decisions on each text and
is paid for right ones; SFT is told the right one. Both are judged by the probabilities of the labels
(docs/tasks/sentiment.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

import strop
from strop.baselines import Majority, TfIdf, Vader
from strop.data.sentiment import BAD, GOOD, WORDS, Found, chosen, said, sentiment, tasks_of
from strop.rewards import exact_answer
from strop.types import Baseline, Episode, Fits, Task, Unscored

UNSURE = "unsure"
"""The field of a judged task's data that says whether word counts leave it open."""


def recipe(
    data: str = "auto",
    model: str = "smollm2",
    method: Literal["rl", "sft"] = "rl",
    train: int | None = None,
    words: int = WORDS,
    judged: Literal["held_out", "development"] = "held_out",
) -> strop.TrainConfig:
    """Ten minutes on two cores.

    data    pang-lee, pang-lee-long, films, zh, bbc or 20newsgroups, or a .csv, .tsv or .jsonl with text and label; auto
            takes pang-lee where apt is there, and films elsewhere
    model   a model's name, folder or Hub id
    method  rl is paid for right decisions, sft is told them
    train   how many texts to learn from; none takes all
    words   the first words of a text that are read; a Chinese character is one
    judged  the split that it is judged on; choose settings on development
    """
    found = sentiment(chosen(data), words)
    tasks = tasks_of(found.texts.train[:train], "train", found.question)
    texts = found.texts.held_out if judged == "held_out" else found.texts.development
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(
            model=model,
            lora=strop.policies.LoRA(num_layers=16),
            prompts=strop.policies.Prompts(prefix=found.question.prefix),
        ),
        tasks=tasks,
        held_out=marked(tasks_of(texts, judged, found.question), tasks),
        rewards={"right": exact_answer},
        gold={"unsure": right_where_unsure},
        baselines=baselines_of(found),
        algorithm=imitating() if method == "sft" else rewarded(),
        memory=strop.memory.Dataset.Config(size=32) if method == "sft" else None,
        sampling=strop.Sampling(choices=[said(label) for label in found.texts.labels], max_tokens=8),
        judgement="choices",
        group_size=8,
        prompts_per_step=32,
        steps=1000,
        minutes=10.0,
    )


LR, ENTROPY = 2e-4, 0.3


def rewarded() -> strop.algorithms.RLOO.Config:
    """RLOO without a KL: a few words leave no room to write strangely. With the bonus the best policy says the right
    one of two labels with probability 1 / (1 + exp(-1 / 0.3)) = .97, never so sure that all samples are alike."""
    return strop.algorithms.RLOO.Config(
        optimizer=strop.optimizer.AdamW(lr=LR), kl=strop.functional.KL(weight=0.0), entropy=ENTROPY
    )


def imitating() -> strop.algorithms.SFT.Config:
    """SFT on the labels alone, without an end."""
    return strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=LR), end=False)


def right_where_unsure(task: Task, episode: Episode) -> float | Unscored:
    """Exact answers where word counts leave a text open: the half of which `TfIdf` is least sure.

    A policy that learns which words go with which label can be right about the other half; here it has to read.
    """
    return exact_answer(task, episode) if task.data[UNSURE] else Unscored("word counts are sure of it")


def marked(tasks: Sequence[Task], train: Sequence[Task]) -> list[Task]:
    """The tasks, half of which are marked as those of which word counts are least sure. Answers are not looked at."""
    certainty_T = TfIdf().fit(train).certainty(tasks)
    middle = np.median(certainty_T)
    return [
        Task(task.id, task.prompt, task.answer, {**task.data, UNSURE: bool(certainty <= middle)})
        for task, certainty in zip(tasks, certainty_T, strict=True)
    ]


def baselines_of(found: Found) -> dict[str, Baseline | Fits]:
    """The most frequent label, word counts, and a lexicon where it may be judged."""
    lexicon = Vader(positive=said(GOOD), negative=said(BAD))
    return {"majority": Majority(), "tf-idf": TfIdf(), **({"VADER": lexicon} if found.lexicon else {})}
