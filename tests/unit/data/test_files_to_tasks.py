"""Files of every kind as tasks, and each row that is none by its line."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest

from strop.data.tasks import from_file, from_rows
from strop.types import Task


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def told(read, *args, **options):
    """(the tasks, what was said) where broken rows are left out."""
    said = []
    tasks = read(*args, broken="leave out", tell=said.append, **options)
    return tasks, "\n".join(said)


# ------------------------------------------------------------ CSV


def test_the_columns_of_a_csv_are_chosen_by_name(file):
    path = file("mail.csv", 'text,label,from,size\n"Win, now!",spam,a@b.c,3\nSee you,ham,,12\n')
    assert from_file(path, prompt="text", answer="label") == [
        Task("2", "Win, now!", "spam", {"from": "a@b.c", "size": "3"}),
        Task("3", "See you", "ham", {"from": None, "size": "12"}),
    ]
    (one, _) = from_file(path, prompt="text", id="size")
    assert (one.id, one.answer, one.data) == ("3", "", {"label": "spam", "from": "a@b.c"})


def test_the_usual_columns_need_no_choice(file):
    assert from_file(file("t.csv", "id,prompt,answer\nx,3 + 5,8\n")) == [Task("x", "3 + 5", "8")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_record_is_where_it_begins_though_quotes_hold_line_breaks(file, end):
    content = end.join(["prompt,answer", '"one', 'and ""two""",1', "", "three,3", ""])
    assert from_file(file("t.csv", content)) == [Task("2", f'one{end}and "two"', "1"), Task("5", "three", "3")]
    with pytest.raises(ValueError, match=r"t\.csv, line 4: it has 1 cell for 2 columns"):
        from_file(file("t.csv", end.join(["prompt,answer", '"one', 'two",1', "three"])))


def test_ragged_rows_are_named_with_what_to_do(file):
    content = "prompt,answer\nfine,1\nshort\nlong, though,2\n"
    with pytest.raises(ValueError, match="2 of 3 lines are broken") as error:
        from_file(file("t.csv", content))
    assert str(error.value).split("\n") == [
        f"{file('t.csv', content)}: 2 of 3 lines are broken:",
        "  line 3: it has 1 cell for 2 columns",
        "  line 4: it has 3 cells for 2 columns: a text that holds the separator stands in quotes",
        'Correct them, or leave them out: broken="leave out" in strop.data.from_file or from_rows.',
    ]


def test_all_that_is_left_out_is_counted_and_named(file):
    rows = ["fine,1", "a", "b", "c", "d", "e", "f", "g", "also fine,2", "h"]
    path = file("t.csv", "\n".join(["prompt,answer", *rows]))
    tasks, said = told(from_file, path)
    assert [task.id for task in tasks] == ["2", "10"]
    lines = said.split("\n")
    assert lines[0] == f"{path}: 8 of 10 lines are left out:"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        *(f"  line {n}" for n in range(3, 8)),
        "  and lines 8-9, 11",
    ]
    assert told(from_file, file("t.csv", "prompt\nfine\n")) == ([Task("2", "fine")], "")


def test_one_that_is_left_out_is_told_too(file):
    path = file("t.csv", "prompt,answer\nfine,1\nshort\n")
    assert told(from_file, path)[1] == f"{path}: 1 of 2 lines is left out:\n  line 3: it has 1 cell for 2 columns"


def test_if_nothing_is_left_that_is_an_error(file):
    with pytest.raises(ValueError, match="holds no task"):
        told(from_file, file("t.csv", "prompt,answer\nshort\n"))
    with pytest.raises(ValueError, match="holds no task"):
        from_file(file("t.csv", "prompt,answer\n"))
    with pytest.raises(ValueError, match=r"line 1: it is empty: the first line names the columns"):
        from_file(file("t.csv", ""))


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        (",1", "the prompt is a text, or a list of messages, and not empty"),
        ("  ,1", "the prompt is a text, or a list of messages, and not empty"),
        ("a,", r'"answer" is a text or a number, not null \(an empty cell\)'),
        ('"a" b,1', r"this is not CSV \(',' expected after '\"'\): a quote may be missing"),
        ('"a,1\nb,2\nc,3', r"this is not CSV \(unexpected end of data, in lines 3 to 5\): a quote may be missing"),
    ],
)
def test_a_broken_record_is_named(file, row, flaw):
    path = file("t.csv", f"prompt,answer\nfine,1\n{row}\n")
    with pytest.raises(ValueError, match=rf"t\.csv, line 3: {flaw}\.$"):
        from_file(path)
    assert told(from_file, path)[0] == [Task("2", "fine", "1")]


def test_after_a_broken_record_the_next_line_is_read(file):
    tasks, said = told(from_file, file("t.csv", 'prompt,answer\n"a" b,1\n"two\nlines",2\n'))
    assert tasks == [Task("3", "two\nlines", "2")]
    assert "1 of 2 lines is left out:\n  line 2: this is not CSV" in said


