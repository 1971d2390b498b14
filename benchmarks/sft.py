"""A step of supervised fine-tuning of SmolLM2-135M: strop beside TRL's SFTTrainer, on the same tokens.

    python benchmarks/sft.py [--prompts 8] [--tokens 64] [--dtype float32] [--repeats 3]

A step collates the rows, reads them, and takes one AdamW step on all weights; only the answers are learnt. The first
loss of both sides is kept: it must be the same number. TRL also computes its token accuracy at every step, ours the
entropy; both are their defaults.
"""

from __future__ import annotations

import argparse

import trainers
from side_by_side import Measured, compare
from training import episodes, flags, num_tokens, sequences, updates

import strop
from strop.policies.computing import kept_memory


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    policy, prompts, answers = sequences(args)
    config = strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=trainers.LR))
    return updates(args, config, policy, episodes(args.group, prompts, answers))


def trl_side(args: argparse.Namespace) -> Measured:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    policy, prompts, answers = sequences(args)
    rows = [
        {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    settings = SFTConfig(completion_only_loss=True, max_length=None, **trainers.arguments(args, len(rows)))
    trainer = SFTTrainer(
        model=policy.model, train_dataset=Dataset.from_list(rows), processing_class=trainers.tokenizer(), args=settings
    )
    seconds, logged = trainers.train(trainer)
    return Measured(seconds, num_tokens(args, prompts), {"first_loss": logged[0]["loss"]})


def main() -> None:
    sides = {"strop": strop_side, "trl": trl_side}
    compare("sft", "SFT step, SmolLM2-135M", sides, "tokens", flags(__doc__, prompts=8, group=1))


if __name__ == "__main__":
    main()
