"""The default sampler: it uses the policy's own weights, so it samples exactly from the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from strop.choices import require_choices
from strop.functional.bounds import check_at_least
from strop.functional.distributions import gather, probs_of
from strop.functional.restriction import only
from strop.policies.computing import compact_order
from strop.types import Choices, Codec, Completion, Decoder, Policy, SamplerConfig, Sampling, Tokens, check_fields

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
BLOCK = 256
"""Probabilities are summed in blocks of so many tokens before one token is drawn."""
WITHOUT_FLOAT64 = ("mps",)
"""The kinds of devices that have no float64 to draw with."""


class LocalSampler:
    """Equal prompts share one prefill, finished rows leave the batch, and each row has its own random stream.

    `stop` tokens end a completion and belong to it; one of a few choices ends where it is whole. At most `batch` rows
    are decoded together.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        """Its options.

        batch  the most rows that are decoded together
        """

        shares_weights: ClassVar[bool] = True
        batch: int = 64

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("sampler.batch", self.batch, 1)

        def build(self, policy: Policy, codec: Codec) -> LocalSampler:
            return LocalSampler(policy, codec.stop, self.batch)

    def __init__(self, policy: Decoder, stop: frozenset[int], batch: int = 64) -> None:
        self.policy, self.stop, self.batch = policy, stop, batch

    def publish(self, policy: Policy) -> None:
        """Nothing to do: the sampler reads the tensors that the algorithm changes."""

    @torch.inference_mode()
    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion]:
        """One completion for each prompt, of at most `sampling.max_tokens` tokens, all from the same weights: a thread
        that changes them meanwhile waits. `choices` are those of each prompt, None where all is allowed."""
        require_choices(sampling, choices)
        choices = choices or [None] * len(prompts)
        order, found = list(range(len(prompts))), dict[int, Completion]()
        if len(prompts) > self.batch:
            order.sort(key=lambda row: len(prompts[row]))  # prompts of a batch have about one length: little is padded
        with self.policy.lock.reading():
            for first in range(0, len(prompts), self.batch):
                rows = order[first : first + self.batch]
                some = self._sample(_at(rows, prompts), sampling, _at(rows, rngs), _at(rows, choices))
                found.update(zip(rows, some, strict=True))
        return [found[row] for row in range(len(prompts))]

    def _sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None],
    ) -> list[Completion]:
        logits_BV, state = prefilled(self.policy, prompts)
        tokens: list[list[int]] = [[] for _ in prompts]
        logprobs: list[list[float]] = [[] for _ in prompts]
        live, is_restricted = list(range(len(prompts))), any(choices)
        for position in range(sampling.max_tokens):
            if is_restricted:
                logits_BV = only(logits_BV, [allowed_after(tokens[row], choices[row]) for row in live])
            tokens_B, logprobs_B = drawn(logits_BV, sampling, [rngs[row] for row in live])
            for row, token, logprob in zip(live, *fetched(tokens_B, logprobs_B), strict=True):
                tokens[row].append(token)
                logprobs[row].append(logprob)
            going = [i for i, row in enumerate(live) if not is_over(tokens[row], choices[row], self.stop)]
            if not going or position == sampling.max_tokens - 1:
                break
            if len(going) < len(live):
                order = compact_order(going)
                state, tokens_B = self.policy.keep(state, order), tokens_B[order]
                live = [live[i] for i in order]
            logits_BV, state = self.policy.decode(state, tokens_B)
        return [
            Completion(tuple(ids), tuple(logps), "stop" if is_over(ids, of_row, self.stop) else "length")
            for ids, logps, of_row in zip(tokens, logprobs, choices, strict=True)
        ]


def _at(rows: list[int], items: Sequence[T]) -> list[T]:
    """The items of these rows."""
    return [items[row] for row in rows]


def prefilled(policy: Decoder, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
    """The logits [B, V] after these prompts, and the state there; equal prompts are read once."""
    distinct = list(dict.fromkeys(prompts))
    logits_PV, state = policy.prefill(distinct)
    prompt_B = [distinct.index(prompt) for prompt in prompts]
    return logits_PV[prompt_B], policy.keep(state, prompt_B)


def allowed_after(tokens: Sequence[int], choices: Choices | None) -> Tokens | None:
    """What may follow these tokens of a completion; None is anything."""
    return None if choices is None else choices.after(tuple(tokens))


def is_over(tokens: Sequence[int], choices: Choices | None, stop: frozenset[int]) -> bool:
    """Whether a completion has its stop token, or is a whole choice."""
    return tokens[-1] in stop if choices is None else not choices.after(tuple(tokens))


def drawn(logits_BV: Tensor, sampling: Sampling, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor]:
    """One token for each row, by one number of its own stream, and its log-prob under the distribution drawn from."""
    probs_BV = _in_reach_of_float64(probs_of(logits_BV, sampling))
    dice_B = torch.tensor([rng.random() for rng in rngs], dtype=torch.float64)
    tokens_B = draw(probs_BV, dice_B.to(probs_BV.device))
    return tokens_B, gather(probs_BV, tokens_B).log()


def draw(probs_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """One token for each row by inverse transform: the first whose cumulative probability exceeds the uniform number.

    First the block of tokens is drawn, then the token in it, so that only one block of a row is summed token by token.
    Cumulative sums are float64 and scaled by the row's total: rounding never chooses a token of probability 0.
    """
    width = min(BLOCK, probs_BV.shape[1])
    short = -probs_BV.shape[1] % width
    probs_BKW = (pad(probs_BV, (0, short)) if short else probs_BV).reshape(len(probs_BV), -1, width)
    upto_BK = probs_BKW.sum(dim=-1).double().cumsum(dim=-1)
    wanted_B1 = _below(uniform_B.unsqueeze(1) * upto_BK[:, -1:], upto_BK[:, -1:])
    block_B1 = torch.searchsorted(upto_BK, wanted_B1, right=True)
    before_B1 = pad(upto_BK, (1, 0)).gather(1, block_B1)
    row_B = torch.arange(len(probs_BKW), device=probs_BV.device)
    within_BW = probs_BKW[row_B, block_B1.squeeze(1)].double().cumsum(dim=-1)
    token_B1 = torch.searchsorted(within_BW, _below(wanted_B1 - before_B1, within_BW[:, -1:]), right=True)
    return (block_B1 * width + token_B1).squeeze(1)


def _in_reach_of_float64(probs_BV: Tensor) -> Tensor:
    """The probabilities on their own device if it has float64, else on the CPU."""
    return probs_BV.cpu() if probs_BV.device.type in WITHOUT_FLOAT64 else probs_BV


def fetched(tokens_B: Tensor, logprobs_B: Tensor) -> tuple[list[int], list[float]]:
    """The tokens and the log-probs, in one transfer: both are exact in float64."""
    tokens, logprobs = torch.stack((tokens_B.double(), logprobs_B.double())).tolist()
    return [int(token) for token in tokens], logprobs


def _below(number_B1: Tensor, end_B1: Tensor) -> Tensor:
    """The number, or the largest one below `end` if it is not below."""
    return torch.minimum(number_B1, torch.nextafter(end_B1, torch.zeros_like(end_B1)))
