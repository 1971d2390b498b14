"""Conversations of customer service as they begin: people drawn from a seed, each with a first message."""

from __future__ import annotations

from strop.streams import stream
from strop.types import Message, Task
from strop.users.crowd import customers
from strop.users.phrases import Language, Wording, phrases_of


def support(wording: Wording, number: int, seed: int = 0, language: Language = "en", wrong: float = 0.1) -> list[Task]:
    """So many tasks for `strop.environments.Support`; task k depends on the seed, the wording and k alone.

    wording   train, development or held_out: whose words people use. None of their sentences about what is wrong, and
              none of their answers, stands in two of the three
    language  en or zh
    wrong     the share of thumbs that is the opposite of what people think

    `data` has the hidden facts of the `customer`.
    """
    system = Message(role="system", content=phrases_of(language).system)
    found = []
    for k, person in enumerate(customers(number, seed, wording, language, wrong)):
        first = person.write([], stream(seed, f"support/{wording}", k))
        prompt = [system, Message(role="user", content=first)]
        found.append(Task(person.id, prompt, data={"customer": person.facts()}))
    return found
