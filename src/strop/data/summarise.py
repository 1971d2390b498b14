"""Descriptions of software and the line that sums each up, in three splits that share no family and no near twin.

Packages come in families: what is built from one source (`foo`, `libfoo-dev`, `foo-doc`), and what is the same thing
for another language or in another version (`python-foo`, `ruby-foo`, `foo2`). Their descriptions begin alike, so one
package of each family stays. What is left in training and is still like a held-out one leaves it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from strop.data.debian import described, has_apt
from strop.data.progress import Tell, to_stderr
from strop.data.tasks import from_file
from strop.data.twins import leaks
from strop.packages import home
from strop.types import Task
from strop.words import plural

AUTO = "auto"
"""Debian's packages, out of apt's index."""
OWN = "give a file of your own, data=FILE, with the columns text and summary"
LENGTHS, SUMMARY = range(25, 161), range(3, 15)
"""Words of a text and of its summary: a shorter text is its own summary, a longer one is mostly no description."""
NEAR = 0.5
"""Two texts are twins from this similarity (`strop.data.leaks`)."""
MOST_TRAINED, MOST_HELD = 8000, 400
HELD_SHARE = 0.1
"""Of the families, in each of the two splits that are not trained on, up to `MOST_HELD`."""
BEFORE = re.compile(
    r"^(?:lib|python3?-|ruby-|golang-(?:github-|gopkg-|golang-)?|node-|haskell-|ghc-|rust-|r-(?:cran|bioc|other)-|php-"
    r"|elpa-|ocaml-|js-|fonts?-|gir1\.2-)+"
)
BEHIND = re.compile(
    r"(?:-(?:dev|docs?|data|common|bin|utils|tools|dbg|perl|java|ruby|clojure|el|cil|r|ocaml|rs|libs?|python|go|js"
    r"|plugins?|extras?|l10n|contrib|examples?|all|core|base))+$|[-.]?\d[\d.]*$"
)
UNTOLD = re.compile(r"\b(?:transitional|dummy|meta-?package)\b", re.IGNORECASE)
"""Of packages that are nothing by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Texts (the prompts) and their summaries (the answers). `development` is for choosing, `held_out` for the end."""

    train: Sequence[Task]
    development: Sequence[Task]
    held_out: Sequence[Task]


def summaries(data: str | Path = AUTO, *, tell: Tell = to_stderr) -> Summaries:
    """Read, clean and split pairs.

    data  a file with the columns text and summary, and family where texts belong together (any format of
          `strop.data.from_file`); auto takes the descriptions of Debian's packages, where apt is there
    tell  is given lines on what was read and dropped; by default they go to stderr

    Raises ValueError where apt is not there or fetches nothing, for a file that cannot be read, and where too few pairs
    are left.
    """
    file = _debian(tell) if data == AUTO else Path(data).expanduser()
    rows = from_file(file, prompt="text", answer="summary", tell=tell)
    dropped = Counter[str]()
    kept = [task for row in rows if (task := _cleaned(row, dropped)) is not None]
    families = _one_of_each(kept)
    dropped["of a family that is there"] = len(kept) - len(families)
    found = _split(families, dropped)
    counts = ", ".join(f"{number:,} {why}" for why, number in dropped.most_common() if number) or "none"
    tell(f"read {plural(len(rows), 'pair')} from {file}; dropped {counts}")
    sizes = [f"{len(part):,}" for part in (found.train, found.development, found.held_out)]
    tell(f"{sizes[0]} pairs to train on, {sizes[1]} to choose by, {sizes[2]} held out")
    return found


def family_of(package: str) -> str:
    """What a package's name has in common with those of the same thing for another language, or in another version."""
    name = package.lower()
    rest = BEFORE.sub("", name)
    while (shorter := BEHIND.sub("", rest)) != rest:
        rest = shorter
    return rest or name


def _debian(tell: Tell) -> Path:
    """The file of Debian's packages; it is made on first use."""
    file = home() / "summarise" / "debian.jsonl"
    if file.is_file():
        return file
    if not has_apt():
        raise ValueError(f"the descriptions of software come from apt, which this machine does not have: {OWN}.")
    try:
        found = described(tell)
    except ValueError as error:
        raise ValueError(f"{error} Or {OWN}.") from error
    found.sort(key=lambda one: (family_of(one.source), len(one.package), one.package))  # foo before libfoo-dev
    lines = [
        {"id": one.package, "text": one.text, "summary": one.summary, "family": family_of(one.source)}
        for one in found
        if one.text and one.summary
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")  # another process may write the same file
    beside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return beside.replace(file)


def _cleaned(task: Task, dropped: Counter[str]) -> Task | None:
    """The task with one space between words, its paragraphs kept; None for what is counted as dropped."""
    assert isinstance(task.prompt, str)
    text = "\n".join(line for raw in task.prompt.splitlines() if (line := " ".join(raw.split())))
    summary = " ".join(task.answer.split()).rstrip(".")
    if len(text.split()) not in LENGTHS:
        dropped["too short or too long"] += 1
    elif len(summary.split()) not in SUMMARY:
        dropped["with a summary too short or too long"] += 1
    elif UNTOLD.search(summary):
        dropped["nothing by themselves"] += 1
    else:
        return replace(task, prompt=text, answer=summary)
    return None


def _one_of_each(tasks: Sequence[Task]) -> list[Task]:
    """The first task of each family, in an order that depends on the families' names alone."""
    families: dict[str, Task] = {}
    for task in tasks:
        families.setdefault(str(task.data.get("family") or task.id), task)
    return [families[name] for name in sorted(families, key=_place)]


def _place(family: str) -> bytes:
    return hashlib.blake2b(family.encode(), digest_size=8).digest()


def _split(tasks: Sequence[Task], dropped: Counter[str]) -> Summaries:
    """The three splits, where neither text nor summary of an earlier one is in a later one too."""
    number = min(MOST_HELD, max(1, int(HELD_SHARE * len(tasks))))
    held_out, rest = list(tasks[:number]), tasks[number:]
    development = _unlike(rest[:number], held_out, dropped)
    train = _unlike(rest[number : number + MOST_TRAINED], [*held_out, *development], dropped)
    if not train or not development:
        raise ValueError(f"{plural(len(tasks), 'family', 'families')} of texts are left after cleaning: too few.")
    return Summaries(train=train, development=development, held_out=held_out)


def _unlike(tasks: Sequence[Task], others: Sequence[Task], dropped: Counter[str]) -> list[Task]:
    """The tasks that are no twins of another, and have none of their summaries."""
    taken = {task.answer.casefold() for task in others}
    kept = [task for task in tasks if task.answer.casefold() not in taken]
    # a run weighs by how many texts hold it, so those that stay may be more alike once others have left
    while twins := {twin.task.id for twin in leaks(kept, others, NEAR)}:
        kept = [task for task in kept if task.id not in twins]
    dropped["near twins of a held-out one"] += len(tasks) - len(kept)
    return kept
