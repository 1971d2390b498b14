"""Do we learn what TRL learns? GRPO on a word to copy, from the same random weights, with the same sampling and sizes.

    python benchmarks/learning.py [--steps 60] [--repeats 5]

A transformer of two layers reads a word and is paid for writing it. Each repeat is a seed: its weights are the same on
both sides, what is sampled is not. The mean reward of every step is kept as a curve; our mean over the run is put
beside the interval of theirs over seeds. The rate was chosen on seeds 100 and 101. SmolLM2 would take hours for this
(grpo.py has its speed).
"""

from __future__ import annotations

import argparse
from statistics import fmean
from typing import Any

import trainers
from side_by_side import Measured, compare

import strop
from strop.policies.scratch import Scratch
from strop.recipes.copy_word import WORDS, copied

LR = 3e-3
GROUP = 16
TOKENS = 1
"""The word. An end would be another one, and wrong."""


def policy() -> Scratch:
    return strop.policies.Scratch(words=WORDS, num_layers=2, width=64, num_heads=4, context=16)


def strop_side(args: argparse.Namespace) -> Measured:
    run = strop.train(
        strop.TrainConfig(
            policy=policy(),
            tasks=[strop.Task(word, word, answer=word) for word in WORDS],
            rewards=[copied],
            algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=LR)),
            sampling=strop.Sampling(max_tokens=TOKENS),
            group_size=GROUP,
            prompts_per_step=len(WORDS),
            steps=args.steps + 1,
            checkpoint_every=10_000,
            device=args.device,
            threads=args.threads,
            seed=args.seed,
        ),
        trainers.folder() / "run",
    )
    metrics = run.metrics()
    return measured([one["time/step_seconds"] for one in metrics[1:]], [one["reward/mean"] for one in metrics])


def trl_side(args: argparse.Namespace) -> Measured:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    start, codec = policy().build(args.seed, "float32")

    def score(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return [float(completion.split() == [word]) for completion, word in zip(completions, answer, strict=True)]

    trainer = GRPOTrainer(
        model=start.model,
        reward_funcs=score,
        train_dataset=Dataset.from_list([{"prompt": word, "answer": word} for word in WORDS]),
        processing_class=tokenizer(codec.words, codec.words[codec.end or 0]),
        args=GRPOConfig(
            loss_type="grpo",
            num_generations=GROUP,
            max_completion_length=TOKENS,
            temperature=1.0,
            top_k=0,
            **trainers.arguments(args, len(WORDS) * GROUP, LR),
        ),
    )
    seconds, logged = trainers.train(trainer)
    return measured(seconds, [line["reward"] for line in logged])


def tokenizer(words: tuple[str, ...], end: str) -> Any:
    """Our words as a tokenizer of transformers."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=end))
    made.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end, pad_token=end)


def measured(seconds: list[float], rewards: list[float]) -> Measured:
    """An episode is a unit; the mean reward over the whole run says how fast it learnt."""
    return Measured(seconds, len(WORDS) * GROUP, {"mean_reward": fmean(rewards), "last_reward": rewards[-1]}, rewards)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=60)
    options.set_defaults(dtype="float32", repeats=5)
    sides = {"strop": strop_side, "trl": trl_side}
    compare("learning", "GRPO from scratch: copying a word", sides, "episodes", options)


if __name__ == "__main__":
    main()
