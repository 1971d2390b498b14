"""Tasks drawn by what their answers can teach: by p (1 - p), where p is the task's success rate of late.

    P(i)  =  uniform / N  +  (1 - uniform) w_i / sum_j w_j
    w_i   =  E[p_i (1 - p_i)]  =  (s_i + 1) (f_i + 1) / ((s_i + f_i + 2) (s_i + f_i + 3))

s_i successes and f_i failures in the last `window` groups of task i; the mean is over p_i given them, where every p_i
is as likely before. A task that was never played has 1/6; one that was solved 4 times of 8, 5/22; 8 times of 8, 9/110.

p (1 - p) is the variance of a reward of 0 or 1. A method that compares the answers of a group learns nothing where all
of them succeed or all fail, and DAPO throws such groups away after they were played.

Sources: sampling for learnability (Rutherford et al. 2024, No Regrets, 2408.15099), for language models Foster and
Foerster 2025 (2502.12272); the uniform share, without which what is thought of a task gets old, has the role of the
staleness term of prioritized level replay (Jiang et al. 2021, 2010.03934). Differs from them: the rates come from the
training episodes themselves, with no rollouts of their own, and every task keeps a weight above 0.

Degenerates: with noise in the reward, an unlearnable task has the largest weight for ever. The policy learns the mean
reward under P, which moves with it, and not that of all tasks alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strop.data.outcomes import Recent, outcomes
from strop.functional.bounds import check_at_least, check_finite, check_positive_share
from strop.streams import stream
from strop.types import Episode, State, Task, TaskSourceConfig, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnable(TaskSourceConfig):
    """`TrainConfig(tasks=strop.data.Learnable(tasks=[...]))`.

    tasks    the tasks, in any order
    uniform  the share of draws in which every task is as likely, so that none is forgotten
    window   the last groups of a task, over which its success rate is taken
    success  an episode succeeds if its reward is this or more
    """

    tasks: Sequence[Task]
    uniform: float = 0.2
    window: int = 2
    success: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tasks:
            raise ValueError("tasks.tasks is empty: give at least one strop.Task.")
        check_positive_share("tasks.uniform", self.uniform, hint="at 0 a task that failed would hardly come back")
        check_at_least("tasks.window", self.window, 1)
        check_finite("tasks.success", self.success)

    def __iter__(self) -> Iterator[Task]:
        """The tasks."""
        return iter(self.tasks)

    def build(self, seed: int) -> ByLearnability:
        return ByLearnability(self, seed)


class ByLearnability:
    """The source that `Learnable` builds. A draw depends on (seed, draws before it, outcomes so far) alone.

    N tasks.
    """

    def __init__(self, config: Learnable, seed: int) -> None:
        self._config, self._seed = config, seed
        self._place = {task.id: i for i, task in enumerate(config.tasks)}
        self._recent: dict[int, Recent] = {}  # of the tasks that were played
        self._weight_N = np.full(len(config.tasks), learnability(0, 0))
        self._num_drawn = 0

    @property
    def probs_N(self) -> NDArray[np.float64]:
        """The probability of each task in the next draw."""
        uniform: float = self._config.uniform
        probs_N: NDArray[np.float64] = (
            uniform / len(self._weight_N) + (1.0 - uniform) * self._weight_N / self._weight_N.sum()
        )
        return probs_N

    def next(self, n: int) -> list[Task]:
        """The next n tasks, each drawn anew: one may come twice."""
        probs_N, first = self.probs_N, self._num_drawn
        self._num_drawn += n
        rngs = [stream(self._seed, "learnable", i) for i in range(first, self._num_drawn)]
        return [self._config.tasks[int(rng.choice(len(probs_N), p=probs_N))] for rng in rngs]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Count the successes of each group."""
        for outcome in outcomes(episodes, self._config.success):
            place = self._place[outcome.task]
            recent = self._recent.setdefault(place, Recent(self._config.window))
            recent.add(outcome)
            self._weigh(place)

    def _weigh(self, place: int) -> None:
        recent = self._recent[place]
        self._weight_N[place] = learnability(recent.num_successes, recent.num_scored - recent.num_successes)

    def measures(self) -> dict[str, float]:
        """The number of draws so far, the share of tasks that were played, the mean of their success rates, the share
        of them that sometimes succeed, and how many tasks drawn evenly would be as varied as the draws are."""
        rates = [recent.rate for recent in self._recent.values()]
        found = {
            "curriculum/drawn": self._num_drawn,
            "curriculum/played": len(rates) / len(self._weight_N),
            "curriculum/variety": 1.0 / float((self.probs_N**2).sum()),
        }
        if rates:
            found["curriculum/success"] = sum(rates) / len(rates)
            found["curriculum/sometimes"] = sum(0.0 < rate < 1.0 for rate in rates) / len(rates)
        return found

    def state_dict(self) -> State:
        ids = [task.id for task in self._config.tasks]
        return {
            "num_drawn": self._num_drawn,
            "recent": [[ids[place], recent.state()] for place, recent in self._recent.items()],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from it. What is known of a task that is no longer among the tasks is dropped."""
        self._num_drawn, self._recent = state["num_drawn"], {}
        self._weight_N = np.full(len(self._weight_N), learnability(0, 0))
        for id, groups in state["recent"]:
            if id in self._place:
                recent = self._recent[self._place[id]] = Recent(self._config.window)
                recent.load(groups)
                self._weigh(self._place[id])


def learnability(num_successes: int, num_failures: int) -> float:
    """The mean of p (1 - p) given what was seen, if every p is as likely before: 1/6 where nothing was."""
    n = num_successes + num_failures
    return (num_successes + 1) * (num_failures + 1) / ((n + 2) * (n + 3))
