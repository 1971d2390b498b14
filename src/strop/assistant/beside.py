"""What two versions answer to the fixed questions, side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from strop.assistant.versions import Versions
from strop.types import Prompt, messages_of


@dataclass(frozen=True, slots=True)
class Beside:
    """A fixed question, and the greedy answers of two versions."""

    question: Prompt
    old: str
    new: str

    @property
    def is_changed(self) -> bool:
        """Whether the answers differ."""
        return self.old != self.new

    @property
    def asked(self) -> str:
        """The question as one text."""
        return "\n".join(message["content"] for message in messages_of(self.question))


def side_by_side(versions: Versions, old: int, new: int) -> list[Beside]:
    """The questions that both versions answered, those first whose answers differ.

    Raises ValueError for a version that there is not, or whose answers are missing.
    """
    before, after = (_answers(versions, number) for number in (old, new))
    found = [
        Beside(json.loads(question), before[question], after[question]) for question in after if question in before
    ]
    return sorted(found, key=lambda one: not one.is_changed)


def _answers(versions: Versions, number: int) -> dict[str, str]:
    """The answers of a version by question."""
    versions.manifest(number)
    try:
        rows: list[dict[str, Any]] = list(versions.diff(number))
    except OSError as error:
        raise ValueError(f"version {number} has no answers to the fixed questions: {error}") from error
    return {json.dumps(row["question"]): row["after"] for row in rows}
