"""What a server serves."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field

from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.memory import MemoryStore
from strop.serving.actor import Actor
from strop.serving.engine import Engine
from strop.web.errors import Refused
from strop.web.guard import Limits


@dataclass(frozen=True, slots=True)
class Served:
    """One actor behind its engine.

    name       what the API calls the model
    number     the version of the assistant that answers, where there is an assistant
    store      where answers and feedback are kept; None keeps nothing, and no feedback is taken
    candidate  a version that waits for people to compare it with this one
    memory     what people asked to be remembered; None remembers nothing
    assistant  the folder of the assistant, for the page that shows it
    """

    name: str
    engine: Engine
    number: int | None = None
    store: FeedbackStore | None = None
    limits: Limits = field(default_factory=Limits)
    candidate: Served | None = None
    memory: MemoryStore | None = None
    assistant: Assistant | None = None

    @property
    def models(self) -> list[Served]:
        """All that the API answers with, first the one that the chat talks to."""
        return [self] if self.candidate is None else [self, self.candidate]

    def named(self, name: str) -> Served:
        """The model of this name. Raises Refused if there is none."""
        for one in self.models:
            if one.name == name:
                return one
        raise Refused(
            f"there is no model {name[:100]!r} here; there is {', '.join(repr(one.name) for one in self.models)}.",
            status=404,
            code="model_not_found",
            param="model",
        )

    @property
    def actor(self) -> Actor:
        """Who answers."""
        return self.engine.actor

    @property
    def version(self) -> str:
        """What every answer says that it came from."""
        return self.name if self.number is None else f"{self.name} v{self.number}"


def strop_version() -> str:
    """The version of strop that serves."""
    return importlib.metadata.version("strop")
