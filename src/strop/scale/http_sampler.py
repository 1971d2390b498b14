"""Completions from an engine over HTTP, one request for each, with the log-probs of the distribution drawn from.

Each request has a seed of the completion's own dice, so that an attempt which is made again asks for the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from strop.endpoint.address import without
from strop.endpoint.aside import run_aside
from strop.endpoint.attempts import attempted
from strop.endpoint.fields import sampling_fields
from strop.endpoint.request import Failed, Streamed, client_of, received
from strop.scale.engines import NO_CHOICES, Http
from strop.scale.http_answer import Expected, completion_of, model_of
from strop.scale.weight_files import key_in, remove_others, write
from strop.types import Choices, Codec, Completion, Policy, Sampling, Stopped, Tokens, Unanswered

if TYPE_CHECKING:
    import numpy as np
    from openai import AsyncAPIResponse, AsyncOpenAI

T = TypeVar("T")
SEEDS = 2**63
"""Seeds that the server knows lie below."""
RAW = {"X-Stainless-Raw-Response": "stream"}
"""With it the official client hands over a response that it has not read."""


class HttpSampler:
    """Samples at `settings.url` with the weights that were published last.

    asked     requests since the last publish
    answered  those that are over
    failures  why attempts of theirs came to nothing, in order
    """

    def __init__(self, settings: Http, codec: Codec) -> None:
        self.settings, self._codec = settings, codec
        self.asked, self.answered, self.failures = 0, 0, list[str]()
        self._model = ""
        self._expected: Expected | None = None

    def publish(self, policy: Policy) -> None:
        """Write the weights, and have the server load them. Raises Stopped where it does not, within `total_seconds`;
        ValueError where there is no such server."""
        folder = Path(self.settings.weights).expanduser()
        key, sha256 = key_in(folder), write(folder, policy)
        try:
            self._model = run_aside(self._publish(key, sha256))
        except Failed as failed:
            reason = without(key, failed.reason)
            raise Stopped(
                f"the engine at {self.settings.url} did not load weights from {folder}: {reason}. Is it the server "
                f"that was started by strop serve RUN --weights {folder}, of a run with the same policy?"
            ) from None
        remove_others(folder, sha256)
        self._expected = Expected(sha256, self._codec.stop, policy.vocabulary)
        self.asked, self.answered, self.failures = 0, 0, []

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
        assert self._expected is not None, "publish comes first"
        fields = sampling_fields(sampling)
        bodies = [
            {**fields, "prompt": list(prompt), "seed": int(rng.integers(SEEDS))}
            for prompt, rng in zip(prompts, rngs, strict=True)
        ]
        self.asked += len(bodies)
        return run_aside(self._sample(bodies, self._expected, sampling))

    # ------------------------------------------------------------ requests

    async def _publish(self, key: str, sha256: str) -> str:
        """What the server calls the model, once it has these weights."""
        seconds = self.settings.request_seconds
        async with client_of(self.settings.url, key) as client:

            async def attempt() -> str:
                return model_of(await received(_loading(client, sha256, seconds), seconds), sha256)

            return await self._attempted(attempt, asyncio.Semaphore(1))

    async def _sample(
        self, bodies: Sequence[dict[str, Any]], expected: Expected, sampling: Sampling
    ) -> list[Completion | Unanswered]:
        turns = asyncio.Semaphore(self.settings.at_once)
        async with client_of(self.settings.url, "") as client:
            return await asyncio.gather(*(self._ask(client, body, expected, sampling, turns) for body in bodies))

    async def _ask(
        self,
        client: AsyncOpenAI,
        body: dict[str, Any],
        expected: Expected,
        sampling: Sampling,
        turns: asyncio.Semaphore,
    ) -> Completion | Unanswered:
        most = most_bytes(len(body["prompt"]), sampling.max_tokens)
        prompt, more = tuple(body["prompt"]), {"logprobs": 0, "return_token_ids": True, "stream": False, **body}
        seconds = self.settings.request_seconds

        async def attempt() -> Completion:
            opening = client.completions.with_streaming_response.create(
                model=self._model, prompt=more["prompt"], extra_body=more, timeout=seconds
            )
            try:
                return completion_of(await received(opening, seconds, most), expected, prompt, sampling)
            except Failed as failed:
                self.failures.append(failed.reason)
                raise

        try:
            return await self._attempted(attempt, turns)
        except Failed as failed:
            return Unanswered(f"the engine at {self.settings.url}: {failed.reason}")
        finally:
            self.answered += 1

    async def _attempted(self, attempt: Callable[[], Awaitable[T]], turns: asyncio.Semaphore) -> T:
        deadline = asyncio.get_running_loop().time() + self.settings.total_seconds
        return await attempted(attempt, turns, self.settings.attempts, deadline, self.settings.total_seconds)


@asynccontextmanager
async def _loading(client: AsyncOpenAI, sha256: str, seconds: float) -> AsyncIterator[Streamed]:
    """The response to: load these weights."""
    response = await client.post(
        "/weights", cast_to=object, body={"sha256": sha256}, options={"timeout": seconds, "headers": RAW}
    )
    raw = cast("AsyncAPIResponse[object]", response)
    try:
        yield raw
    finally:
        await raw.close()


def most_bytes(prompt: int, completion: int) -> int:
    """Of an answer with so many tokens at most: the ids of the prompt; ids, texts and log-probs of the completion."""
    return 10_000 + 12 * prompt + 200 * completion
