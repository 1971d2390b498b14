"""The versions of config.json, and what reads the older ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FORMAT = 2
"""The newest version. Another one is needed when old files would be misread; `migrated` then reads those.

1 has no device: those runs computed on the CPU.
"""


def migrated(config: dict[str, Any], found: int) -> dict[str, Any]:
    """The config of an older format in the newest one."""
    is_trained_here = config.get("class") == "strop.TrainConfig"
    return {**config, "device": "cpu"} if found < 2 and is_trained_here else config


def known_format(path: Path, found: object) -> int:
    """The format; raises ValueError for one that this version cannot read."""
    if isinstance(found, int) and 1 <= found <= FORMAT:
        return found
    why = f"its config.json has format {found}, and this one reads {FORMAT}"
    if not found:
        why = "its config.json names things by modules that have moved since"
    raise ValueError(
        f"{path} was written by another version of strop: {why}; only that version, which provenance.json names, can "
        "show, judge or continue it (run.sqlite is whole: its metrics can be read as SQLite)."
    )
