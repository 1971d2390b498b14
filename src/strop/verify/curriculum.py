"""Task sources that are told outcomes: what they draw, and how long skills take that must be learnt in order.

In `Skills` the best schedule is known. A draw practises one skill at most, and a skill is mastered after `needed`
useful draws, so `num` skills take num * needed draws at least; practising them one after the other takes just that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from strop.data.curriculum import Curriculum
from strop.data.learnable import Learnable
from strop.types import End, Episode, Part, Task, TaskSource, Tokens
from strop.verify.checks import Gap
from strop.verify.sampling import chi_square_z

DRAWS, GROUP, SKILLS, NEEDED, MOST = 8000, 8, 6, 15, 2000
MASTERED = 0.8


class Skills:
    """`num` skills. One is learnt by practice once the one before it is mastered; before that nobody succeeds at it.

    The chance of success grows evenly with the useful draws: after `needed` of them it is `MASTERED`.
    """

    def __init__(self, num: int, needed: int) -> None:
        self.num, self.needed = num, needed
        self.useful = [0] * num

    def chance(self, skill: int) -> float:
        """The probability of success."""
        is_open = skill == 0 or self.has(skill - 1)
        return min(MASTERED * (1 + self.useful[skill]) / (1 + self.needed), 1.0) if is_open else 0.0

    def has(self, skill: int) -> bool:
        """Whether it is mastered."""
        return self.useful[skill] >= self.needed

    def practise(self, skill: int) -> None:
        """One draw of it."""
        self.useful[skill] += skill == 0 or self.has(skill - 1)


def tasks_of(num: int) -> list[Task]:
    """A task for each skill; the number of the skill is its id."""
    return [Task(str(i), "") for i in range(num)]


def group_of(task: Task, number: int, rewards: Sequence[float]) -> list[Episode]:
    """The group of that number: an episode for each reward."""
    return [
        Episode(f"{number}-{i}", task, number, (), (), End.TERMINATED, parts={"r": Part(1.0, reward)})
        for i, reward in enumerate(rewards)
    ]


def draws_to_finish(source: TaskSource, skills: Skills, seed: int) -> int:
    """How many tasks the source draws, one after the other, until all skills are mastered; MOST if it takes longer."""
    dice = np.random.default_rng(seed)
    for number in range(MOST):
        if all(map(skills.has, range(skills.num))):
            return number
        (task,) = source.next(1)
        rewards = (dice.random(GROUP) < skills.chance(int(task.id))).astype(float)
        skills.practise(int(task.id))
        source.observe(group_of(task, number, rewards.tolist()))
    return MOST


def _z(source: TaskSource, exact: dict[Tokens, float]) -> float:
    """How far the numbers of draws are from their distribution over the skills, in standard deviations."""
    seen: Counter[Tokens] = Counter((int(task.id),) for task in source.next(DRAWS))
    return max(chi_square_z(seen, exact, DRAWS), 0.0)


def check_curriculum_shares() -> Iterator[Gap]:
    """Curriculum: levels drawn with their shares (chi-square, in standard deviations)."""
    levels = [[task] for task in tasks_of(4)]
    source = Curriculum(levels=levels, review=0.3, window=1).build(0)
    for newest in range(1, 4):
        source.observe(group_of(levels[newest - 1][0], newest, [1.0]))
        exact: dict[Tokens, float] = {(level,): 0.3 / newest for level in range(newest)}
        exact[newest,] = 0.7
        yield Gap(_z(source, exact), 3.7, f"level {newest + 1}")


def check_learnable_weights() -> Gap:
    """Learnable: probabilities from the mean of p (1 - p) given the outcomes, by numerical integration."""
    outcomes = [(0, 0), (0, 8), (8, 0), (4, 4), (1, 7), (10, 6)]
    x, weight = np.polynomial.legendre.leggauss(40)  # exact for polynomials up to degree 79
    p = (x + 1.0) / 2.0
    slow = []
    for won, lost in outcomes:
        likelihood = weight * p**won * (1.0 - p) ** lost
        slow.append(float((likelihood * p * (1.0 - p)).sum() / likelihood.sum()))
    exact = [0.25 / len(slow) + 0.75 * one / math.fsum(slow) for one in slow]
    source = Learnable(tasks=tasks_of(len(slow)), uniform=0.25).build(0)
    for number, (won, lost) in enumerate(outcomes):
        source.observe(group_of(Task(str(number), ""), number, [1.0] * won + [0.0] * lost))
    return Gap(float(np.abs(source.probs_N - np.array(exact)).max()), 1e-12)


def check_learnable_draws() -> Gap:
    """Learnable: tasks drawn with their probabilities (chi-square, in standard deviations)."""
    source = Learnable(tasks=tasks_of(5), uniform=0.3).build(0)
    for skill, won in enumerate((0, 2, 4, 8)):
        source.observe(group_of(Task(str(skill), ""), skill, [1.0] * won + [0.0] * (8 - won)))
    exact: dict[Tokens, float] = {(skill,): prob for skill, prob in enumerate(source.probs_N.tolist())}
    return Gap(_z(source, exact), 3.7)


def learn_curriculum(seed: int) -> Gap:
    """Curriculum: draws until six skills are learnt that need each other in order, over the fewest possible."""
    source = Curriculum(levels=[[task] for task in tasks_of(SKILLS)], window=8).build(seed)
    return Gap(draws_to_finish(source, Skills(SKILLS, NEEDED), seed) / (SKILLS * NEEDED), 2.0)


def learn_learnable(seed: int) -> Gap:
    """Learnable: draws until six skills are learnt that need each other in order, over the fewest possible."""
    source = Learnable(tasks=tasks_of(SKILLS)).build(seed)
    return Gap(draws_to_finish(source, Skills(SKILLS, NEEDED), seed) / (SKILLS * NEEDED), 4.0)
