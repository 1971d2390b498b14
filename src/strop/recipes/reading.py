"""Reading comprehension: a passage about three invented lands, a question, and the span that answers it.

    strop train reading
    strop train reading data=mine.jsonl
    strop train reading method=sft

Two stages: SFT on the answers, then RLOO on exact ones. Held-out passages speak of lands that no training passage
names, in sentences and questions that none of them uses. Gold is the F1 of words (docs/tasks/reading.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import strop
from strop.data.passages import nearest_span, passages
from strop.data.tasks import from_file, train_test_split
from strop.rewards import right_answer, token_f1
from strop.types import Message, Task

TABLES = "tables"
"""Passages from tables of invented lands."""
SYSTEM = "Read the text, and answer the question in a few words of it."
MAX_TOKENS = 16
NUM_TRAIN, NUM_JUDGED = 2000, 200
SFT_SHARE = 0.5
"""Of the minutes, where the reward follows."""
HELD_OUT_SHARE = 0.1
"""Of the passages of a file."""


def recipe(
    data: str = TABLES,
    model: str = "smollm2",
    method: Literal["rl", "sft"] = "rl",
    minutes: float = 10.0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """About ten minutes on two cores.

    data     tables, for passages about invented lands; or a file with the columns passage, question and answer
    model    smollm2, a folder, or a Hub id
    method   rl: the likelihood of the answers for half of the minutes, then the reward, exact answers; sft: the
             likelihood for all of them, to compare with
    minutes  of training, over all stages
    judged   the passages that it is judged on: held_out, or development to choose by; a file has no development
    """
    if method not in ("rl", "sft"):
        raise ValueError(f"method={method!r}: it is rl or sft.")
    if judged not in ("held_out", "development"):
        raise ValueError(f"judged={judged!r}: it is held_out or development.")
    if data == TABLES:
        train, held_out = passages("train", NUM_TRAIN), passages(judged, NUM_JUDGED)
    else:
        train, held_out = own(data)
    config = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model=model, lora=strop.policies.LoRA(rank=16, num_layers=16)),
        tasks=[asked(task) for task in train],
        held_out=[asked(task) for task in held_out],
        rewards={"right": right_answer},
        gold={"f1": token_f1},
        baselines={"extractor": extracted, "last name": last_word},
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        judgement="greedy",
    )
    if method == "sft":
        return [strop.Stage("sft", imitating(config, minutes))]
    sft, rl = imitating(config, SFT_SHARE * minutes), rewarded(config, (1.0 - SFT_SHARE) * minutes)
    return [strop.Stage("sft", sft), strop.Stage("rl", rl)]


def rewarded(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """RLOO on exact answers, with a KL to what SFT made."""
    return replace(
        config,
        policy=strop.FromStage("sft"),
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-4), kl=strop.functional.KL(weight=0.01)
        ),
        group_size=8,
        prompts_per_step=8,
        steps=300,
        minutes=minutes,
    )


def imitating(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """SFT on the answers."""
    return replace(
        config,
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4)),
        memory=strop.memory.Dataset.Config(size=16),
        steps=600,
        minutes=minutes,
    )


def asked(task: Task) -> Task:
    """The task with its passage and question put to a chat model."""
    text = f"{task.data['passage']}\n\n{task.data['question']}"
    return replace(task, prompt=[Message(role="system", content=SYSTEM), Message(role="user", content=text)])


def own(data: str) -> tuple[list[Task], list[Task]]:
    """The training and held-out tasks of a file. All questions on a passage are on one side.

    Raises ValueError for a file that is not there, or a row without a passage.
    """
    file = Path(data).expanduser()
    if not file.is_file():
        raise ValueError(
            f"data={data}: there is no such file; take data={TABLES}, or a file with the columns passage, question and "
            "answer."
        )
    found = []
    for task in from_file(file, prompt="question", answer="answer"):
        passage = task.data.get("passage")
        if not isinstance(passage, str) or not passage.strip() or not task.answer.strip():
            raise ValueError(f"{file}, {task.id}: a row has a passage, a question and an answer.")
        found.append(replace(task, data={**task.data, "question": task.prompt}))
    return train_test_split(found, max(HELD_OUT_SHARE, 1 / len(found)), problem=_passage_of)


def _passage_of(task: Task) -> str:
    return str(task.data["passage"])


def extracted(task: Task, seen: strop.Observation) -> str:
    """A baseline: the last name or number of the sentence that shares most words with the question."""
    return nearest_span(str(task.data["passage"]), str(task.data["question"]))


def last_word(task: Task, seen: strop.Observation) -> str:
    """A baseline: the last capitalised word or number of the passage."""
    words = [word.strip(".,") for word in str(task.data["passage"]).split()]
    return next((word for word in reversed(words) if word[:1].isupper() or word[:1].isdigit()), words[-1])
