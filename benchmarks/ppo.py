"""A step of PPO with a critic on SmolLM2-135M: strop beside the same step written by hand with transformers.

    python benchmarks/ppo.py [--prompts 1] [--group 8] [--tokens 64] [--dtype float32] [--repeats 3]

TRL 1.16 has no PPO any more, neither in the library nor in trl.experimental, so there is no peer of that kind: the peer
is the step as one writes it from the paper. Both read the frozen start, the old log-probs and the old values without
gradient, take KL in the reward, compute GAE(1, .95), whiten, and take --epochs AdamW steps on all weights and a value
head that starts at 0. Answers are given: nothing is sampled. By hand, only the answers go through the output head, in
one piece. The last loss of the first batch is kept: it must be the same number on both sides.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
from side_by_side import Measured, compare
from torch import Tensor
from trainers import LR
from training import episodes, flags, num_tokens, padded, reward, sequences, timed, updates

import strop
from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer

CLIP, TRACE, KL_WEIGHT, VALUE_WEIGHT = 0.2, 0.95, 0.05, 0.1


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    loaded, prompts, answers = sequences(args)
    policy = Transformer(loaded.model, dtype=args.dtype, value_head=True)
    config = strop.algorithms.PPO.Config(
        optimizer=strop.optimizer.AdamW(lr=LR),
        kl=strop.functional.KL(weight=KL_WEIGHT),
        clip=CLIP,
        critic=strop.learners.actor_critic.Critic(weight=VALUE_WEIGHT),
        trace=TRACE,
        epochs=args.epochs,
    )
    with torch.no_grad():  # KL in the reward reads what the sampler said, so it must be true
        logprobs_BT, _ = read(loaded.model, critic_of(loaded.model), padded(prompts, answers), args.dtype)
    played = episodes(args.group, prompts, answers, list(map(tuple, logprobs_BT.tolist())))
    return updates(args, config, policy, played)


def transformers_side(args: argparse.Namespace) -> Measured:
    policy, prompts, answers = sequences(args)
    model, tokens = policy.model, padded(prompts, answers)
    start = copy.deepcopy(model).requires_grad_(False)
    critic = critic_of(model)
    parameters = [*model.parameters(), *critic.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0, fused=True)
    reward_B = torch.tensor([reward(i) for i in range(len(prompts))])
    losses: list[float] = []

    def step() -> None:
        with torch.no_grad():
            old_BT, value_BT = read(model, critic, tokens, args.dtype)
            reference_BT, _ = read(start, critic, tokens, args.dtype)
        advantage_BT = gae(KL_WEIGHT * (reference_BT - old_BT), reward_B, value_BT)
        target_BT = advantage_BT + value_BT
        advantage_BT = (advantage_BT - advantage_BT.mean()) / (advantage_BT.std(correction=0) + 1e-8)
        for _ in range(args.epochs):
            new_BT, guess_BT = read(model, critic, tokens, args.dtype)
            ratio_BT = (new_BT - old_BT).exp()
            clipped_BT = ratio_BT.clamp(1 - CLIP, 1 + CLIP)
            policy_loss = torch.maximum(-ratio_BT * advantage_BT, -clipped_BT * advantage_BT).mean()
            loss = policy_loss + VALUE_WEIGHT * (guess_BT - target_BT).square().mean() / 2
            losses.append(loss.item())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    seconds = timed(args.steps, step)
    return Measured(seconds, num_tokens(args, prompts), {"first_loss": losses[args.epochs - 1]})


def critic_of(model: Any) -> torch.nn.Linear:
    """A value head that starts at 0."""
    critic = torch.nn.Linear(model.config.hidden_size, 1)
    torch.nn.init.zeros_(critic.weight)
    torch.nn.init.zeros_(critic.bias)
    return critic


def read(model: Any, critic: torch.nn.Linear, tokens: tuple[Tensor, Tensor, int], dtype: str) -> tuple[Tensor, Tensor]:
    """Log-probs and values [B, answer] of every answer token."""
    tokens_BT, mask_BT, width = tokens
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        hidden_BTH = model.model(tokens_BT, attention_mask=mask_BT, use_cache=False).last_hidden_state[
            :, width - 1 : -1
        ]
        logits_BTV = model.lm_head(hidden_BTH)
    logprobs_BTV = logits_BTV.float().log_softmax(dim=-1)
    logprobs_BT = logprobs_BTV.gather(-1, tokens_BT[:, width:].unsqueeze(-1)).squeeze(-1)
    return logprobs_BT, critic(hidden_BTH.float()).squeeze(-1)


def gae(rewards_BT: Tensor, last_B: Tensor, value_BT: Tensor) -> Tensor:
    """Generalised advantages at discount 1; `last_B` falls on the last token, and nothing follows it."""
    rewards_BT = rewards_BT.clone()
    rewards_BT[:, -1] += last_B
    advantage_BT, ahead_B, next_B = torch.zeros_like(value_BT), torch.zeros(len(value_BT)), torch.zeros(len(value_BT))
    for t in reversed(range(value_BT.shape[1])):
        ahead_B = rewards_BT[:, t] + next_B - value_BT[:, t] + TRACE * ahead_B
        advantage_BT[:, t], next_B = ahead_B, value_BT[:, t]
    return advantage_BT


def main() -> None:
    options = flags(__doc__, prompts=1, group=8)
    options.add_argument("--epochs", type=int, default=2, help="AdamW steps on each batch")
    sides = {"strop": strop_side, "by hand": transformers_side}
    compare("ppo", "PPO step, SmolLM2-135M", sides, "tokens", options)


if __name__ == "__main__":
    main()
