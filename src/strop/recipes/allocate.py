"""Allocate jobs to machines: a queue as text, from scratch, by PPO, with the exact optimum beside the score.

    strop train allocate
    strop train allocate machines=3
    strop train allocate policy=table

The policy reads which job waits and how much work stands before each machine, and says who does it, or sends it away.
It learns from the days that it played, which machine is quick at what and for which jobs to keep it free. Judged on
days that it never met (docs/tasks/allocate.md).
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import strop
from strop import environments
from strop.baselines.chance import at_random
from strop.environments.allocate import AWAY, JOBS, PATIENCE, Queues, machine_names, queue_states, queue_transitions
from strop.planning.mdp import mdp_of
from strop.planning.value_iteration import FiniteHorizon, backward_induction
from strop.policies.table import Table
from strop.recipes._small import small_transformer
from strop.types import Baseline, Episode, Observation, PolicyConfig, Task

NUM_JOBS = 20
JUDGED = 200
"""Days that it is judged on."""
MOST_SOLVED = 3
"""Machines whose queue is solved: 1,372 states; a fourth would make it 9,604, and their table 3.7 GB."""
ROWS = 32768
"""States that a table can hold, with the jobs that are left."""


def recipe(
    machines: int = 2,
    policy: Literal["scratch", "table"] = "scratch",
    minutes: float = 5,
    steps: int = 2000,
    seed: int = 0,
) -> strop.TrainConfig:
    """Minutes on one thread.

    machines  how many there are: 2 or 3, whose optimum is known, or 4
    policy    a small transformer, or a table with a row for each state, which knows nothing of one that it never met
    minutes   of training
    steps     the most steps, of 64 days each
    seed      of the run, and of the days
    """
    data = {"machines": machines, "jobs": NUM_JOBS} | best_of(machines)
    return strop.TrainConfig(
        policy=policy_of(machines, policy),
        tasks=[Task("train", "", data=data)],
        held_out=[Task(f"held-out-{day}", "", data=data) for day in range(JUDGED)],
        environment=environments.Allocate,
        baselines=baselines_of(machines),
        gold={"to_optimum": to_optimum} if machines <= MOST_SOLVED else {},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=0.1 if policy == "table" else 3e-3, max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            critic=strop.learners.Critic(weight=1.0),
            entropy=0.01,
            epochs=4,
        ),
        sampling=strop.Sampling(max_tokens=1),
        group_size=1,
        prompts_per_step=64,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=1,
    )


def to_optimum(task: Task, episode: Episode) -> float:
    """What the day earned, minus what a day earns under the optimum: 0 on average over many days is perfect."""
    return episode.turn_reward - float(task.data["best"])


def best_of(machines: int) -> dict[str, float]:
    """What a day earns on average under the optimum, where it is known."""
    if machines > MOST_SOLVED:
        return {}
    idle = (0,) * len(machine_names(machines))
    value_S = solved(machines).value_HS[NUM_JOBS]
    return {"best": sum(float(value_S[_states(machines)[job, idle]]) for job in JOBS) / len(JOBS)}


@cache
def solved(machines: int) -> FiniteHorizon:
    """The queue, solved by value iteration over as many steps as a day has jobs."""
    return backward_induction(mdp_of(queue_transitions(machines), 0), NUM_JOBS)


@cache
def _states(machines: int) -> dict[tuple[str, tuple[int, ...]], int]:
    return {state: number for number, state in enumerate(queue_states(machines))}


def optimum(task: Task, seen: Observation) -> str:
    """The best choice for the jobs that are left."""
    queues = Queues.read(seen.text)
    state = _states(len(queues.busy))[queues.job, tuple(queues.busy.values())]
    action = (*queues.busy, AWAY)[solved(len(queues.busy)).action_HS[queues.left, state]]
    return action if action in queues.done else AWAY


def shortest_queue(task: Task, seen: Observation) -> str:
    """The machine before which the least work stands, of those that take the job."""
    queues = Queues.read(seen.text)
    return min(queues.done, key=lambda name: queues.busy[name], default=AWAY)


def soonest_done(task: Task, seen: Observation) -> str:
    """The machine that would be done with this job first. It knows which is quick at what, and looks no further."""
    done = Queues.read(seen.text).done
    return min(done, key=lambda name: done[name], default=AWAY)


def baselines_of(machines: int) -> dict[str, Baseline]:
    """Chance, two rules, and the optimum where it is known."""
    rules = {"random": at_random, "shortest queue": shortest_queue, "soonest done": soonest_done}
    return {**rules, "optimum": optimum} if machines <= MOST_SOLVED else rules


def policy_of(machines: int, policy: str) -> PolicyConfig:
    """A policy that writes a machine's name, with a value head."""
    numbers = [str(number) for number in range(max(PATIENCE, NUM_JOBS) + 1)]
    kinds = dict.fromkeys(word for job in JOBS for word in job.split())
    words = ["job", "left", *kinds, *machine_names(machines), AWAY, *numbers]
    if policy == "table":
        return Table.Config(words=words, capacity=ROWS, value_head=True)
    context = 6 + 2 * machines  # the job takes three words, what is left two, and the choice one
    return small_transformer(words, context)
