"""Allocate jobs to machines, as text: who does what, while other jobs wait and more will come. A queue simulator.

The jobs of a day arrive one after another and each is sent to a machine at once, or away. Which machine is quick at
what is not shown. It pays to keep a quick machine free for the jobs that need it, and to send long ones away in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from strop.environments.gymnasium import Outcome
from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

MACHINES: Mapping[str, Mapping[str, int]] = {
    "old": {"text": 2, "film": 3},
    "fast": {"text": 1, "film": 1},
    "studio": {"text": 2, "film": 2},
    "paper": {"text": 1, "film": 3},
}
"""Minutes that a machine needs for a short job of each kind; a long one takes twice as long."""
LENGTHS = {"short": 1, "long": 2}
JOBS = tuple(f"{length} {kind}" for length in LENGTHS for kind in ("text", "film"))
"""Each equally likely."""
AWAY, ILLEGAL = "away", "illegal"
PATIENCE = 6
"""Minutes after which a job is worth nothing; none is taken that would be done later."""
State = tuple[str, tuple[int, ...]]
"""The job that waits, and the minutes of work before each machine."""


@dataclass(frozen=True, slots=True)
class Queues:
    """What a text of this environment tells: the job, the minutes of work before each machine, and the jobs left."""

    job: str
    busy: Mapping[str, int]
    left: int

    @classmethod
    def read(cls, text: str) -> Queues:
        """The state of a text, as `str` wrote it."""
        told = dict(line.split(" ", 1) for line in text.split("\n") if line != ILLEGAL)
        job, left = told.pop("job"), int(told.pop("left"))
        return cls(job, {name: int(minutes) for name, minutes in told.items()}, left)

    @property
    def done(self) -> dict[str, int]:
        """In how many minutes each machine that takes the job would be done with it."""
        found = {name: minutes + job_minutes(self.job, name) for name, minutes in self.busy.items()}
        return {name: minutes for name, minutes in found.items() if minutes <= PATIENCE}

    @property
    def choices(self) -> tuple[str, ...]:
        """The machines that take the job, and away."""
        return (*self.done, AWAY)

    def __str__(self) -> str:
        busy = "\n".join(f"{name} {minutes}" for name, minutes in self.busy.items())
        return f"job {self.job}\n{busy}\nleft {self.left}"


class Allocate:
    """`task.data`: `machines`, how many of them there are (2 to 4); `jobs`, how many a day has.

    Or `day` in place of `jobs`: [minutes since the job before, job] of each.

    A job that is done m minutes after it came pays 1 - m/6, one that is sent away 0. A machine works one job after
    another. Each prompt is the state alone: the job, the minutes of work before each machine, and how many jobs of the
    day are left. A text that is no choice is answered by "illegal", and its job is sent away. The dice deal a day
    before it begins, so that all who play it meet the same jobs.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        names = machine_names(int(task.data["machines"]))
        given = task.data.get("day")
        drawn = _day(len(names), int(task.data["jobs"]), rng) if given is None else given
        self._day = [(int(gap), str(job)) for gap, job in drawn]
        if not self._day or any(job not in JOBS or gap < 0 for gap, job in self._day):
            raise ValueError(
                f"task {task.id}: a day is a list of [minutes since the job before, job], and has one job at least; "
                f"the jobs are {', '.join(JOBS)}."
            )
        self._number, self._busy = 0, dict.fromkeys(names, 0)

    def start(self) -> Step:
        """The first job."""
        return self._shown()

    def step(self, text: str) -> Step:
        """The next job, when it comes."""
        queues, action = self._queues, text.strip()
        minutes = queues.done.get(action)
        paid = 0.0 if minutes is None else job_worth(minutes)
        self._number += 1
        if self._number == len(self._day):
            return Step("", paid, End.TERMINATED)
        busy = queues.busy if minutes is None else {**queues.busy, action: minutes}
        gap, _ = self._day[self._number]
        self._busy = {name: max(0, waiting - gap) for name, waiting in busy.items()}
        return self._shown(paid, "" if action in queues.choices else f"{ILLEGAL}\n")

    def close(self) -> None:
        """Nothing to free."""

    @property
    def _queues(self) -> Queues:
        return Queues(self._day[self._number][1], self._busy, len(self._day) - self._number)

    def _shown(self, reward: float = 0.0, before: str = "") -> Step:
        return Step(f"{before}{self._queues}", reward, replaces=True, choices=self._queues.choices)


def machine_names(num: int) -> tuple[str, ...]:
    """The names of the first `num` machines."""
    if not 2 <= num <= len(MACHINES):
        raise ValueError(f"machines={num}: there are 2 to {len(MACHINES)}: {', '.join(MACHINES)}.")
    return tuple(MACHINES)[:num]


def job_minutes(job: str, machine: str) -> int:
    """How long a machine works at a job."""
    length, kind = job.split()
    return LENGTHS[length] * MACHINES[machine][kind]


def job_worth(minutes: int) -> float:
    """What a job pays that is done after so many minutes."""
    return 1.0 - minutes / PATIENCE


def job_gaps(num_machines: int) -> dict[int, float]:
    """The probability of the minutes from one job to the next: two jobs for so many minutes as there are machines.

    With two machines a job comes every minute; with four, one in two comes at once with the one before.
    """
    return {0: 1.0 - 2.0 / num_machines, 1: 2.0 / num_machines}


def _day(num_machines: int, num_jobs: int, rng: np.random.Generator) -> list[tuple[int, str]]:
    chances = job_gaps(num_machines)
    waits = rng.choice(list(chances), num_jobs, p=list(chances.values()))
    return [(int(wait), JOBS[one]) for wait, one in zip(waits, rng.integers(len(JOBS), size=num_jobs), strict=True)]


def queue_states(num_machines: int) -> list[State]:
    """Every state, in the order of `queue_transitions`."""
    return list(product(JOBS, product(range(PATIENCE + 1), repeat=num_machines)))


def queue_transitions(num_machines: int) -> dict[int, dict[int, list[Outcome]]]:
    """The queue as lists of transitions, P[state][action], of a day without an end: what `planning.mdp_of` reads.

    Actions are the machines in their order, and away. A machine that does not take the job sends it away.
    """
    names = machine_names(num_machines)
    number = {state: i for i, state in enumerate(queue_states(num_machines))}
    found: dict[int, dict[int, list[Outcome]]] = {}
    for (job, busy), state in number.items():
        done = Queues(job, dict(zip(names, busy, strict=True)), 1).done
        found[state] = {}
        for action, name in enumerate((*names, AWAY)):
            later = tuple(done.get(one, old) if one == name else old for one, old in zip(names, busy, strict=True))
            paid = job_worth(done[name]) if name in done else 0.0
            found[state][action] = [
                (chance, number[following], paid, False) for following, chance in _next(later).items()
            ]
    return found


def _next(busy: Sequence[int]) -> dict[State, float]:
    """The probability of each state in which the next job may come."""
    found: dict[State, float] = {}
    for gap, chance in job_gaps(len(busy)).items():
        later = tuple(max(0, minutes - gap) for minutes in busy)
        for job in JOBS:
            found[job, later] = found.get((job, later), 0.0) + chance / len(JOBS)
    return found


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    # one minute for the film, two for the text: 5/6 and 4/6
    day = [[0, "short film"], [1, "long text"]]
    return [(Task(id="1", prompt="", data={"machines": 2, "day": day}), ["fast", "fast"], 1.5)]
