"""Held-out likelihood: how well a policy predicts documents that it never saw. Nothing is sampled.

The loss is that of all tokens together, in nats a token. Its exponential is the perplexity; the same total per word or
per character compares policies with different vocabularies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from strop.batch import collate
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.types import Completion, End, Episode, Heads, Pick, Policy, Source, Task, Turn

WINDOW = 512
"""Tokens that a policy of any context reads at once."""
ROWS = 2048
"""Windows that stand in memory at once, of about one length: else one long document would widen all short ones."""
TASK = Task("held-out", "")


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The negative log-likelihood of each document in nats [D], and its number of predicted tokens [D]."""

    nll_D: np.ndarray
    tokens_D: np.ndarray

    @property
    def loss(self) -> float:
        """Nats a token, over all documents."""
        return float(self.nll_D.sum() / self.tokens_D.sum())

    @property
    def error(self) -> float:
        """The standard error of the loss, with documents as the independent sample (Cochran 1977, eq. 2.46); NaN for
        a single document."""
        num = len(self.nll_D)
        if num < 2:
            return math.nan
        residual_D = self.nll_D - self.loss * self.tokens_D
        return float(np.sqrt(num / (num - 1) * (residual_D**2).sum()) / self.tokens_D.sum())

    def per(self, units: float) -> float:
        """The perplexity per unit, of which the documents hold so many; NaN if they hold none."""
        if not units:
            return math.nan
        return math.exp(min(float(self.nll_D.sum()) / units, 700.0))


@torch.no_grad()
def likelihood(policy: Policy, documents: list[np.ndarray], micro_tokens: int) -> Likelihood:
    """The likelihood of documents, each from the token that begins it to the one that ends it.

    A document longer than the policy's context is read in windows: every token has half a window before it, or all of
    its document.
    """
    window = policy.context or WINDOW
    nll_D, tokens_D = np.zeros(len(documents)), np.array([len(tokens) - 1 for tokens in documents])
    rows = [(owner, row) for owner, tokens in enumerate(documents) for row in _windows(tokens, window)]
    rows.sort(key=lambda row: row[1].num_actions)
    for first in range(0, len(rows), ROWS):
        owners, episodes = zip(*rows[first : first + ROWS], strict=True)
        for micro, _ in collate(tuple(map(Pick, episodes)), "joined").split(micro_tokens, "row"):
            logprobs_bt = policy.heads(micro, _chosen)["logprobs"].double()
            total_b = torch.where(micro.action_BT, logprobs_bt, 0.0).sum(dim=1)
            np.subtract.at(nll_D, [owners[pick] for pick in micro.episode_B.tolist()], total_b.numpy())
    return Likelihood(nll_D, tokens_D)


def _chosen(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}


def _windows(tokens: np.ndarray, window: int) -> Iterator[Episode]:
    """A document as one row, or as windows that each read half of the one before."""
    if len(tokens) <= window:
        yield _row(tokens, 1)
        return
    yield _row(tokens[:window], 1)
    half = max(window // 2, 1)
    for first in range(window, len(tokens), window - half):
        yield _row(tokens[first - half : first + window - half], half)


def _row(tokens: np.ndarray, num_read: int) -> Episode:
    completion = Completion(tuple(tokens[num_read:].tolist()), None, "stop")
    turn = Turn(tuple(tokens[:num_read].tolist()), completion, text="")
    return Episode("held-out", TASK, 0, (turn,), (), End.TERMINATED, source=Source.DATA)
