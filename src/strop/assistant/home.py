"""The folder of an assistant: settings, questions, skills, feedback, versions, and the runs in which it learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strop.assistant.answering import greedy_answers, load
from strop.assistant.feedback import FILE as FEEDBACK
from strop.assistant.feedback import FeedbackStore
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.assistant.nearness import Ngrams
from strop.assistant.settings import FILE as SETTINGS
from strop.assistant.settings import Settings, read_settings, write_settings
from strop.assistant.skills import read_skills, shipped_skills, write_questions, write_skills
from strop.assistant.versions import DIFF, MODEL, Versions, first_manifest
from strop.data.progress import to_stderr
from strop.data.tasks import from_file
from strop.runs.directory import RunDirectory, names_a_run
from strop.runs.files import Occupied, new_folder, write_text
from strop.serving.actor import Actor
from strop.types import Message, Prompt, Task
from strop.users.phrases import LANGUAGES, phrases_of

QUESTIONS, ROUNDS = "questions.jsonl", "rounds"
FEWEST_QUESTIONS = 50
MINILM = "minilm"


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant on disk: `strop.assistant.Assistant(Path("mine"))`."""

    path: Path

    @property
    def settings(self) -> Settings:
        """Its settings. Raises ValueError if the folder is no assistant."""
        return read_settings(self.path)

    @property
    def versions(self) -> Versions:
        """Its versions."""
        return Versions(self.path)

    def feedback(self) -> FeedbackStore:
        """Its feedback, to be closed."""
        return FeedbackStore(self.path / FEEDBACK)

    def memory(self) -> MemoryStore:
        """What people asked it to remember, to be closed. Raises ValueError for an encoder that there is not."""
        encoder = self.settings.embedding
        return MemoryStore(self.path / MEMORY, embedding(encoder), encoder)

    def questions(self) -> list[Prompt]:
        """The fixed questions."""
        return [task.prompt for task in from_file(self.path / QUESTIONS)]

    def skills(self) -> dict[str, list[Task]]:
        """The guarded skills."""
        return read_skills(self.path)

    def actor(self, version: int | None = None) -> Actor:
        """The version that serves, or another one, to answer with. Raises DamagedVersion if its files are not whole."""
        number = self.versions.serving if version is None else version
        self.versions.verify(number)
        return replace(load(self.versions.model(number)), sampling=self.settings.sampling)

    @property
    def rounds(self) -> Path:
        """The folder of its trainings."""
        return self.path / ROUNDS

    def round(self, number: int) -> Path:
        """The folder of the training of a version."""
        return self.rounds / f"{number:03d}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process at a time promotes or rolls back. Raises ValueError naming the process that does."""
        with RunDirectory(self.path).lock():
            yield

    @contextmanager
    def learner(self) -> Iterator[None]:
        """Only one process learns, and others may roll back meanwhile. Raises ValueError naming the process that
        learns, or if the folder is no assistant."""
        read_settings(self.path)
        rounds = self.path / ROUNDS
        rounds.mkdir(exist_ok=True)
        with RunDirectory(rounds).lock():
            yield


def create(
    path: Path | str,
    model: str = "smollm2",
    *,
    settings: Settings | None = None,
    questions: Sequence[str | list[Message]] | None = None,
    skills: Mapping[str, Sequence[Task]] | None = None,
) -> Assistant:
    """Make an assistant in a new folder, whose version 0 serves.

    model      the name of a known model, a Hub id, a model's folder or a run; of the last two a copy is kept
    questions  at least 50, which every version answers; the default asks for help, in English and Chinese
    skills     what a new version must still do: tasks with answers by name; the default is sums and repeating words.
               None at all is {}
    """
    path = Path(path)
    questions = default_questions() if questions is None else questions
    if len(questions) < FEWEST_QUESTIONS:
        raise ValueError(f"there are {len(questions)} questions: it takes {FEWEST_QUESTIONS} to tell versions apart.")
    try:
        with new_folder("a new assistant", path) as folder:
            write_settings(folder, settings or Settings())
            write_questions(folder / QUESTIONS, questions)
            write_skills(folder, shipped_skills() if skills is None else skills)
            _first_version(Assistant(folder), model)
    except Occupied:
        raise ValueError(f"{path} exists and is not empty: choose another folder for the assistant.") from None
    return Assistant(path)


def embedding(name: str) -> Callable[[Sequence[str]], Any]:
    """How texts are compared: by their letters, or by a sentence encoder. Raises ValueError if there is none."""
    if not name:
        return Ngrams()
    from strop.policies.sentence import Sentence  # its first call loads torch

    if name != MINILM and not Path(name).is_dir():
        raise ValueError(
            f"{SETTINGS}: embedding={name!r} is no folder: give that of a sentence encoder, or {MINILM!r}, or leave it "
            "empty to compare letters."
        )
    return Sentence("" if name == MINILM else name)


def default_questions() -> list[str]:
    """What readers ask about each topic, in every language."""
    return [
        asked.format(topic=topic)
        for language in LANGUAGES
        for topic in phrases_of(language).topics
        for asked in phrases_of(language).asked
    ]


def _first_version(assistant: Assistant, model: str) -> None:
    versions = assistant.versions
    is_run, is_folder = names_a_run(model), Path(model).is_dir()
    with versions.adding(first_manifest(MODEL if is_run or is_folder else model, model)) as folder:
        if is_run:
            from strop.assistant.exported import export_run  # loads torch, which reading needs not

            export_run(model, folder / MODEL)
        elif is_folder:
            shutil.copytree(model, folder / MODEL)
        actor = load(str(folder / MODEL) if is_run or is_folder else model)
        given = replace(actor, sampling=assistant.settings.sampling)
        questions = assistant.questions()
        to_stderr(f"version 0 answers {len(questions)} fixed questions, beside which later versions can be read")
        answers = greedy_answers(given, questions)
        write_text(folder / DIFF, diff_text(questions, [""] * len(answers), answers))
    versions.start()


def diff_text(questions: Sequence[Prompt], before: Sequence[str], after: Sequence[str]) -> str:
    """The lines of diff.jsonl."""
    rows = zip(questions, before, after, strict=True)
    lines = [{"question": question, "before": old, "after": new} for question, old, new in rows]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
