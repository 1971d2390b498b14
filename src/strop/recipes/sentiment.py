"""Sentiment: a review is read, and one decision is taken among a few words. Topics of news by the same recipe.

    strop train sentiment
    strop train sentiment method=sft
    strop train sentiment data=zh
    strop train sentiment data=bbc
    strop train sentiment data=mine.csv

SmolLM2 reads the question and the text, and its action is one of the labels. RLOO draws eight decisions on each text and
is paid for the right one; SFT is told the right one. Both are judged by the probabilities of the labels, on the
development split (docs/tasks/sentiment.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

import strop
from strop.data.labelled import Text
from strop.data.sentiment import WORDS, Found, chosen, sentiment, tasks_of
from strop.rewards import exact_answer
from strop.types import Episode, Task, Unscored, check_fields

UNSURE = "unsure"
"""The field of a held-out task's data that says whether word counts leave it open."""
TOKEN = r"[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff]|[^\W\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff]+"
"""A word; of Chinese and Japanese a character."""


def recipe(
    data: str = "auto",
    model: str = "smollm2",
    method: Literal["rl", "sft"] = "rl",
    train: int | None = None,
    words: int = WORDS,
) -> strop.TrainConfig:
    """Ten minutes on two cores.

    data    films, pang-lee, pang-lee-long, zh, bbc or 20newsgroups, or a .csv, .tsv or .jsonl with text and label; auto
            takes pang-lee where apt is there, and films elsewhere
    model   a model's name, folder or Hub id
    method  rl is paid for right decisions, sft is told them
    train   how many texts to learn from; none takes all
    words   the first words of a text that are read; a Chinese character is one
    """
    data = chosen(data)
    found = sentiment(data, words)
    word_counts = TfIdf(data=data, train=train, words=words)
    held_out = tasks_of(found.texts.development, "development", found.question)
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model=model, lora=strop.policies.LoRA(num_layers=16)),
        tasks=tasks_of(found.texts.train[:train], "train", found.question),
        held_out=marked(held_out, word_counts),
        rewards={"right": exact_answer},
        gold={"unsure": right_where_unsure},
        algorithm=imitating() if method == "sft" else rewarded(),
        sampling=strop.Sampling(choices=found.texts.labels, max_tokens=8),
        judgement="choices",
        memory=strop.memory.Dataset.Config(size=32) if method == "sft" else None,
        group_size=8,
        prompts_per_step=32,
        steps=1000,
        minutes=10.0,
    )


def rewarded() -> strop.algorithms.RLOO.Config:
    """RLOO without a KL: of a few words none can be abused."""
    return strop.algorithms.RLOO.Config(
        optimizer=strop.optimizer.AdamW(lr=5e-4), kl=strop.functional.KL(weight=0.0)
    )


def imitating() -> strop.algorithms.SFT.Config:
    """SFT on the labels alone, without an end."""
    return strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4), end=False)


def right_where_unsure(task: Task, episode: Episode) -> float | Unscored:
    """Exact answers where word counts leave a text open: the half of which `TfIdf` is least sure.

    A policy that learns which words go with which label is right about the other half; here it has to read.
    """
    return exact_answer(task, episode) if task.data[UNSURE] else Unscored("word counts are sure of it")


def marked(tasks: Sequence[Task], baseline: TfIdf) -> list[Task]:
    """The tasks, half of which are marked as unsure."""
    sure_T = baseline.probabilities(tasks).max(axis=1)
    middle = np.median(sure_T)
    return [
        Task(task.id, task.prompt, task.answer, {**task.data, UNSURE: bool(sure <= middle)})
        for task, sure in zip(tasks, sure_T, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TfIdf:
    """What words and pairs of words alone say: tf-idf and logistic regression, fitted to the same training texts.

    Its fields are those of the recipe. Needs scikit-learn: pip install "strop[sentiment]".
    """

    data: str
    train: int | None = None
    words: int = WORDS

    def __post_init__(self) -> None:
        check_fields(self)
        if find_spec("sklearn") is None:
            raise ModuleNotFoundError('TfIdf needs the package scikit-learn: pip install "strop[sentiment]"')

    def __call__(self, task: Task, seen: strop.Observation) -> str:
        return str(_fitted(self.data, self.train, self.words).predict([text_of(task)])[0])

    def probabilities(self, tasks: Sequence[Task]) -> np.ndarray:
        """[tasks, labels], the labels in the order of the alphabet."""
        return np.asarray(_fitted(self.data, self.train, self.words).predict_proba([text_of(task) for task in tasks]))


@lru_cache(2)
def _fitted(data: str, train: int | None, words: int) -> Any:
    """The pipeline of scikit-learn. Its settings were chosen on the development split of pang-lee and films."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = sentiment(data, words).texts.train[:train]
    counts = TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True)
    fitted = make_pipeline(counts, LogisticRegression(C=16.0, max_iter=1000))
    return fitted.fit([one.text for one in texts], [one.label for one in texts])


def text_of(task: Task) -> str:
    """The text that a task asks about."""
    assert not isinstance(task.prompt, str)
    return task.prompt[-1]["content"]
