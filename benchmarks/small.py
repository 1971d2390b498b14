"""GRPO on small transformers from scratch, 0.2 to 10 million weights: episodes a second, beside a loop written by hand.

    python benchmarks/small.py [--size 0.2M] [--prompts 8] [--group 8] [--tokens 16] [--repeats 3]

The same model from the same weights, prompts of four words, answers of exactly --tokens words, a reward that costs
nothing, one AdamW step on all weights. By hand is transformers' generate, one forward pass over prompts and answers,
and the same loss. Ours also writes every episode and its metrics to a run directory, by hand writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
import trainers
from side_by_side import Measured, compare
from torch import Tensor
from training import timed

import strop
from strop.policies.scratch import Scratch

SIZES = {"0.2M": (64, 3), "1M": (128, 4), "3M": (256, 3), "10M": (320, 6)}
"""Width and layers: 16 x width^2 x layers weights, and those of the words."""
WORDS = tuple(f"w{i}" for i in range(256))
PROMPT = 4
LR = 1e-4


def policy(args: argparse.Namespace) -> Scratch:
    width, layers = SIZES[args.size]
    return strop.policies.Scratch(
        words=WORDS, has_end=False, num_layers=layers, width=width, num_heads=4, context=PROMPT + args.tokens
    )


def pay(words: Sequence[str]) -> float:
    """The share of words with an even number."""
    return sum(int(word[1:]) % 2 == 0 for word in words) / len(words)


def strop_side(args: argparse.Namespace) -> Measured:
    def even(task: strop.Task, episode: strop.Episode) -> float:
        return pay(episode.text.split())

    run = strop.train(
        strop.TrainConfig(
            policy=policy(args),
            tasks=[strop.Task(str(i), " ".join(WORDS[PROMPT * i : PROMPT * (i + 1)])) for i in range(args.prompts)],
            rewards=[even],
            algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=LR)),
            sampling=strop.Sampling(max_tokens=args.tokens),
            group_size=args.group,
            prompts_per_step=args.prompts,
            steps=args.steps + 1,
            checkpoint_every=10_000,
            device=args.device,
            threads=args.threads,
            seed=args.seed,
        ),
        trainers.folder() / "run",
    )
    metrics = run.metrics()
    rewards = {"first_reward": metrics[0]["reward/mean"], "last_reward": metrics[-1]["reward/mean"]}
    return Measured([one["time/step_seconds"] for one in metrics[1:]], args.prompts * args.group, rewards)


def by_hand(args: argparse.Namespace) -> Measured:
    start, _ = policy(args).build(args.seed, "float32")
    model = start.model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, fused=True)
    prompt_BT = torch.arange(PROMPT * args.prompts).view(args.prompts, PROMPT).repeat_interleave(args.group, dim=0)
    torch.manual_seed(args.seed)
    rewards: list[float] = []

    def step() -> None:
        with torch.no_grad():
            tokens_BT = sampled(model, prompt_BT, args.tokens)
        reward_B = torch.tensor([pay([WORDS[token] for token in row]) for row in tokens_BT[:, PROMPT:].tolist()])
        rewards.append(reward_B.mean().item())
        reward_PG = reward_B.view(args.prompts, args.group)
        spread_P1 = reward_PG.std(dim=1, keepdim=True) + 1e-4
        advantage_B1 = ((reward_PG - reward_PG.mean(dim=1, keepdim=True)) / spread_P1).view(-1, 1)
        logits_BTV = model(tokens_BT, use_cache=False).logits[:, PROMPT - 1 : -1]
        logprobs_BT = logits_BTV.log_softmax(dim=-1).gather(-1, tokens_BT[:, PROMPT:].unsqueeze(-1)).squeeze(-1)
        loss = -((logprobs_BT - logprobs_BT.detach()).exp() * advantage_B1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    seconds = timed(args.steps, step)
    return Measured(seconds, args.prompts * args.group, {"first_reward": rewards[0], "last_reward": rewards[-1]})


def sampled(model: torch.nn.Module, prompt_BT: Tensor, length: int) -> Tensor:
    """Prompts and answers; nobody stops early."""
    made: Tensor = model.generate(  # type: ignore[operator]
        prompt_BT,
        attention_mask=torch.ones_like(prompt_BT),
        max_new_tokens=length,
        min_new_tokens=length,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=0,
    )
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", choices=SIZES, default="0.2M", help="weights of the transformer")
    options.add_argument("--prompts", type=int, default=8)
    options.add_argument("--group", type=int, default=8)
    options.add_argument("--tokens", type=int, default=16, help="of every answer")
    options.add_argument("--steps", type=int, default=20, help="measured in each process, after one that warms up")
    sides = {"strop": strop_side, "by hand": by_hand}
    compare("small", "GRPO from scratch", sides, "episodes", options)


if __name__ == "__main__":
    main()
