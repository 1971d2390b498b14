"""A server on this machine that samples for the learner: how it is asked, and how it gets the learner's weights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from strop.endpoint.attempts import attempted
from strop.endpoint.request import Streamed
from strop.scale.engines import OverHttp
from strop.types import Completion, Policy, Sampling, Tokens

if TYPE_CHECKING:
    from openai import AsyncAPIResponse, AsyncOpenAI

T = TypeVar("T")
RAW = {"X-Stainless-Raw-Response": "stream"}
"""With it the official client hands over a response that it has not read."""


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that a server has, and what its answers must fit.

    model       what it calls them in requests
    version     of the weights: their sha256
    stop        the tokens that end a completion
    vocabulary  how many tokens there are
    """

    model: str
    version: str
    stop: frozenset[int]
    vocabulary: int


class Server(Protocol):
    """What `HttpSampler` asks: at `base`, by a POST to `path`."""

    base: str
    path: str

    @property
    def settings(self) -> OverHttp:
        """Where it is, and how long is waited for it."""

    def publish(self, policy: Policy) -> Published:
        """Have it load the policy's weights. Raises Stopped where it does not, within `total_seconds`; ValueError where
        there is no such server."""

    def body(self, published: Published, prompt: Tokens, sampling: Sampling, seed: int) -> dict[str, Any]:
        """A request for one completion. Raises ValueError for a distribution that the server does not know."""

    def completion(self, answer: bytes, published: Published, prompt: Tokens, sampling: Sampling) -> Completion:
        """The completion in the body of an answer. Raises Failed, with what is wrong, for any other."""

    def require(self, published: Published) -> None:
        """Raise Stopped if it is gone, or has other weights by now: asked where requests of a step have failed."""


@asynccontextmanager
async def opened(
    client: AsyncOpenAI, path: str, seconds: float, body: Mapping[str, Any] | None = None
) -> AsyncIterator[Streamed]:
    """The response to a POST of this body, or to a GET where there is none; not read yet."""
    options: Any = {"timeout": seconds, "headers": RAW}
    if body is None:
        response = await client.get(path, cast_to=object, options=options)
    else:
        response = await client.post(path, cast_to=object, body=body, options=options)
    raw = cast("AsyncAPIResponse[object]", response)
    try:
        yield raw
    finally:
        await raw.close()


async def attempted_as(settings: OverHttp, attempt: Callable[[], Awaitable[T]], turns: asyncio.Semaphore) -> T:
    """What the first attempt that succeeds brings, of as many and within the time that the settings allow."""
    deadline = asyncio.get_running_loop().time() + settings.total_seconds
    return await attempted(attempt, turns, settings.attempts, deadline, settings.total_seconds)
