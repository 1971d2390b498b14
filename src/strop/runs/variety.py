"""Whether the policy still tries different things: a warning while there is time to act, once its entropy collapses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from strop.types import Episode, State, Unscored, total

SHARE_OF_START, SHARE_OF_MOST, SOLVED = 0.2, 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Variety:
    """What is remembered: the entropy of the first step in nats a token, and the lowest and highest reward so far."""

    start: float | None = None
    lowest: float | None = None
    highest: float | None = None

    def after(self, entropy: float | None, episodes: Sequence[Episode]) -> Variety:
        """The memory after a step with this entropy (None: not measured)."""
        seen = [*_rewards(episodes), *(known for known in (self.lowest, self.highest) if known is not None)]
        start = entropy if self.start is None and entropy is not None and math.isfinite(entropy) else self.start
        return Variety(start, min(seen, default=None), max(seen, default=None))

    def warning(self, entropy: float | None, episodes: Sequence[Episode], num_actions: int) -> str:
        """A warning if the entropy has collapsed and the tasks are not solved; else empty.

        Collapsed is less than a fifth of the first step's and less than a tenth of ln(num_actions), the most that it
        can be; where every turn is one of a few choices, these are the actions. Solved is a mean within the highest
        tenth of the rewards that were seen, or always 1 or more.
        """
        num_actions = _most_choices(episodes) or num_actions
        if entropy is None or self.start is None or num_actions < 2 or self._is_solved(episodes):
            return ""
        most = math.log(num_actions)
        if not entropy < min(SHARE_OF_START * self.start, SHARE_OF_MOST * most):
            return ""
        return (
            f"The policy's entropy has collapsed ({entropy:.2g} nats a token; it began with {self.start:.2g}, and "
            f"{num_actions} possible actions have at most {most:.2g}). It writes almost the same each time, so it soon "
            "finds nothing better to learn from. Act now: go back to an earlier checkpoint, with more "
            "algorithm.entropy (a bonus for entropy) or algorithm.kl.weight (it stays near the start), a lower "
            "algorithm.optimizer.lr, or more varied tasks."
        )

    def _is_solved(self, episodes: Sequence[Episode]) -> bool:
        """Whether there is little more to gain, or nothing was scored."""
        rewards = _rewards(episodes)
        if not rewards or self.lowest is None or self.highest is None:
            return True
        gained, spread = total(rewards) / len(rewards) - self.lowest, self.highest - self.lowest
        return gained >= SOLVED * spread if spread > 0.0 else self.highest >= 1.0

    def state_dict(self) -> State:
        """The state for the checkpoint."""
        return asdict(self)


def _most_choices(episodes: Sequence[Episode]) -> int:
    """The most choices that a turn had; 0 if one allowed every text, or there is none."""
    counts = [0 if turn.choices is None else len(turn.choices.tokens) for one in episodes for turn in one.turns]
    return 0 if 0 in counts else max(counts, default=0)


def _rewards(episodes: Sequence[Episode]) -> list[float]:
    return [reward for episode in episodes if not isinstance(reward := episode.reward, Unscored)]
