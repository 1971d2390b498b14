"""Language models of every kind: causal, the same numbers whichever way they are read, and even before they learn."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from strop.verify.checks import Gap
from strop.verify.small_models import ALL, NEURAL, WORDS, config_of, logits_of, policy_of

ROW = (1, 2, 0, 3, 4, 1, 1, 0, 2, 4, 3, 2)
ROWS = [(1, 2, 3), ROW, (4, 0), (0, 3, 2, 2, 1, 4, 0)]
PROMPTS = [(1, 2, 3), (4,), (0, 3, 2, 2, 1)]
ANSWERS = [(1, 0, 4, 2, 3, 3), (2, 2, 1, 0, 4, 1), (0, 4, 3, 1, 1, 2), (3, 0, 0, 1, 2, 4)]
SAME, NEAR = 2e-6, 1e-5
"""Logits of float32 whose sums run in another order: for rows together and alone, and step by step."""


def check_causality() -> Iterator[Gap]:
    """language models: changing a token changes no output before it (logits)."""
    for name in ALL:
        policy = policy_of(name)
        (before_TV,) = logits_of(policy, [ROW])
        worst = 0.0
        for t in range(1, len(ROW) - 1):
            changed = (*ROW[:t], (ROW[t] + 1) % len(WORDS), *ROW[t + 1 :])
            gap_TV = (logits_of(policy, [changed])[0] - before_TV).abs()
            worst = max(worst, gap_TV[:t].max().item())
            if gap_TV[t].max().item() < 1e-3:
                worst = math.inf  # what cannot be seen at all proves nothing
        yield Gap(worst, SAME, name)


def check_unequal_lengths() -> Iterator[Gap]:
    """language models: rows of unequal lengths give what each gives alone (logits)."""
    for name in ALL:
        policy = policy_of(name)
        together = logits_of(policy, ROWS)
        prefilled_BV, _ = policy.prefill([row[:-1] for row in ROWS])
        worst = 0.0
        for b, row in enumerate(ROWS):
            worst = max(worst, (together[b] - logits_of(policy, [row])[0]).abs().max().item())
            worst = max(worst, (prefilled_BV[b] - policy.prefill([row[:-1]])[0][0]).abs().max().item())
        yield Gap(worst, SAME, name)


def check_step_by_step() -> Iterator[Gap]:
    """language models: sampling, which keeps a state, reads the logits of the loss."""
    owners, orders = [0, 1, 1, 2], {2: [3, 0, 2]}  # two rows share a prompt; at slot 2 one leaves, the others move
    for name in ALL:
        policy = policy_of(name)
        texts = [(*PROMPTS[owner], *tokens) for owner, tokens in zip(owners, ANSWERS, strict=True)]
        sizes = [len(PROMPTS[owner]) for owner in owners]
        wanted = [logits_TV.detach() for logits_TV in logits_of(policy, texts, sizes)]
        logits_BV, state = policy.prefill(PROMPTS)
        logits_BV, state, live = logits_BV[owners], policy.keep(state, owners), list(range(len(texts)))
        worst = 0.0
        for t in range(len(ANSWERS[0])):
            wanted_BV = torch.stack([wanted[row][t] for row in live])
            worst = max(worst, (logits_BV - wanted_BV).abs().max().item())
            tokens = [ANSWERS[row][t] for row in live]
            if order := orders.get(t):
                state, live, tokens = policy.keep(state, order), [live[i] for i in order], [tokens[i] for i in order]
            logits_BV, state = policy.decode(state, torch.tensor(tokens))
        yield Gap(worst, NEAR, name)


def check_first_loss() -> Iterator[Gap]:
    """language models: the first loss is ln V (relative)."""
    words, width = [f"w{i}" for i in range(63)], 64
    row = tuple(torch.randperm(64, generator=torch.Generator().manual_seed(3))[:24].tolist())
    for name in NEURAL:
        policy, _ = config_of(name, words=words, width=width).build(0, "float32")
        (logits_TV,) = logits_of(policy, [row])
        loss = -torch.log_softmax(logits_TV.detach(), dim=-1).mean().item()  # over all next words alike
        yield Gap(abs(loss / math.log(64) - 1), 0.02, name)
