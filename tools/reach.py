"""Which lines of some files run while something runs: what tells the tests that could notice a bug from all others."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import FrameType
from typing import Any

Line = tuple[str, int]


class Reach:
    """While it is entered it notes the lines (file, number) that run in this thread and stand in one of `files`."""

    def __init__(self, files: Collection[str]) -> None:
        self.files, self.lines = frozenset(files), set[Line]()

    def __enter__(self) -> Reach:
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A function begins: its lines are followed only where it stands in one of the files."""
        return self._line if frame.f_code.co_filename in self.files else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line
