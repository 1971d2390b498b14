"""A curriculum: levels of tasks from easy to hard, each of which opens once the one before it is mastered.

    opens       level k + 1, when at least the share `unlock` of the scored episodes in the last `window` groups of
                level k succeeded. An open level stays open
    P(level)    1 - review for the newest level k; review / (k - 1) for each level before it. The first alone has 1

Inside a level every task comes once before any comes again.

Sources: the gate is that of automatic domain randomization (Akkaya et al. 2019, 1910.07113, algorithm 1), which
moves on when the mean performance over a buffer of episodes reaches a threshold; the share for what came before is the
mixed strategy of Zaremba and Sutskever 2014 (1410.4615), without which a network forgets it. The idea is that of Bengio
et al. 2009 (Curriculum learning). Differs from the first: the buffer is a moving window, and nothing closes again.

Degenerates: if the first level is never solved, no other is ever played; with window groups of few episodes, luck
opens a level. The policy learns the mean reward of the mixed tasks, not that of all tasks alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from strop.data.outcomes import Recent, outcomes
from strop.data.source import Shuffled
from strop.functional.bounds import check_at_least, check_below, check_finite, check_positive_share
from strop.streams import stream
from strop.types import Episode, State, Task, TaskSourceConfig, check_fields
from strop.words import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum(TaskSourceConfig):
    """`TrainConfig(tasks=strop.data.Curriculum(levels=[easy, hard]))`.

    levels   lists of tasks, the easiest first
    unlock   the success rate of the newest level at which the next one opens
    window   the last groups of a level, over which that rate is taken
    review   the share of tasks from the levels before the newest, so that they are not forgotten
    success  an episode succeeds if its reward is this or more
    """

    levels: Sequence[Sequence[Task]]
    unlock: float = 0.8
    window: int = 16
    review: float = 0.25
    success: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.levels:
            raise ValueError("tasks.levels is empty: give a list of tasks for each level, the easiest first.")
        check_positive_share("tasks.unlock", self.unlock, hint="a rate of 0 is no success")
        check_at_least("tasks.window", self.window, 1)
        check_below("tasks.review", self.review, 1.0, hint="at 1 the newest level would never be played")
        check_finite("tasks.success", self.success)
        seen: dict[str, int] = {}
        for number, tasks in enumerate(self.levels, start=1):
            if not tasks:
                raise ValueError(f"level {number} of tasks.levels holds no task: leave it out, or give it some.")
            for task in tasks:
                if task.id in seen:
                    where = f"level {number}" if seen[task.id] == number else f"levels {seen[task.id]} and {number}"
                    raise ValueError(f"the task id {task.id!r} stands twice in {where}: ids tell tasks apart.")
                seen[task.id] = number

    def __iter__(self) -> Iterator[Task]:
        """The tasks of all levels."""
        return chain.from_iterable(self.levels)

    def build(self, seed: int) -> Levels:
        return Levels(self, seed)


class Levels:
    """The source that a `Curriculum` builds. A draw depends on (seed, draws before it, open levels) alone."""

    def __init__(self, config: Curriculum, seed: int) -> None:
        self._config, self._seed = config, seed
        self._levels = [Shuffled(tasks, seed) for tasks in config.levels]
        self._recent = [Recent(config.window) for _ in config.levels]
        self._level_of = {task.id: level for level, tasks in enumerate(config.levels) for task in tasks}
        self._newest = 0

    def next(self, n: int) -> list[Task]:
        """The next n tasks."""
        return [self._levels[self._choose()].next(1)[0] for _ in range(n)]

    def _choose(self) -> int:
        """The level of the next task."""
        rng = stream(self._seed, "curriculum", sum(level.num_drawn for level in self._levels))
        is_review = self._newest > 0 and rng.random() < self._config.review
        return int(rng.integers(self._newest)) if is_review else self._newest

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Count the successes of each group in order, and open the next level as soon as the newest is mastered."""
        for outcome in outcomes(episodes, self._config.success):
            self._recent[self._level_of[outcome.task]].add(outcome)
            newest, is_last = self._recent[self._newest], self._newest == len(self._levels) - 1
            if newest.is_full and newest.rate >= self._config.unlock and not is_last:
                self._newest += 1

    def measures(self) -> dict[str, float]:
        """The newest level, from 1, and of each level that was played the success rate and the tasks drawn so far."""
        played = [level for level in range(len(self._levels)) if self._recent[level].num_scored]
        return {
            "curriculum/level": self._newest + 1,
            **{f"curriculum/success_{level + 1}": self._recent[level].rate for level in played},
            **{f"curriculum/drawn_{level + 1}": self._levels[level].num_drawn for level in played},
        }

    def state_dict(self) -> State:
        return {
            "newest": self._newest,
            "levels": [level.state_dict() for level in self._levels],
            "recent": [recent.state() for recent in self._recent],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from it. There may be more levels than there were. Raises ValueError if there are fewer."""
        if len(state["levels"]) > len(self._levels):
            raise ValueError(
                f"tasks.levels has {plural(len(self._levels), 'level')}, and the run that is continued had "
                f"{len(state['levels'])}: levels can be added at the end, and not taken away."
            )
        self._newest = state["newest"]
        for level, recent, was, had in zip(
            self._levels, self._recent, state["levels"], state["recent"], strict=False
        ):  # levels that were added stay as they are built
            level.load_state_dict(was)
            recent.load(had)
