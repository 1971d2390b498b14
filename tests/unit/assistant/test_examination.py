"""Guarded skills are examined once a version, and again where the tasks are others."""

from pathlib import Path

import pytest

from served import actor
from strop.assistant import Settings, examination, first_manifest
from strop.assistant.examination import skill_scores
from strop.assistant.home import Assistant
from strop.assistant.settings import write_settings
from strop.types import Task

WORDS = [Task(str(n), f"question {n}", f"word{n}") for n in range(4)]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch):
    """An assistant whose answers are known, and every set of tasks that it was asked."""
    made = Assistant(tmp_path / "mine")
    made.rounds.mkdir(parents=True)
    write_settings(made.path, Settings(max_tokens=8))
    with made.versions.adding(first_manifest("tiny", "tiny")):
        pass
    made.versions.start()
    monkeypatch.setattr(Assistant, "actor", lambda self, version=None: actor(has_end=False))
    seen = []

    def examined(one, tasks):
        seen.append((one.sampling.max_tokens, [task.answer for task in tasks]))
        return [float(task.answer == "word1") for task in tasks]

    monkeypatch.setattr(examination, "examined", examined)
    return made, seen


def test_a_version_is_examined_once(asked):
    made, seen = asked
    assert skill_scores(made, 0, {"words": WORDS}) == {"words": [0.0, 1.0, 0.0, 0.0]}
    assert skill_scores(made, 0, {"words": WORDS}) == {"words": [0.0, 1.0, 0.0, 0.0]}
    assert seen == [(8, ["word0", "word1", "word2", "word3"])]


def test_a_new_skill_is_examined_alone_and_a_changed_one_again(asked):
    made, seen = asked
    skill_scores(made, 0, {"words": WORDS})
    assert skill_scores(made, 0, {"words": WORDS, "few": WORDS[1:2]}) == {"words": [0.0, 1.0, 0.0, 0.0], "few": [1.0]}
    changed = [Task("0", "question 0", "word1"), *WORDS[1:]]
    assert skill_scores(made, 0, {"words": changed, "few": WORDS[1:2]})["words"] == [1.0, 1.0, 0.0, 0.0]
    write_settings(made.path, Settings(max_tokens=4))
    skill_scores(made, 0, {"few": WORDS[1:2]})
    assert [len(answers) for _, answers in seen] == [4, 1, 4, 1]
    assert seen[-1][0] == 4


def test_a_record_that_cannot_be_read_is_named(asked):
    made, _ = asked
    file = made.rounds / "000-skills.json"
    file.write_text('{"words": 3}')
    with pytest.raises(ValueError, match=r"000-skills.json cannot be read.*Delete it"):
        skill_scores(made, 0, {"words": WORDS})
