"""What every request must be before the app sees it, and the headers that every answer has.

A server on loopback can still be reached from any page that the browser shows: a page may send requests to 127.0.0.1,
or let its own name point there (DNS rebinding). So the Host must be a name of this server, an Origin must be this very
server, and a body must be JSON, which a browser sends for a foreign page only where the server allows it (CORS). This
one never does. Then comes the door, and how often who came in may ask; only then a body is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strop.endpoint.address import host_of, is_loopback
from strop.web.door import Door, address_of
from strop.web.errors import Refused, error_body
from strop.web.moment import MOMENT, Moment
from strop.web.rates import Rates

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
MOST_DIGITS = 12
"""Of a body's length."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a request and of an answer.

    head_bytes      the most of a request's line and headers
    body_bytes      the largest body
    body_seconds    how long a client may take to send it
    answer_seconds  how long an answer may take, the wait for a place in the batch included
    stop_seconds    how long running answers may go on when the server is told to stop
    rate            requests a second of one key, or of one address where it has no key
    burst           requests that may come at once, after a while without any
    at_once         requests of one key that are answered at the same time
    """

    head_bytes: int = 16_384
    body_bytes: int = 1_000_000
    body_seconds: float = 20.0
    answer_seconds: float = 600.0
    stop_seconds: float = 10.0
    rate: float = 20.0
    burst: int = 200
    at_once: int = 16


@dataclass(frozen=True, slots=True)
class Guard:
    """The app behind its checks (ASGI). `moment` reads the one at which a request begins that may write."""

    app: ASGIApp
    limits: Limits
    door: Door
    rates: Rates
    moment: Callable[[], Moment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a {scope['type']} connection: only HTTP is served.")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            person = self._admitted(scope)
            with self.rates.answering(person) if person is not None else nullcontext():
                if scope["method"] in ("POST", "PUT"):
                    scope[MOMENT] = await run_in_threadpool(self._moment)
                    self.door.enter(scope)  # who was forgotten before that moment has no key any more
                    receive = await self._whole_body(Headers(scope=scope), receive)
                await self.app(scope, receive, send_with_headers)
        except Refused as error:
            answer = refusal(scope, error)
            await answer(scope, receive, send_with_headers)

    def _moment(self) -> Moment:
        """Raises Refused where a store is locked or damaged: what is sent then could not be kept."""
        try:
            return self.moment()
        except (OSError, sqlite3.Error) as error:
            logging.getLogger("uvicorn.error").error("what is kept of people cannot be read: %s", error)
            told = "what this assistant keeps cannot be read now; its terminal says why. Try again later."
            raise Refused(told, status=503) from error

    def _admitted(self, scope: Scope) -> str | None:
        """Who asks, by their key. Raises Refused for who may not, or asks too often."""
        check_head(scope, self.limits.head_bytes)
        check_source(Headers(scope=scope), self.door)
        try:
            person = self.door.enter(scope)
        except Refused:
            self.rates.take(address_of(scope))
            raise
        self.rates.take(address_of(scope) if person is None else f"key {person}")
        return person

    async def _whole_body(self, headers: Headers, receive: Receive) -> Receive:
        """Read the body within its limits; what then gives it to the app."""
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused("the body must be JSON: send Content-Type: application/json.", status=415)
        too_large = Refused(f"the body is larger than {self.limits.body_bytes:,} bytes.", status=413)
        told = headers.get("content-length", "0")
        if not told.isascii() or not told.isdigit() or len(told) > MOST_DIGITS:
            raise Refused("Content-Length is no number of bytes.")
        if int(told) > self.limits.body_bytes:
            raise too_large
        body, is_whole = bytearray(), False
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while not is_whole:
                    message = await receive()
                    body += message.get("body", b"")
                    is_whole = not message.get("more_body", False)
                    if len(body) > self.limits.body_bytes:
                        raise too_large
        except TimeoutError:
            late = f"the body did not arrive within {self.limits.body_seconds:g} s."
            raise Refused(late, status=408) from None
        given: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def receive_again() -> Message:
            return given.pop() if given else await receive()

        return receive_again


def check_head(scope: Scope, most: int) -> None:
    """Raise Refused for a longer one: the server itself only bounds those that do not arrive at once."""
    sizes = (len(name) + len(value) for name, value in scope["headers"])
    if len(scope.get("raw_path", b"")) + len(scope["query_string"]) + sum(sizes) > most:
        raise Refused(f"the request's line and headers have more than {most:,} bytes.", status=431)


def check_source(headers: Headers, door: Door) -> None:
    """Raise Refused unless the request is addressed to this server, and comes from no foreign page."""
    host = headers.get("host", "")
    name = _name_of(host)
    is_local = is_loopback(name)
    if not is_local and name not in door.names and not (door.is_public and _is_address(name)):
        names = ", ".join(["127.0.0.1", "[::1]", "localhost", *door.names])
        told = f"Host: {host[:100]!r} is no name of this server; use {names}, or start it with --name."
        raise Refused(told, status=421, code="wrong_host")
    schemes = ("http",) if is_local else ("http", "https")  # https ends at the server before this one
    origin = headers.get("origin")
    if origin is not None and origin not in [f"{scheme}://{host}" for scheme in schemes]:
        raise Refused(f"requests from pages of {origin[:100]!r} are refused.", status=403, code="wrong_origin")


def refusal(scope: Scope, error: Refused) -> Response:
    """What a client is told; a browser that shows pages is sent to where it signs in."""
    is_page = scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    if error.status == 401 and is_page:
        return RedirectResponse("/sign-in", 303)
    body = error_body(str(error), error.status, error.code)
    return JSONResponse(body, error.status, headers=error.headers)


def _is_address(name: str) -> bool:
    """Whether it is a number: to a page of a foreign name no browser sends that as the Host, wherever it points."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> str:
    """The host without port and brackets, in small letters."""
    return host_of(f"//{host}")
