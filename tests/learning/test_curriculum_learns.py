"""A lock that is hopeless at once is opened level by level; skills in order take little more than the fewest draws."""

from collections import deque
from dataclasses import replace
from itertools import count

import pytest

from code_lock import LEVELS, WORDS, chance, config, level
from strop.data import Learnable
from strop.data.source import Shuffled
from strop.run import train
from strop.verify.curriculum import NEEDED, SKILLS, Skills, draws_to_finish, tasks_of

SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
STEPS = 75
EVERY = [task for tasks in LEVELS for task in tasks]


@pytest.mark.learning
@pytest.mark.parametrize("seed", SEEDS)
def test_a_curriculum_opens_a_lock_that_is_hopeless_without(seed, tmp_path):
    made = config(steps=STEPS, checkpoint_every=STEPS, seed=seed)
    taught = train(made, tmp_path / "taught", progress=False)
    assert chance(taught.policy) > 0.8
    assert taught.metrics()[-1]["curriculum/level"] == len(LEVELS)
    # 75 steps of 32 answers, each right once in 9^6 = 531441: one run in two hundred sees a right answer
    alone = train(replace(made, tasks=[level(6)]), tmp_path / "alone", progress=False)
    assert all(one["reward/mean"] == 0.0 for one in alone.metrics())
    assert chance(alone.policy) == pytest.approx(len(WORDS) ** -6)
    mixed = train(replace(made, tasks=EVERY), tmp_path / "mixed", progress=False)  # it gets there, later
    assert chance(mixed.policy) < 0.7


@pytest.mark.learning
@pytest.mark.parametrize("seed", SEEDS)
def test_learnable_finds_the_levels_by_itself(seed, tmp_path):
    drawn = config(tasks=Learnable(tasks=EVERY), steps=2 * STEPS, checkpoint_every=2 * STEPS, seed=seed)
    run = train(drawn, tmp_path / "run", progress=False)
    assert chance(run.policy) > 0.8


# ------------------------------------------------------------ the known best schedule


def test_the_fewest_draws_are_those_of_one_skill_after_the_other():
    """All schedules, breadth first: 3 skills of 2 useful draws each take 6."""

    def after(useful: tuple[int, ...], skill: int) -> tuple[int, ...]:
        world = Skills(3, 2)
        world.useful = list(useful)
        world.practise(skill)
        return tuple(world.useful)

    fewest = {(0, 0, 0): 0}
    waiting = deque(fewest)
    while waiting:
        at = waiting.popleft()
        for skill in range(3):
            if (new := after(at, skill)) not in fewest and max(new) <= 6:
                fewest[new] = fewest[at] + 1
                waiting.append(new)
    assert min(draws for useful, draws in fewest.items() if min(useful) >= 2) == 3 * 2


def test_one_skill_after_the_other_takes_exactly_that_in_the_world():
    world = Skills(SKILLS, NEEDED)
    for draw in count():
        if world.has(SKILLS - 1):
            break
        world.practise(draw // NEEDED)
    assert draw == SKILLS * NEEDED


@pytest.mark.parametrize("seed", range(3))
def test_without_a_curriculum_every_skill_waits_for_its_turn(seed):
    """Each of six skills in order is practised once in six draws: six times the fewest, nearly."""
    draws = draws_to_finish(Shuffled(tasks_of(SKILLS), seed), Skills(SKILLS, NEEDED), seed)
    assert 5.5 * SKILLS * NEEDED < draws <= 6 * SKILLS * NEEDED
