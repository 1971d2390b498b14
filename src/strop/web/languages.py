"""Which language of the pages a browser is shown."""

from __future__ import annotations

from collections.abc import Mapping

from strop.web._chinese import CHINESE
from strop.web._english import ENGLISH
from strop.web.words import Words

COOKIE = "strop_language"
LANGUAGES: Mapping[str, Words] = {words.code: words for words in (ENGLISH, CHINESE)}


def chosen(cookie: str | None, accepted: str) -> Words:
    """The words by the reader's choice, else by Accept-Language, else English."""
    if cookie is not None and cookie in LANGUAGES:
        return LANGUAGES[cookie]
    for tag in _by_weight(accepted):
        for words in LANGUAGES.values():
            if tag.partition("-")[0] == words.code.partition("-")[0]:
                return words
    return ENGLISH


def _by_weight(accepted: str) -> list[str]:
    """The language tags of an Accept-Language header, the most wanted first; a broken part is passed over."""
    weighted: list[tuple[float, int, str]] = []
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        name, _, number = weight.partition("=")
        try:
            quality = float(number) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if quality > 0:
            weighted.append((-quality, len(weighted), tag.strip()))
    return [tag for _, _, tag in sorted(weighted)]
