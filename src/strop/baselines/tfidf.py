"""What the words alone say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from strop.types import Observation, Task, check_fields

TOGETHER = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
"""Chinese characters and kana: each is a word."""
WORD = rf"[{TOGETHER}]|[^\W{TOGETHER}]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class TfIdf:
    """Logistic regression on tf-idf of words and of pairs of words, fitted to the answers of the training tasks.

    strength  how closely it fits (scikit-learn's C): the smaller, the more it is drawn to no opinion

    Needs scikit-learn: pip install "strop[sentiment]".
    """

    strength: float = 16.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.strength <= 0.0:
            raise ValueError(f"TfIdf.strength={self.strength}: it is above 0.")
        if find_spec("sklearn") is None:
            raise ModuleNotFoundError('TfIdf needs the package scikit-learn: pip install "strop[sentiment]"')

    def fit(self, tasks: Sequence[Task]) -> _Fitted:
        """Learn which words go with which answer. Raises ValueError where there are no two answers to tell apart."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        if len({task.answer for task in tasks}) < 2:
            raise ValueError("the baseline TfIdf tells answers apart, and all training tasks have the same one.")
        counts = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True)
        pipeline = make_pipeline(counts, LogisticRegression(C=self.strength, max_iter=1000))
        return _Fitted(pipeline.fit([_asked(task) for task in tasks], [task.answer for task in tasks]))


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A fitted pipeline of scikit-learn: the likeliest answer to a text."""

    pipeline: Any

    def __call__(self, task: Task, seen: Observation) -> str:
        return str(self.pipeline.predict([seen.text])[0])

    def certainty(self, tasks: Sequence[Task]) -> np.ndarray:
        """The probability of the likeliest answer to each task."""
        probs_TL = np.asarray(self.pipeline.predict_proba([_asked(task) for task in tasks]))
        return np.asarray(probs_TL.max(axis=1))


def _asked(task: Task) -> str:
    """The text of a task's prompt, of a conversation its last message: what a baseline sees at the first turn."""
    return task.prompt if isinstance(task.prompt, str) else task.prompt[-1]["content"]
