"""A penalty for insults and obscenities, by alt-profanity-check (`pip install "strop[toxicity]"`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from strop.types import Episode, Task


@dataclass(frozen=True, slots=True)
class Toxicity:
    """The probability, 0 to 1, that an English text is offensive. Wrap it in `GroupReward`; give it a negative weight.

    A linear model over word counts, which the package carries: it was fitted on comments and tweets of 2017, and knows
    words, not what is meant. A harmless text has about .04, never 0. It costs the same for one text as for thirty:
    hence the group.

    Cheated by: an empty text, spaced or misspelt words ("f u c k"), any other language, and polite malice.
    """

    def __post_init__(self) -> None:
        if find_spec("profanity_check") is None:
            raise ModuleNotFoundError('Toxicity needs the package alt-profanity-check: pip install "strop[toxicity]"')

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float]:
        from profanity_check import predict_prob

        return [float(share) for share in predict_prob([episode.text for episode in episodes])]
