"""The folder of an assistant that has learnt, without a model: version 1 serves, 2 was refused, 3 waits for people."""

from __future__ import annotations

import json
from pathlib import Path

from feedback_people import answer, compared, said
from strop.assistant import Manifest, Settings, Versions, decide, first_manifest
from strop.assistant.canary import Canary, write_canary
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import QUESTIONS
from strop.assistant.settings import write_settings

ASKED = ("Why is the sky blue?", "<b>天空</b>为什么是蓝色的？", "Name a colour.")
ANSWERS = {
    0: ("No idea.", "不知道。", "Red."),
    1: ("Because of the air.", "不知道。", "Red."),
    2: ("Because of the air, and of the light that it scatters.", "因为空气散射光线。", "Red."),
    3: ("Because of the air.", "因为空气散射光线。", "Red."),
}


def learnt(path: Path) -> Path:
    """Make it; answers and feedback of three people are in its store."""
    path.mkdir(parents=True)
    write_settings(path, Settings())
    (path / QUESTIONS).write_text("".join(json.dumps({"prompt": one}) + "\n" for one in ASKED), encoding="utf-8")
    versions = Versions(path)
    with versions.adding(first_manifest("tiny", "tiny")) as folder:
        (folder / "diff.jsonl").write_text(_diff(0, 0), encoding="utf-8")
    versions.start()
    for number, parent, outcomes in ((1, 0, [1.0] * 60), (2, 1, [0.5] * 60), (3, 1, None)):
        fields = {"model": "tiny", "origin": f"rounds/00{number}@9", "feedback": ["a", "b"], "when": 1.0}
        with versions.adding(Manifest(number=number, parent=parent, **fields)) as folder:
            (folder / "diff.jsonl").write_text(_diff(number, parent), encoding="utf-8")
        if outcomes is not None:
            skill = ([1.0] * 200, [1.0] * 200)
            versions.judged(number, decide(outcomes, {"sums": skill}))
        if number == 1:
            versions.promote(1)
    write_canary(path, Canary(version=3, beside=1, share=0.1, since=0.0))
    with FeedbackStore(path / "feedback.sqlite") as store:
        fill(store)
    return path


def fill(store: FeedbackStore) -> None:
    """Answers of versions 1 and 3, of which people compared some."""
    store.write(
        [
            answer(f"{version} {n}", ANSWERS[version][n], question=ASKED[n], version=version)
            for version in (1, 3)
            for n in (0, 1)
        ]
        + [answer("again", "Blue.", question=ASKED[2], version=1), answer("red", "Red.", question=ASKED[2], version=1)],
        [
            compared("again", "red", "A", rater="ann"),
            compared("again", "red", "B", rater="bob"),
            said("thumb", True, "red", rater="ann"),
            said("thumb", True, "red", rater="bob"),
            said("thumb", False, "again", rater="ann"),
            said("thumb", False, "again", rater="bob"),
        ],
    )
    store.pairs.add("again", "red", seldom=0.5)
    store.pairs.add("1 1", "3 1", seldom=0.5)


def _diff(number: int, parent: int) -> str:
    rows = zip(ASKED, ANSWERS[parent], ANSWERS[number], strict=True)
    lines = [{"question": question, "before": before, "after": after} for question, before, after in rows]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
