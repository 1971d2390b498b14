"""What strop offers: recipes, algorithms, environments, rewards, models, corpora and so on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from strop import loader


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `strop list`. `place` is the public name, or the folder of a model."""

    name: str
    summary: str
    place: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. Until it is fetched, `path` is empty and `megabytes` is the size of the download."""

    name: str
    path: str
    megabytes: int
    origin: str
    licence: str


@dataclass(frozen=True, slots=True)
class CorpusEntry:
    """One corpus that has a name. `place` is its file: empty until it is downloaded, which takes `download_mb`."""

    name: str
    summary: str
    place: str
    language: str
    megabytes: float
    licence: str
    download_mb: float


def entries(room: str) -> list[Entry]:
    """The entries of one package, or the models."""
    if room == "models":
        return [Entry(model.name, model.origin, model.path) for model in models()]
    modules = loader.modules(room)
    if room == "recipes":
        return [
            Entry(one.name, one.summary, f"strop.recipes.{one.name}") for one in modules if "recipe" in one.functions
        ]
    if room in ("rewards", "baselines"):
        return [Entry(name, one.summaries[name], f"strop.{room}.{name}") for one in modules for name in one.public]
    return [
        Entry(name, _without_name(name, one.summary), f"strop.{room}.{name}")
        for one in modules
        for name in one.configured or one.classes
    ]


def models() -> list[ModelEntry]:
    """Every model that can be named."""
    from strop.hub.models import SOURCES, local_models

    return [
        ModelEntry(
            name=model.name,
            path=str(model.path or ""),
            megabytes=megabytes(model.path) if model.path else SOURCES[model.name].download_mb,
            origin=model.origin,
            licence=SOURCES[model.name].licence if model.name in SOURCES else "",
        )
        for model in local_models()
    ]


def corpora() -> list[CorpusEntry]:
    """Every corpus that has a name."""
    from strop.data.named import NAMED, local_place

    return [
        CorpusEntry(
            name=name,
            summary=one.what,
            place=str(local_place(name)) if local_place(name).is_file() else "",
            language=one.language,
            megabytes=one.megabytes,
            licence=one.licence,
            download_mb=one.wheel.download_mb if one.wheel else 0.0,
        )
        for name, one in NAMED.items()
    ]


def megabytes(folder: Path) -> int:
    """The size of a folder's files."""
    return round(sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6)


def _without_name(name: str, summary: str) -> str:
    """The summary, without the name that it may begin with."""
    head, _, rest = summary.partition(": ")
    return rest if rest and _plain(head) == _plain(name) else summary


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
