"""Decisions learnt from a second: a whole step of RLOO on one-token choices, beside the same step written by hand.

    python benchmarks/decision.py [--prompts 32] [--group 8] [--dtype bfloat16] [--repeats 3]
    python benchmarks/decision.py --judged 400     # how long it takes to judge so many by their probabilities

SmolLM2-135M reads a sentence of a film review in its chat template and says "positive" or "negative"; its adapter is on
the last 16 layers. By hand is what somebody writes for exactly this: prompts sorted and padded, the logits of the two
words at the last position, eight draws from them, and the backward pass of the very same forward pass. Neither side has
a KL: for RLOO's strop would read the reference too. "any token" is strop without `choices`, as a run was before it had
them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from side_by_side import Measured, compare
from training import timed

import strop
from strop.batch import collate
from strop.policies.adapters import LoRA
from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer
from strop.streams import stream
from strop.types import Parts, Task

WORDS = ("positive", "negative")
LAYERS = 16
LR = 5e-4
OPINIONS = ("a joy to watch from the first scene to the last", "so long and so dull that half the house left early")


def tasks(number: int) -> list[Task]:
    """Prompts of about 52 tokens, no two alike."""
    told = (f"In row {i}, seat {7 * i % 40}, they said that it was {OPINIONS[i % 2]}." for i in range(number))
    return [Task(str(i), f"Is this review positive or negative? {text}", WORDS[i % 2]) for i, text in enumerate(told)]


def is_right(task: strop.Task, episode: strop.Episode) -> float:
    """1 for the word, 0 for another."""
    return float(episode.text == task.answer)


def config(args: argparse.Namespace, choices: tuple[str, ...]) -> strop.TrainConfig:
    """A run of one step after another on all prompts."""
    return strop.TrainConfig(
        policy=Transformer.Config(lora=LoRA(num_layers=LAYERS)),
        tasks=tasks(args.prompts),
        rewards=[is_right],
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=LR), kl=strop.functional.KL(weight=0.0)
        ),
        sampling=strop.Sampling(max_tokens=1, choices=choices),
        group_size=args.group,
        prompts_per_step=args.prompts,
        dtype=args.dtype,
        threads=args.threads,
        judgement="choices" if choices else "greedy",
    ).resolve()


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    return steps(args, WORDS)


@kept_memory()
def any_token_side(args: argparse.Namespace) -> Measured:
    return steps(args, ())


def steps(args: argparse.Namespace, choices: tuple[str, ...]) -> Measured:
    """Steps of the loop without what it writes down; or judgements, if they are asked for."""
    made = config(args, choices)
    parts = made.build()
    if args.judged:
        judged = replace(made, held_out=tasks(args.judged))
        return Measured(timed(args.steps, lambda: judged.judge(parts, 0)), args.judged)
    numbers = iter(range(10**6))
    return Measured(timed(args.steps, lambda: one_step(parts, next(numbers))), args.prompts * args.group)


def one_step(parts: Parts, number: int) -> None:
    """Act, remember and learn, as the loop does."""
    parts.engine.publish(parts.policy)
    parts.memory.add(parts.engine.rollout(parts.tasks, number))
    for draw in parts.memory.draws(stream(0, "memory", number)):
        parts.algorithm.update(collate(draw, parts.policy.layout))


def by_hand_side(args: argparse.Namespace) -> Measured:
    """One pass over the prompts serves sampling and learning."""
    policy, codec = Transformer.Config(lora=LoRA(num_layers=LAYERS)).build(0, args.dtype)
    asked = tasks(args.judged or args.prompts)
    prompts = [codec.start(task.prompt) for task in asked]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    words = torch.tensor([codec.encode(word)[0] for word in WORDS])
    answer_P = torch.tensor([WORDS.index(asked[i].answer) for i in order])
    optimizer = torch.optim.AdamW(policy.parameters(), lr=LR, weight_decay=0.0, fused=True)
    width = max(map(len, prompts))
    tokens_PT = torch.tensor([(0,) * (width - len(prompts[i])) + prompts[i] for i in order])
    mask_PT = torch.tensor([(0,) * (width - len(prompts[i])) + (1,) * len(prompts[i]) for i in order])
    position_PT = (mask_PT.cumsum(-1) - 1).clamp(min=0)

    def logprobs() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16"):
            hidden = policy.model.model(tokens_PT, attention_mask=mask_PT, position_ids=position_PT).last_hidden_state
        head = policy.model.get_output_embeddings().weight
        return (hidden[:, -1].float() @ head[words].float().T).log_softmax(-1)

    def step() -> None:
        logprobs_P2 = logprobs()
        drawn_PG = torch.multinomial(logprobs_P2.detach().exp(), args.group, replacement=True)
        reward_PG = (drawn_PG == answer_P.unsqueeze(1)).float()
        baseline_PG = (reward_PG.sum(1, keepdim=True) - reward_PG) / (args.group - 1)
        loss = -((reward_PG - baseline_PG) * logprobs_P2.gather(1, drawn_PG)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    @torch.inference_mode()
    def judge() -> None:
        logprobs().argmax(-1)

    return Measured(timed(args.steps, judge if args.judged else step), args.judged or args.prompts * args.group)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--prompts", type=int, default=32)
    options.add_argument("--group", type=int, default=8, help="decisions on each prompt")
    options.add_argument("--judged", type=int, default=0, help="judge so many instead")
    options.add_argument("--steps", type=int, default=3, help="measured in each process, after one that warms up")
    options.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    sides = {"strop": strop_side, "any token": any_token_side, "by hand": by_hand_side}
    compare("decision", "Decisions on SmolLM2-135M", sides, "decisions", options)


if __name__ == "__main__":
    main()
