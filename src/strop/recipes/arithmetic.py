"""One-digit sums with a verifiable reward, on SmolLM2-135M-Instruct."""

from __future__ import annotations

from typing import Literal

import strop
from strop.data.tasks import train_test_split
from strop.rewards import correct_number
from strop.types import Message, RewardFn, Task

MAX_TOKENS = 12


def recipe() -> strop.TrainConfig:
    """Minutes on two cores: the model learns to answer with the number, and to get more of them right."""
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model="smollm2", lora=strop.policies.LoRA(rank=16)),
        tasks=sum_tasks("train"),
        held_out=sum_tasks("held_out"),
        rewards=rewards(),
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-4), kl=strop.functional.KL(weight=0.02)
        ),
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        group_size=8,
        prompts_per_step=4,
        steps=40,
    )


def sum_tasks(split: Literal["train", "held_out"]) -> list[Task]:
    """The 100 sums of two digits. 3 + 5 and 5 + 3 are one problem: 11 of the 55 problems are held out."""
    tasks = [_task(a, b) for a in range(10) for b in range(10)]
    train, held_out = train_test_split(tasks, fraction=0.2)
    return train if split == "train" else held_out


def rewards() -> dict[str, tuple[RewardFn, float]]:
    """1 for the right number, else 0."""
    return {"correct": (correct_number, 1.0)}


def _task(a: int, b: int) -> Task:
    prompt = [
        Message(role="system", content="You are good at sums."),
        Message(role="user", content=f"What is {a} + {b}?"),
    ]
    return Task(f"{a}+{b}", prompt, answer=str(a + b), data={"problem": f"{min(a, b)}+{max(a, b)}"})
