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
    if not _are_of(answers, store.people.hashed(person)):
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
    kept_as = store.people.hashed(person)
    for inference in pair or filter(None, [body.inference_id]):
        _check("inference", inference, lambda id: [store.answer(id)], kept_as)
    if conversation is not None:
        _check("conversation", conversation, store.conversation, kept_as)


def _check(what: str, id: str, found: Callable[[str], list[Answered]], kept_as: str) -> None:
    try:
        answers = found(id)
    except KeyError:
        raise _unknown(what, id) from None
    if not _are_of(answers, kept_as):
        raise _unknown(what, id)


def _are_of(answers: list[Answered], kept_as: str) -> bool:
    """Whether they are of a person, by what the store keeps of the name."""
    return all(one.rater == kept_as for one in answers)


def _unknown(what: str, id: str) -> Refused:
    """The same words whether it is somebody else's or nobody's."""
    return Refused(f"there is no {what} {shown(id)} of yours.", status=404, code="unknown_id")
