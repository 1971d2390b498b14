"""The models on this machine: names, sizes and folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from strop.cli.output import print_json, print_rich, table
from strop.hub.models import SOURCES, local_models


@dataclass(frozen=True, slots=True)
class Shelved:
    """One model. `path` is empty until it is fetched; `megabytes` is then what the download takes."""

    name: str
    path: str
    megabytes: int
    origin: str
    licence: str


def shelf() -> list[Shelved]:
    """Every model that can be named."""
    return [
        Shelved(
            name=model.name,
            path=str(model.path or ""),
            megabytes=_megabytes(model.path) if model.path else SOURCES[model.name].download_mb,
            origin=model.origin,
            licence=SOURCES[model.name].licence if model.name in SOURCES else "",
        )
        for model in local_models()
    ]


def show() -> None:
    """A table."""
    rows = [
        (
            one.name,
            f"{one.megabytes} MB" + ("" if one.path else " to download"),
            one.licence,
            one.path or f"not fetched yet: strop models get {one.name}",
        )
        for one in shelf()
    ]
    print_rich(table(["model", "size", "licence", "where"], rows))


def got(path: Path, as_json: bool) -> None:
    """Where a fetched model lies: the path alone, for scripts."""
    print_json({"path": str(path), "megabytes": _megabytes(path)}) if as_json else print(path)


def _megabytes(folder: Path) -> int:
    return round(sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6)
