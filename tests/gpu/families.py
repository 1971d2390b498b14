"""A run of every family of algorithms over a tiny transformer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import strop
from exact.build import flat
from gpu.accelerator import Accelerator
from strop.environments import GuessWord
from strop.functional.divergences import KL
from strop.recipes import guess_offline
from strop.runs.progress import Progress
from strop.types import Episode, Task

WORDS = ("red", "blue", "green", "black")
SAMPLING = strop.Sampling(max_tokens=3)
SHAPE = {"num_layers": 2, "width": 32, "num_heads": 2, "context": 16}
STUDENT = strop.policies.Scratch(words=WORDS, value_head=True, **SHAPE)
PLAYER = strop.policies.Scratch(
    words=(*guess_offline.WORDS, *guess_offline.REPLIES, "guess"), has_end=False, value_head=True, **SHAPE
)
FULL_KL = KL(weight=0.1, placement="loss", estimator="full")
# with a large eps a step goes with the gradient; the usual one would blow a rounding error up to a whole step
ADAM = strop.optimizer.AdamW(lr=0.02, eps=1e-2)
GIVEN = strop.memory.Dataset.Config(size=4)
PAIRS = [
    Task(word, word, data={"chosen": word, "rejected": other})
    for word, other in zip(WORDS, (*WORDS[1:], WORDS[0]), strict=True)
]
FAMILIES: dict[str, dict[str, Any]] = {
    "REINFORCE": {"algorithm": strop.algorithms.REINFORCE.Config(optimizer=ADAM, kl=KL(weight=0.1))},
    "GRPO": {"algorithm": strop.algorithms.GRPO.Config(optimizer=ADAM, kl=FULL_KL)},
    "PPO": {"algorithm": strop.algorithms.PPO.Config(optimizer=ADAM, epochs=2, minibatches=2)},
    "DQN": {"algorithm": strop.algorithms.DQN.Config(optimizer=ADAM, target_every=1, target_share=0.3)},
    "Distillation": {
        "algorithm": strop.algorithms.Distillation.Config(
            optimizer=ADAM, teacher=strop.policies.Scratch(words=WORDS, num_layers=1, width=16, num_heads=2)
        ),
        "rewards": {},
    },
    "SFT": {"algorithm": strop.algorithms.SFT.Config(optimizer=ADAM), "memory": GIVEN},
    "DPO": {"algorithm": strop.algorithms.DPO.Config(optimizer=ADAM), "tasks": PAIRS, "memory": GIVEN},
    "RewardModel": {
        "algorithm": strop.algorithms.RewardModel.Config(optimizer=ADAM),
        "tasks": PAIRS,
        "held_out": [],
        "rewards": {},
        "memory": GIVEN,
    },
    "ILQL": {
        "algorithm": strop.algorithms.ILQL.Config(optimizer=ADAM),
        "policy": strop.policies.Steered.Config(base=PLAYER),
        "environment": GuessWord,
        "tasks": guess_offline.logged_games(16),
        "held_out": [],
        "rewards": {},
        "memory": strop.memory.Dataset.Config(size=8),
    },
}
"""By the name of one algorithm, what its run has that differs from the usual."""


def right(task: Task, episode: Episode) -> float:
    """1 for the wanted word first, and a half for a second one."""
    words = episode.text.split()
    return float(words[:1] == [task.answer]) + 0.5 * (len(words) > 1)


def config(name: str, **changed: Any) -> strop.TrainConfig:
    """The family's run, two steps of it."""
    usual = {
        "policy": STUDENT,
        "tasks": [Task(word, word, answer=word) for word in WORDS],
        "held_out": [Task(f"{word}-held-out", word, answer=word) for word in WORDS],
        "rewards": {"right": (right, 1.0)},
        "sampling": strop.Sampling(temperature=0.8, epsilon=0.1, max_tokens=3) if name == "DQN" else SAMPLING,
        "group_size": 4,
        "prompts_per_step": 4,
        "steps": 2,
        "checkpoint_every": 2,
        "device": "cpu",
        "dtype": "float32",
        "threads": 1,
    }
    return strop.TrainConfig(**(usual | FAMILIES[name] | changed))


def learnt(run: strop.Run) -> list[dict[str, float]]:
    """What the steps and the judgements measured, but for time and memory."""
    return [{key: one[key] for key in one if not key.startswith(("time/", "memory/"))} for one in run.metrics()]


def weights(run: strop.Run) -> Tensor:
    """All trained numbers, in one vector on the CPU."""
    return flat([one.detach().cpu().double() for one in run.policy.parameters()])


def train(config: strop.TrainConfig, path: Any, resume: bool = False) -> strop.Run:
    """In silence."""
    return strop.train(config, path, resume=resume, progress=Progress.silent())


def train_there(accelerator: Accelerator, name: str, path: Any, resume: bool = False, **changed: Any) -> strop.Run:
    """The family's run on the device."""
    with accelerator.computing():
        return train(config(name, device=accelerator.name, **changed), path, resume)
