"""The lowest versions that are declared are those that `make test-lowest` runs on."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def test_every_declared_floor_is_one_that_is_run() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["demo"]]
    floors = {
        canonicalize_name(one.name): Version(part.version)
        for one in declared
        for part in one.specifier
        if part.operator == ">="
    }
    lines = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    run = {canonicalize_name(name): Version(version) for name, version in pins.items()}
    assert len(floors) > len(project["dependencies"])
    assert floors == {name: run[name] for name in floors}
