"""A step of DPO of SmolLM2-135M: strop beside TRL's DPOTrainer, on the same tokens.

    python benchmarks/dpo.py [--prompts 4] [--tokens 64] [--dtype float32] [--repeats 3]

A step collates the pairs, reads them with the policy and with a frozen copy of its start, and takes one AdamW step on
all weights. Both sides read the reference in the step (neither computes it beforehand). Ours reads the prompt of a pair
once; TRL reads it with each answer. The first loss must be log 2 on both sides.
"""

from __future__ import annotations

import argparse
from typing import Any

import trainers
from side_by_side import Measured, compare
from training import episodes, flags, num_tokens, reward, sequences, updates

import strop
from strop.policies.computing import kept_memory

BETA = 0.1


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    policy, prompts, answers = sequences(args)
    config = strop.algorithms.DPO.Config(optimizer=strop.optimizer.AdamW(lr=trainers.LR), beta=BETA)
    return updates(args, config, policy, episodes(args.group, prompts, answers))


def trl_side(args: argparse.Namespace) -> Measured:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    class Pretokenised(DPOTrainer):  # type: ignore[misc]
        """Takes the tokens as they are: it would only take texts, and encode them to other lengths than ours."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    policy, prompts, answers = sequences(args)
    pairs = [sorted((i, i + 1), key=reward) for i in range(0, len(prompts), 2)]
    rows = [
        {"prompt_ids": prompts[worse], "chosen_ids": answers[better], "rejected_ids": answers[worse]}
        for worse, better in pairs
    ]
    settings = DPOConfig(beta=BETA, max_length=None, **trainers.arguments(args, len(rows)))
    trainer = Pretokenised(
        model=policy.model, train_dataset=Dataset.from_list(rows), processing_class=trainers.tokenizer(), args=settings
    )
    seconds, logged = trainers.train(trainer)
    return Measured(seconds, num_tokens(args, prompts), {"first_loss": logged[0]["loss"]})


def main() -> None:
    sides = {"strop": strop_side, "trl": trl_side}
    compare("dpo", "DPO step, SmolLM2-135M", sides, "tokens", flags(__doc__, prompts=4, group=2))


if __name__ == "__main__":
    main()
