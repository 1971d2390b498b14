"""One round: feedback, training, proof, and promotion or the reason why not.

judge="people"  a new version waits until people have compared it with the one that serves often enough
judge="model"   a reward model decides at once, which learnt from people from whom the assistant does not learn
judge="auto"    people where they compared often enough, else the model if it has enough pairs, else it waits
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from strop.assistant.answering import greedy_answers, load
from strop.assistant.believed import Believing, believing
from strop.assistant.climbing import flaw_of, trained_score
from strop.assistant.compared import Judged, judges
from strop.assistant.examination import skill_scores
from strop.assistant.exported import export_run
from strop.assistant.feedback import FeedbackStore
from strop.assistant.gate import Scores, Verdict, decide
from strop.assistant.home import Assistant, diff_text
from strop.assistant.judge import JUDGE, JudgedBy, by_model, check_judge
from strop.assistant.lessons import Lesson, Lessons, lessons_of
from strop.assistant.queue import Plan, read_plan, replayed, waiting, write_plan
from strop.assistant.records import Feedback
from strop.assistant.retention import tidy
from strop.assistant.settings import Settings
from strop.assistant.training import fitting, policy_from, train_round
from strop.assistant.versions import DIFF, MODEL, Manifest
from strop.runs.files import write_text
from strop.words import plural


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a round came to.

    version  the new version; its status: promoted, refused, or waiting for people to compare
    serving  the version that serves now
    verdict  of the gate so far
    """

    version: int
    status: Literal["promoted", "refused", "waiting"]
    serving: int
    verdict: Verdict


class NothingToLearn(ValueError):
    """There are too few new lessons."""


def learn(
    path: Path | str, judge: JudgedBy = "auto", *, progress: bool = True, tell: Callable[[str], None] | None = None
) -> Learnt:
    """Learn from what people said since the version that serves, and let the gate decide.

    A version that waits for people is judged again first; while it is undecided, and there is not enough to learn a
    newer one, it goes on waiting. What a crash cut off is completed. Raises NothingToLearn where there is nothing to
    do, in words that say what is missing, and ValueError where another process learns already.
    """
    check_judge(judge)
    assistant = Assistant(Path(path))
    with assistant.learner(), assistant.feedback() as store:
        return one_round(assistant, store, judge, progress, tell or (lambda text: None))


def one_round(
    assistant: Assistant, store: FeedbackStore, judge: JudgedBy, progress: bool, tell: Callable[[str], None]
) -> Learnt:
    """What `learn` does, for the only learner of an assistant (`Assistant.learner`)."""
    tidy(assistant, store, tell)
    with assistant.lock():
        number = assistant.versions.finish()
    if number is not None:
        tell(f"version {number} was promoted, and a crash came before it served")
        return _result(assistant, number)
    round = _Round(assistant, assistant.settings, store, believing(assistant, store), judge, tell, progress)
    candidate = assistant.versions.open_candidate()
    if candidate is not None and (found := round.judged_again(candidate)) is not None:
        return found
    return round.judged(round.trained())


