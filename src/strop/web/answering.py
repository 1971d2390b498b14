"""From asks to answers: all begin or none, their pieces come as they are made, and those nobody waits for end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fastapi import Request

from strop.choices import Choosing
from strop.serving.answer import Answer
from strop.serving.ask import Ask, Busy, Closed, Piece
from strop.types import Sampling, Task, Tokens
from strop.web.errors import Refused
from strop.web.requests import ChatRequest, CompletionRequest
from strop.web.served import Version

T = TypeVar("T")
SEEDS = 2**64


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that has begun, and its pieces so far."""

    inference: str
    index: int
    ask: Ask
    answer: Answer
    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(piece.text for piece in self.pieces)


def begin(version: Version, prompts: Sequence[Tokens], body: ChatRequest | CompletionRequest) -> list[Given]:
    """Ask the engine for `n` answers to each prompt. Where one cannot begin, none does."""
    seed = secrets.randbits(63) if body.seed is None else body.seed % SEEDS
    name = secrets.token_hex(12)
    asks = [_ask(version, prompt, (seed + copy) % SEEDS, body) for prompt in prompts for copy in range(body.n)]
    begun: list[Given] = []
    try:
        for index, ask in enumerate(asks):
            begun.append(Given(f"{name}-{index}", index, ask, version.engine.ask(ask)))
    except Exception as error:
        cancel(begun)
        raise _refusal(error) from error
    return begun


def _ask(version: Version, prompt: Tokens, seed: int, body: ChatRequest | CompletionRequest) -> Ask:
    sampling = _sampling(version, prompt, body)
    choices = Choosing(version.actor.codec, sampling).of(Task("served", ""))
    return Ask(prompt=prompt, sampling=sampling, seed=seed, stop=body.stops, choices=choices, top=body.top)


def _refusal(error: Exception) -> Exception:
    match error:
        case Busy():
            return Refused(str(error), status=429, code="busy", headers={"Retry-After": str(error.retry_after)})
        case Closed():
            return Refused(str(error), status=503, code="stopping")
        case ValueError():
            return Refused(str(error), code="invalid_value")
    return error


def _sampling(version: Version, prompt: Tokens, body: ChatRequest | CompletionRequest) -> Sampling:
    """The actor's sampling with what the request changes. A limit that nobody asked for yields to the context."""
    given = {"temperature": body.temperature, "top_p": body.top_p, "max_tokens": body.limit}
    sampling = replace(version.actor.sampling, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    context = version.actor.policy.context
    if context is None or len(prompt) + sampling.max_tokens <= context:
        return sampling
    if len(prompt) >= context:
        raise Refused(
            f"the prompt has {len(prompt)} tokens, and the context is {context} with the answer: send fewer messages.",
            code="context_length_exceeded",
        )
    if body.limit is not None:
        raise Refused(
            f"the prompt has {len(prompt)} tokens and max_tokens is {body.limit}, and the context is {context} for "
            f"both: ask for at most {context - len(prompt)} tokens, or send fewer messages.",
            code="context_length_exceeded",
            param="max_tokens",
        )
    return replace(sampling, max_tokens=context - len(prompt))


def cancel(given: Sequence[Given]) -> None:
    """Free what is not finished; finished answers stay as they are."""
    for one in given:
        one.answer.cancel()


async def pieces(given: Sequence[Given], seconds: float) -> AsyncIterator[tuple[Given, Piece]]:
    """The pieces of all answers, each kept in its `Given` before it is handed out.

    Raises Refused if an answer fails, or if they take longer than `seconds`. Whoever stops reading cancels them.
    """
    came: asyncio.Queue[tuple[Given, Piece | None] | Exception] = asyncio.Queue()
    readers = [asyncio.create_task(_read(one, came)) for one in given]
    left, end = len(given), asyncio.get_running_loop().time() + seconds
    try:
        while left:
            item = await _within(came.get(), end, seconds)
            if isinstance(item, Exception):
                raise item
            one, piece = item
            if piece is None:
                left -= 1
                continue
            one.pieces.append(piece)
            yield one, piece
    finally:
        cancel(given)
        for reader in readers:
            reader.cancel()
    for one in given:
        if one.answer.finish not in ("stop", "length"):
            raise Refused(f"the answer {one.answer.finish}: {one.answer.reason}.", status=500, code="failed")


async def _read(one: Given, came: asyncio.Queue[tuple[Given, Piece | None] | Exception]) -> None:
    """Put one answer's pieces into the queue, then None, or what went wrong."""
    try:
        async for piece in one.answer:
            came.put_nowait((one, piece))
        came.put_nowait((one, None))
    except Exception as error:  # handed to the reader of the queue, which raises it
        came.put_nowait(error)


async def _within(work: Coroutine[Any, Any, T], end: float, seconds: float) -> T:
    try:
        async with asyncio.timeout_at(end):
            return await work
    except TimeoutError:
        raise Refused(f"the answer took longer than {seconds:g} s.", status=504, code="timeout") from None


async def all_of(given: Sequence[Given], seconds: float, request: Request) -> None:
    """Wait until the answers are whole. They are cancelled if the client leaves first."""
    reading = asyncio.create_task(_read_all(given, seconds))
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            raise Refused("the client left.", status=499, code="client_left")
        reading.result()
    finally:
        for task in (reading, leaving):
            task.cancel()


async def _read_all(given: Sequence[Given], seconds: float) -> None:
    async for _ in pieces(given, seconds):
        pass


async def _left(request: Request) -> None:
    """Returns when the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
