"""A round of learning as an ordinary run: a stage for each way to learn, from the version that serves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from strop.algorithms.dpo import DPO
from strop.algorithms.kto import KTO
from strop.algorithms.sft import SFT
from strop.assistant.climbing import climb
from strop.assistant.lessons import Lesson, Lessons, liked
from strop.assistant.settings import Settings
from strop.config import TrainConfig
from strop.memory import Dataset
from strop.optimizer import AdamW
from strop.policies import LoRA
from strop.run import train
from strop.runs.staged import is_staged
from strop.runs.trained import PRETRAINED, FromStage, named_policy
from strop.stages import Stage
from strop.types import AlgorithmConfig, Codec, PolicyConfig


def train_round(lessons: Lessons, model: str, folder: Path, s: Settings, progress: bool, score: str = "") -> str:
    """Train, or go on with what a crash cut off; the name of the last run with its checkpoint."""
    run = train(stages(lessons, model, s, score), folder, resume=is_staged(folder), progress=progress)
    if run.interrupted:
        raise KeyboardInterrupt
    return f"{run.path}@{run.directory.checkpoint_step()}"


def stages(lessons: Lessons, model: str, s: Settings, score: str = "") -> list[Stage]:
    """KTO on thumbs, DPO on pairs, SFT on what people wrote and liked, RLOO on the run `score` of a reward model of
    ratings; as far as there are any.

    KTO and DPO come first, at the version that gave the answers. They push disliked ones down, and what takes their
    place need be no text at all; SFT after them gives it to answers that people like. Last is RLOO, which needs none of
    this: it samples itself.
    """
    made = list[Stage]()
    for name, some, algorithm, size in (
        ("kto", lessons.thumbs, _kto, 1),
        ("dpo", lessons.pairs, _dpo, 2),
        ("sft", liked(lessons), _sft, 1),
    ):
        if some:
            config = TrainConfig(
                policy=_start(made, model, s),
                tasks=[lesson.task for lesson in some],
                algorithm=algorithm(some, s),
                memory=Dataset.Config(size=size * s.batch),
                sampling=s.sampling,
                steps=math.ceil(s.epochs * len(some) / s.batch),
                threads=s.threads,
                seed=s.seed,
            )
            made.append(Stage(name, config))
    if lessons.ratings:
        made.append(Stage("rloo", climb(lessons.ratings, score, _start(made, model, s), s)))
    return made


def _start(made: Sequence[Stage], model: str, s: Settings) -> PolicyConfig:
    """What the stage before trained, or the version that serves."""
    return FromStage(made[-1].name) if made else policy_from(model, s)


def policy_from(model: str, s: Settings) -> PolicyConfig:
    """The policy of a version, with a new adapter where it takes one."""
    policy = named_policy(model)
    lora = LoRA(rank=s.lora_rank) if s.lora_rank else None
    return replace(policy, lora=lora) if isinstance(policy, PRETRAINED) else policy


def fitting(lessons: Sequence[Lesson], codec: Codec, context: int | None) -> list[Lesson]:
    """The lessons that the policy can read to their end."""
    if context is None:
        return list(lessons)
    return [one for one in lessons if _length(one, codec) <= context]


def _length(lesson: Lesson, codec: Codec) -> int:
    """Tokens of the prompt and the longest of its answers, with the token that ends it."""
    task = lesson.task
    given = [task.answer] if task.answer else [text for text in task.data.values() if isinstance(text, str)]
    texts = given or task.data["steps"]
    return len(codec.start(task.prompt)) + max(len(codec.encode(text)) for text in texts) + 1


def _sft(lessons: Sequence[Lesson], s: Settings) -> AlgorithmConfig:
    return SFT.Config(optimizer=AdamW(lr=s.lr))


def _dpo(lessons: Sequence[Lesson], s: Settings) -> AlgorithmConfig:
    return DPO.Config(optimizer=AdamW(lr=s.preference_lr), beta=s.beta, smoothing=s.smoothing)


def _kto(lessons: Sequence[Lesson], s: Settings) -> AlgorithmConfig:
    """Weighted so that good and bad answers count the same in all."""
    good = sum(bool(lesson.task.data["label"]) for lesson in lessons)
    bad = len(lessons) - good
    weights = (min(1.0, bad / good), min(1.0, good / bad)) if good and bad else (1.0, 1.0)
    return KTO.Config(optimizer=AdamW(lr=s.preference_lr), beta=s.beta, desirable=weights[0], undesirable=weights[1])
