"""What every request must be before the app sees it, and the headers that every answer has.

A server on loopback can still be reached from any page that the browser shows: a page may send requests to 127.0.0.1,
or let its own name point there (DNS rebinding). So the Host must be a name of this machine, an Origin must be this very
server, and a body must be JSON, which a browser sends for a foreign page only where the server allows it (CORS). This
one never does.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strop.web.errors import Refused, error_body

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
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

    body_bytes      the largest body
    body_seconds    how long a client may take to send it
    answer_seconds  how long an answer may take, the wait for a place in the batch included
    stop_seconds    how long running answers may go on when the server is told to stop
    """

    body_bytes: int = 1_000_000
    body_seconds: float = 20.0
    answer_seconds: float = 600.0
    stop_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Guard:
    """The app behind its checks (ASGI)."""

    app: ASGIApp
    limits: Limits

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
            check_source(Headers(scope=scope))
            if scope["method"] in ("POST", "PUT"):
                receive = await self._whole_body(Headers(scope=scope), receive)
        except Refused as error:
            answer = JSONResponse(error_body(str(error), error.status, error.code), error.status)
            await answer(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    async def _whole_body(self, headers: Headers, receive: Receive) -> Receive:
        """Read the body within its limits; what then gives it to the app."""
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused("the body must be JSON: send Content-Type: application/json.", status=415)
        too_large = Refused(f"the body is larger than {self.limits.body_bytes:,} bytes.", status=413)
        if int(headers.get("content-length", "0")) > self.limits.body_bytes:
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


def check_source(headers: Headers) -> None:
    """Raise Refused unless the request is addressed to this machine, and comes from no foreign page."""
    host = headers.get("host", "")
    if not is_loopback(_name_of(host)):
        told = f"Host: {host[:100]!r} is no name of this machine; use 127.0.0.1, [::1] or localhost."
        raise Refused(told, status=421, code="wrong_host")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        raise Refused(f"requests from pages of {origin[:100]!r} are refused.", status=403, code="wrong_origin")


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name
        return False


def _name_of(host: str) -> str:
    """The host without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
