"""The score of a reward model that was trained on preferences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strop.types import Episode, Prompt, Task, Unscored, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The score of a reward model; any real number. Wrap it in `GroupReward`.

    `score(prompt, texts)` returns one number for each answer to the prompt: `strop.TrainedScore("runs/mine")` makes it
    from a run that trained a reward model. It scores each text as a finished answer. A text that was cut at max_tokens
    gets `unfinished` instead, if that is set. An episode of several turns is Unscored: the model reads one answer.

    Cheated by: whatever the model never saw in its pairs. Add a KL penalty (kl), and watch a gold score.
    """

    score: Callable[[Prompt, Sequence[str]], Sequence[float]]
    unfinished: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored]:
        read = [i for i, episode in enumerate(episodes) if len(episode.turns) == 1 and not self._is_cut(episode)]
        texts = [episodes[i].text for i in read]
        scores = dict(zip(read, self.score(task.prompt, texts), strict=True)) if read else {}
        return [self._reward(episode, scores.get(i)) for i, episode in enumerate(episodes)]

    def _is_cut(self, episode: Episode) -> bool:
        return self.unfinished is not None and episode.turns[0].completion.finish != "stop"

    def _reward(self, episode: Episode, score: float | None) -> float | Unscored:
        if score is not None:
            return float(score)
        if len(episode.turns) != 1:
            return Unscored(f"a learned score reads one answer, and this episode has {len(episode.turns)} turns")
        assert self.unfinished is not None
        return self.unfinished
