"""What TRL's trainers have in common here: the same optimiser as ours, and a clock."""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path
from typing import Any

LR = 1e-6


def folder() -> Path:
    """Of this process alone, and gone after it."""
    return Path(os.environ["STROP_BENCHMARK_FOLDER"])


def arguments(args: argparse.Namespace, batch: int, lr: float = LR) -> dict[str, Any]:
    """What every trainer is told: nothing that makes it slower than it has to be.

    Gradient checkpointing is off (on by default there: less memory, more time). AdamW is the fused one on both sides.
    """
    return {
        "output_dir": str(folder() / "trl"),
        "use_cpu": args.device == "cpu",
        "bf16": args.dtype == "bfloat16",
        "gradient_checkpointing": False,
        "per_device_train_batch_size": batch,
        "max_steps": args.steps + 1,
        "learning_rate": lr,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": args.seed,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


def tokenizer() -> Any:
    """That of SmolLM2-135M-Instruct, from the local cache."""
    from transformers import AutoTokenizer

    from strop.hub.models import resolve

    return AutoTokenizer.from_pretrained(str(resolve("smollm2")))


def train(trainer: Any) -> tuple[list[float], list[dict[str, float]]]:
    """Seconds of each step after the first, from the end of the one before; and what it logged at every step."""
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.train()
    seconds = [after - before for before, after in itertools.pairwise(ends)]
    return seconds, [line for line in trainer.state.log_history if "loss" in line]
