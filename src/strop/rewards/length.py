"""Does the text have the required length, and is it finished?"""

from __future__ import annotations

from dataclasses import dataclass

from strop.rewards._text import fall, is_closed, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class WordLimit:
    """1 from `least` to `most` words; outside it falls linearly, to 0 at no word and at twice `most`.

    Cheated by: any text of that length.
    """

    most: int
    least: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.least <= self.most:
            raise ValueError(f"WordLimit(least={self.least}, most={self.most}): 1 <= least <= most is needed.")

    def __call__(self, task: Task, episode: Episode) -> float:
        num_words = len(words_of(episode.text))
        return fall(num_words, full=self.least, zero=0) * fall(num_words, full=self.most, zero=2 * self.most)


def finished(task: Task, episode: Episode) -> float:
    """1 if the policy ended the text itself, with the end of a sentence; 0 if it was cut or left open.

    Cheated by: stopping at once. `WordLimit(least=...)` prevents that.
    """
    if not episode.turns or not words_of(episode.text):
        return 0.0
    stopped = episode.turns[-1].completion.finish == "stop"
    return 1.0 if stopped and is_closed(episode.turns[-1].text) else 0.0
