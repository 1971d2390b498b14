"""Where an error comes from: strop itself, or user code (a recipe, reward, environment, algorithm or plug-in)."""

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
    """The line of user code that raised the error, as `my.py, line 12, in reward`; empty if strop raised it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_known(frame.filename)]
    return _location(frames[-1]) if frames and not _is_own(frames[-1].filename) else ""


def passed_through(error: BaseException) -> str:
    """The innermost line of user code in the traceback; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename and not _is_own(error.filename):
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_known(frame.filename)]
    user_frames = [frame for frame in frames if not _is_own(frame.filename)]
    return _location(user_frames[-1]) if user_frames else ""


def _location(frame: traceback.FrameSummary) -> str:
    where = "" if frame.name == "<module>" else f", in {frame.name}"
    return f"{frame.filename}, line {frame.lineno}{where}"


def _is_own(file: str) -> bool:
    return Path(file).is_relative_to(_OWN)


def _is_known(file: str) -> bool:
    """Whether a file is strop's or the user's: not Python's own, and not of a package that is no strop plug-in."""
    path = Path(file)
    if _is_own(file):
        return True
    installed = [i for i, part in enumerate(path.parts) if part in _INSTALLED]
    if installed:
        return path.parts[installed[-1] + 1].removesuffix(".py") in _plug_ins()
    return not file.startswith("<") and not any(path.is_relative_to(folder) for folder in _STANDARD)


def _plug_ins() -> set[str]:
    """The packages that add algorithms, rewards and the like to strop."""
    return {entry.module.split(".")[0] for entry in loader.plug_ins()}
