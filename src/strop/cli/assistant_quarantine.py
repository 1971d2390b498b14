"""`strop assistant DIR quarantine`: the feedback that nothing is learnt from, and what is decided of it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Usage
from strop.cli.output import print_json, print_rich, say, table
from strop.words import plural

if TYPE_CHECKING:
    from strop.assistant.home import Assistant
    from strop.assistant.quarantine import ByHand, Held


def run(assistant: Assistant, given: Sequence[str], as_json: bool) -> int:
    """Show what is in quarantine, or release, withhold or reset pieces and people."""
    from strop.assistant.believed import believing
    from strop.assistant.quarantine import read_by_hand, write_by_hand

    match given:
        case []:
            with assistant.feedback() as store:
                found = list(believing(assistant, store).held().values())
            _show(found, as_json)
        case [("release" | "withhold" | "reset") as what, first, *more]:
            names = _known(assistant, [first, *more])
            with assistant.lock():
                decided = _decided(read_by_hand(assistant.path), what, names)
                write_by_hand(assistant.path, decided)
            say(f"by hand: {plural(len(decided.released), 'name')} released, {len(decided.withheld)} withheld")
        case _:
            raise Usage("quarantine release, withhold or reset, and what?", hint="ids of feedback, or people's names")
    return DONE


def _decided(before: ByHand, what: str, names: Sequence[str]) -> ByHand:
    match what:
        case "release":
            return before.release(names)
        case "withhold":
            return before.withhold(names)
    return before.reset(names)


def _known(assistant: Assistant, names: Sequence[str]) -> list[str]:
    """Ids of feedback as they are, and people as the store names them. Raises ValueError for what is neither."""
    with assistant.feedback() as store:
        known = {name for one in store.feedback() for name in (one.id, one.rater)}
        found = [name if name in known else store.people.hashed(name) for name in names]
    for name, kept_as in zip(names, found, strict=True):
        if kept_as not in known:
            raise ValueError(f"{name!r} is no id of feedback and no person who gave some: quarantine shows them.")
    return found


def _show(found: Sequence[Held], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "id": one.feedback.id,
                    "kind": one.feedback.kind,
                    "rater": one.feedback.rater,
                    "value": one.feedback.value,
                    "reason": one.reason,
                    "why": one.why,
                }
                for one in found
            ]
        )
    elif found:
        rows = [(one.feedback.id, one.feedback.kind, one.feedback.rater, f"{one.reason}: {one.why}") for one in found]
        print_rich(table(["id", "kind", "person", "why"], rows))
    else:
        say("nothing is in quarantine")
