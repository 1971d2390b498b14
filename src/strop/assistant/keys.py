"""`keys.json`: who may ask an assistant over the network, each by a key of their own, of which only a hash is kept.

A key is 256 bits of chance, so that nobody finds it from its SHA-256: a slow hash, as passwords need it, would guard
nothing more. It is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from strop.runs.files import replace_text, writing
from strop.types import shown

FILE, FORMAT = "keys.json", 1
PREFIX = "strop-"
"""With which every key begins, so that one that was published by mistake is found by searching for it."""
MOST_CHARS = 200
"""Of what is compared with keys: a longer text is none."""
_NAME = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Key:
    """Whose key it is, its SHA-256 in hexadecimal digits, and when it was made, in seconds since 1970."""

    name: str
    sha256: str
    when: float


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an assistant's folder."""

    path: Path

    def all(self) -> list[Key]:
        """The keys, oldest first. Raises ValueError for a file that cannot be read."""
        file = self.path / FILE
        if not file.is_file():
            return []
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ValueError(f"it has format {found['format']}, and this strop reads {FORMAT}")
            return [Key(**one) for one in found["keys"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file} cannot be read: {error}. Put a copy of it back, or make new keys.") from error

    @property
    def are_needed(self) -> bool:
        """Whether who asks must have a key: from the first one on, also after the last one was removed: to forget
        somebody opens an assistant to nobody. Whoever deletes the file opens it."""
        return bool(self.stamp)

    def add(self, name: str) -> str:
        """Make a key for this name and return it; nothing else will ever tell it.

        Raises ValueError for a name that has a key already, or is none. Its caller holds the assistant's lock.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"name={shown(name)}: it is up to 64 letters, digits, - . and _, first a letter.")
        keys = self.all()
        if name in [one.name for one in keys]:
            raise ValueError(f"{name} has a key: remove it first, and the old one opens nothing any more.")
        secret = PREFIX + secrets.token_urlsafe(32)
        self._write([*keys, Key(name, _sha256(secret), time.time())])
        return secret

    def remove(self, name: str) -> None:
        """Let the key of this name open nothing any more. Raises ValueError if it has none."""
        keys = self.all()
        left = [one for one in keys if one.name != name]
        if len(left) == len(keys):
            names = ", ".join(one.name for one in keys) or "none"
            raise ValueError(f"{shown(name)} has no key; there: {names}.")
        self._write(left)

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes whenever a key comes or goes; cheap enough to be asked at every request."""
        try:
            found = (self.path / FILE).stat()
        except FileNotFoundError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _write(self, keys: Sequence[Key]) -> None:
        text = json.dumps({"format": FORMAT, "keys": [asdict(one) for one in keys]}, indent=2)
        with writing("the keys", self.path):
            replace_text(self.path / FILE, text + "\n")


def opened(keys: Sequence[Key], secret: str) -> Key | None:
    """Which of the keys this is; None if it is none of them. How long this takes tells nothing about the keys."""
    found, wanted = None, _sha256(secret[:MOST_CHARS])
    for one in keys:
        if hmac.compare_digest(one.sha256, wanted):
            found = one
    return found


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
