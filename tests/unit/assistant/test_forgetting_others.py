"""What others wrote stays: names that are longer, lines that others wrote too, files that are no lines."""

import json

import pytest

from feedback_people import answer
from learnt import learnt
from strop.assistant import FeedbackStore, forget
from strop.assistant.names_apart import is_whole
from strop.assistant.needles import needles_of

BOBS = "Hello! How are you? My order 17 is late."


def kept(path, *answers):
    with FeedbackStore(path / "feedback.sqlite") as store:
        for n, (rater, question) in enumerate(answers):
            store.answered(answer(f"new{n}", "so be it", question=question, conversation=f"new{n}", rater=rater))


@pytest.fixture
def mine(tmp_path):
    return learnt(tmp_path / "mine")


def records(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


@pytest.mark.parametrize(
    ("text", "is_theirs"),
    [
        ("user-1", True),
        ('"user": "user-1"}', True),
        ("by user-1.", True),
        ("thanks @user-1!", True),
        ("用户user-1说", True),
        ("user-10 and user-1", True),
        ("user-10", False),
        ("user-1-b", False),
        ("user-1.b", False),
        ("my.user-1", False),
        ("bob@user-1", False),
        ("user-1@example.com", False),
    ],
)
def test_a_name_counts_by_itself(text, is_theirs):
    needles = needles_of((), ["user-1"], ())
    assert needles.are_in_text(text) == is_theirs
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        name, data = "user-1".encode(encoding), text.encode(encoding)
        ends = [at + len(name) for at in range(len(data)) if data.startswith(name, at)]
        assert any(is_whole("user-1", encoding, data, end - len(name), end) for end in ends) == is_theirs


def test_a_chinese_name_that_begins_another_is_not_found_in_it():
    needles = needles_of((), ["王小明"], ())
    assert not needles.are_in_text("王小明明说")
    assert needles.are_in_text("by 王小明, today")


def test_lines_of_people_whose_names_begin_the_same_stay(mine):
    others = [{"user": f"user-{n}", "text": "x"} for n in (10, 11, 100)]
    (mine / "backup.jsonl").write_text(records({"user": "user-1", "text": "x"}, *others))
    (mine / "of user-10.txt").write_text("x")
    found = forget(mine, ["user-1"])
    assert (found.copies, found.left) == (("backup.jsonl",), ())
    assert (mine / "backup.jsonl").read_text() == records(*others)


def test_what_stands_within_what_others_wrote_is_no_trace(mine):
    kept(mine, ("ann", "How are you?"), ("bob", BOBS))
    (mine / "old.log").write_text(f"{BOBS}\n")
    found = forget(mine, ["ann"])
    assert (found.copies, found.left) == ((), ())
    assert (mine / "old.log").read_text() == f"{BOBS}\n"


def test_what_stands_in_most_lines_of_a_file_is_named_and_not_deleted(mine):
    kept(mine, ("ann", '"content": "'), ("ann", "my ZEBRA is called Spot"))
    others = "".join(f'got "content": "of others: {n}"\n' for n in range(1000))
    (mine / "old.log").write_text(f"my ZEBRA is called Spot\n{others}")
    found = forget(mine, ["ann"])
    assert (found.copies, found.left) == ((), ("old.log",))
    assert (mine / "old.log").read_text() == others


def test_how_json_is_written_is_nothing_that_they_wrote(mine):
    kept(mine, ("ann", '"content": "'))
    (mine / "old.jsonl").write_text(records({"content": "of others"}))
    forget(mine, ["ann"])
    assert (mine / "old.jsonl").read_text() == records({"content": "of others"})


HERS = "my ZEBRA is called Spot"
MANY = [{"text": HERS}, *({"text": f"of others: {n}"} for n in range(9))]
NOT_LINES = {
    "indented.json": json.dumps(MANY, indent=1),
    "one line.json": json.dumps(MANY),
    "one line.jsonl": json.dumps(MANY) + "\n",
    "one line.txt": json.dumps(MANY),
    "indented.log": json.dumps({"all": MANY}, indent=1),
    "indented.jsonl": json.dumps({"all": MANY}, indent=1),
    "table.csv": f'who,what\nann,"one\n{HERS}\ntwo"\n',
    "archive.tar": f"a\0\n{HERS}\nb\0\n",
    "archive.log": f"a\0\n{HERS}\nb\0\n",
}


def test_files_that_are_no_lines_are_named_and_not_changed(mine):
    """However much they look like text."""
    kept(mine, ("ann", HERS))
    for name, text in NOT_LINES.items():
        (mine / name).write_text(text)
    (mine / "good.jsonl").write_text(records(*MANY))
    found = forget(mine, ["ann"])
    assert (found.copies, set(found.left)) == (("good.jsonl",), set(NOT_LINES))
    assert {name: (mine / name).read_text() for name in NOT_LINES} == NOT_LINES
    assert (mine / "good.jsonl").read_text() == records(*MANY[1:])


def test_a_line_that_names_them_is_theirs_however_many_there_are(mine):
    (mine / "old.log").write_text("ann@example.com said hello\n" * 50 + "bob said hello\n")
    assert forget(mine, ["ann@example.com"]).copies == ("old.log",)
    assert (mine / "old.log").read_text() == "bob said hello\n"


@pytest.mark.parametrize("text", ["x" * 30 + " user-1", "x" * 30 + " user-10", "user-1", "my.user-1 ", "user-1 x" * 9])
def test_a_name_that_comes_in_pieces_is_found_as_in_one(text):
    needles = needles_of((), ["user-1"], ())
    for size in (1, 3, 50):
        pieces = [text[at : at + size].encode() for at in range(0, len(text), size)]
        assert needles.are_in_pieces(pieces) == needles.are_in_text(text)
