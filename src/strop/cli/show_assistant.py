"""`strop assistant`: versions as a table, then what waits, then what is known of the people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from strop.assistant.beside import Beside
from strop.assistant.canary import Canary, Standing
from strop.assistant.forgetting import Forgotten
from strop.assistant.overview import Line, Overview
from strop.assistant.raters import Agreement
from strop.cli.output import console, pairs, print_rich, table
from strop.types import decimals
from strop.words import plural


def page(found: Overview) -> None:
    """Print an assistant."""
    out = console()
    out.print(f"{found.path}: version {found.serving} serves", style="bold")
    columns = ["version", "", "parent", "learnt from", "again", "answers changed", "preferred"]
    print_rich(table(columns, [_row(line) for line in found.versions], right=(0, 2, 3, 4)))
    if reasons := [line for line in found.versions if line.verdict is not None and not line.verdict.promote]:
        out.print(f"\nversion {reasons[-1].version}: {reasons[-1].verdict.why}")  # type: ignore[union-attr]
    for line in found.versions:
        if line.retired is not None:
            out.print(f"\nversion {line.version} is retired since {day(line.retired.when)}: {line.retired.why}")
    out.print()
    print_rich(pairs(_facts(found)))


def forgotten(found: Forgotten, is_done: bool) -> None:
    """Print what is deleted of people, or would be."""
    out = console()
    out.print("deleted" if is_done else "would be deleted; nothing is changed", style="bold")
    rows = [
        ("answers", str(found.answers)),
        ("feedback", str(found.feedback)),
        ("remembered", plural(found.facts, "fact")),
        ("versions", _listed(found.retired)),
        ("serves", f"version {found.serving}"),
        ("runs", _listed(found.runs)),
        ("exports", _listed(found.exports)),
        ("copies", _listed(found.copies)),
    ]
    if found.keyless:
        rows.append(("without a key", f"{found.keyless} more, of nobody who has one: forget --without-keys"))
    print_rich(pairs(rows))


def day(when: float) -> str:
    """The day of a time in seconds since 1970, UTC."""
    return datetime.fromtimestamp(when, UTC).date().isoformat()


def diff(old: int, new: int, found: Sequence[Beside]) -> None:
    """Print what two versions answer; answers that are the same are counted."""
    changed = [one for one in found if one.is_changed]
    console().print(f"{len(changed)} of {plural(len(found), 'answer')} changed", style="bold")
    if changed:
        rows = [(one.asked, one.old, one.new) for one in changed]
        print_rich(table(["question", f"version {old}", f"version {new}"], rows))


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names)) or "none"


def _row(line: Line) -> list[str]:
    parent = "" if line.parent is None else str(line.parent)
    changed = f"{line.changed} of {line.questions}" if parent else ""
    preferred = str(line.verdict.preference) if line.verdict is not None else ""
    return [str(line.version), line.status, parent, str(line.feedback), str(line.replayed), changed, preferred]


def _facts(found: Overview) -> list[tuple[str, str]]:
    new = sum(found.lessons.values())
    kinds = _counted(found.lessons) or "none"
    rows = [
        ("kept", _counted(found.counts) or "nothing"),
        ("not kept", f"{plural(found.not_kept, 'answer')} to people who did not agree to it"),
        ("new lessons", f"{kinds}: {new} of the {found.fewest_lessons} that learning takes"),
    ]
    if found.compared is not None:
        rows.append(("waits", f"{found.compared} comparisons of the {found.comparisons} that the gate takes"))
    rows.append(("to compare", _queued(found)))
    if found.canary is not None:
        rows.append(("canary", _canary(found.canary, found.standing)))
    if found.held:
        reasons = ", ".join(f"{reason} {number}" for reason, number in found.held.items())
        rows.append(("in quarantine", f"{plural(sum(found.held.values()), 'piece')} of feedback: {reasons}"))
    rows.append(("position bias", f"the first of two is chosen {found.bias}"))
    rows += [(f"agreement, {kind}s", _alpha(one)) for kind, one in found.agreements.items()]
    return rows


def _queued(found: Overview) -> str:
    """The pairs of answers that wait for people."""
    said = {"versions": "of two versions", "doubtful": "doubtful", "other": "other"}
    parts = [f"{number} {said[reason]}" for reason, number in found.queue.items() if number]
    return f"{plural(sum(found.queue.values()), 'pair')} of answers" + (f": {', '.join(parts)}" if parts else "")


def _canary(canary: Canary, standing: Standing | None) -> str:
    """What the version that waits answers, and how it is liked beside the one that serves."""
    if canary.ended:
        return f"version {canary.version} answers no more conversations: {canary.ended}"
    share = f"{canary.share:g} of the conversations" if canary.share else "no conversations now"
    return f"version {canary.version} answers {share}: {standing} of version {canary.beside}"


def _counted(numbers: Mapping[str, int]) -> str:
    """What there is of each kind, whose names are in the plural or the singular."""
    return ", ".join(plural(number, name.removesuffix("s")) for name, number in numbers.items() if number)


def _alpha(one: Agreement) -> str:
    if math.isnan(one.alpha):
        return f"({one.reason})"
    return f"alpha {decimals(one.alpha, 2)} of {one.raters} people on {one.units} that two or more judged"
