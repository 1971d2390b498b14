"""Who is forgotten, by all names under which they are kept, and what is kept of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from strop.assistant.erasing import Doomed
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.keys import Keys
from strop.assistant.memory import MemoryStore
from strop.assistant.needles import Needles, needles_of
from strop.types import messages_of


@dataclass(frozen=True, slots=True)
class Subjects:
    """Who is forgotten, and what is kept of them.

    users    as clients call them
    names    as the stores do
    doomed   of the feedback store
    facts    that they wanted remembered
    needles  by which it is found elsewhere
    """

    users: Sequence[str]
    names: Sequence[str]
    doomed: Doomed
    facts: Sequence[str]
    needles: Needles


def owners_of(assistant: Assistant, store: FeedbackStore) -> set[str] | None:
    """The names of all who have keys, and of trusted raters, as the stores keep them; None where there never were keys.

    Where the last key was removed there were: a call that forgets its person is cut off after that, and called again.
    """
    keys = Keys(assistant.path)
    if not keys.are_needed:
        return None
    known = [*(one.name for one in keys.all()), *assistant.settings.trusted]
    return {name for one in known for name in (one, store.people.hashed(one))}


def keyless(store: FeedbackStore, memory: MemoryStore | None, owners: AbstractSet[str]) -> dict[str, int]:
    """How much is kept of each person who is none of these, by their name as it is kept."""
    found = Counter(store.erasing.people())
    found.update({} if memory is None else memory.people())
    return {name: number for name, number in found.items() if name not in owners}


def names_of(store: FeedbackStore, users: Sequence[str]) -> list[str]:
    """How the stores may name these people: by hashes, or as they are where an earlier strop wrote them."""
    keys = [hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest() for user in users]
    return list(dict.fromkeys(name for user in (*users, *keys) if user for name in (store.people.hashed(user), user)))


def chosen(
    assistant: Assistant, store: FeedbackStore, memory: MemoryStore | None, users: Sequence[str], names: Sequence[str]
) -> Subjects:
    """What is kept of these people."""
    facts = [] if memory is None else memory.texts_of(names)
    return subjects_of(assistant, store, memory, users, names, store.erasing.of_people(names), facts)


def subjects_of(
    assistant: Assistant,
    store: FeedbackStore,
    memory: MemoryStore | None,
    users: Sequence[str],
    names: Sequence[str],
    doomed: Doomed,
    facts: Sequence[str],
) -> Subjects:
    """What would tell of these people: not what others wrote too, nor what is asked of or answered by every version."""
    versions = assistant.versions
    diffs = [one for number in versions.numbers() if versions.has_diff(number) for one in versions.diff(number)]
    answered = [text for one in diffs for text in (one["before"], one["after"])]
    fixed = [message["content"] for question in assistant.questions() for message in messages_of(question)]
    remembered = [] if memory is None else memory.texts_of([one for one in memory.people() if one not in names])
    others = [*store.erasing.others(doomed), *answered, *fixed, *remembered]
    needles = needles_of([*doomed.texts, *facts], [*doomed.ids, *users], others)
    return Subjects(users, names, doomed, facts, needles)
