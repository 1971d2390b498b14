"""Every mutant of the files that hold the mathematics, which of them change nothing, and how one is put in place."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from plant import Mutant, plant

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
ROOMS = ("algorithms", "learners", "functional", "planning", "memory")
ALONE = ("batch",)
"""What several algorithms share and no folder holds."""
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")


@dataclass(frozen=True)
class Site:
    """A mutant and the module that it is planted in."""

    module: str
    mutant: Mutant

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is called in the list of equivalent ones: no line number, so that it outlives other edits."""
        return self.module, self.mutant.where, self.mutant.was, self.mutant.now

    def __str__(self) -> str:
        place = f"{self.module}:{self.mutant.line} in {self.mutant.where} ({self.mutant.kind})"
        return f"{place}\n    - {self.mutant.was}\n    + {self.mutant.now}"


def put_in_place(site: Site) -> None:
    """Give the function that holds the mutant its mutated code; whoever imported the function has it too."""
    found: Any = importlib.import_module(site.module)
    code = compile(site.mutant.source, site.module, "exec", dont_inherit=True)
    for name in site.mutant.where.split("."):
        found = inspect.getattr_static(found, name)
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name)
        if not isinstance(found, type):
            break
    found = inspect.unwrap(getattr(found, "fget", None) or getattr(found, "__func__", found))
    assert isinstance(found, FunctionType)
    found.__code__ = code


def planted(names: Sequence[str]) -> list[Site]:
    """Every mutant of the files or folders of these names (none: of all), one file after the other in turn."""
    library = SOURCE / "strop"
    files = [file for room in ROOMS for file in sorted((library / room).glob("*.py"))]
    files += [library / f"{name}.py" for name in ALONE]
    files = [file for file in files if file.stem != "__init__"]
    chosen = [file for file in files if not names or {file.stem, file.parent.name} & set(names)]
    if unknown := set(names) - {file.stem for file in chosen} - set(ROOMS):
        known = ", ".join([*ROOMS, *(file.stem for file in files)])
        raise SystemExit(f"error: no file to plant in is called {', '.join(sorted(unknown))}; there are {known}.")
    each = [[Site(_module(file), one) for one in plant(file.read_text(encoding="utf-8"))] for file in chosen]
    return [site for site in chain.from_iterable(zip_longest(*each)) if site is not None]


def _module(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE).with_suffix("").parts)


def equivalent() -> dict[tuple[str, str, str, str], str]:
    """The committed list: a mutant's key and the reason why it changes nothing that can be seen."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    return {(one["module"], one["where"], one["was"], one["now"]): one["reason"] for one in listed}
