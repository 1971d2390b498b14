"""Who may come in: everybody who reaches loopback, or else who has a key, by itself or by a session at the pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import Scope

from strop.assistant.keys import Key, Keys, opened
from strop.web.errors import Refused
from strop.web.sessions import COOKIE, Session, Sessions

PERSON, SESSION = "strop.person", "strop.session"
"""Where a request's scope says who asks, and by which session."""
CSRF = "X-Strop-CSRF"
OPEN_PATHS = ("/sign-in", "/session", "/static/", "/favicon.ico")
READING = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Door:
    """The entrance of a server.

    keys       of the assistant that is served; None without one
    names      under which it is reached, beside those of loopback: `--name`
    is_public  whether it listens at another address than loopback
    """

    keys: Keys | None = None
    names: Sequence[str] = ()
    is_public: bool = False
    sessions: Sessions = field(default_factory=Sessions)
    _known: tuple[tuple[int, ...], list[Key]] = ((), [])

    @property
    def needs_key(self) -> bool:
        """Whether everybody must have a key: beyond loopback, behind another server, where there are or were keys."""
        return self.is_public or bool(self.names) or (self.keys is not None and self.keys.are_needed)

    def key(self, secret: str) -> Key | None:
        """Which key this is; None if it opens nothing."""
        return opened(self._keys(), secret)

    def enter(self, scope: Scope) -> str | None:
        """Say in the request's scope who asks, and return it; None where no key is needed, or nothing is guarded.

        Raises Refused for a key that opens nothing, or none; and for a page that sends its cookie without the token
        which its session was told.
        """
        scope[PERSON] = scope[SESSION] = None
        if not self.needs_key:
            return None
        headers = Headers(scope=scope)
        is_open = scope["path"].startswith(OPEN_PATHS)
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            key = self.key(secret.strip())
            scope[PERSON] = None if key is None else key.name
        else:
            scope[SESSION] = session = self._session(headers)
            scope[PERSON] = None if session is None else session.key.name
            if session is not None and scope["method"] not in READING:
                _check_token(session, headers.get(CSRF, ""))
        person: str | None = scope[PERSON]
        if person is None and not is_open:
            told = "" if self._keys() else "nobody has one now. "
            raise Refused(
                "this server takes a key: send Authorization: Bearer KEY, or sign in at /sign-in. "
                f"{told}strop assistant DIR key add NAME makes one.",
                status=401,
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return person

    def _session(self, headers: Headers) -> Session | None:
        """The session of a request's cookie, if its key still opens."""
        cookie = cookie_of(headers)
        session = self.sessions.of(cookie) if cookie else None
        return session if session and session.key in self._keys() else None

    def _keys(self) -> list[Key]:
        """The keys as they are now. Where they cannot be read, nobody comes in."""
        if self.keys is None:
            return []
        stamp = self.keys.stamp
        if stamp != self._known[0]:
            try:
                self._known = stamp, self.keys.all()
            except ValueError:
                raise Refused("the keys cannot be read; strop assistant DIR key list says why.", status=503) from None
        return self._known[1]


def person_of(request: Request) -> str | None:
    """Who asks, by their key; None where no keys are needed: then people are who they say they are."""
    person: str | None = request.scope[PERSON]
    return person


def cookie_of(headers: Headers) -> str:
    """The session's cookie; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def address_of(scope: Scope) -> str:
    """From where a request comes: of IPv6 the network, of which one home has all addresses."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a test's, or a socket of Unix
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host


def _check_token(session: Session, token: str) -> None:
    if not hmac.compare_digest(session.csrf.encode(), token.encode()):
        raise Refused(
            f"{CSRF} is missing or of another session: reload the page, or sign in again.",
            status=403,
            code="wrong_token",
        )
