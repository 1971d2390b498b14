"""What of all that people said is believed: not what is in quarantine, and of nobody more than their share."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from strop.assistant.canary import Canary, Standing, standing
from strop.assistant.compared import Judged, by_people, judges
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.lessons import Lesson, Lessons, lessons_of
from strop.assistant.quarantine import ByHand, Held, quarantined, read_by_hand
from strop.assistant.records import Feedback
from strop.assistant.settings import Settings
from strop.assistant.shares import capped


@dataclass(frozen=True, slots=True)
class Believing:
    """Decides it, by an assistant's settings and what was decided by hand, each time anew."""

    store: FeedbackStore
    settings: Settings
    decided: ByHand

    def held(self) -> dict[str, Held]:
        """What is in quarantine, by id and in order."""
        with self.store.reading():
            return quarantined(self.store, self.store.feedback(), self._known_settings, self.decided)

    def feedback(self) -> list[Feedback]:
        """What is not."""
        with self.store.reading():
            held = self.held()
            return [one for one in self.store.feedback() if one.id not in held]

    def shared(self, lessons: Lessons) -> Lessons:
        """The lessons, of each person up to their share."""
        return capped(lessons, self.settings.most_share, self._known_settings.trusted)

    def judge_pairs(self) -> list[Lesson]:
        """The pairs from which a reward model may learn to judge."""
        with self.store.reading():
            some = [one for one in self.feedback() if judges(one.rater, self.settings.judge_share)]
            return list(self.shared(lessons_of(self.store, some)).pairs)

    def by_people(self, new: int, old: int) -> Judged:
        """What people said who compared two versions.

        Who is left out is found from what they said of other things: a gate that looks at outcomes before it counts
        them would err more often than it says.
        """
        settings = self._known_settings
        with self.store.reading():
            held = self._held_by_others({one.id for one in self.store.feedback("comparison", new)})
            return by_people(self.store, new, old, held, settings.most_share, settings.trusted)

    def standing(self, canary: Canary) -> Standing:
        """How a canary and the version beside it are liked, by those who are believed for what they said of other
        answers."""
        with self.store.reading():
            held = self._held_by_others({one.id for one in self.store.scores(canary.since)})
            return standing(self.store, canary, held)

    def _held_by_others(self, counted: Container[str]) -> dict[str, Held]:
        """What is in quarantine, where only what is not counted tells who disagrees."""
        feedback = self.store.feedback()
        others = [one for one in feedback if one.id not in counted]
        return quarantined(self.store, feedback, self._known_settings, self.decided, evidence=others)

    @property
    def _known_settings(self) -> Settings:
        """The settings, with people as the store names them."""
        return replace(self.settings, trusted=[self.store.people.hashed(name) for name in self.settings.trusted])


def believing(assistant: Assistant, store: FeedbackStore) -> Believing:
    """By the files of an assistant."""
    return Believing(store, assistant.settings, read_by_hand(assistant.path))
