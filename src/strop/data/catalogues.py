"""Message catalogues by name: what programs say, in many languages, out of packages that are downloaded once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from strop.data.messages import Message, canonical, check_reader, messages
from strop.data.origins import Debian, Pip, files_in, has_apt, package_of
from strop.data.progress import Tell
from strop.packages import home

FILE = re.compile(r"(?P<before>.*/)(?P<locale>[^/]+)/LC_MESSAGES/(?P<domain>[^/]+)\.(?P<kind>po|mo)")
"""Where a catalogue stands in a package."""
Key: TypeAlias = "tuple[str, str, str]"
"""The same in every language: the path of the catalogue without its language, the context, and the text."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Message catalogues that have a name."""

    what: str
    licence: str
    origin: Pip | Debian
    """`{locale}` in the name of a Debian package stands for the language: each has a package of its own."""


CATALOGUES: Mapping[str, Catalogue] = {
    "django": Catalogue(
        "the messages of the web framework Django",
        "BSD-3-Clause",
        Pip("django", "5.2.19", "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00", 8.3),
    ),
    "wagtail": Catalogue(
        "the messages of the content management system Wagtail",
        "BSD-3-Clause",
        Pip("wagtail", "8.0.1", "1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c", 9.8),
    ),
    "horizon": Catalogue(
        "the messages of OpenStack's dashboard",
        "Apache-2.0",
        Pip("horizon", "27.0.0", "8a981dae4fb6626e71553aa185f6e429b0b1efb86b04b0a72c3b18ee04f1f990", 5.3),
    ),
    "libreoffice": Catalogue("the messages of LibreOffice", "MPL-2.0", Debian("libreoffice-l10n-{locale}", 0.8)),
    "iso-codes": Catalogue(
        "names of countries, regions, languages and currencies", "LGPL-2.1-or-later", Debian("iso-codes", 2.9)
    ),
}
ANYWHERE = ",".join(name for name, one in CATALOGUES.items() if isinstance(one.origin, Pip))
"""Those that pip downloads on every system."""
LARGE = "libreoffice"
"""The one that is added where apt is there: it has three times as many messages as those together."""
OWN = "give pairs of your own: data=FILE, a .tsv, .csv or .jsonl with source and target, or a .po"
"""What helps where nothing can be downloaded."""


@dataclass(frozen=True, slots=True)
class Translations:
    """The messages of a catalogue in one language, and the names of all languages in its package."""

    messages: Mapping[Key, Message]
    locales: frozenset[str]


def usual() -> str:
    """The names of the catalogues that are read where none is named."""
    return f"{ANYWHERE},{LARGE}" if has_apt() else ANYWHERE


def translations(name: str, locale: str, tell: Tell) -> Translations:
    """The messages of a named catalogue in a language; none if it does not have it.

    Raises ValueError if its package cannot be had, ModuleNotFoundError if the package that reads it is not there.
    """
    check_reader()
    chosen: dict[tuple[str, str], tuple[str, bytes]] = {}
    locales = set()
    for path, read in files_in(_package(name, locale, tell)):
        if not (match := FILE.fullmatch(path)):
            continue
        locales.add(match["locale"])
        place = match["before"], match["domain"]
        if canonical(match["locale"]) == canonical(locale) and (place not in chosen or match["kind"] == "po"):
            chosen[place] = path, read()  # a .po tells what is fuzzy, a .mo leaves it out
    found = {
        ("".join(place), message.context, message.text): message
        for place, (path, content) in sorted(chosen.items())
        for message in messages(content, path.endswith(".mo"), f"{name}: {path}")
    }
    return Translations(found, frozenset(locales))


def _package(name: str, locale: str, tell: Tell) -> Path:
    """The file of the package that holds a catalogue in this language; it is downloaded on first use."""
    one = CATALOGUES[name]
    origin, instead = one.origin, OWN
    if isinstance(origin, Debian):
        origin = replace(origin, package=origin.package.format(locale=_in_debian(locale)))
        instead = f"take data={ANYWHERE}, or {OWN}"

    def announce(line: str) -> None:
        tell(f"{name}: {one.what} ({one.licence}); {line}")

    return package_of(origin, home() / "catalogues", f"the messages of {name}", instead, announce)


def _in_debian(locale: str) -> str:
    """The spelling of a locale in the name of a Debian package: `zh-cn`, `de`, `pt-br`."""
    return {"zh_hans": "zh-cn", "zh_hant": "zh-tw"}.get(canonical(locale), canonical(locale).replace("_", "-"))