def test_an_unknown_column_is_an_error_that_lists_those_there_the_nearest_first(file):
    path = file("t.csv", "body,label\na,b\n")
    with pytest.raises(ValueError, match=r"t\.csv: there is no column 'lable': it has label, body\."):
        told(from_file, path, prompt="body", answer="lable")
    with pytest.raises(
        ValueError, match=r'either a "prompt" or "messages" \(found the fields: body, label\); prompt=NAME'
    ):
        from_file(path)
    with pytest.raises(ValueError, match="the column 'body' is chosen twice"):
        from_file(path, prompt="body", answer="body")


def test_headers_are_read_with_care(file):
    (task,) = from_file(file("t.csv", b"\xef\xbb\xbf, prompt ,answer\n0,a,b\n"))
    assert task == Task("2", "a", "b", {"column 1": "0"})
    with pytest.raises(ValueError, match=r"line 1: the column 'a' is named twice"):
        from_file(file("t.csv", "prompt,a,a\n1,2,3\n"))


def test_a_separator_may_be_given(file):
    path = file("t.csv", 'prompt;answer\n"a;b";1,5\n')
    assert from_file(path, separator=";") == [Task("2", "a;b", "1,5")]
    with pytest.raises(ValueError, match="found the fields: prompt;answer"):
        from_file(path)
    with pytest.raises(ValueError, match=r"separator=';;': it is one character, and belongs to a \.csv"):
        from_file(path, separator=";;")
    with pytest.raises(ValueError, match=r"belongs to a \.csv"):
        from_file(file("t.tsv", "prompt\na\n"), separator=";")


def test_quotes_in_a_tsv_are_text(file):
    assert from_file(file("t.tsv", 'prompt\tanswer\n"a, b" and\t"c\n')) == [Task("2", '"a, b" and', '"c')]


# ------------------------------------------------------------ encodings


def test_a_row_that_is_not_in_the_encoding_is_named(file):
    content = "prompt\nok\ncafé\n".encode("cp1252")
    with pytest.raises(
        ValueError, match=r'line 3: this is not UTF-8 text: name the encoding, such as encoding="cp1252"'
    ):
        from_file(file("t.csv", content))
    assert [task.prompt for task in from_file(file("t.csv", content), encoding="cp1252")] == ["ok", "café"]
    assert [task.prompt for task in told(from_file, file("t.txt", content))[0]] == ["prompt", "ok"]


@pytest.mark.parametrize(("encoding", "name"), [("gb18030", "t.txt"), ("utf-16", "t.csv"), ("utf-8-sig", "t.jsonl")])
def test_other_encodings_are_named(file, encoding, name):
    text = {"t.txt": "你好\n", "t.csv": "prompt\n你好\n", "t.jsonl": '{"prompt": "你好"}'}[name]
    (task,) = from_file(file(name, text.encode(encoding)), encoding=encoding)
    assert task.prompt == "你好"


def test_utf_16_and_unknown_encodings_are_errors(file):
    with pytest.raises(ValueError, match=r'not UTF-8 text, but UTF-16: give encoding="utf-16"'):
        from_file(file("t.csv", "prompt\na\n".encode("utf-16")))
    with pytest.raises(ValueError, match=r"encoding='utf8000' is not known"):
        from_file(file("t.csv", "prompt\na\n"), encoding="utf8000")
    with pytest.raises(ValueError, match=r"encoding='utf-8': .*t\.parquet is no text file"):
        from_file(file("t.parquet", ""), encoding="utf-8")


# ------------------------------------------------------------ JSON Lines and text


def test_columns_of_json_lines_may_differ_and_are_chosen_too(file):
    path = file("t.jsonl", '{"q": "3 + 5", "a": 8, "hard": false}\n{"q": "why"}\n')
    tasks, said = told(from_file, path, prompt="q", answer="a")
    assert tasks == [Task("1", "3 + 5", "8", {"hard": False})]
    assert "line 2: there is no column 'a': it has q" in said


def test_a_number_that_is_none_is_no_answer(file):
    with pytest.raises(ValueError, match=r"line 1: this is not JSON \(NaN is not JSON\)"):
        from_file(file("t.jsonl", '{"prompt": "a", "answer": NaN}'))
    with pytest.raises(ValueError, match=r"line 1: this is not JSON \(maximum recursion"):
        from_file(file("t.jsonl", '{"prompt": ' + "[" * 100_000))


def test_one_list_of_json_is_said_to_be_one(file):
    with pytest.raises(ValueError, match=r"holds one list: write one JSON object a line, into a \.jsonl"):
        from_file(file("t.json", '[{"prompt": "a"},\n {"prompt": "b"}]'))


def test_each_line_of_a_text_is_a_prompt(file):
    assert from_file(file("t.txt", "one, two\r\n\n  three\n")) == [Task("1", "one, two"), Task("3", "three")]
    with pytest.raises(ValueError, match="there is no column 'text': it has prompt"):
        from_file(file("t.txt", "one\n"), prompt="text")
    with pytest.raises(ValueError, match=r"holds JSON: give it a name that ends in \.jsonl"):
        from_file(file("t.txt", '{"prompt": "a"}\n'))


