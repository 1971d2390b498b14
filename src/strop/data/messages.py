"""Messages of gettext catalogues: what a program says, and what a translator made of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import Any

BY_COUNTRY = {"zh_cn": "zh_hans", "zh_sg": "zh_hans", "zh_tw": "zh_hant", "zh_hk": "zh_hant"}
"""Locales that are named by a country, and the name by the script, which means the same."""
ENGLISH = "en"
"""The language of a message's own text: programs are written in it."""
FUZZY, PLURAL, OBSOLETE = "fuzzy", "plural", "obsolete"


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a catalogue.

    context      tells apart two messages of the same text; mostly empty
    text         what the program says, in English
    translation  empty if there is none
    flaw         why it is not one text and its translation: fuzzy (a guess that nobody confirmed), plural (several
                 forms on each side, and which belongs to which differs by language), obsolete; empty for most
    """

    context: str
    text: str
    translation: str
    flaw: str = ""


def canonical(locale: str) -> str:
    """One spelling for a locale: `zh-CN`, `zh_CN` and `zh_Hans` are the same, and so are `id_ID` and `id`."""
    name = locale.strip().lower().replace("-", "_")
    language, _, region = name.partition("_")
    return language if region == language else BY_COUNTRY.get(name, name)


def check_reader() -> None:
    """Raise ModuleNotFoundError if the package that reads catalogues is not there."""
    if find_spec("babel") is None:
        raise ModuleNotFoundError('message catalogues are read by the package babel: pip install "strop[translate]"')


def messages(content: bytes, is_compiled: bool, place: str) -> Iterator[Message]:
    """The messages of a .po, or of a compiled .mo, in their order. Raises ValueError for what is neither."""
    check_reader()
    from babel.messages.mofile import read_mo
    from babel.messages.pofile import PoFileError, read_po

    try:
        found = read_mo(BytesIO(content)) if is_compiled else read_po(BytesIO(content), abort_invalid=True)
    except (PoFileError, OSError, ValueError, IndexError, struct.error) as error:
        kind = "a compiled message catalogue (.mo)" if is_compiled else "a message catalogue (.po) in UTF-8"
        raise ValueError(f"{place} is not {kind}: {error}.") from None
    yield from (_message(entry, FUZZY if entry.fuzzy else "") for entry in found if entry.id)
    yield from (_message(entry, OBSOLETE) for entry in found.obsolete.values())


def _message(entry: Any, flaw: str) -> Message:
    """An entry of babel's. Its id and its string are texts, or several if it has plural forms."""
    is_plural = not isinstance(entry.id, str)
    text = entry.id[0] if is_plural else entry.id
    translation = entry.string if isinstance(entry.string, str) else ""
    context = entry.context or ""
    if isinstance(context, bytes):  # up to babel 2.18, out of a .mo
        context = context.decode()
    return Message(context, text, translation, flaw or (PLURAL if is_plural else ""))
