"""What the store is handed: answers, and what people say of them; and what it is to delete again.

An answer is kept only if the person agreed, in the request itself (`store`). Else it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from strop.assistant.erasing import Doomed
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.records import Answered, Comparison, Feedback, Value
from strop.assistant.retention import settle_if_alone
from strop.assistant.under_way import Overtaken
from strop.types import Message
from strop.web.answering import Given
from strop.web.errors import Refused, overtaken
from strop.web.requests import ChatRequest, ComparisonValue, FeedbackRequest
from strop.web.withdrawals import Still, Withdrawals

NO_VERSION = -1
"""Under which answers are counted that are of no version."""


async def keep_answers(
    store: FeedbackStore | None,
    version: int | None,
    given: Sequence[Given],
    body: ChatRequest,
    conversation: str,
    person: str,
    still: Still,
    asked: int | None,
) -> str:
    """Keep whole answers of a version if the person agrees, and has not taken it back meanwhile; else count them.

    Why they could not be kept; else empty. People have their answers all the same: what is lost is that anybody can say
    what they think of them.

    asked  the moment at which they were asked for
    """
    if store is None:
        return ""

    def keep() -> None:
        with still() as may_be_kept:
            if body.store and may_be_kept:
                store.write(as_kept(given, version, body.spoken, conversation, person), [], asked)
            else:
                store.unkept(NO_VERSION if version is None else version, len(given))

    try:
        await run_in_threadpool(keep)
    except (OSError, ValueError) as error:
        return f"the answer could not be kept: {error}"
    return ""


async def withdraw(
    store: FeedbackStore, assistant: Assistant | None, conversation: str, withdrawals: Withdrawals
) -> dict[str, int]:
    """Delete what is kept of a conversation; how much that was. Raises Refused where it could not be."""

    def delete() -> Doomed:
        with withdrawals.taking_back(conversation):
            doomed = store.erasing.of_conversation(conversation)
            if doomed.answers:
                store.erasing.erase(doomed, is_retiring=False)
        if assistant is not None:
            settle_if_alone(assistant, store)
        return doomed

    try:
        doomed = await run_in_threadpool(delete)
    except OSError as error:
        raise Refused(f"it could not be deleted: {error}", status=507, code="not_deleted") from error
    return {"answers": len(doomed.answers), "feedback": len(doomed.feedback)}


def as_kept(
    given: Sequence[Given], version: int | None, messages: Sequence[Message], conversation: str, rater: str
) -> list[Answered]:
    """Whole answers as the store keeps them."""
    now = time.time()
    return [
        Answered(
            inference=one.inference,
            conversation=conversation,
            version=version,
            messages=messages,
            text=one.text,
            tokens=[piece.token for piece in one.pieces],
            logprobs=[piece.logprob for piece in one.pieces],
            seed=one.ask.seed,
            when=now,
            rater=rater,
        )
        for one in given
    ]


async def keep_feedback(store: FeedbackStore, body: FeedbackRequest, rater: str, asked: int | None) -> Feedback:
    """Keep one piece of feedback of this person, sent at the moment `asked`. Raises Refused for an unknown target, a
    value that the kind does not take, or if somebody was forgotten meanwhile."""
    try:
        return await run_in_threadpool(
            store.add,
            body.kind,
            _value(body),
            rater=rater,
            inference=body.inference_id,
            conversation=body.conversation_id,
            asked=asked,
        )
    except KeyError as error:
        raise Refused(str(error.args[0]), status=404, code="unknown_id") from error
    except Overtaken as error:
        raise overtaken(error) from error
    except ValueError as error:
        raise Refused(str(error), code="invalid_value") from error
    except OSError as error:
        raise Refused(f"the feedback could not be kept: {error}", status=507, code="not_kept") from error


def _value(body: FeedbackRequest) -> Value:
    value = body.value
    if not isinstance(value, ComparisonValue):
        return value
    return Comparison(a=value.a, b=value.b, choice=value.choice, shown_first=value.shown_first)