@dataclass(frozen=True, slots=True)
class _Round:
    """What the steps of a round share."""

    assistant: Assistant
    settings: Settings
    store: FeedbackStore
    believed: Believing
    judge: JudgedBy
    tell: Callable[[str], None]
    progress: bool

    # ------------------------------------------------------------ learn

    def trained(self) -> int:
        """A new version, trained on what waits. Raises ValueError if that is too little."""
        versions = self.assistant.versions
        number, parent = versions.numbers()[-1] + 1, versions.serving
        plan = self._plan(number, parent)
        lessons, old = self._lessons({*plan.feedback, *plan.replayed}), self.assistant.actor(parent)
        kinds = lessons.kinds.items()
        lessons = Lessons(**{name: fitting(some, old.codec, old.policy.context) for name, some in kinds})
        lessons, score = self._with_score(lessons, number, versions.model(parent))
        held = plural(len(self.believed.held()), "piece")
        self.tell(f"version {number} learns from {lessons}, on top of version {parent}; {held} are in quarantine")
        round = self.assistant.round(number)
        run = train_round(lessons, versions.model(parent), round, self.settings, self.progress, score)
        manifest = Manifest(
            number=number,
            parent=parent,
            model=MODEL,
            origin=str(Path(run).relative_to(self.assistant.path)),
            feedback=[id for id in lessons.feedback if id in set(plan.feedback)],
            replayed=[id for id in lessons.feedback if id in set(plan.replayed)],
            when=time.time(),
        )
        questions = self.assistant.questions()
        self.tell(f"both versions answer {plural(len(questions), 'fixed question')}")
        with versions.adding(manifest) as folder:
            export_run(run, folder / MODEL)
            new = replace(load(str(folder / MODEL)), sampling=self.settings.sampling)
            answers = [greedy_answers(actor, questions) for actor in (old, new)]
            write_text(folder / DIFF, diff_text(questions, *answers))
        return number

    def _plan(self, number: int, parent: int) -> Plan:
        """The feedback of this round: that of one which was cut off, if it began at the same version."""
        file = self.assistant.round(number).with_suffix(".json")
        plan = read_plan(file)
        if plan is not None and plan.parent == parent:
            return plan
        if plan is not None:
            self._forget(number)
        versions = self.assistant.versions
        new, why = self._ready(self._to_learn_from)
        if len(new) < self.settings.fewest_lessons:
            raise NothingToLearn(
                f"{self.assistant.path} has {plural(len(new), 'new lesson')}, and learning takes "
                f"{self.settings.fewest_lessons}: thumbs, comparisons with a better answer, corrected answers, and "
                f"ratings.{f' {why}.' if why else ''}"
            )
        if why:
            self.tell(why)
        again = replayed(versions, len(new.feedback), self.settings.replay, self.settings.seed)
        left_out = {*self._left(), *self.believed.held()}
        plan = Plan(parent, new.feedback, [id for id in again if id not in left_out])
        write_plan(file, plan)
        return plan

    def _ready(self, feedback: Callable[[], Sequence[Feedback]]) -> tuple[Lessons, str]:
        """Each person's share of the lessons, and why ratings, which wait for a reward model, are not among them."""
        with self.store.reading():
            lessons = self.believed.shared(lessons_of(self.store, feedback()))
        flaw = flaw_of(lessons.ratings, self.settings) if lessons.ratings else ""
        return (replace(lessons, ratings=()), flaw) if flaw else (lessons, "")

    def _with_score(self, lessons: Lessons, number: int, base: str) -> tuple[Lessons, str]:
        """The lessons, and the run of the reward model that RLOO climbs; without one, without ratings."""
        if not lessons.ratings:
            return lessons, ""
        self.tell(f"a reward model learns from {plural(len(lessons.ratings), 'rating')}")
        policy, folder = policy_from(base, self.settings), self._score_folder(number)
        score, what = trained_score(lessons.ratings, policy, folder, self.settings)
        left = lessons if score else replace(lessons, ratings=())
        if not len(left):
            self._forget(number)
            raise NothingToLearn(f"{what}, and there is nothing else to learn from: collect more.")
        self.tell(what)
        return left, score

    def _score_folder(self, number: int) -> Path:
        """The run of the reward model of a round's ratings."""
        return self.assistant.round(number).with_name(f"{number:03d}-ratings")

    def _forget(self, number: int) -> None:
        """Remove the plan of a round and what was trained."""
        for folder in (self.assistant.round(number), self._score_folder(number)):
            shutil.rmtree(folder, ignore_errors=True)
        self.assistant.round(number).with_suffix(".json").unlink()

    def _to_learn_from(self) -> list[Feedback]:
        """What waits, but for what is left to a judge."""
        left = self._left()
        return [one for one in waiting(self.assistant.versions, self.believed.feedback()) if one.id not in left]

    def _left(self) -> set[str]:
        """The ids of all that those people said from whom a model learns to judge, if one will judge."""
        is_enough = len(self.believed.judge_pairs()) >= self.settings.judge_pairs
        if self.judge == "people" or (self.judge == "auto" and not is_enough):
            return set()
        return {one.id for one in self.store.feedback() if judges(one.rater, self.settings.judge_share)}

    def _lessons(self, ids: Container[str]) -> Lessons:
        with self.store.reading():
            return lessons_of(self.store, [one for one in self.store.feedback() if one.id in ids])

    # ------------------------------------------------------------ prove

    def judged_again(self, number: int) -> Learnt | None:
        """The result for a version that waits; None if it is closed undecided, since a newer one can be learnt."""
        found = self.believed.by_people(number, self.assistant.versions.serving)
        verdict = self._verdict(number, found)
        if verdict.promote or verdict.shows_worse(self.settings.margin):
            return self._closed(number, verdict)
        lessons, _ = self._ready(lambda: self._newer_than(number))
        if len(lessons) < self.settings.fewest_lessons:
            if self.judge == "model":
                return self.judged(number)
            return self._waits(number, verdict)
        self._closed(number, verdict)
        self.tell(f"version {number} is closed undecided, since there is enough to learn a newer one. {verdict.why}")
        return None

    def judged(self, number: int) -> Learnt:
        """The result for a version that was just trained."""
        found = self.believed.by_people(number, self.assistant.versions.serving)
        if len(found.outcomes) >= self.settings.comparisons or self.judge == "people":
            verdict = self._verdict(number, found)
            return self._closed(number, verdict) if verdict.promote else self._waits(number, verdict)
        pairs = self.believed.judge_pairs()
        if len(pairs) < self.settings.judge_pairs and self.judge == "auto":
            return self._waits(number, self._verdict(number, found))
        return self._closed(number, self._verdict(number, self._by_model(number, pairs)))

    def _by_model(self, number: int, pairs: Sequence[Lesson]) -> Judged:
        least, manifest = self.settings.judge_pairs, self.assistant.versions.manifest(number)
        learnt = {*manifest.feedback, *manifest.replayed}
        both = {one.rater for one in self.store.feedback() if one.id in learnt}
        if both := {rater for rater in both if judges(rater, self.settings.judge_share)}:
            raise ValueError(
                f"version {number} learnt from {plural(len(both), 'person', 'people')} from whom the reward model "
                "learns, so that cannot judge it: let people compare it."
            )
        if len(pairs) < least:
            flaw = f"a reward model has {plural(len(pairs), 'pair')} to learn from, and it takes {least}"
            return Judged([], "a reward model", flaw)
        self.tell(f"a reward model learns to judge from {plural(len(pairs), 'pair')}")
        versions = self.assistant.versions
        new, old = self.assistant.actor(number), self.assistant.actor(versions.serving)
        pairs = fitting(pairs, old.codec, old.policy.context)
        folder = self.assistant.round(number).with_name(f"{number:03d}{JUDGE}")
        base = versions.model(versions.serving)
        return by_model(pairs, base, new, old, self.assistant.questions(), folder, self.settings)

    def _verdict(self, number: int, found: Judged) -> Verdict:
        """The gate's verdict, with who judged."""
        skills = self._skills(number)
        verdict = decide(found.outcomes, skills, fewest=self.settings.comparisons, margin=self.settings.margin)
        if found.flaw:
            return replace(verdict, promote=False, why=f"Not promoted: {found.flaw}.")
        return replace(verdict, why=f"{verdict.why} Judged by {found.who}.")

    def _skills(self, number: int) -> dict[str, Scores]:
        """What both versions can, in the first tokens of an answer; what is known of a version is not asked again."""
        skills = self.assistant.skills()
        if not skills:
            return {}
        self.tell(f"both versions are examined: {', '.join(f'{name} ({len(skills[name])})' for name in skills)}")
        old, new = (skill_scores(self.assistant, one, skills) for one in (self.assistant.versions.serving, number))
        return {name: (old[name], new[name]) for name in skills}

    def _newer_than(self, number: int) -> list[Feedback]:
        """What neither the version that serves nor the one that waits has learnt from, nor compares the two."""
        learnt = set(self.assistant.versions.manifest(number).feedback)
        compared = {one.id for one in self.store.feedback("comparison", number)}
        return [one for one in self._to_learn_from() if one.id not in learnt | compared]

    # ------------------------------------------------------------ promote

    def _closed(self, number: int, verdict: Verdict) -> Learnt:
        """Write the verdict, and let the version serve if it says so. Raises ValueError after a rollback meanwhile."""
        versions = self.assistant.versions
        with self.assistant.lock():
            if (parent := versions.manifest(number).parent) != versions.serving:
                raise ValueError(
                    f"version {number} was compared with version {parent}, and version {versions.serving} serves now: "
                    "it stays as it is. The next round begins at the version that serves."
                )
            versions.judged(number, verdict)
            if verdict.promote:
                versions.promote(number)
        return _result(self.assistant, number)

    def _waits(self, number: int, verdict: Verdict) -> Learnt:
        return Learnt(number, "waiting", self.assistant.versions.serving, verdict)


def _result(assistant: Assistant, number: int) -> Learnt:
    """What became of a version that is judged."""
    verdict = assistant.versions.manifest(number).verdict
    assert verdict is not None
    return Learnt(number, "promoted" if verdict.promote else "refused", assistant.versions.serving, verdict)
