"""A reward model decides between a new version and the one that serves.

It learns from people from whom the assistant does not learn, so what the one gets wrong does not flow into the other;
how often it agrees with their pairs that it has not seen is told with its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from strop.algorithms.reward_model import RewardModel
from strop.assistant.answering import sampled_answers
from strop.assistant.compared import Judged
from strop.assistant.gate import LOSS, TIE, WIN
from strop.assistant.lessons import Lesson
from strop.assistant.settings import Settings
from strop.assistant.training import policy_from
from strop.config import TrainConfig
from strop.data.tasks import train_test_split
from strop.intervals import Interval, proportion
from strop.memory import Dataset
from strop.optimizer import AdamW
from strop.run import Run, train
from strop.runs.directory import RunDirectory, is_run
from strop.serving.actor import Actor
from strop.types import Prompt, Task

JudgedBy: TypeAlias = Literal["auto", "people", "model"]
JUDGES: tuple[JudgedBy, ...] = get_args(JudgedBy)
JUDGE = "-judge"
"""How the folder of a reward model's run ends, beside the round's."""
HELD_OUT = 0.4
"""The share of the judge's prompts with which it is judged."""
MOST_PROMPTS = 500


def check_judge(judge: str) -> None:
    """Raise ValueError for a judge that there is not."""
    if judge not in JUDGES:
        raise ValueError(f"judge={judge!r}: it is one of {', '.join(JUDGES)}.")


def by_model(
    lessons: Sequence[Lesson], base: str, new: Actor, old: Actor, prompts: Sequence[Prompt], folder: Path, s: Settings
) -> Judged:
    """What a reward model says, which starts at the model `base` and learns from these pairs, in a run in `folder`.

    Both versions answer the prompts, and the prompts of the pairs, once each.
    """
    run = _trained([lesson.task for lesson in lessons], base, folder, s)
    agreement = agreement_of(run)
    who = f"a reward model that orders {agreement} of the pairs that it has not seen as people did"
    if not agreement.low > TIE:
        return Judged([], who, f"{who}: this does not show that it is better than tossing a coin")
    asked = _distinct([*prompts, *(lesson.task.prompt for lesson in lessons)])[:MOST_PROMPTS]
    answers = [sampled_answers(actor, asked, s.seed, "judged") for actor in (new, old)]
    outcomes = [
        _outcome(*run.score(prompt, pair)) if pair[0].strip() and pair[1].strip() else _empty(*pair)
        for prompt, pair in zip(asked, zip(*answers, strict=True), strict=True)
    ]
    return Judged(outcomes, who)


def last_judge(rounds: Path) -> Run | None:
    """The newest reward model that is trained and shown to agree with people; None if there is none."""
    for folder in sorted(rounds.glob(f"*{JUDGE}"), reverse=True):
        if is_run(folder):
            run = Run(RunDirectory(folder))
            steps = run.directory.checkpoints.newest_first()[:1]
            if steps == [run.config.steps] and agreement_of(run).low > TIE:
                return run
    return None


def preferred(run: Run, prompt: Prompt, a: str, b: str) -> float | None:
    """The probability that people find a better, by Bradley and Terry; None if one of them is empty."""
    if not a.strip() or not b.strip():
        return None
    of_a, of_b = run.score(prompt, [a, b])
    return 1.0 / (1.0 + math.exp(of_b - of_a))


def agreement_of(run: Run) -> Interval:
    """The share of held-out pairs that a reward model orders right."""
    shares = [row["held_out/accuracy"] for row in run.metrics() if "held_out/accuracy" in row]
    number = len(run.config.held_out)
    return Interval(shares[-1], *proportion(round(shares[-1] * number), number))


def _trained(pairs: Sequence[Task], base: str, folder: Path, s: Settings) -> Run:
    """The run of the reward model."""
    seen, held_out = train_test_split(list(pairs), HELD_OUT, s.seed)
    config = TrainConfig(
        policy=replace(policy_from(base, s), value_head=True),  # type: ignore[type-var]
        tasks=seen,
        held_out=held_out,
        algorithm=RewardModel.Config(optimizer=AdamW(lr=s.lr)),
        memory=Dataset.Config(size=2 * s.batch),
        sampling=s.sampling,
        steps=math.ceil(s.epochs * len(seen) / s.batch),
        threads=s.threads,
        seed=s.seed,
    )
    return train(config, folder, resume=is_run(folder), progress=False)


def _outcome(new: float, old: float) -> float:
    return TIE if new == old else WIN if new > old else LOSS


def _empty(new: str, old: str) -> float:
    """An answer without a word loses, or ties with another one."""
    return _outcome(float(bool(new.strip())), float(bool(old.strip())))


def _distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    return list({str(prompt): prompt for prompt in prompts}.values())
