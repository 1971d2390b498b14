"""The names of people as a store keeps them: keyed hashes, since a client may give an e-mail address as a name.

The key lies in a file of its own beside the store. Without it nobody can tell whose a hash is by trying names; with it
the same name has the same hash, so that a person can be found again, and forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from strop.runs.files import fsync, writing

FILE = "people.key"
BEGINS = "person-"
_HASHED = re.compile(rf"{BEGINS}[0-9a-f]{{32}}")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class People:
    """The people of the stores in a folder."""

    folder: Path

    def hashed(self, name: str) -> str:
        """What a store keeps of a name. What is a hash already stays as it is, and so does the empty name of nobody.

        The first time makes the key. Raises ValueError for a key that is damaged.
        """
        if not name or _HASHED.fullmatch(name):
            return name
        return BEGINS + hmac.digest(self._key(), name.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:32]

    def _key(self) -> bytes:
        file = self.folder / FILE
        if not file.exists():
            _make(file)
        key = file.read_text(encoding="utf-8").strip()
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"{file} is damaged: it holds 64 hexadecimal digits. Put a copy of it back; without it nobody who gave "
                "feedback can be found again."
            )
        return bytes.fromhex(key)


def _make(file: Path) -> None:
    """Write a new key for the owner's eyes only; where two processes do, the first one's stands."""
    temporary = file.with_name(f".writing-{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
    with writing("the key of the people", file):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(secrets.token_hex(32) + "\n")
                opened.flush()
                os.fsync(opened.fileno())
            with suppress(FileExistsError):  # another process was quicker
                os.link(temporary, file)
        finally:
            temporary.unlink()
        fsync(file.parent)
