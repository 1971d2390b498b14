"""What can notice a planted bug: the tests that fit a module, and the checks of `strop verify`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sites import ROOT

if TYPE_CHECKING:
    from strop.verify.checks import Check

EVERY = "from exact.learners import"
"""What a test file says that takes every algorithm of the folder."""
SHARED = ("strop.batch", "strop.learners.")
"""What algorithms import: a test of one of them may tell something of it."""
BY_FOLDER = ("strop.planning.", "strop.memory.")
"""Folders small enough that a test of one file may tell something of all others."""
OTHERWISE = ("tests/faults", "tests/learning", "tests/unit/cli", "tests/unit/verify")
"""Tests of other things, or of the same things in minutes."""


@dataclass(frozen=True)
class Probe:
    """What can notice a bug: a test, or where `is_check` says so a check of `strop verify`."""

    name: str
    fails: Callable[[], bool]
    is_check: bool


def tests_of(module: str) -> list[str]:
    """The test files that fit a module: those that name it, its class or an algorithm that needs it, and those that
    take every algorithm."""
    stem, files = module.rpartition(".")[2], set()
    names = {module} | (users(module) if module.startswith(SHARED) else set())
    if module.startswith(BY_FOLDER):
        names.add(module.rpartition(".")[0])
    named = re.compile("|".join(rf"\balgorithms\.{name}\b" for name in classes(module)) or "(?!)")
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = str(file.relative_to(ROOT))
        is_shared = not module.startswith(("strop.algorithms.", "strop.planning.")) and path.startswith("tests/exact")
        text = file.read_text(encoding="utf-8")
        is_named = any(name in text for name in names)
        fits = is_shared or is_named or file.stem.startswith(f"test_{stem}") or EVERY in text or named.search(text)
        if fits and not path.startswith(OTHERWISE):
            files.add(path)
    return sorted(files)


def users(module: str) -> set[str]:
    """The algorithms that import a module."""
    files = (ROOT / "src" / "strop" / "algorithms").glob("*.py")
    return {f"strop.algorithms.{file.stem}" for file in files if f"from {module} import" in file.read_text("utf-8")}


def classes(module: str) -> list[str]:
    """The classes that a module defines."""
    source = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    return [one.name for one in ast.parse(source).body if isinstance(one, ast.ClassDef)]


def tests(session: pytest.Session) -> Iterator[Probe]:
    """The tests that were collected; after each, everything is torn down."""
    for item in session.items:

        def fails(item: pytest.Item = item) -> bool:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            return session.testsfailed > 0

        yield Probe(item.nodeid, fails, is_check=False)


def checks() -> Iterator[Probe]:
    """The quick checks of `strop verify`."""
    from strop.verify.checks import find, measure

    for check in find():
        check.load()

        def fails(check: Check = check) -> bool:
            return any(row.verdict != "pass" for row in measure(check))

        yield Probe(f"{check.module}.{check.function}", fails, is_check=True)
