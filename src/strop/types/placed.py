"""Parts of a config that refer to files of their run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

PLACE: Mapping[str, Any] = {"place": True}
"""Metadata of a field that says where a folder is: the run's config.json does not hold it, since runs are moved."""


def is_place(field: Field[Any]) -> bool:
    """Whether a field says where a folder is."""
    return bool(field.metadata.keys() & PLACE.keys())


@runtime_checkable
class Placed(Protocol):
    """A record with a field of metadata `PLACE`, which is set when the run is read."""

    def placed_in(self, run: Path) -> Self:
        """This record in the run of that folder."""
