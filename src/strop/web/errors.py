"""What a client is told when something is wrong, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from strop.assistant.under_way import Overtaken

MOST_CHARS = 600
"""A message that quotes a request is cut here."""


class Refused(Exception):
    """A request that is not served: `status` is the HTTP status, `param` the field that is wrong."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, dict(headers or {})


def overtaken(error: Overtaken) -> Refused:
    """What they are told whose request was on its way while somebody was forgotten."""
    return Refused(str(error), status=409, code="not_kept")


def error_body(message: str, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The body of an answer that says what is wrong."""
    kind = {404: "not_found_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    return {"error": {"message": message[:MOST_CHARS], "type": kind, "param": param, "code": code}}


def add_error_handlers(app: FastAPI) -> None:
    """Every error of the app in OpenAI's form."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(
            error_body(str(error), error.status, error.code, error.param), error.status, headers=error.headers
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        place, says = first_flaw(error)
        message = f"{place}: {says}." if place else f"{says}."
        return JSONResponse(error_body(message, 400, "invalid_value", place or None), 400)

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> JSONResponse:
        message = f"{request.method} {request.url.path}: {error.detail}."
        return JSONResponse(error_body(message, error.status_code), error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        message = "the server failed at this request; its terminal shows where."
        return JSONResponse(error_body(message, 500, type(error).__name__), 500)


def first_flaw(error: RequestValidationError) -> tuple[str, str]:
    """The first field that is wrong, and what it should be. A field of several types has an error for each of them."""
    found = error.errors()
    field = found[0]["loc"][:2]  # "body" and the field's name
    of_field = [one for one in found if one["loc"][:2] == field]
    side_by_side = zip(*(one["loc"] for one in of_field), strict=False)
    same = takewhile(lambda parts: len(set(parts)) == 1, side_by_side)
    place = ".".join(str(parts[0]) for parts in same if parts[0] != "body")
    return place, ", or ".join(dict.fromkeys(one["msg"] for one in of_field))
