"""A gold score: how likely the text is under a language model that was never trained on the reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strop.rewards._text import fall, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Fluency:
    """How natural the text is to the initial model, without repetition; 0 to 1. Wrap it in `GroupReward`.

        naturalness  1 up to `natural` nats per token, falling linearly to 0 at `gibberish`
        variety      1 if a share of at least `varied` of the words is distinct, falling linearly to 0 at none

    and the score is their product. `nats(texts)` returns each text's mean negative log-likelihood per token under the
    model that training starts from, given only its start-of-text token. Repetition has the lowest nats of all, hence
    the variety. The defaults are calibrated on SmolLM2: its own stories have 2.2 to 4.8 nats, good human ones 3.6 to
    4.0, lists of words 5 to 10.

    Cheated by: stock phrases. Use it as a gold score, not for training.
    """

    nats: Callable[[Sequence[str]], Sequence[float]]
    natural: float = 4.0
    gibberish: float = 6.0
    varied: float = 0.8

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float]:
        texts = [episode.text for episode in episodes]
        read = [text for text in texts if words_of(text)]
        nats = dict(zip(read, self.nats(read), strict=True)) if read else {}
        return [self._score(text, nats[text]) if text in nats else 0.0 for text in texts]

    def _score(self, text: str, nats: float) -> float:
        words = words_of(text)
        variety = min(1.0, len(set(words)) / len(words) / self.varied)
        return fall(nats, full=self.natural, zero=self.gibberish) * variety
