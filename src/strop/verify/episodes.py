"""Hand-made episodes and batches: the inputs of the exact checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from strop.batch import collate
from strop.types import Batch, Completion, End, Episode, Part, Pick, Task, Tokens, Turn, Unscored

TASK = Task(id="0", prompt="")


def turn(
    prompt: Sequence[int], tokens: Sequence[int], logprobs: Sequence[float] | None = (), reward: float = 0.0
) -> Turn:
    """A turn; without `logprobs` each token has -1, with None they are unknown."""
    known = None if logprobs is None else tuple(logprobs) or (-1.0,) * len(tokens)
    return Turn(tuple(prompt), Completion(tuple(tokens), known, "stop"), "", reward)


def episode(
    *turns: Turn,
    reward: float | Unscored = 0.0,
    group: int = 0,
    end: End = End.TERMINATED,
    final: Tokens = (),
    parts: Mapping[str, Part] | None = None,
    id: str = "e",
) -> Episode:
    """An episode with one named reward, unless `parts` are given."""
    named = {"r": Part(1.0, reward)} if parts is None else parts
    return Episode(id=id, task=TASK, group=group, turns=turns, final=final, end=end, parts=named)


def batch_of(*episodes: Episode, layout: Literal["joined", "per_turn"] = "joined") -> Batch:
    """Whole episodes as a batch."""
    return collate(tuple(Pick(one) for one in episodes), layout)
