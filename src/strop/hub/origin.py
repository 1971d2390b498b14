"""Where a model comes from: its base and licence, as far as they are known, for a published card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strop.hub.models import MANIFEST, SOURCES, Source, resolve

CARD = "README.md"
TAG = "strop"
"""A tag of every card that strop writes."""
LICENCE_FIELDS = ("license", "license_name", "license_link")


@dataclass(frozen=True, slots=True)
class Origin:
    """The base of a model: `words` follow "Trained from", `hub_id` is its published model and `licence` the licence
    fields of its card; both are empty if unknown."""

    words: str
    hub_id: str = ""
    licence: Mapping[str, str] = field(default_factory=dict)


FROM_SCRATCH = Origin("random weights")


def origin_of(model: str) -> Origin:
    """The origin of a model's name, folder or Hub id."""
    if model in SOURCES:
        return _packaged(SOURCES[model])
    place = resolve(model)
    if isinstance(place, str):
        return Origin(f"`{place}`", hub_id=place)
    if (place / MANIFEST).is_file():
        name = json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("name")
        if name in SOURCES:
            return _packaged(SOURCES[name])
    return _of_folder(place)


def _packaged(source: Source) -> Origin:
    file = Path(source.file).stem
    words = f"{source.origin}, as the package {source.package} {source.version} carries it ({file}, made float32)"
    return Origin(words, source.hub_id, {"license": source.licence.lower()})


def _of_folder(folder: Path) -> Origin:
    """A folder that strop wrote names its base. The base in another folder's card is not used: that model was trained
    from it, and is another one."""
    found = _metadata(folder / CARD)
    licence = {name: found[name] for name in LICENCE_FIELDS if isinstance(found.get(name), str)}
    if TAG not in (found.get("tags") or ()):
        return Origin(f"the local folder `{folder.name}`", licence=licence)
    base = found.get("base_model")
    hub_id = base if isinstance(base, str) else ""
    return Origin(f"`{folder.name}`, which strop trained" + (f" from `{hub_id}`" if hub_id else ""), hub_id, licence)


def _metadata(card: Path) -> dict[str, Any]:
    """The metadata of a model card; empty if there is no card."""
    from huggingface_hub.repocard import metadata_load

    try:
        return metadata_load(card) or {}
    except FileNotFoundError:
        return {}
    except Exception as error:  # of the YAML library, and without a common base with ours
        raise ValueError(
            f"{card}: the fields above its text cannot be read ({error}). Correct or remove them."
        ) from error
