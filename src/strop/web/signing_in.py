"""Sessions of the pages: a key opens one, whose cookie no script can read and no foreign page can send."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from strop.web.door import SESSION, Door, cookie_of, person_of
from strop.web.errors import Refused
from strop.web.forms import Json
from strop.web.requests import SignInRequest
from strop.web.sessions import COOKIE, SECONDS


def signing_in(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/session")

    @router.get("")
    async def session(request: Request) -> Json:
        """Who is signed in at this browser."""
        return {"name": person_of(request)}

    @router.post("")
    async def begin(body: SignInRequest, request: Request) -> JSONResponse:
        key = door.key(body.key.strip()) if door.needs_key else None
        if key is None:
            told = "this key opens nothing: it may have been removed." if door.needs_key else "no keys are needed here."
            raise Refused(told, status=401, code="invalid_api_key", param="key")
        door.sessions.end(cookie_of(request.headers))
        cookie, _ = door.sessions.begin(key)
        answer = JSONResponse({"name": key.name})
        is_secure = request.headers.get("origin", "").startswith("https://")
        answer.set_cookie(COOKIE, cookie, round(SECONDS), httponly=True, samesite="strict", secure=is_secure)
        return answer

    @router.delete("")
    async def end(request: Request) -> JSONResponse:
        if request.scope[SESSION] is not None:
            door.sessions.end(cookie_of(request.headers))
        answer = JSONResponse({"name": None})
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router
