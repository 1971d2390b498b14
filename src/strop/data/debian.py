"""Debian's software, each package with its description and the one line that sums it up, out of apt's own index.

The index is fetched by apt into a folder of its own, so that nothing of the system changes and no root is needed; its
signature is apt's to check.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strop.data.progress import Tell

PROGRAM = "apt-get"
DOWNLOAD_MB = 16
LICENCE = "each package's own; all of Debian's main section is free software"
INDEX, TEXTS = "*_Packages", "*_Translation-en"
"""Files of apt's index: the packages, and their descriptions in English."""
FIELD = re.compile(r"^([\w-]+): (.*(?:\n .*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Described:
    """A package. `text` is its description, paragraphs separated by line breaks; `source` what it is built from."""

    package: str
    source: str
    summary: str
    text: str


def has_apt() -> bool:
    """Whether apt is there to ask."""
    return shutil.which(PROGRAM) is not None


def described(tell: Tell) -> list[Described]:
    """All packages that apt offers this system, by name. Raises ValueError if apt cannot fetch its index."""
    tell(f"descriptions of software, out of the index of apt ({LICENCE}); downloading {DOWNLOAD_MB} MB (once)")
    with tempfile.TemporaryDirectory() as folder:
        _fetch(Path(folder))
        sources = dict(_sources(Path(folder)))
        found = {one.package: one for one in _described(Path(folder), sources)}
    if not found:
        raise ValueError("apt's index holds no description in English: its sources of software name none.")
    return [found[name] for name in sorted(found)]


def _fetch(folder: Path) -> None:
    """Let apt write its index into the folder, as plain text."""
    (folder / "lists" / "partial").mkdir(parents=True)
    options = {
        "Dir::State::lists": str(folder / "lists"),
        "Dir::Cache": str(folder),
        "Acquire::Languages": "en",
        "Acquire::GzipIndexes": "false",
        "APT::Sandbox::User": "",  # else another user has to read this folder
    }
    command = [PROGRAM, "update", "-o", "Acquire::Languages=", "--quiet"]  # emptied first: the option is a list
    for name, value in options.items():
        command += ["-o", f"{name}{'::' if name == 'Acquire::Languages' else ''}={value}"]
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or not list((folder / "lists").glob(TEXTS)):
        lines = [line for line in done.stderr.splitlines() if line[:2] in ("E:", "W:")] or ["E: apt gave no reason"]
        raise ValueError(f"apt could not fetch its index ({lines[-1][3:]}). Is there a network?")


def _sources(folder: Path) -> Iterator[tuple[str, str]]:
    """The source that each package is built from; of its own name where none is named."""
    for stanza in _stanzas(folder, INDEX):
        yield stanza["Package"], stanza.get("Source", stanza["Package"]).partition(" ")[0]


def _described(folder: Path, sources: dict[str, str]) -> Iterator[Described]:
    """Those that are built for this machine: the others are the same software, and have no source here."""
    for stanza in _stanzas(folder, TEXTS):
        if (name := stanza["Package"]) in sources:
            summary, _, text = stanza["Description-en"].partition("\n")
            yield Described(name, sources[name], summary.strip(), _paragraphs(text))


def _stanzas(folder: Path, files: str) -> Iterator[dict[str, str]]:
    for file in sorted((folder / "lists").glob(files)):
        for stanza in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            if fields := dict(FIELD.findall(stanza)):
                yield fields


def _paragraphs(text: str) -> str:
    """A line each; a line that begins with more than one space, or is an item of a list, stays one."""
    lines = list[str]()
    joins = False
    for raw in text.splitlines():
        line = raw[1:]
        if line.strip() in ("", "."):
            joins = False
        elif joins and not line.startswith((" ", "*", "-", "o ")):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
            joins = not line.startswith(" ")
    return "\n".join(lines)
