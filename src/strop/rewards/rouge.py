"""How much of the reference does the text share? ROUGE by rouge-score (`pip install "strop[rewards]"`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, get_args

from strop.rewards._answer import answer_of
from strop.rewards._text import words_of
from strop.types import Episode, Task, check_fields

Kind = Literal["rouge1", "rouge2", "rougeL"]
Measure = Literal["fmeasure", "precision", "recall"]
Words = Literal["english", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge:
    """The ROUGE of the text against `task.answer`, 0 to 1 (Lin 2004, "ROUGE: a package for automatic evaluation").

    kind     rouge1 and rouge2 count words and pairs of words that both have; rougeL the longest sequence of words that
             stands in both in order, with gaps
    measure  precision is their share of the text, recall of the answer, fmeasure the harmonic mean of both
    words    english takes a-z and 0-9, as published numbers do: in other scripts it sees nothing; any takes letters of
             every script, and each Chinese character as a word

    Its longest sequence takes time in proportion to both lengths. Cheated by: rouge1 by the answer's words in any
    order; recall by length, precision by a text of one sure word; all by copying a prompt that
    holds the answer's words. None sees a missing "not".
    """

    kind: Kind = "rougeL"
    measure: Measure = "fmeasure"
    words: Words = "english"

    def __post_init__(self) -> None:
        check_fields(self)
        for name, allowed in (("kind", Kind), ("measure", Measure), ("words", Words)):
            if (value := getattr(self, name)) not in get_args(allowed):
                raise ValueError(f"Rouge.{name}={value!r}: it is one of {', '.join(get_args(allowed))}.")
        if find_spec("rouge_score") is None:
            raise ModuleNotFoundError('Rouge needs the package rouge-score: pip install "strop[rewards]"')

    def __call__(self, task: Task, episode: Episode) -> float:
        answer = answer_of(task, "Rouge")
        tokenizer, scorer = _scorer(self.kind, self.words)
        if not tokenizer.tokenize(answer):
            raise ValueError(
                f'task {task.id!r}: Rouge sees no word in its answer: Rouge(words="any") reads all scripts.'
            )
        return float(getattr(scorer.score(answer, episode.text)[self.kind], self.measure))


class _AnyScript:
    """A tokenizer of rouge-score by strop's idea of a word."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


@cache
def _scorer(kind: str, words: str) -> tuple[Any, Any]:
    """The tokenizer, and what scores with it."""
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    tokenizer = DefaultTokenizer() if words == "english" else _AnyScript()
    return tokenizer, RougeScorer([kind], tokenizer=tokenizer)
