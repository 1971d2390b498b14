"""A training step alone: log-probs forward, backward and AdamW, beside bare transformers on the same sequences.

    python benchmarks/training.py [--prompts 2] [--group 8] [--tokens 64] [--dtype float32] [--repeats 3]

The peer is what one writes by hand: logits of every position, log_softmax, the same loss, backward, AdamW. Prints also
the share of the processor's measured matrix rate that 6 x parameters x tokens a second come to, counting every token of
every row, prompts included: ours reads a prompt once for its group, so it may count more than it computes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rollout import loaded
from side_by_side import Measured, compare

import strop
from strop.batch import collate
from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer
from strop.types import AlgorithmConfig, Completion, Episode, Part, Tokens, Turn

SIZE = 2048


def sequences(args: argparse.Namespace) -> tuple[Transformer, list[Tokens], list[Tokens]]:
    """The policy, prompts, and as many random answers."""
    policy, prompts = loaded(args)
    dice = np.random.default_rng(0)
    return policy, prompts, [tuple(dice.integers(0, policy.vocabulary, args.tokens).tolist()) for _ in prompts]


def episodes(
    group: int, prompts: list[Tokens], answers: list[Tokens], logprobs: list[tuple[float, ...]] | None = None
) -> list[Episode]:
    """The answers as if the policy had sampled them (at -1 each, if not told), in groups whose rewards differ."""
    logprobs = logprobs or [(-1.0,) * len(answer) for answer in answers]
    return [
        Episode(
            str(i),
            strop.Task(str(i // group), ""),
            i // group,
            (Turn(prompt, Completion(answer, logprobs[i], "length"), ""),),
            (),
            strop.End.TERMINATED,
            parts={"reward": Part(1.0, reward(i))},
        )
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]


def reward(i: int) -> float:
    """Of answer number i."""
    return float(i % 3)


def padded(prompts: list[Tokens], answers: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Tokens [B, T] and their mask, with prompts padded on the left to the width that comes third."""
    width = max(map(len, prompts))
    tokens_BT = torch.tensor([(0,) * (width - len(p)) + p + a for p, a in zip(prompts, answers, strict=True)])
    mask_BT = torch.tensor(
        [(0,) * (width - len(p)) + (1,) * (len(p) + len(a)) for p, a in zip(prompts, answers, strict=True)]
    )
    return tokens_BT, mask_BT, width


def num_tokens(args: argparse.Namespace, prompts: list[Tokens]) -> int:
    """Tokens of a step, prompts included."""
    return sum(len(prompt) + args.tokens for prompt in prompts)


def updates(args: argparse.Namespace, config: AlgorithmConfig, policy: Transformer, played: list[Episode]) -> Measured:
    """Updates of ours on the same episodes, each collated anew; the first loss is kept."""
    algorithm = config.build(policy, strop.Sampling(max_tokens=args.tokens), micro_tokens=4096)
    draw = tuple(strop.Pick(episode) for episode in played)
    losses: list[float] = []

    def step() -> None:
        losses.append(algorithm.update(collate(draw, policy.layout)).metrics["optimizer/loss"].value)

    seconds = timed(args.steps, step)
    prompts = [episode.turns[0].prompt for episode in played]
    return Measured(seconds, num_tokens(args, prompts), {"first_loss": losses[0]})


def timed(num_steps: int, step: Callable[[], object]) -> list[float]:
    """Seconds of each call of `step` after the first."""
    seconds = []
    for _ in range(num_steps + 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def measured(
    args: argparse.Namespace, policy: Transformer, prompts: list[Tokens], step: Callable[[], object]
) -> Measured:
    """Each call of `step` after the first."""
    seconds = timed(args.steps, step)
    units = num_tokens(args, prompts)
    work = 6 * sum(p.numel() for p in policy.model.parameters()) * units
    share = work / statistics.median(seconds) / matrix_rate(args.dtype)
    return Measured(seconds, units, {"share_of_matrix_rate": share})


def matrix_rate(dtype: str) -> float:
    """Floating-point operations a second of the best of a few products of large square matrices."""
    left, right = (torch.randn(SIZE, SIZE).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * SIZE**3 / best


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    policy, prompts, answers = sequences(args)
    config = strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-6))
    algorithm = config.build(policy, strop.Sampling(max_tokens=args.tokens), micro_tokens=4096)
    draw = tuple(strop.Pick(episode) for episode in episodes(args.group, prompts, answers))
    return measured(args, policy, prompts, lambda: algorithm.update(collate(draw, policy.layout)))


def transformers_side(args: argparse.Namespace) -> Measured:
    policy, prompts, answers = sequences(args)
    tokens_BT, mask_BT, width = padded(prompts, answers)
    advantage_B1 = torch.tensor([reward(i) - 1.0 for i in range(len(prompts))]).unsqueeze(1)
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-6, weight_decay=0.0, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16"):
            logits_BTV = policy.model(tokens_BT, attention_mask=mask_BT).logits[:, width - 1 : -1].float()
        logprobs_BTV = logits_BTV.log_softmax(dim=-1)
        logprobs_BT = logprobs_BTV.gather(-1, tokens_BT[:, width:].unsqueeze(-1)).squeeze(-1)
        ratio_BT = (logprobs_BT - logprobs_BT.detach()).exp()
        loss = -(ratio_BT * advantage_B1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return measured(args, policy, prompts, step)


def flags(doc: str | None, prompts: int, group: int) -> argparse.ArgumentParser:
    """The sizes that every benchmark of a training step has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=prompts)
    parser.add_argument("--group", type=int, default=group, help="answers to each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="of every answer")
    parser.add_argument("--steps", type=int, default=3, help="measured in each process, after one that warms up")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    return parser


def main() -> None:
    sides = {"strop": strop_side, "transformers": transformers_side}
    compare("training", "Training step, SmolLM2-135M", sides, "tokens", flags(__doc__, prompts=2, group=8))


if __name__ == "__main__":
    main()
