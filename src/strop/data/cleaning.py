"""One document cleaned: Unicode NFC, newlines, no control characters, no invalid bytes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Unicode's control characters (Cc) but tab and newline."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""What stands for a byte that is no UTF-8, and half a character that JSON may write: it has no encoding."""
REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A document and what was taken from it. `text` is empty if nothing but spaces is left."""

    text: str
    num_control: int
    num_invalid: int


def cleaned(text: str) -> Cleaned:
    """The document's text as it is trained on. What stands around it (spaces, empty lines) goes too."""
    num_invalid = 0
    if not text.isascii():
        text, num_invalid = SURROGATE.subn(REPLACEMENT, text)
        text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, num_control = CONTROL.subn("", text)
    return Cleaned(text.strip(), num_control, num_invalid)
