"""The pages that people use: the chat, the comparison of two answers, what is remembered of them, and the assistant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.concurrency import run_in_threadpool

from strop.assistant.beside import side_by_side
from strop.assistant.home import Assistant
from strop.assistant.memory import MOST_CHARS
from strop.assistant.overview import overview_of
from strop.web.door import SESSION, person_of
from strop.web.errors import Refused
from strop.web.languages import COOKIE, LANGUAGES, chosen
from strop.web.served import Served

HERE = Path(__file__).parent
YEAR_SECONDS = 365 * 24 * 3600


def pages(served: Served) -> APIRouter:
    """The routes. `?language=` changes the language, and the browser remembers it."""
    router = APIRouter(include_in_schema=False)
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def page(request: Request, template: str, **facts: object) -> Response:
        here, wanted = request.url.path, request.query_params.get("language")
        if wanted is not None:
            return _remembered(here, wanted)
        words = chosen(request.cookies.get(COOKIE), request.headers.get("accept-language", ""))
        session = request.scope[SESSION]
        html = templates.get_template(template).render(
            words=words,
            here=here,
            version=served.serves.label,
            has_feedback=served.store is not None,
            has_assistant=served.assistant is not None,
            most_chars=MOST_CHARS,
            day=_day,
            person=person_of(request),
            csrf="" if session is None else session.csrf,
            **facts,
        )
        return HTMLResponse(html, headers={"Vary": "Accept-Language, Cookie", "Content-Language": words.code})

    @router.get("/")
    async def chat(request: Request) -> Response:
        return page(request, "chat.html")

    @router.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        if not served.door.needs_key:
            raise Refused("no keys are needed here.", status=404)
        return page(request, "sign_in.html")

    @router.get("/compare")
    async def compare(request: Request) -> Response:
        if served.store is None:
            raise Refused("judgements are kept by an assistant: start the server with --assistant DIR.", status=404)
        return page(request, "compare.html")

    @router.get("/memory")
    async def memory(request: Request) -> Response:
        if served.memory is None:
            raise Refused("an assistant remembers: start the server with --assistant DIR.", status=404)
        return page(request, "memory.html")

    @router.get("/assistant")
    async def assistant(request: Request, version: int | None = None, beside: int | None = None) -> Response:
        if served.assistant is None:
            raise Refused("an assistant learns: start the server with --assistant DIR.", status=404)
        try:
            found = await run_in_threadpool(_found, served.assistant, version, beside)
        except ValueError as error:
            raise Refused(str(error), status=404) from error
        return page(request, "assistant.html", **found)

    return router


def _found(assistant: Assistant, version: int | None, beside: int | None) -> dict[str, object]:
    """What the page of the assistant shows: all that is known of it, and two versions side by side if asked."""
    found: dict[str, object] = {"found": overview_of(assistant), "beside": None}
    if version is None:
        return found
    old = assistant.versions.manifest(version).parent if beside is None else beside
    if old is None:
        raise ValueError(f"version {version} has no parent: name the version to lay beside it, ?beside=NUMBER.")
    rows = side_by_side(assistant.versions, old, version)
    changed = [one for one in rows if one.is_changed]
    return found | {"beside": {"old": old, "new": version, "changed": changed, "same": rows[len(changed) :]}}


def _day(when: float) -> str:
    """The day of a time in seconds since 1970, UTC."""
    return datetime.fromtimestamp(when, UTC).date().isoformat()


def _remembered(here: str, language: str) -> Response:
    if language not in LANGUAGES:
        raise Refused(f"language={language[:20]!r}: it is one of {', '.join(LANGUAGES)}.", param="language")
    answer = RedirectResponse(here, 303)
    answer.set_cookie(COOKIE, language, max_age=YEAR_SECONDS, httponly=True, samesite="strict")
    return answer
