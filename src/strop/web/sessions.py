"""Who is signed in at the pages. Sessions are in the server's memory only: they end with it, and nothing is written."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strop.assistant.keys import Key

COOKIE = "strop_session"
SECONDS = 7 * 24 * 3600.0
"""How long a session lasts."""
MOST_EACH = 20
"""Sessions of one key; one more ends the oldest."""


@dataclass(frozen=True, slots=True)
class Session:
    """The key that opened it, the token that a page sends with whatever changes something, and when it ends."""

    key: Key
    csrf: str
    until: float


@dataclass(frozen=True, slots=True)
class Sessions:
    """Open sessions by the SHA-256 of their cookie. `clock` counts seconds."""

    clock: Callable[[], float] = time.monotonic
    found: dict[str, Session] = field(default_factory=dict)

    def begin(self, key: Key) -> tuple[str, Session]:
        """A session of this key: its cookie, which is kept nowhere here, and what is known of it."""
        now = self.clock()
        for hashed in [hashed for hashed, one in self.found.items() if one.until <= now]:
            del self.found[hashed]
        of_key = [hashed for hashed, one in self.found.items() if one.key == key]
        for hashed in of_key[: max(0, len(of_key) - MOST_EACH + 1)]:
            del self.found[hashed]
        cookie, session = secrets.token_urlsafe(32), Session(key, secrets.token_urlsafe(32), now + SECONDS)
        self.found[_hashed(cookie)] = session
        return cookie, session

    def of(self, cookie: str) -> Session | None:
        """The session of this cookie, if it has one and that has not ended."""
        session = self.found.get(_hashed(cookie))
        return session if session is not None and session.until > self.clock() else None

    def end(self, cookie: str) -> None:
        """The cookie opens nothing any more."""
        self.found.pop(_hashed(cookie), None)


def _hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "backslashreplace")).hexdigest()
