"""Answers with tools: a calculator, and a table to look facts up in, over several turns.

    strop train tools
    strop train tools method=sft
    strop train tools method=none
    strop train tools model=FOLDER told=template

A call is JSON between tags, and what the tool says is the next message. Numbers are too large for a small model's head,
and the table's lands are invented, so that what is learnt is whom to ask, for what, and to repeat what was said. Two
stages: SFT on a scripted player who calls the tools; then RLOO on right answers. `method=none` is told the facts and
must compute in its head. Gold is the share of answers that are the number and nothing else (docs/tasks/tools.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import strop
from strop.data.demonstration import demonstrations
from strop.data.tools import RESULT, TOOLS, tools
from strop.environments import SingleTurn, Tools
from strop.rewards.tools import final_number, num_calls, num_failed_calls, only_number
from strop.types import Observation, Task

METHODS = ("rl", "sft", "none")
NUM_TRAIN, NUM_PLAYED, NUM_JUDGED = 2000, 1000, 200
MAX_TOKENS = 72
"""More than the longest call of the scripted player: digits are a token each."""
SFT_SHARE = 0.5
"""Of the minutes, where the reward follows."""
STEPS = 100_000
"""More than fit into the minutes."""


def recipe(
    model: str = "smollm2",
    method: Literal["rl", "sft", "none"] = "rl",
    told: Literal["system", "template"] = "system",
    minutes: float = 10.0,
    seed: int = 0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """Ten minutes on two cores.

    model    smollm2, a folder, or a Hub id
    method   rl: a scripted player's calls first, then right answers; sft: the calls alone, for as many minutes; none:
             no tools, but the facts in the prompt: right answers first, then the reward
    told     how the model is told of the tools: by the system message, or by a chat template that knows tools, in its
             own format; smollm2's does not, and is refused
    minutes  of training, of all stages together
    seed     of the questions, and of the run
    judged   the questions that it is judged on: held_out, or development to choose settings by
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: it is one of {', '.join(METHODS)}.")
    if told not in ("system", "template"):
        raise ValueError(f"told={told!r}: it is system or template.")
    if judged not in ("held_out", "development"):
        raise ValueError(f"judged={judged!r}: it is held_out or development.")
    offered = method != "none"
    knows = told if offered else "facts"
    train = tools("train", NUM_TRAIN, seed, knows)
    config = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(
            model=model,
            lora=strop.policies.LoRA(rank=16, num_layers=16),
            prompts=strop.policies.Prompts(tools=TOOLS if knows == "template" else ()),
        ),
        tasks=train,
        held_out=tools(judged, NUM_JUDGED, seed, knows),
        environment=Tools if offered else SingleTurn,
        rewards={"right": final_number},
        gold={"exact": (only_number, 1.0), "calls": (num_calls, 0.0), "failed": (num_failed_calls, 0.0)},
        baselines={"no tools": by_heart, **({"scripted player": scripted} if offered else {})},
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        judgement="greedy",
        steps=STEPS,
        seed=seed,
    )
    shown = demonstrations(Tools, scripted, train[:NUM_PLAYED], seed) if offered else train
    if method == "sft":
        return [strop.Stage("sft", imitating(config, shown, minutes))]
    return [
        strop.Stage("sft", imitating(config, shown, SFT_SHARE * minutes)),
        strop.Stage("rl", rewarded(config, (1.0 - SFT_SHARE) * minutes)),
    ]


def imitating(config: strop.TrainConfig, shown: Sequence[Task], minutes: float) -> strop.TrainConfig:
    """SFT on played episodes."""
    return replace(
        config,
        tasks=list(shown),
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4)),
        memory=strop.memory.Dataset.Config(size=16),
        minutes=minutes,
    )


def rewarded(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """RLOO on whole episodes, with a KL to what SFT made."""
    return replace(
        config,
        policy=strop.FromStage("sft"),
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=2e-4), kl=strop.functional.KL(weight=0.01)
        ),
        group_size=8,
        prompts_per_step=8,
        minutes=minutes,
    )


def scripted(task: Task, seen: Observation) -> str:
    """A player who is never wrong: it makes the calls that the task names, and says what the last one found."""
    found = seen.text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")
    calls: list[str] = task.data["calls"]
    return calls[seen.turn].replace(RESULT, found) if seen.turn < len(calls) else found


def by_heart(task: Task, seen: Observation) -> str:
    """A player without tools, who knows the table by heart and computes to two digits."""
    is_computed = any("calculator" in call for call in task.data["calls"])
    return str(round(int(task.answer), 2 - len(task.answer))) if is_computed else task.answer
