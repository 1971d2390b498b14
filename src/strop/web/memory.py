"""What people asked to be remembered: each sees, changes and deletes their own, and chats of theirs use it.

Where people have keys, it is of the person of the key, as all that is kept of them. Without keys a key says whose it is
that a browser draws by chance, and sends in a header of its own. Foreign pages cannot send that header, and a server at
another port of this machine is not sent it, as it would be a cookie. The store has the key's SHA-256 only, so that who
reads the file cannot act as a person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from strop.assistant.memory import Fact, MemoryStore
from strop.assistant.under_way import Overtaken
from strop.web.door import person_of
from strop.web.errors import Refused, overtaken
from strop.web.forms import Json
from strop.web.moment import moment_of
from strop.web.requests import ChatRequest, FactRequest
from strop.web.served import Served

P = ParamSpec("P")
T = TypeVar("T")
HEADER = "X-Strop-Session"
_KEY = re.compile(r"[A-Za-z0-9_-]{32,200}")


def memory(served: Served) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/memory/facts")

    @router.get("")
    async def facts(request: Request) -> Json:
        store, user = _opened(served, request)
        return {"facts": [_json(fact) for fact in await _done(store.facts, user)]}

    @router.post("")
    async def add(body: FactRequest, request: Request) -> Json:
        store, user = _opened(served, request)
        _require_consent(body)
        return _json(await _done(store.add, user, body.text, asked=moment_of(request).memory))

    @router.put("/{id}")
    async def edit(id: str, body: FactRequest, request: Request) -> Json:
        store, user = _opened(served, request)
        _require_consent(body)
        return _json(await _done(store.edit, user, id, body.text))

    @router.delete("/{id}")
    async def delete(id: str, request: Request) -> Json:
        store, user = _opened(served, request)
        await _done(store.delete, user, id)
        return {"deleted": 1}

    @router.delete("")
    async def forget(request: Request) -> Json:
        store, user = _opened(served, request)
        return {"deleted": await _done(store.forget, user)}

    return router


async def recalled(served: Served, body: ChatRequest, request: Request) -> list[Fact]:
    """The facts of who asks that are nearest to the last message; none of nobody, or without an assistant."""
    user = user_of(request)
    if served.memory is None or user is None:
        return []
    return await _done(served.memory.recall, user, body.spoken[-1]["content"])


def user_of(request: Request) -> str | None:
    """Who asks: the person of the key that opened the door, or else by the key of their session; None for nobody.

    Raises Refused for a session beside the key of a person, or one whose key could be guessed.
    """
    key, person = request.headers.get(HEADER), person_of(request)
    if key is None or person is None:
        return person if key is None else _of_session(key)
    raise Refused(
        f"people have keys here, and what is remembered is that of the key's person: leave {HEADER} out.",
        code="invalid_value",
        param=HEADER,
    )


def _of_session(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Refused(
            f"{HEADER} is a key drawn by chance: 32 to 200 letters, digits, - and _.",
            code="invalid_value",
            param=HEADER,
        )
    return hashlib.sha256(key.encode()).hexdigest()


def _opened(served: Served, request: Request) -> tuple[MemoryStore, str]:
    if served.memory is None:
        raise Refused("an assistant remembers: start the server with --assistant DIR.", status=404, code="no_store")
    user = user_of(request)
    if user is None:
        raise Refused(f"whose memory? Send the key of a session as {HEADER}.", status=401, code="no_session")
    return served.memory, user


def _require_consent(body: FactRequest) -> None:
    """Raise Refused unless the person agrees."""
    if not body.store:
        raise Refused(
            "what is to be remembered is kept until the person deletes it, if they agree: send store=true.",
            status=403,
            code="no_consent",
            param="store",
        )


async def _done(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread. Raises Refused for an id that this person has not, a text that is not kept, or a full disk."""
    try:
        return await run_in_threadpool(act, *args, **kwargs)
    except KeyError as error:
        raise Refused(str(error.args[0]), status=404, code="unknown_id") from error
    except Overtaken as error:
        raise overtaken(error) from error
    except ValueError as error:
        raise Refused(str(error), code="invalid_value", param="text") from error
    except OSError as error:
        raise Refused(str(error), status=507, code="not_kept") from error


def _json(fact: Fact) -> Json:
    return {"id": fact.id, "text": fact.text, "when": fact.when}
