"""The OpenAI-compatible endpoints, /feedback, /conversations and /health."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from strop.assistant.memory import Fact, with_facts
from strop.types import Tokens
from strop.web.answering import Given, all_of, begin, cancel, pieces
from strop.web.door import person_of
from strop.web.errors import Refused, error_body
from strop.web.forms import ChatForm, CompletionForm, Envelope, Json, usage
from strop.web.guard import Limits
from strop.web.keeping import keep_answers, keep_feedback, withdraw
from strop.web.memory import recalled
from strop.web.moment import moment_of
from strop.web.owning import check_conversation, check_target
from strop.web.requests import ChatRequest, CompletionRequest, FeedbackRequest
from strop.web.served import Served, Version, strop_version

NOTHING_KEPT = "nothing is kept here"


def api(served: Served) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> Json:
        serves, *waits = served.versions
        return {"object": "list", "data": [_model(served.name, serves), *(_model(one.exact, one) for one in waits)]}

    @router.get("/v1/models/{name:path}")
    async def model(name: str) -> Json:
        return _model(name, served.named(name))

    @router.post("/v1/chat/completions")
    async def chat(body: ChatRequest, request: Request) -> Response:
        if body.store and served.store is None:
            raise Refused(f"{NOTHING_KEPT}: leave store out, or start the server with --assistant DIR.", param="store")
        conversation = secrets.token_hex(12) if body.metadata is None else body.metadata.conversation
        withdrawn, person = served.withdrawals.of(conversation), person_of(request)
        asked = moment_of(request).feedback
        await check_conversation(served.store, conversation, person)
        facts = await recalled(served, body, request)
        with served.asked(body.model, conversation) as one:
            given = begin(one, [_read(one, body, facts)], body)
        form = ChatForm(one.actor.codec.stop, body.logprobs, one.actor.codec.decode)
        envelope = Envelope.of(form, given, body.model, one.label, conversation)

        async def keep() -> str:
            still = served.withdrawals.unless(conversation, withdrawn)
            by = person or body.user
            return await keep_answers(served.store, one.number, given, body, conversation, by, still, asked)

        return await _answer(served.limits, given, envelope, body, request, keep)

    @router.post("/v1/completions")
    async def complete(body: CompletionRequest, request: Request) -> Response:
        with served.asked(body.model) as one:
            given = begin(one, _continued(one, body), body)
        form = CompletionForm(one.actor.codec.stop, body.logprobs is not None, body.return_token_ids)
        envelope = Envelope.of(form, given, body.model, one.label, None)

        async def keep() -> str:
            """Nothing: feedback is on answers to messages."""
            return ""

        return await _answer(served.limits, given, envelope, body, request, keep)

    @router.post("/feedback")
    async def feedback(body: FeedbackRequest, request: Request) -> Json:
        if served.store is None:
            raise Refused(
                "feedback is kept by an assistant: start the server with --assistant DIR.", status=404, code="no_store"
            )
        person = person_of(request)
        await check_target(served.store, body, person)
        kept = await keep_feedback(served.store, body, person or body.rater, moment_of(request).feedback)
        return {"id": kept.id}

    @router.delete("/conversations/{conversation:path}")
    async def take_back(conversation: str, request: Request) -> Json:
        with contextlib.ExitStack() as opened:
            store = served.store
            if store is None and served.assistant is not None:  # it keeps nothing, and may stand before what is kept
                store = opened.enter_context(served.assistant.feedback())
            if store is None:
                raise Refused(f"{NOTHING_KEPT}.", status=404, code="no_store")
            await check_conversation(store, conversation, person_of(request))
            return {"deleted": await withdraw(store, served.assistant, conversation, served.withdrawals)}

    @router.get("/health")
    async def health() -> JSONResponse:
        serves, *waits = served.versions
        state = serves.engine.health
        body = {
            "status": "failing" if state.error else "ok" if state.is_open else "stopping",
            "error": state.error,
            "running": state.running,
            "waiting": state.waiting,
            "model": served.name,
            "version": serves.label,
            "waits": waits[0].label if waits else None,
            "canary": None if served.canary is None else asdict(served.canary),
            "refused": served.refused,
            "software": f"strop {strop_version()}",
        }
        return JSONResponse(body, 200 if body["status"] == "ok" else 503)

    return router


def _model(name: str, one: Version) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "strop",
        "version": one.label,
        "exact_id": one.exact,
    }


def _read(version: Version, body: ChatRequest, facts: Sequence[Fact]) -> Tokens:
    """The tokens of a chat's messages, and of facts before them. Raises Refused for what the policy cannot read."""
    try:
        return version.actor.codec.start(with_facts(body.spoken, facts) if facts else body.prompt)
    except ValueError as error:
        about = "with what you asked to be remembered: " if facts else ""
        raise Refused(f"{about}{error}", code="invalid_value", param="messages") from error


def _continued(version: Version, body: CompletionRequest) -> list[Tokens]:
    """The tokens that completions continue. Raises Refused for what the policy cannot read."""
    size = version.actor.policy.vocabulary
    try:
        read = [version.actor.codec.encode(one) if isinstance(one, str) else tuple(one) for one in body.prompts]
    except ValueError as error:
        raise Refused(str(error), code="invalid_value", param="prompt") from error
    if () in read:
        raise Refused("an empty prompt has nothing to continue.", code="invalid_value", param="prompt")
    if (largest := max(map(max, read))) >= size:
        told = f"the token id {largest} is none of this model's, which are 0 to {size - 1}."
        raise Refused(told, code="invalid_value", param="prompt")
    return read


async def _answer(
    limits: Limits,
    given: Sequence[Given],
    envelope: Envelope,
    body: ChatRequest | CompletionRequest,
    request: Request,
    keep: Callable[[], Awaitable[str]],
) -> Response:
    """The answers, streamed or whole. `keep` is called once they are whole, before the client is told so; what it
    returns says why they are not kept."""
    headers = {
        "X-Strop-Version": _header(envelope.version),
        "X-Strop-Inference-Id": ", ".join(one.inference for one in given),
    }
    seconds = limits.answer_seconds
    if body.stream:
        events = _events(given, envelope, body.wants_usage, seconds, keep)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    await all_of(given, seconds, request)
    lost = await keep()
    return JSONResponse(envelope.whole(given) | _not_kept(lost), headers=headers)


async def _events(
    given: Sequence[Given],
    envelope: Envelope,
    wants_usage: bool,
    seconds: float,
    keep: Callable[[], Awaitable[str]],
) -> AsyncIterator[str]:
    """The server-sent events of a stream. What goes wrong after the first one is told as an event."""
    form = envelope.form
    try:
        for one in given:
            for choice in form.opening(one):
                yield _event(envelope.chunk([choice]))
        async for one, piece in pieces(given, seconds):
            yield _event(envelope.chunk([form.piece(one, piece)]))
        lost = await keep()
        for one in given:
            yield _event(envelope.chunk([form.closing(one)]) | _not_kept(lost))
        if wants_usage:
            yield _event(envelope.chunk([], usage(given)))
        yield "data: [DONE]\n\n"
    except Refused as error:
        yield _event(error_body(str(error), error.status, error.code))
    finally:
        cancel(given)


def _not_kept(why: str) -> Json:
    """A field that whole answers lack."""
    return {"not_kept": why} if why else {}


def _event(record: Json) -> str:
    return f"data: {json.dumps(record)}\n\n"


def _header(text: str) -> str:
    """A text as a header's value: what is not printable ASCII is escaped."""
    return text.encode("unicode_escape").decode("ascii")
