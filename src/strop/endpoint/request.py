"""One request to an OpenAI-compatible endpoint: its reply, or why there is none, within a time."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from strop.endpoint.address import host_of, is_loopback

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai.resources.chat import AsyncCompletions

T = TypeVar("T")
MOST_BYTES = 1_000_000
"""Of a reply, where whoever asks names no other number: a longer one is no answer, and is not read."""
MOST_CHARS = 300
"""Of why there is no reply: a server may say anything."""
PASSING = frozenset({408, 409, 425, 429})
"""HTTP statuses that another attempt may not meet, beside 500 and above."""
NO_KEY = "none"
"""The official client wants a key; a server without keys reads none."""
ALONE = {"Connection": "close"}
"""Each request has a connection of its own: a server that answers twice would answer the next request, too."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, the tokens that the request took, and whether the text was cut at its limit."""

    text: str
    tokens: int
    is_cut: bool = False


class Streamed(Protocol):
    """A response that is read as it comes."""

    def iter_bytes(self) -> AsyncIterator[bytes]: ...


class Failed(Exception):
    """A request without a reply. `wait` are the seconds that the server asked for; a final failure would come again.
    `note` stands whole behind the reason, which is cut where it is long. `status` is that of HTTP; 0 without one."""

    def __init__(self, reason: str, wait: float = 0.0, is_final: bool = False, note: str = "", status: int = 0) -> None:
        self.reason, self.wait, self.is_final, self.status = _shortened(reason) + note, wait, is_final, status
        super().__init__(self.reason)


def _shortened(reason: str) -> str:
    """Whole words alone: of a key, which is one word, no part stays that nobody would know to strike out."""
    if len(reason) <= MOST_CHARS:
        return reason
    words, _, _ = reason[: MOST_CHARS - 3].rpartition(" ")
    return f"{words}..."


def client_of(url: str, key: str) -> AsyncOpenAI:
    """The official client, without attempts of its own: those are counted, and their reasons told. What listens on this
    machine is asked directly, and not through a proxy that the environment names, which would read the key."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    http = DefaultAsyncHttpxClient(trust_env=not is_loopback(host_of(url)))
    return AsyncOpenAI(base_url=url, api_key=key or NO_KEY, max_retries=0, default_headers=ALONE, http_client=http)


async def reply_of(completions: AsyncCompletions, body: Mapping[str, Any], seconds: float) -> Reply:
    """The reply to one request, whole within `seconds`. Raises Failed."""
    settings = {name: value for name, value in body.items() if name not in ("model", "messages")}
    opening = completions.with_streaming_response.create(
        model=body["model"], messages=body["messages"], extra_body=settings, timeout=seconds
    )
    return _reply(await received(opening, seconds), len(json.dumps(body)))


async def received(opening: AbstractAsyncContextManager[Streamed], seconds: float, most: int = MOST_BYTES) -> bytes:
    """The body of a response, whole within `seconds` and `most` bytes: who drips is cut off. Raises Failed."""

    async def read() -> bytes:
        found = bytearray()
        async with opening as response:
            async for part in response.iter_bytes():
                found += part
                if len(found) > most:
                    raise Failed(f"a reply of more than {most:,} bytes")
        return bytes(found)

    return await answered(read(), seconds)


async def answered(work: Awaitable[T], seconds: float) -> T:
    """What a request brings within `seconds`. Raises Failed for whatever the server or the network does instead."""
    from openai import APIConnectionError, APIStatusError

    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Failed(f"no whole reply within {seconds:g} seconds") from None
    except APIStatusError as error:
        raise _refused(error) from None
    except APIConnectionError as error:
        raise Failed(f"no connection ({error.__cause__ or error})") from None
    except Failed:
        raise
    except Exception as error:  # the boundary to the network: whatever a server does there is no answer
        raise Failed(f"the connection broke ({type(error).__name__}: {error})") from None


def _refused(error: APIStatusError) -> Failed:
    is_final = error.status_code not in PASSING and error.status_code < 500
    wait = retry_after(error.response.headers.get("retry-after", ""), time.time())
    return Failed(f"HTTP {error.status_code}: {error.message}", wait, is_final, status=error.status_code)


def retry_after(header: str, now: float) -> float:
    """The seconds that a Retry-After header asks for, given as a number or as a date; 0 where it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except (ValueError, OverflowError):  # OverflowError: a time zone of centuries
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _reply(received: bytes, asked_bytes: int) -> Reply:
    """The text of a chat completion. Where the server counts no tokens, each byte counts as one: none has fewer."""
    try:
        record = json.loads(received)
        choice = record["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Failed(f"no chat completion, but {received[:60]!r}") from None
    if not isinstance(text, str):
        raise Failed(f"a chat completion whose content is no text, but {str(text)[:60]}")
    return Reply(text, _counted(record) or asked_bytes + len(received), choice.get("finish_reason") == "length")


def _counted(record: Mapping[str, Any]) -> int:
    """The tokens that the server says it took; 0 where it says nothing that can be."""
    usage = record.get("usage")
    counted = usage.get("total_tokens") if isinstance(usage, dict) else None
    return counted if isinstance(counted, int) and not isinstance(counted, bool) and counted > 0 else 0
