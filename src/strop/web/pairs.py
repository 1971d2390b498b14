"""The next two answers to compare, for the page and for any other front end. The judgement goes to /feedback."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from strop.assistant.feedback import FeedbackStore
from strop.assistant.pairs import Pair
from strop.assistant.under_way import Overtaken
from strop.web.door import person_of
from strop.web.errors import Refused, overtaken
from strop.web.forms import Json
from strop.web.moment import moment_of
from strop.web.preparing import duel_of
from strop.web.requests import NextPairRequest, SkipRequest
from strop.web.served import Served


def pairs(served: Served) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/pairs")

    def store() -> FeedbackStore:
        if served.store is None:
            raise Refused(
                "pairs are kept by an assistant: start the server with --assistant DIR.", status=404, code="no_store"
            )
        return served.store

    @router.post("/next")
    async def following(body: NextPairRequest, request: Request) -> Json:
        """Also holds it for this person, which is why it is no GET."""
        kept = store()
        duel, asked = duel_of(served.versions), moment_of(request).feedback
        try:
            found = await run_in_threadpool(kept.pairs.next, person_of(request) or body.rater, duel, asked=asked)
        except Overtaken as error:
            raise overtaken(error) from error
        return {"pair": None if found is None else await run_in_threadpool(_json, kept, found)}

    @router.post("/skip")
    async def skip(body: SkipRequest, request: Request) -> Json:
        person, asked = person_of(request) or body.rater, moment_of(request).feedback
        try:
            await run_in_threadpool(store().pairs.skip, body.pair, person, asked)
        except KeyError as error:
            raise Refused(str(error.args[0]), status=404, code="unknown_id") from error
        except Overtaken as error:
            raise overtaken(error) from error
        return {"pair": body.pair}

    return router


def _json(store: FeedbackStore, pair: Pair) -> Json:
    """A pair in random order, without a word of where its answers come from."""
    answers = [store.answer(pair.a), store.answer(pair.b)]
    if secrets.randbits(1):
        answers.reverse()
    return {
        "number": pair.number,
        "messages": list(answers[0].messages),
        "answers": [{"inference_id": one.inference, "text": one.text} for one in answers],
    }
