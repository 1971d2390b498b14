"""Pairs of answers for people to compare, prepared while nobody asks.

A thread of the server's own looks every few seconds whether anybody is being answered. If not, and fewer pairs wait
than may, it asks both versions, or the only one twice, what people asked before. It gives way as soon as somebody
comes. What people asked to be remembered is told to neither answer.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from strop.assistant.asked import MOST_ASKED, Asked, Messages, next_question
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.pair_store import key_of
from strop.assistant.pairs import Duel, reason_of
from strop.types import Prompt, messages_of, prompt_of
from strop.web.answering import Given, begin, cancel
from strop.web.errors import Refused
from strop.web.keeping import as_kept
from strop.web.requests import ChatRequest
from strop.web.served import Version

LOOK_SECONDS = 3.0
"""Between two looks whether anybody asks."""
AFTER_FAILURE_SECONDS = 60.0
"""Before the next pair where one could not be kept."""
END_SECONDS = 30.0
"""That the end of a server waits for the pair that is under way."""
WHOSE = ""
"""Nobody asked: these answers are for whoever compares."""

Preferring = Callable[[Prompt, str, str], float | None]


def duel_of(versions: Sequence[Version]) -> Duel:
    """The version that waits and the one that serves, of those that answer."""
    match [one.number for one in versions]:
        case [int() as serves, int() as waits]:
            return waits, serves
    return None


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares pairs.

    versions   that answer now: the one that serves, and one that may wait to be compared with it
    fixed      questions for two versions where people have asked no others
    most       pairs that wait for the first person
    tell       is told why none are prepared for a while
    preferred  the probability, by a reward model, that people find the first of two answers better; None without one
    left       questions that a version could not read or answer: they are not tried again
    """

    versions: Callable[[], Sequence[Version]]
    store: FeedbackStore
    fixed: Sequence[Messages]
    most: int
    tell: Callable[[str], None]
    preferred: Preferring | None = None
    left: set[str] = field(default_factory=set)
    ending: threading.Event = field(default_factory=threading.Event)

    def one(self) -> bool:
        """Prepare a pair, if that is wanted and nobody asks; whether it did."""
        versions = self.versions()
        duel = duel_of(versions)
        if self._is_busy(versions, own=0) or self._waiting(duel) >= self.most:
            return False
        done = self.store.pairs.asked(frozenset(one.number for one in versions)) | self.left
        question = next_question(self.store.asked(MOST_ASKED), self.fixed, done, duel)
        return question is not None and self._prepared(versions, question)

    def _waiting(self, duel: Duel) -> int:
        """The pairs that nobody has compared: of the two versions if there are two, else all."""
        reasons = (reason_of(pair, duel) for pair in self.store.pairs.all() if not pair.choices)
        return sum(reason == "versions" if duel else reason is not None for reason in reasons)

    def _is_busy(self, versions: Sequence[Version], own: int) -> bool:
        """Whether more is being answered than its own."""
        return sum(one.engine.health.running + one.engine.health.waiting for one in versions) > own

    def _prepared(self, versions: Sequence[Version], question: Asked) -> bool:
        try:
            begun = self._begun(versions, question.messages)
        except Refused as error:
            if error.status == 400:  # too long for the context
                self.left.add(key_of(question.messages))
            return False  # else the server ends, or many ask
        except ValueError:  # letters that the codec has not
            self.left.add(key_of(question.messages))
            return False
        given = [one for _, one in begun]
        try:
            if not self._whole(versions, given):
                return False
        finally:
            cancel(given)
        if any(one.answer.finish not in ("stop", "length") for one in given):
            self.left.add(key_of(question.messages))
            return False
        self._keep(begun, question)
        return True

    def _begun(self, versions: Sequence[Version], messages: Messages) -> list[tuple[Version, Given]]:
        """Two answers that have begun, with the version of each."""
        begun = list[tuple[Version, Given]]()
        try:
            for one in versions:
                asked = {"model": one.name, "messages": list(messages), "n": 2 // len(versions)}
                tokens = one.actor.codec.start(prompt_of(messages))
                begun += [(one, given) for given in begin(one, [tokens], ChatRequest.model_validate(asked))]
        except Exception:
            cancel([given for _, given in begun])
            raise
        return begun

    def _whole(self, versions: Sequence[Version], given: Sequence[Given]) -> bool:
        """Read the answers to their end; False if somebody else came, or the server ends."""
        for one in given:
            for piece in one.answer:
                one.pieces.append(piece)
                if self.ending.is_set() or self._is_busy(versions, own=len(given)):
                    return False
        return True

    def _keep(self, begun: Sequence[tuple[Version, Given]], question: Asked) -> None:
        """Answers first, then the pair: a crash in between leaves two answers that nobody is shown. Neither where the
        person withdrew the question meanwhile."""
        conversation = f"pair-{secrets.token_hex(12)}"
        kept = [
            answer
            for one, given in begun
            for answer in as_kept([given], one.number, question.messages, conversation, WHOSE)
        ]
        is_fixed = question.messages in self.fixed
        if not self.store.prepared(kept, is_fixed=is_fixed):
            return
        if is_fixed and self.store.answer(kept[0].inference).messages != list(question.messages):
            self.left.add(key_of(question.messages))  # it is kept masked, and would not be known again
        a, b = kept
        preferred = self.preferred(a.prompt, a.text, b.text) if self.preferred is not None else None
        self.store.pairs.add(a.inference, b.inference, seldom=question.seldom, preferred=preferred)

    def go_on(self) -> None:
        """Prepare pairs until the end."""
        while not self.ending.wait(LOOK_SECONDS):
            try:
                self.one()
            except OSError as error:  # a full disk, or an engine that hangs
                self._rest(str(error))
            except (ValueError, KeyError) as error:  # whose message may hold what somebody wrote
                self._rest(type(error).__name__)

    def _rest(self, why: str) -> None:
        self.tell(f"no answers to compare are prepared for {AFTER_FAILURE_SECONDS:g} s: {why}")
        self.ending.wait(AFTER_FAILURE_SECONDS)


@contextmanager
def preparing(
    assistant: Assistant,
    store: FeedbackStore,
    versions: Callable[[], Sequence[Version]],
    tell: Callable[[str], None],
) -> Iterator[None]:
    """Within the block a thread prepares pairs, as many as the settings say."""
    most = assistant.settings.pairs
    if not most:
        yield
        return
    fixed = [messages_of(question) for question in assistant.questions()]
    preparer = Preparer(versions, store, fixed, most, tell, _reader(assistant))
    thread = threading.Thread(target=preparer.go_on, name="strop pairs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        preparer.ending.set()
        thread.join(END_SECONDS)
        if thread.is_alive():
            raise TimeoutError(f"waited {END_SECONDS:g} s for the pair of answers that is being prepared.")


def _reader(assistant: Assistant) -> Preferring | None:
    """The reward model of the last round that had one."""
    from strop.assistant.judge import last_judge, preferred

    judge = last_judge(assistant.rounds)
    if judge is None:
        return None
    learnt = judge  # it is deleted with what it learnt from
    return lambda prompt, a, b: preferred(learnt, prompt, a, b) if learnt.path.is_dir() else None
