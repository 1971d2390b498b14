"""Customer service over several turns with simulated people: paid by their thumbs, of which one in ten is wrong.

    strop train support
    strop train support wrong=0
    strop train support method=thumbs
    strop train support language=zh

Each answer is one of the moves of an agent, plain or courteous: ask for the lights, for the message on the screen or
since when it is so; say one of ten things to do; praise; hand over. People have a hidden problem, a taste and patience
(`strop.users`); nothing tells the policy what they are but their words. Two stages: SFT on the log of an apprentice,
who slips and whose manner is by mood; then RLOO on thumbs, which alone tell what people like. Gold is whether the
problem was solved (docs/tasks/support.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import strop
from strop.baselines import Apprentice, FlowChart, at_random
from strop.data.demonstration import demonstrations
from strop.data.support import support
from strop.environments import Support
from strop.rewards.support import courteous, solved, thumbs_up
from strop.types import Episode, Task
from strop.users.phrases import Language, phrases_of
from strop.users.problems import MOVES

METHODS = ("rl", "sft", "thumbs")
NUM_TRAIN, NUM_LOGGED, NUM_JUDGED = 2000, 1000, 200
WRONG = 0.1
"""The share of wrong thumbs of people who judge at the end."""
MAX_TOKENS = 48
"""More than a move has, in either language."""
SFT_SHARE = 0.3
"""Of the minutes, where thumbs follow."""
STEPS = 100_000
"""More than fit into the minutes."""


def recipe(
    language: Literal["en", "zh"] = "en",
    model: str = "smollm2",
    method: Literal["rl", "sft", "thumbs"] = "rl",
    wrong: float = WRONG,
    minutes: float = 10.0,
    seed: int = 0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """Ten minutes on two cores.

    language  en or zh: of the people and of the moves
    model     smollm2, a folder, or a Hub id; smollm2 has read hardly any Chinese
    method    rl: the log of an apprentice first, then thumbs; sft: the log alone, for as many minutes; thumbs: they
              alone
    wrong     the share of wrong thumbs in training; those who judge at the end are wrong in one of ten
    minutes   of training, of all stages together
    seed      of the people, and of the run
    judged    the people that it is judged on: held_out, or development to choose settings by
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: it is one of {', '.join(METHODS)}.")
    if judged not in ("held_out", "development"):
        raise ValueError(f"judged={judged!r}: it is held_out or development.")
    people = support("train", NUM_TRAIN, seed, language, wrong)
    config = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model=model, lora=strop.policies.LoRA(num_layers=16)),
        tasks=people,
        held_out=support(judged, NUM_JUDGED, seed, language, WRONG),
        environment=Support,
        rewards={"thumbs": thumbs_up},
        gold={"solved": (solved, 1.0), "answers": (num_answers, 0.0), "courteous": (courteous, 0.0)},
        baselines={"random": at_random, "flow chart": FlowChart(language)},
        sampling=strop.Sampling(choices=moves(language), max_tokens=MAX_TOKENS),
        judgement="greedy",
        steps=STEPS,
        seed=seed,
    )
    if method == "thumbs":
        return [strop.Stage("rl", rewarded(config, minutes))]
    if method == "sft":
        return [strop.Stage("sft", imitating(config, logs(people, language, seed), minutes))]
    later = replace(config, policy=strop.FromStage("sft"))
    return [
        strop.Stage("sft", imitating(config, logs(people, language, seed), SFT_SHARE * minutes)),
        strop.Stage("rl", rewarded(later, (1.0 - SFT_SHARE) * minutes)),
    ]


def logs(people: Sequence[Task], language: Language, seed: int) -> list[Task]:
    """The conversations of an apprentice with some of these people, slips and all: nobody marked the good ones."""
    return demonstrations(Support, Apprentice(language), people[:NUM_LOGGED], seed)


def imitating(config: strop.TrainConfig, conversations: Sequence[Task], minutes: float) -> strop.TrainConfig:
    """SFT on conversations."""
    return replace(
        config,
        tasks=list(conversations),
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4), end=False),
        memory=strop.memory.Dataset.Config(size=16),
        minutes=minutes,
    )


def rewarded(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """RLOO on whole conversations. Moves are a few sentences, so no KL is needed; the entropy keeps them in use.

    A step has sixteen conversations: sixty-four take two minutes on one slow core, and then there are few steps.
    """
    return replace(
        config,
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=2e-4), kl=strop.functional.KL(weight=0.0), entropy=0.01
        ),
        group_size=4,
        prompts_per_step=4,
        minutes=minutes,
    )


def moves(language: str) -> list[str]:
    """What an answer may be: each move, plain and courteous."""
    phrases = phrases_of(language)
    return [phrases.said(move, is_courteous) for is_courteous in (False, True) for move in MOVES]


def num_answers(task: Task, episode: Episode) -> float:
    """How many answers were given: those that a person had to read."""
    return float(len(episode.turns))
