"""Whose code an error comes from: strop's, or a person's recipe, reward, environment, algorithm or plug-in."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import strop
from strop import loader

_OWN = Path(strop.__file__).parent
_STANDARD = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")


def raised_in(error: BaseException) -> str:
    """The line of a person's own code that raised it, `my.py, line 12, in reward`; nothing where strop did."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_known(frame.filename)]
    return _place(frames[-1]) if frames and not _is_own(frames[-1].filename) else ""


def passed_through(error: BaseException) -> str:
    """The innermost line of a person's own code that it went through; nothing where there is none."""
    if isinstance(error, SyntaxError) and error.filename and not _is_own(error.filename):
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_known(frame.filename)]
    theirs = [frame for frame in frames if not _is_own(frame.filename)]
    return _place(theirs[-1]) if theirs else ""


def _place(frame: traceback.FrameSummary) -> str:
    where = "" if frame.name == "<module>" else f", in {frame.name}"
    return f"{frame.filename}, line {frame.lineno}{where}"


def _is_own(file: str) -> bool:
    return Path(file).is_relative_to(_OWN)


def _is_known(file: str) -> bool:
    """Strop's or a person's: all but Python's own files, and packages that are no plug-in of strop."""
    path = Path(file)
    if _is_own(file):
        return True
    installed = [i for i, part in enumerate(path.parts) if part in _INSTALLED]
    if installed:
        return path.parts[installed[-1] + 1].removesuffix(".py") in _plug_ins()
    return not file.startswith("<") and not any(path.is_relative_to(place) for place in _STANDARD)


def _plug_ins() -> set[str]:
    """The packages that add to strop's rooms."""
    return {entry.module.split(".")[0] for entry in loader.plug_ins()}
