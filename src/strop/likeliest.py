"""The likeliest of a few choices, by the probability of each whole one: how a policy that decides is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from strop.functional.distributions import logprobs_of
from strop.functional.restriction import only
from strop.types import Choices, Completion, Decoder, Policy, Sampling, Tokens

if TYPE_CHECKING:
    import numpy as np


class Likeliest:
    """Takes the likeliest choice of each prompt (ties: the first), and remembers how probable each of them was.

    The likeliest first token may belong to a choice that is not the likeliest. At most `batch` prompts are read
    together, sorted by length, so that few tokens are padding.
    """

    def __init__(self, policy: Decoder, batch: int = 64) -> None:
        self.policy, self.batch = policy, batch
        self.logprobs: dict[tuple[Tokens, Choices], list[float]] = {}
        """Of each choice in nats, by prompt and choices."""

    def publish(self, policy: Policy) -> None:
        """Nothing to do: it reads the policy's own weights."""

    @torch.inference_mode()
    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion]:
        """The likeliest choice of each prompt. Raises ValueError for a prompt that has none."""
        asked = [(prompt, of) for prompt, of in zip(prompts, choices, strict=bool(choices)) if of is not None]
        if len(asked) < len(prompts):
            raise ValueError('judgement="choices" needs choices at every turn: give sampling.choices, or sample.')
        new = sorted({one for one in asked if one not in self.logprobs}, key=lambda one: (len(one[0]), one[0]))
        with self.policy.lock.reading():
            for first in range(0, len(new), self.batch):
                some = new[first : first + self.batch]
                self.logprobs.update(zip(some, choice_logprobs(self.policy, some, sampling), strict=True))
        return [_likeliest(of, self.logprobs[prompt, of]) for prompt, of in asked]


def choice_logprobs(policy: Decoder, asked: Sequence[tuple[Tokens, Choices]], sampling: Sampling) -> list[list[float]]:
    """The log-probability in nats of each choice behind each prompt: the sum over its tokens."""
    totals: list[dict[Tokens, float]] = [{(): 0.0} for _ in asked]
    level: list[tuple[int, Tokens]] = [(i, ()) for i in range(len(asked))]
    logits_BV, state = policy.prefill([prompt for prompt, _ in asked])
    while level:
        allowed = [asked[i][1].after(beginning) for i, beginning in level]
        logprobs_BV = logprobs_of(only(logits_BV, allowed), sampling)
        owners, longer = list[int](), list[tuple[int, Tokens]]()
        for b, (i, beginning) in enumerate(level):
            for token, logprob in zip(allowed[b], logprobs_BV[b, list(allowed[b])].tolist(), strict=True):
                grown = (*beginning, token)
                totals[i][grown] = totals[i][beginning] + logprob
                if asked[i][1].after(grown):
                    owners.append(b)
                    longer.append((i, grown))
        level = longer
        if level:
            last_B = torch.tensor([beginning[-1] for _, beginning in level])
            logits_BV, state = policy.decode(policy.keep(state, owners), last_B)
    return [[total[one] for one in choices.tokens] for total, (_, choices) in zip(totals, asked, strict=True)]


def _likeliest(choices: Choices, logprobs: list[float]) -> Completion:
    """The completion. Its log-prob belongs to the whole choice, so that of each token is not told."""
    return Completion(choices.tokens[logprobs.index(max(logprobs))], None, "stop")
