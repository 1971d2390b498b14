"""Lines that hold what people wrote are taken out of files of lines, and the others stay as they are."""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from strop.assistant.needles import ENCODINGS, Needles
from strop.runs.files import replace_bytes, writing

LINEWISE = (".jsonl", ".log", ".txt")
"""Kinds of files that may lose a line and stay what they are: a table or an archive may not."""
MOST = 1 << 28
"""Bytes of a file from which lines are taken: it is held in memory."""
_IN_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Control characters: bytes that read like this in an encoding are no text in it."""
_AT_ONCE = 1000
"""Lines that are read together."""
_FEW, _MANY = 2, 20
"""So many lines, and no more, are theirs however short a file is, or however long."""


def without_lines(file: Path, needles: Needles) -> bool:
    """Take the lines out of a file of lines in which one of them stands, in whichever encoding; False for another."""
    seen = file.stat()
    if file.suffix not in LINEWISE or seen.st_size > MOST:
        return False
    data = file.read_bytes()
    for encoding in ENCODINGS:
        text = _text(data, encoding)
        found = None if text is None else _kept(text, file.suffix, needles)
        if found is not None:
            if _is_written(file, seen):
                return False
            kept, is_all_out = found
            with writing(file.name, file.parent):
                replace_bytes(file, kept.encode(encoding))
            return is_all_out
    return False


def _is_written(file: Path, seen: os.stat_result) -> bool:
    """Whether somebody writes to a file since: what they write from now on would be lost with it."""
    now = file.stat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) != (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _text(data: bytes, encoding: str) -> str | None:
    """Bytes as a text; None if they are none in this encoding."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _IN_NO_TEXT.search(text) or text.encode(encoding) != data else text


def _kept(text: str, ending: str, needles: Needles) -> tuple[str, bool] | None:
    """The text without those lines, and whether none of them stays; None if it is none of lines, or has none."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = list(io.StringIO(text.removeprefix(mark), newline=""))  # what ends one on a screen alone ends none
    some = (lines[at : at + _AT_ONCE] for at in range(0, len(lines), _AT_ONCE))
    holding = {line: _theirs(line, needles) for block in some for line in _holding(block, needles)}
    if not _is_linewise(lines, holding, ending):
        return None
    common = _common(lines, holding)
    kept = [line for line in lines if line not in holding or _may_stay(line, holding[line], common, needles)]
    return None if kept == lines else (mark + "".join(kept), holding.keys().isdisjoint(kept))


def _holding(lines: Sequence[str], needles: Needles) -> Iterator[str]:
    """The lines in which one of them stands. Most have none, and are read together."""
    if not needles.are_in_text("".join(lines)):
        return
    if len(lines) == 1:
        yield lines[0]
        return
    half = len(lines) // 2
    yield from _holding(lines[:half], needles)
    yield from _holding(lines[half:], needles)


def _is_linewise(lines: Sequence[str], holding: Iterable[str], ending: str) -> bool:
    """Whether what is left without some lines is a file of the same kind. One JSON value may take many lines, and a
    list in a line may hold what many people wrote."""
    if ending == ".jsonl":
        return all(map(_is_object, lines)) and all(isinstance(_read(line), dict) for line in holding)
    whole = _read("".join(lines))
    return not isinstance(whole, list) and not (isinstance(whole, dict) and len(lines) > 1)


def _is_object(line: str) -> bool:
    """Whether a line looks like an object of JSON, or is empty: to read all of them takes longer than all else."""
    said = line.strip()
    return not said or (said[0] == "{" and said[-1] == "}")


def _read(line: str) -> object:
    """The JSON of a line; what is none stays as it is."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def _texts(value: object) -> Iterator[str]:
    """The texts in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _theirs(line: str, needles: Needles) -> set[str]:
    """Which lines of theirs a line says: JSON says what its texts do."""
    return {found for text in _texts(_read(line)) for found in needles.lines_in(text)}


def _common(lines: Sequence[str], holding: Mapping[str, AbstractSet[str]]) -> set[str]:
    """What stands in so many lines of a file that most of these may be those of others: the form of a file, say."""
    counts = Counter(text for line in lines for text in holding.get(line, ()))
    most = min(_MANY, max(_FEW, len(lines) // 2))
    return {text for text, count in counts.items() if count > most}


def _may_stay(line: str, theirs: AbstractSet[str], common: AbstractSet[str], needles: Needles) -> bool:
    """Whether a line may be another's: it does not name them, and says nothing that only they wrote."""
    return theirs <= common and not needles.are_named_in(line)
