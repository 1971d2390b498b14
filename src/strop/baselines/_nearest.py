"""Which of a few names a text is nearest to, by the words that it shares with texts of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strop.users.phrases import WORD


def nearest(text: str, texts: Mapping[str, Sequence[str]]) -> str:
    """The name whose texts share most with this one: a shared word counts by how few of the names have it.

    The first of equals; so the first name where nothing is shared.
    """
    words = {name: {word for one in some for word in _words(one)} for name, some in texts.items()}
    num_names = {word: sum(word in some for some in words.values()) for word in set().union(*words.values())}
    shared = {name: sum(1.0 / num_names[word] for word in _words(text) & some) for name, some in words.items()}
    return max(shared, key=lambda name: shared[name])


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.casefold()))
