"""The rows of an engine that are being answered: all of them one token further at each step, and newcomers join."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from strop.functional.distributions import probs_of
from strop.functional.restriction import only
from strop.policies.computing import compact_order
from strop.samplers.local import allowed_after, drawn, fetched, is_over, prefilled
from strop.serving.actor import Actor
from strop.serving.answer import Answer
from strop.serving.ask import Finish, Piece
from strop.serving.growing_text import GrowingText
from strop.streams import stream
from strop.types import Policy, Sampling


class Row:
    """An answer that waits or is being written. `limit` is the most tokens that it may have: what it asked for, or what
    the context leaves."""

    def __init__(self, answer: Answer, actor: Actor) -> None:
        self.answer, self.ask, self.codec = answer, answer.ask, actor.codec
        sampling, context = self.ask.sampling, actor.policy.context
        left = sampling.max_tokens if context is None else context - len(self.ask.prompt)
        self.limit = min(sampling.max_tokens, left)
        self.sampling = replace(sampling, max_tokens=1, choices=())  # so that rows which draw alike are equal
        self.rng, self.tokens = stream(self.ask.seed, "answer"), list[int]()
        self.text = GrowingText(actor.codec, self.ask.stop)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.answer.finish is None

    def take(self, token: int, logprob: float, top: tuple[tuple[int, float], ...]) -> None:
        """The next token, which may be the last."""
        self.tokens.append(token)
        finish = self._finish()
        text = self.text.add(token, is_last=finish is not None)
        self.answer.add(Piece(token, logprob, text, top))
        if self.text.has_stopped:
            finish = "stop"
        if finish is not None:
            self.answer.end(finish)

    def fail(self, error: Exception) -> None:
        """End it with the reason."""
        self.answer.end("failed", told(error))

    def _finish(self) -> Finish | None:
        if is_over(self.tokens, self.ask.choices, self.codec.stop):
            return "stop"
        return "length" if len(self.tokens) == self.limit else None


class Running:
    """The rows and their decoder state. `logits_BV` are those of each row's next token."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.rows = policy, list[Row]()
        self.state: Any = None
        self.logits_BV = torch.empty(0)

    def admit(self, newcomers: Sequence[Row]) -> None:
        """Read their prompts and join them to what runs. One that cannot be read fails alone."""
        for rows, logits_BV, state in self._begun(newcomers):
            if self.rows:
                logits_BV = torch.cat([self.logits_BV, logits_BV])
                state = self.policy.join([self.state, state])
            self.rows, self.logits_BV, self.state = [*self.rows, *rows], logits_BV, state

    def step(self) -> None:
        """One more token for each row. Those that have ended leave, before it and after it."""
        self._keep()
        if not self.rows:
            return
        logits_BV = only(self.logits_BV, [allowed_after(row.tokens, row.ask.choices) for row in self.rows])
        tokens_B, logprobs_B = self._drawn(logits_BV)
        tops = [
            likeliest(logits_V, row.sampling, row.ask.top) for row, logits_V in zip(self.rows, logits_BV, strict=True)
        ]
        for row, token, logprob, top in zip(self.rows, *fetched(tokens_B, logprobs_B), tops, strict=True):
            try:
                row.take(token, logprob, top)
            except Exception as error:  # its tokens may have no text; the others have
                row.fail(error)
        order = self._keep()
        if self.rows:
            self.logits_BV, self.state = self.policy.decode(self.state, tokens_B[order])

    def _begun(self, newcomers: Sequence[Row]) -> Iterator[tuple[Sequence[Row], Tensor, Any]]:
        """Their logits and state: together, or each for itself where together they cannot be read."""
        if not newcomers:
            return
        try:
            begun = prefilled(self.policy, [row.ask.prompt for row in newcomers])
        except Exception as error:  # a prompt that the model cannot read must not take the others with it
            if len(newcomers) == 1:
                newcomers[0].fail(error)
            else:
                for row in newcomers:
                    yield from self._begun([row])
        else:
            yield newcomers, *begun

    def _keep(self) -> list[int]:
        """Let the rows leave that have ended; the places from which those that stay come."""
        order = compact_order([i for i, row in enumerate(self.rows) if row.is_running])
        if len(order) < len(self.rows):
            self.rows = [self.rows[i] for i in order]
            self.logits_BV = self.logits_BV[order]
            self.state = self.policy.keep(self.state, order) if order else None
        return order

    def _drawn(self, logits_BV: Tensor) -> tuple[Tensor, Tensor]:
        """The next token of each row, and its log-prob. Rows that draw from the same distribution do so together."""
        alike: dict[Sampling, list[int]] = {}
        for i, row in enumerate(self.rows):
            alike.setdefault(row.sampling, []).append(i)
        parts = [drawn(logits_BV[rows], sampling, [self.rows[i].rng for i in rows]) for sampling, rows in alike.items()]
        index_B = torch.tensor([i for rows in alike.values() for i in rows]).argsort()
        tokens_B, logprobs_B = (torch.cat(part)[index_B.to(part[0].device)] for part in zip(*parts, strict=True))
        return tokens_B, logprobs_B


def likeliest(logits_V: Tensor, sampling: Sampling, number: int) -> tuple[tuple[int, float], ...]:
    """So many of the likeliest tokens with their log-probs in nats, the likeliest first; those that cannot be drawn are
    left out."""
    if not number:
        return ()
    probs_V = probs_of(logits_V.unsqueeze(0), sampling)[0]
    probs_K, tokens_K = probs_V.topk(min(number, len(probs_V)))
    pairs = zip(tokens_K.tolist(), probs_K.double().log().tolist(), strict=True)
    return tuple((token, logprob) for token, logprob in pairs if logprob > -math.inf)


def told(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"
