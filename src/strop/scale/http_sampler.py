"""Completions from an engine over HTTP, one request for each, with the log-probs of the distribution drawn from.

Each request has a seed of the completion's own dice, so that an attempt which is made again asks for the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.endpoint.aside import run_aside
from strop.endpoint.request import Failed, client_of, received
from strop.scale.engines import NO_CHOICES
from strop.scale.server import Published, Server, attempted_as, opened
from strop.types import Choices, Completion, Policy, Sampling, Tokens, Unanswered

if TYPE_CHECKING:
    import numpy as np
    from openai import AsyncOpenAI

SEEDS = 2**63
"""Seeds that the servers know lie below."""


class HttpSampler:
    """Samples at a server with the weights that were published last.

    asked     requests since the last publish
    answered  those that are over
    failures  why attempts of theirs came to nothing, in order
    """

    def __init__(self, server: Server) -> None:
        self._server, self.settings = server, server.settings
        self.asked, self.answered, self.failures = 0, 0, list[str]()
        self._published: Published | None = None

    def publish(self, policy: Policy) -> None:
        """Have the server load the policy's weights. Raises Stopped where it does not, within `total_seconds`;
        ValueError where there is no such server."""
        self._published = self._server.publish(policy)
        self.asked, self.answered, self.failures = 0, 0, []

    def require_server(self) -> None:
        """Raise Stopped for a server that is gone, or has other weights by now, where it can say so."""
        assert self._published is not None, "publish comes first"
        self._server.require(self._published)

    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion | Unanswered]:
        """A completion of each prompt, or why there is none: after `attempts`, or `total_seconds` for all of them.

        Raises ValueError for choices, which the API has no field for.
        """
        if any(choices):
            raise ValueError(NO_CHOICES)
        assert self._published is not None, "publish comes first"
        seeds = [int(rng.integers(SEEDS)) for rng in rngs]
        self.asked += len(prompts)
        return run_aside(self._sample(prompts, seeds, self._published, sampling))

    async def _sample(
        self, prompts: Sequence[Tokens], seeds: Sequence[int], published: Published, sampling: Sampling
    ) -> list[Completion | Unanswered]:
        turns = asyncio.Semaphore(self.settings.at_once)
        async with client_of(self._server.base, "") as client:
            asks = (
                self._ask(client, prompt, seed, published, sampling, turns)
                for prompt, seed in zip(prompts, seeds, strict=True)
            )
            return await asyncio.gather(*asks)

    async def _ask(
        self,
        client: AsyncOpenAI,
        prompt: Tokens,
        seed: int,
        published: Published,
        sampling: Sampling,
        turns: asyncio.Semaphore,
    ) -> Completion | Unanswered:
        seconds, most = self.settings.request_seconds, most_bytes(len(prompt), sampling.max_tokens)
        body = self._server.body(published, prompt, sampling, seed)

        async def attempt() -> Completion:
            try:
                answer = await received(opened(client, self._server.path, seconds, body), seconds, most)
                return self._server.completion(answer, published, prompt, sampling)
            except Failed as failed:
                self.failures.append(failed.reason)
                raise

        try:
            return await attempted_as(self.settings, attempt, turns)
        except Failed as failed:
            return Unanswered(f"the engine at {self.settings.url}: {failed.reason}")
        finally:
            self.answered += 1


def most_bytes(prompt: int, completion: int) -> int:
    """Of an answer with so many tokens at most: the ids of the prompt; ids, texts and log-probs of the completion."""
    return 10_000 + 12 * prompt + 200 * completion
