"""Sentiment: a review is read, and one decision is taken among a few words. Topics of news by the same recipe.

    strop train sentiment
    strop train sentiment method=sft
    strop train sentiment data=zh
    strop train sentiment data=bbc
    strop train sentiment data=mine.csv
    strop train sentiment data=mine.csv model=scratch

The model reads a question and a text, and its action is one of the labels. MaxRL draws eight decisions on each text and
is paid for right ones; SFT is told the right one. Both are judged by the probabilities of the labels. Texts in a
language that no model at hand reads go to a small encoder from scratch (docs/tasks/sentiment.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

import strop
from strop.baselines import Majority, TfIdf, Vader
from strop.data.sentiment import AUTO, BAD, GOOD, WORDS, Found, Question, chosen, said, sentiment, tasks_of
from strop.data.vocabulary import backend_of, trained
from strop.rewards import exact_answer
from strop.types import Baseline, Episode, Fits, Task, Unscored

SCRATCH = "scratch"
VOCABULARY = 6000
"""Tokens of an encoder from scratch, at most."""
MARKS = 2
"""The tokens before and behind a text."""
UNSURE = "unsure"
"""The field of a judged task's data that says whether word counts leave it open."""


def recipe(
    data: str = "auto",
    model: str = AUTO,
    method: Literal["rl", "sft"] = "rl",
    train: int | None = None,
    words: int = WORDS,
    judged: Literal["held_out", "development"] = "held_out",
) -> strop.TrainConfig:
    """Ten minutes on two cores.

    data    pang-lee, pang-lee-long, films, zh, bbc or 20newsgroups, or a .csv, .tsv or .jsonl with text and label; auto
            takes pang-lee where apt is there, and films elsewhere
    model   a model's name, folder or Hub id; scratch is an encoder that has read nothing yet; auto takes smollm2, and
            scratch for zh, of which smollm2 reads little more than bytes
    method  rl is paid for right decisions, sft is told them
    train   how many texts to learn from; none takes all
    words   the first words of a text that are read; a Chinese character is one
    judged  the split that it is judged on; choose settings on development
    """
    found = sentiment(chosen(data), words)
    model = model_for(model, data)
    question = None if model == SCRATCH else found.question
    tasks = tasks_of(found.texts.train[:train], "train", question)
    texts = found.texts.held_out if judged == "held_out" else found.texts.development
    learning = FROM_SCRATCH if model == SCRATCH else PRETRAINED
    return strop.TrainConfig(
        policy=encoder(found) if model == SCRATCH else reader(model, found.question),
        tasks=tasks,
        held_out=marked(tasks_of(texts, judged, question), tasks),
        rewards={"right": exact_answer},
        gold={"unsure": right_where_unsure},
        baselines=baselines_of(found),
        algorithm=imitating(learning.lr) if method == "sft" else rewarded(learning.lr),
        memory=strop.memory.Dataset.Config(size=learning.texts) if method == "sft" else None,
        sampling=strop.Sampling(choices=[said(label) for label in found.texts.labels], max_tokens=8),
        judgement="choices",
        group_size=8,
        prompts_per_step=learning.texts,
        steps=learning.steps,
        minutes=10.0,
    )


def model_for(model: str, data: str) -> str:
    """The model that `auto` means on these texts; any other stays as it is."""
    return model if model != AUTO else SCRATCH if data == "zh" else "smollm2"


@dataclass(frozen=True, slots=True)
class Learning:
    """How fast: the learning rate, the texts of a step, and the most steps."""

    lr: float
    texts: int
    steps: int


PRETRAINED, FROM_SCRATCH = Learning(2e-4, 32, 1000), Learning(2e-3, 64, 600)
ENTROPY = 0.1


def reader(model: str, question: Question) -> strop.policies.Transformer.Config:
    """A language model, of which an adapter on the last layers is trained."""
    return strop.policies.Transformer.Config(
        model=model,
        lora=strop.policies.LoRA(num_layers=16),
        prompts=strop.policies.Prompts(prefix=question.prefix),
    )


def encoder(found: Found) -> strop.policies.Scratch:
    """One layer that reads a text in both directions, in tokens of the texts that it learns from."""
    tokenizer = trained("bpe", VOCABULARY, lambda: [one.text for one in found.texts.train])
    texts = [one.text for part in (found.texts.train, found.texts.development, found.texts.held_out) for one in part]
    return strop.policies.Scratch(
        tokenizer=tokenizer,
        shape="modernbert",
        num_layers=1,
        context=max(len(tokens) for tokens in backend_of(tokenizer).encode_batch(texts)) + MARKS,
        actions=[said(label) for label in found.texts.labels],
    )


def rewarded(lr: float) -> strop.algorithms.MaxRL.Config:
    """MaxRL, whose gradient is that of the likelihood of right answers as far as samples tell it: a text that is judged
    wrongly most of the time moves the weights most, where RLOO all but passes over it. Without a KL: a few words leave
    no room to write strangely. The entropy keeps samples apart."""
    return strop.algorithms.MaxRL.Config(
        optimizer=strop.optimizer.AdamW(lr=lr), kl=strop.functional.KL(weight=0.0), entropy=ENTROPY
    )


def imitating(lr: float) -> strop.algorithms.SFT.Config:
    """SFT on the labels alone, without an end."""
    return strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=lr), end=False)


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
