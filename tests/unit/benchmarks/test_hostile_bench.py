"""The pages of the hostile benchmarks are those of what was measured."""

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import hostile
import hostile_people

from feedback_people import answer, said
from strop.assistant import Settings
from strop.assistant.feedback import FeedbackStore


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_pages_are_those_of_the_records(language):
    serving, assistant = (hostile.DOCS / f"{name}{language}.md" for name in ("serving", "assistant"))
    assert hostile.page_of(hostile.recorded(), language) in serving.read_text(encoding="utf-8")
    assert hostile_people.page_of(hostile_people.recorded(), language) in assistant.read_text(encoding="utf-8")


def arm(win_rate, status="waiting"):
    return {"win_rate": win_rate, "status": status}


def test_a_line_for_each_style():
    caught = {"hostile": [3, 4], "honest": [1, 10], "reasons": {"outlier": 2, "repeats": 1}}
    records = [
        {"style": "flip", "caught": caught, "believed": arm(0.5), "quarantine": arm(rate, status)}
        for rate, status in ((0.6, "waiting"), (0.7, "promoted"))
    ]
    lines = hostile_people.page_of(records, "").splitlines()
    assert len(lines) == 3
    assert lines[2] == (
        "| flip (2) | 75% (6 / 8) | 10% (2 / 20) | outlier 4, repeats 2 | 0.50 | 0.65 | 0 of 2 promoted | "
        "1 of 2 promoted |"
    )


def test_who_is_caught_is_known_by_the_name_that_the_store_keeps(tmp_path):
    """Six times the same question: beyond four it is in quarantine. Names are hashed when they are kept."""

    def people():
        return FeedbackStore(tmp_path / "feedback.sqlite")

    with people() as store:
        for name, times in (("mallory", 6), ("ann", 2), (hostile_people.TRUSTED[0], 2)):
            asked = [answer(f"{name} {i}", f"text {i}", rater=name) for i in range(times)]
            store.write(asked, [said("thumb", True, one.inference, rater=name) for one in asked])
    assistant = SimpleNamespace(path=tmp_path, settings=Settings(trusted=hostile_people.TRUSTED), feedback=people)
    found = hostile_people.caught(assistant, {"mallory"})
    assert (found["hostile"], found["honest"]) == ([2, 6], [0, 2])
    assert (found["reasons"], found["wrong_reasons"]) == ({"same question": 2}, {})


def test_answers_of_status_5xx_are_counted():
    one = {"tokens": 99.6, "answers": 7, "dropped": 0, "gap": 0.125, "memory": 400}
    record = {"seconds": 60.0, "alone": one, "attacked": one | {"told": {"200": 3, "429": 90, "500": 2}}}
    lines = hostile.page_of(record, "").splitlines()
    assert "| tokens a second, ten streams | 100 | 100 |" in lines
    assert lines[-1].endswith("200: 3, 429: 90, 500: 2. Answers of status 5xx: 2.")


def test_hostile_requests_are_wrong_in_many_ways():
    dice = random.Random(0)
    sent = [hostile.hostile(dice, "strop-key") for _ in range(400)]
    assert len({one.partition(b"Authorization")[0][:60] for one in sent}) > 5
    assert 100 < sum(b"Bearer strop-key" in one for one in sent) < 300
