"""The documents of files and folders, and what is said about those that hold none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strop.data import files, reading
from strop.data.files import contents_hash, files_of
from strop.data.reading import Reader, check_readable


def read(source: Path, field: str = "text") -> tuple[list[tuple[str, str]], Reader]:
    reader = Reader(source, field)
    return [(raw.place, raw.text) for raw in reader], reader


def put(file: Path, content: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_blank_lines_separate_documents_which_are_named_by_their_first_line(tmp_path):
    text = "\n\none\nstill one\n \t\n\r\ntwo\n\n\nthree"
    documents, reader = read(put(tmp_path / "a.txt", text))
    assert documents == [("3", "one\nstill one\n"), ("7", "two\n"), ("10", "three")]
    assert (reader.unit, reader.num_bytes) == ("paragraph", len(text))


@pytest.mark.parametrize("text", ["one\ntwo\nthree", "\n\none\ntwo\nthree\n\n\n"])
def test_each_line_is_a_document_where_no_blank_line_stands_between_two(tmp_path, text):
    documents, reader = read(put(tmp_path / "a.txt", text))
    assert [text.strip() for _, text in documents] == ["one", "two", "three"]
    assert reader.unit == "line"


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert read(put(tmp_path / "a.txt", b"\xef\xbb\xbfone\ntwo"))[0] == [("1", "one\n"), ("2", "two")]
    assert read(put(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text": "one"}'))[0] == [("1", "one")]


def test_a_folder_is_read_in_the_order_of_its_paths_and_skips_what_is_no_text(tmp_path):
    for name in ("b.txt", "a/z.md", "a/b/c", "a.txt"):
        put(tmp_path / name, f"this is {name}\n\nwith a blank line")
    put(tmp_path / "a/picture.png", b"\x89PNG\0\0")
    put(tmp_path / "a/gbk.txt", "话说天下大势，分久必合".encode("gbk"))
    put(tmp_path / "nothing.txt", "")
    put(tmp_path / ".hidden.txt", "hidden")
    put(tmp_path / ".git/config", "hidden")
    documents, reader = read(tmp_path)
    assert [place for place, _ in documents] == ["a/b/c", "a/z.md", "a.txt", "b.txt"]
    assert documents[0][1] == "this is a/b/c\n\nwith a blank line"
    assert reader.skipped == {"binary": 1, "not UTF-8": 1, "empty": 1}
    assert reader.unit == "file"


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 100_000 + "]" * 100_000])
def test_json_that_python_cannot_read_names_its_line(tmp_path, value):
    file = put(tmp_path / "a.jsonl", f'{{"text": "one"}}\n{{"text": "two", "n": {value}}}')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: this JSON cannot be read"):
        read(file)


def test_lines_of_json_give_their_field_and_null_is_an_empty_document(tmp_path):
    lines = '{"id": 1, "body": "first\\n\\nline"}\n\n{"body": null}\n{"body": "\\ud83d\\ude00"}\n'
    documents, reader = read(put(tmp_path / "a.jsonl", lines), "body")
    assert documents == [("1", "first\n\nline"), ("3", ""), ("4", "😀")]
    assert reader.unit == "row"


def test_rows_of_csv_may_hold_newlines_commas_and_quotes(tmp_path):
    rows = 'id,text\r\n1,"a, b\nsecond ""line"""\n2,plain\n3\n'
    documents, _ = read(put(tmp_path / "a.csv", rows))
    assert [text for _, text in documents] == ['a, b\nsecond "line"', "plain", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "is empty"),
        ("a.txt", "  \n\n ", "holds no text"),
        ("a.txt", b"text\0text" * 9, "is a binary file"),
        ("a.txt", os.urandom(4096), "is (a binary file|not UTF-8)"),
        ("a.txt", "text\n".encode("utf-16"), "is not UTF-8 text"),
        ("a.txt", ("天下大势，分久必合\n" * 9).encode("gb18030"), "not UTF-8 text.*iconv -f GB18030"),
        ("a.json", '[{"text": "one"}]', r"one JSON object a line, into a \.jsonl"),
        ("a.jsonl", "{'text': 1}", "line 1: this is not JSON"),
        ("a.jsonl", "[1]", "line 1: a line is a JSON object"),
        ("a.jsonl", '{"text": ["a"]}', "line 1: the field 'text' is a text, not"),
        ("a.jsonl", '{"id": 1, "txt": "a", "other": 2}', "line 1 has no field 'text'. It has txt, other, id"),
        ("a.csv", "id,Text\n1,one\n", "has no field 'text'. It has Text, id"),
    ],
)
def test_what_holds_no_text_is_said_in_one_line(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as raised:
        check_readable(put(tmp_path / name, content), "text")
    assert "\n" not in str(raised.value)


def test_a_line_that_is_not_json_is_named_by_its_number(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: this is not JSON"):
        read(put(tmp_path / "a.jsonl", '{"text": "one"}\n\n{"text": "tw\n'))


def test_a_folder_without_text_and_an_unreadable_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no text file \(it is empty"):
        check_readable(tmp_path, "text")
    put(tmp_path / "a.bin", b"\0")
    with pytest.raises(ValueError, match=r"holds no text file \(1 binary"):
        check_readable(tmp_path, "text")
    with pytest.raises(ValueError, match="mem cannot be read"):
        check_readable(Path("/proc/self/mem"), "text")


def test_a_few_invalid_bytes_are_read_as_what_cleaning_counts(tmp_path):
    assert read(put(tmp_path / "a.txt", b"caf\xe9 one\ntwo \xff"))[0] == [("1", "caf\udce9 one\n"), ("2", "two \udcff")]


@pytest.mark.parametrize("length", range(9, 17))
def test_a_long_line_is_cut_between_characters(tmp_path, monkeypatch, length):
    monkeypatch.setattr(files, "LONGEST", length)
    text = "aé世😀" * 8
    documents, reader = read(put(tmp_path / "a.txt", text + "\nend"))
    assert "".join(text.rstrip("\n") for _, text in documents) == text + "end"
    assert max(len(text.strip().encode()) for _, text in documents) <= length
    assert reader.num_cut == len(documents) - 2
    assert {place for place, _ in documents} == {"1", "2"}


def test_a_long_document_is_cut_between_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST", 10)
    documents, reader = read(put(tmp_path / "a.txt", "12345\n6789\nabc\n\nx"))
    assert [text for _, text in documents] == ["12345\n", "6789\nabc\n", "x"]
    assert reader.num_cut == 1


def test_the_hash_of_a_folder_changes_with_a_name_or_a_byte_and_not_with_hidden_files(tmp_path):
    put(tmp_path / "x/a.txt", "one")
    before = contents_hash(tmp_path / "x")
    put(tmp_path / "x/.b", "hidden")
    assert contents_hash(tmp_path / "x") == before
    put(tmp_path / "x/a.txt", "onf")
    assert contents_hash(tmp_path / "x") != before
    put(tmp_path / "x/a.txt", "one").rename(tmp_path / "x/b.txt")
    assert contents_hash(tmp_path / "x") != before
    assert files_of(tmp_path / "x") == [tmp_path / "x/b.txt"]


def test_a_quote_that_is_not_closed_is_told_and_swallows_no_rows(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('text,n\n"one",1\n"two,2\nthree,3\nfour,4\n')
    with pytest.raises(ValueError, match=r"a.csv, line \d+: this is not CSV"):
        list(Reader(file, "text"))
