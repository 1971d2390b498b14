"""Whose answers and conversations are whose, where people have keys: those of others are as if they were not there.

Without keys everybody on loopback is who they say they are, and whoever has an id may speak of it.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from strop.assistant.feedback import FeedbackStore
from strop.assistant.records import Answered
from strop.types import shown
from strop.web.errors import Refused
from strop.web.requests import ComparisonValue, FeedbackRequest


async def check_conversation(store: FeedbackStore | None, conversation: str, person: str | None) -> None:
    """Raise Refused for a conversation of somebody else; a new one is of whoever has its first answer."""
    if store is None or person is None:
        return
    try:
        answers = await run_in_threadpool(store.conversation, conversation)
    except KeyError:
        return
    if not _are_of(answers, person):
        raise _unknown("conversation", conversation)


async def check_target(store: FeedbackStore, body: FeedbackRequest, person: str | None) -> None:
    """Raise Refused for feedback on what somebody else was answered, unless this person was shown it to compare."""
    if person is None:
        return
    await run_in_threadpool(_check_target, store, body, person)


def _check_target(store: FeedbackStore, body: FeedbackRequest, person: str) -> None:
    value, conversation = body.value, body.conversation_id
    pair = (value.a, value.b) if isinstance(value, ComparisonValue) else ()
    if pair and store.pairs.was_shown(*pair, person):
        return
    for inference in pair or filter(None, [body.inference_id]):
        _check("inference", inference, lambda id: [store.answer(id)], person)
    if conversation is not None:
        _check("conversation", conversation, store.conversation, person)


def _check(what: str, id: str, found: Callable[[str], list[Answered]], person: str) -> None:
    try:
        answers = found(id)
    except KeyError:
        raise _unknown(what, id) from None
    if not _are_of(answers, person):
        raise _unknown(what, id)


def _are_of(answers: list[Answered], person: str) -> bool:
    return all(one.rater == person for one in answers)


def _unknown(what: str, id: str) -> Refused:
    """The same words whether it is somebody else's or nobody's."""
    return Refused(f"there is no {what} {shown(id)} of yours.", status=404, code="unknown_id")
