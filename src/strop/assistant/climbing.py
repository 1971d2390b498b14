"""Ratings: a reward model learns from them what is good, and RLOO climbs its score.

The reward model starts at the version that serves. A share of the rated answers is kept from it: where it is not shown
to tell good ones from bad ones better than a coin, nothing climbs it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.rloo import RLOO
from strop.assistant.gate import TIE
from strop.assistant.lessons import Lesson
from strop.assistant.settings import Settings
from strop.config import TrainConfig
from strop.data.tasks import same_problem, train_test_split
from strop.functional.divergences import KL
from strop.intervals import Interval, proportion
from strop.memory import Dataset
from strop.opening import TrainedScore
from strop.optimizer import AdamW
from strop.rewards.group import GroupReward
from strop.rewards.learned import Learned
from strop.run import Run, train
from strop.runs.directory import is_run
from strop.types import PolicyConfig, Task
from strop.words import plural

HELD_OUT = 0.3
"""The share of rated prompts with which the reward model is judged."""
GROUP = 4
"""Answers to one prompt that RLOO compares."""


def flaw_of(lessons: Sequence[Lesson], s: Settings) -> str:
    """Why no reward model can learn from these ratings, in words; empty if one can."""
    goods = {label for lesson in lessons for label in lesson.task.data["labels"]}
    if len(lessons) < s.fewest_ratings:
        takes = f"{s.fewest_ratings} of them, above or below what their person gives on average"
    elif len(goods) < 2:
        takes = "good ones and bad ones"
    elif len({same_problem(lesson.task) for lesson in lessons}) < 2:
        takes = "answers to more than one question"
    else:
        return ""
    return f"{plural(len(lessons), 'rating')} wait: a reward model takes {takes}"


def trained_score(lessons: Sequence[Lesson], policy: PolicyConfig, folder: Path, s: Settings) -> tuple[str, str]:
    """The run in `folder` of a reward model of these ratings, and in words how it judges those that it has not seen.

    The run is "" where it is not shown to be better than a coin.
    """
    if flaw := flaw_of(lessons, s):
        return "", flaw
    seen, held_out = train_test_split([lesson.task for lesson in lessons], HELD_OUT, s.seed)
    config = TrainConfig(
        policy=replace(policy, value_head=True),  # type: ignore[type-var]
        tasks=seen,
        algorithm=ProcessRewardModel.Config(optimizer=AdamW(lr=s.lr)),
        memory=Dataset.Config(size=s.batch),
        sampling=s.sampling,
        steps=math.ceil(s.epochs * len(seen) / s.batch),
        threads=s.threads,
        seed=s.seed,
    )
    run = train(config, folder, resume=is_run(folder), progress=False)
    if run.interrupted:
        raise KeyboardInterrupt
    right = sum(_is_told_right(run, task) for task in held_out)
    agreement = Interval(right / len(held_out), *proportion(right, len(held_out)))
    what = f"a reward model tells {agreement} of the rated answers that it has not seen right"
    if agreement.low > TIE:
        return str(run.path), f"{what}: RLOO climbs it"
    waits = plural(len(lessons), "rating")
    return "", f"{waits} wait: {what}, which is not shown to be better than a coin"


def climb(lessons: Sequence[Lesson], score: str, policy: PolicyConfig, s: Settings) -> TrainConfig:
    """RLOO on the score of the run `score`, on the prompts of the rated answers, each `epochs` times."""
    prompts = {str(lesson.task.prompt): lesson.task.prompt for lesson in lessons}.values()
    num_prompts = min(len(prompts), max(1, s.batch // GROUP))
    return TrainConfig(
        policy=policy,
        tasks=[Task(f"rated-{place}", prompt) for place, prompt in enumerate(prompts)],
        rewards={"ratings": GroupReward(Learned(score=TrainedScore(score)))},
        algorithm=RLOO.Config(optimizer=AdamW(lr=s.preference_lr), kl=KL(weight=s.beta)),
        sampling=s.sampling,
        group_size=GROUP,
        prompts_per_step=num_prompts,
        steps=math.ceil(s.epochs * len(prompts) / num_prompts),
        threads=s.threads,
        seed=s.seed,
    )


def _is_told_right(run: Run, task: Task) -> bool:
    [text], [is_good] = task.data["steps"], task.data["labels"]
    return bool((run.score(task.prompt, [text])[0] > 0.0) == is_good)
