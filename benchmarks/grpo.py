"""A whole GRPO step of a language model: strop beside TRL, same device, model, prompts, sizes and sampling.

    python benchmarks/grpo.py [--model smollm2] [--prompts 2] [--group 8] [--tokens 64] [--dtype float32] [--lora]
                              [--device cpu]

A step samples prompts x group answers, scores them with a cheap reward and takes one optimiser step on all weights (or
on a LoRA adapter). Both sides end an answer where the model ends it. TRL runs without gradient checkpointing, which
makes it faster than its default, and with its default fused AdamW; its formula is GRPO's, as ours. Whether both learn
the same is another question, which a small model answers soon: learning.py.
"""

from __future__ import annotations

import argparse
from typing import Any

import models
import trainers
from side_by_side import Measured, compare

LENGTH = 200
"""The reward is 1 for an answer of so many characters and less for others: it costs nothing to compute."""


def reward(text: str) -> float:
    return max(0.0, 1.0 - abs(len(text) - LENGTH) / LENGTH)


def strop_side(args: argparse.Namespace) -> Measured:
    import strop
    from strop.recipes.story import story_tasks

    def short(task: strop.Task, episode: strop.Episode) -> float:
        return reward(episode.turns[-1].text)

    run = strop.train(
        strop.TrainConfig(
            policy=strop.policies.Transformer.Config(
                model=str(models.folder_of(args.model)), lora=strop.policies.LoRA(rank=16) if args.lora else None
            ),
            tasks=story_tasks("train", 64),
            rewards=[short],
            algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=trainers.LR)),
            sampling=strop.Sampling(max_tokens=args.tokens),
            group_size=args.group,
            prompts_per_step=args.prompts,
            steps=args.steps + 1,
            checkpoint_every=10_000,
            dtype=args.dtype,
            device=args.device,
            threads=args.threads,
            seed=args.seed,
        ),
        trainers.folder() / "run",
    )
    metrics = run.metrics()[1:]
    lengths = [one["rollout/length"] for one in metrics]
    rewards = [one["reward/mean"] for one in metrics]
    return _measured(args, [one["time/step_seconds"] for one in metrics], lengths, rewards)


def trl_side(args: argparse.Namespace) -> Measured:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    from strop.recipes.story import story_tasks

    model = AutoModelForCausalLM.from_pretrained(str(models.folder_of(args.model)), dtype=torch.float32)
    prompts = [{"prompt": [dict(message) for message in task.prompt]} for task in story_tasks("train", 64)]

    def score(completions: list[Any], **_: Any) -> list[float]:
        return [reward(completion[-1]["content"]) for completion in completions]

    peft = None
    if args.lora:
        from peft import LoraConfig

        peft = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=score,
        train_dataset=Dataset.from_list(prompts),
        processing_class=trainers.tokenizer(),
        peft_config=peft,
        args=GRPOConfig(
            loss_type="grpo",
            num_generations=args.group,
            max_completion_length=args.tokens,
            temperature=1.0,
            top_k=0,
            **trainers.arguments(args, args.prompts * args.group),
        ),
    )
    seconds, logged = trainers.train(trainer)
    lengths, rewards = ([line[name] for line in logged[1:]] for name in ("completions/mean_length", "reward"))
    return _measured(args, seconds, lengths, rewards)


def _measured(args: argparse.Namespace, seconds: list[float], lengths: list[float], rewards: list[float]) -> Measured:
    length = sum(lengths) / len(lengths)
    notes = {"mean_length": length, "mean_reward": sum(rewards) / len(rewards)}
    return Measured(seconds, args.prompts * args.group * length, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(models.MODELS), default="smollm2")
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="the most of one answer")
    parser.add_argument("--steps", type=int, default=3, help="measured in each process, after one that warms up")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--lora", action="store_true", help="train an adapter of rank 16 instead of all weights")
    parser.add_argument("--device", default="cpu", help="cpu, or a card: cuda:0 (gpu.py)")
    model = parser.parse_known_args()[0].model
    name = "grpo" if model == "smollm2" else f"grpo-{model}"
    compare(name, f"GRPO step, {models.MODELS[model]}", {"strop": strop_side, "trl": trl_side}, "tokens", parser)


if __name__ == "__main__":
    main()
