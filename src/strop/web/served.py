"""What a server serves: versions that answer, and where what people say is kept."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.assistant.canary import Canary
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.memory import MemoryStore
from strop.serving.actor import Actor
from strop.serving.engine import Engine
from strop.web.door import Door
from strop.web.errors import Refused
from strop.web.guard import Limits
from strop.web.moment import Moment
from strop.web.withdrawals import Withdrawals

if TYPE_CHECKING:
    from strop.web.weights import Weights


@dataclass(frozen=True, slots=True)
class Version:
    """A model behind its engine.

    name     what the API calls the model
    number   the version of the assistant, where there is one
    weights  the sha256 of the weights that a learner published, where it has
    """

    name: str
    engine: Engine
    number: int | None = None
    weights: str = ""

    @property
    def actor(self) -> Actor:
        """Who answers."""
        return self.engine.actor

    @property
    def label(self) -> str:
        """What every answer says that it came from."""
        if self.weights:
            return self.weights
        return self.name if self.number is None else f"{self.name} v{self.number}"

    @property
    def exact(self) -> str:
        """What the API calls this version alone, whichever one serves."""
        return self.name if self.number is None else f"{self.name}-v{self.number}"


class Served:
    """A version that serves, and one that may wait for people to compare it with that.

    name       what the API calls the version that serves
    store      where answers and feedback are kept; None keeps nothing, and no feedback is taken
    memory     what people asked to be remembered; None remembers nothing
    assistant  the folder of the assistant, for the page that shows it
    door       who may come in; by default everybody who reaches loopback
    canary     which conversations the version that waits answers; None: none of them
    refused    why a version does not serve that should
    weights    what loads those that a learner publishes; None: nobody publishes any

    Versions may change at any time, in another thread. Whoever asks one does so within `asked`, so that no version is
    let go while a request is on its way to it.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        number: int | None = None,
        store: FeedbackStore | None = None,
        limits: Limits | None = None,
        memory: MemoryStore | None = None,
        assistant: Assistant | None = None,
        door: Door | None = None,
    ) -> None:
        self.name, self.store, self.memory, self.limits = name, store, memory, limits or Limits()
        self.assistant, self.door = assistant, door or Door()
        self.canary: Canary | None = None
        self.refused = ""
        self.weights: Weights | None = None
        self.withdrawals = Withdrawals()
        self._alone = threading.Lock()
        self._versions = [Version(name, engine, number)]

    @property
    def versions(self) -> list[Version]:
        """First the version that serves, then one that waits."""
        return self._versions

    @property
    def serves(self) -> Version:
        """The version that serves now."""
        return self._versions[0]

    def moment(self) -> Moment:
        """Now, as the stores count it; reads them."""
        return Moment(
            feedback=None if self.store is None else self.store.erasing.forgettings(),
            memory=None if self.memory is None else self.memory.forgettings(),
        )

    @property
    def engine(self) -> Engine:
        """That of the version that serves now."""
        return self.serves.engine

    @contextmanager
    def asked(self, name: str, conversation: str = "") -> Iterator[Version]:
        """The version that answers a conversation by this name, and takes requests within the block.

        The block asks and does not wait: other requests do, meanwhile. Raises Refused if there is none.
        """
        with self._alone:
            is_canary = name == self.name and self.canary is not None and self.canary.takes(conversation)
            yield self._versions[1] if is_canary else self.named(name)

    def named(self, name: str) -> Version:
        """The version of this name, of its own or that of the model. Raises Refused if there is none."""
        if name == self.name:
            return self.serves
        for one in self.versions:
            if one.exact == name:
                return one
        names = [self.name, *(one.exact for one in self.versions[1:])]
        raise Refused(
            f"there is no model {name[:100]!r} here; there is {', '.join(map(repr, names))}.",
            status=404,
            code="model_not_found",
            param="model",
        )

    def change(self, versions: list[Version], canary: Canary | None = None) -> None:
        """Serve these from now on. What was asked before ends where it began."""
        assert canary is None or canary.version == versions[1].number
        with self._alone:
            self._versions, self.canary = versions, canary


def strop_version() -> str:
    """The version of strop that serves."""
    return importlib.metadata.version("strop")