def test_a_file_of_another_kind_is_refused_with_those_that_are_read(file, tmp_path):
    with pytest.raises(
        ValueError, match=r"t\.xlsx: tasks are read from \.jsonl, \.csv, \.tsv, \.parquet, \.txt, or a folder"
    ):
        from_file(file("t.xlsx", "PK"))
    with pytest.raises(ValueError, match=r'broken=\'drop\': it is "refuse" or "leave out"'):
        from_file(file("t.txt", "a"), broken="drop")


def test_a_check_makes_a_row_a_broken_one(file):
    def check(task):
        if task.prompt == "b":
            raise ValueError("b is forbidden")

    with pytest.raises(ValueError, match=r"line 2: b is forbidden\."):
        from_file(file("t.txt", "a\nb\n"), check=check)
    assert told(from_file, file("t.txt", "a\nb\n"), check=check)[0] == [Task("1", "a")]


# ------------------------------------------------------------ rows of any origin


class Features(OrderedDict):
    """The features of a `datasets.Dataset`, which is all that is asked of it."""

    def to_dict(self):
        return dict(self)


class Dataset(list):
    def __init__(self, rows, features):
        super().__init__(rows)
        self.features = None if features is None else Features(features)


KINDS = {"_type": "ClassLabel", "names": ["neg", "pos"]}
FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": KINDS,
    "tags": {"feature": KINDS, "_type": "List"},
    "older": [KINDS],
    "inside": {"kind": KINDS, "number": {"dtype": "int64", "_type": "Value"}},
}
ROW = {"text": "fine", "label": 1, "tags": [0, 1], "older": [1], "inside": {"kind": 0, "number": 0}}
NAMED = {"tags": ["neg", "pos"], "older": ["pos"], "inside": {"kind": "neg", "number": 0}}


def test_rows_are_any_mappings(file):
    rows = ({"prompt": prompt, "level": level} for prompt, level in (("a", 1), ("b", None)))
    assert from_rows(rows) == [Task("1", "a", data={"level": 1}), Task("2", "b", data={"level": None})]


def test_the_names_of_classes_stand_for_their_numbers():
    rows = Dataset([ROW], FEATURES)
    assert from_rows(rows, prompt="text", answer="label") == [Task("1", "fine", "pos", NAMED)]
    assert from_rows(Dataset([ROW], None), prompt="text", answer="label")[0].answer == "1"
    arrays = {"label": np.int64(1), "tags": np.array([0, 1]), "older": np.array([1])}
    assert from_rows(Dataset([ROW | arrays], FEATURES), prompt="text", answer="label") == [
        Task("1", "fine", "pos", NAMED)
    ]


def test_a_class_that_is_not_there_is_no_answer():
    rows = Dataset([ROW, ROW | {"label": -1}, ROW | {"label": 2}], FEATURES)
    tasks, said = told(from_rows, rows, prompt="text", answer="label")
    assert len(tasks) == 1
    assert '  row 2: "label" is a text or a number, not null (an empty cell)\n  row 3: there is no class 2' in said


def test_a_column_that_no_row_has_is_one_error():
    with pytest.raises(ValueError, match=r"^rows: there is no column 'txt': it has text, "):
        from_rows(Dataset([ROW, ROW], FEATURES), prompt="txt")


def test_cells_become_what_json_can_hold():
    cells = {
        "day": date(2026, 1, 2),
        "time": datetime(2026, 1, 2, 3, 4, 5),
        "price": Decimal("1.50"),
        "vector": np.array([1.0, 2.5]),
        "number": np.int64(3),
        "pairs": [(1, date(2026, 1, 2))],
    }
    (task,) = from_rows([{"prompt": "a", **cells}])
    assert task.data == {
        "day": "2026-01-02",
        "time": "2026-01-02T03:04:05",
        "price": "1.50",
        "vector": [1.0, 2.5],
        "number": 3,
        "pairs": [[1, "2026-01-02"]],
    }
    json.dumps(task.data)


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ({"prompt": "a", "x": float("nan")}, r"data\['x'\] is nan, which JSON cannot say"),
        ({"prompt": "a", "x": object()}, r"data\['x'\] is of type object"),
        ({"prompt": "a", "answer": float("nan")}, '"answer" is a text or a number, not nan'),
        ({"prompt": "a", "answer": np.float32("inf")}, '"answer" is a text or a number, not inf'),
        ({"prompt": None}, "the prompt is a text"),
        ("text", "a row is a dict of its columns, not 'text'"),
    ],
)
def test_a_row_that_is_no_task_is_named(row, flaw):
    with pytest.raises(ValueError, match=f"^rows, row 2: .*{flaw}"):
        from_rows([{"prompt": "fine"}, row])


def test_what_is_no_rows_is_refused():
    with pytest.raises(ValueError, match=r"the file 'a\.csv' is read by strop\.data\.from_file"):
        from_rows("a.csv")
    with pytest.raises(ValueError, match="this holds 'train', 'test': give one of them"):
        from_rows({"train": [], "test": []})
