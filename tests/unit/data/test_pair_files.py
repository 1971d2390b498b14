"""Files of pairs, and what is wrong with one in one line."""

from __future__ import annotations

import pytest

from small_pairs import catalogue
from strop.data.pair_files import pairs_in
from strop.data.pairs import Dropped, Pair


def read(file, source="en", target="zh_Hans"):
    return [(pair.source, pair.target) for pair in pairs_in(file, source, target) if isinstance(pair, Pair)]


def written(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", 'source\ttarget\tnote\nsay "hi"\t说 "嗨"\tx\n\nPage\t页面\n'),
        ("a.csv", 'note,target,source\nx,"说 ""嗨""","say ""hi"""\ny,页面,Page\n'),
        ("a.jsonl", '{"source": "say \\"hi\\"", "target": "说 \\"嗨\\""}\n\n{"target": "页面", "source": "Page"}\n'),
        ("A.TSV", '\ufeffen\tzh-CN\nsay "hi"\t说 "嗨"\nPage\t页面\n'),
    ],
)
def test_each_kind_gives_the_same_pairs(name, text, tmp_path):
    assert read(written(tmp_path, name, text)) == [('say "hi"', '说 "嗨"'), ("Page", "页面")]


def test_columns_named_by_language_are_read_in_both_directions(tmp_path):
    file = written(tmp_path, "a.tsv", "de\tzh_CN\ten\nSeite\t页面\tpage\n")
    assert read(file, "en", "zh_Hans") == [("page", "页面")]
    assert read(file, "zh_Hans", "en") == [("页面", "page")]
    assert read(file, "zh-Hans", "de") == [("页面", "Seite")]


def test_a_quoted_field_may_have_lines(tmp_path):
    assert read(written(tmp_path, "a.csv", 'source,target\n"two\nlines","两\n行"\n')) == [("two\nlines", "两\n行")]


def test_a_catalogue_is_read_in_both_directions_and_says_what_is_no_pair(tmp_path):
    file = written(tmp_path, "a.po", catalogue({"Page": "页面"}, '#, fuzzy\nmsgid "Guess"\nmsgstr "猜"\n'))
    assert read(file, "en", "zh_Hans") == [("Page", "页面")]
    assert read(file, "zh_Hans", "en") == [("页面", "Page")]
    assert list(pairs_in(file, "en", "zh"))[1] == Dropped(Pair("Guess", "猜", str(file)), "fuzzy")
    with pytest.raises(ValueError, match="pairs English with one language: source or target is en, not de and zh"):
        read(file, "de", "zh")


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.tsv", "text\nPage\n", r"a\.tsv, line 1 names no column for source and target: it has 'text'\. Call the"),
        ("a.tsv", "source\nPage\n", "line 1 names no column for target: it has 'source'"),
        ("a.tsv", "", "names no column for source and target: it has nothing"),
        ("a.tsv", "source\ttarget\nPage\n", "line 2 has 1 of the 2 columns that line 1 names"),
        ("a.csv", 'source,target\n"Page,页面\n', "this is not CSV"),
        ("a.jsonl", "[1]\n", 'line 1: a line is {"source'),
        ("a.jsonl", "{x}\n", "line 1: this is not JSON"),
        ("a.jsonl", '{"source": "a", "target": 3}\n', "line 1: target is a text, not 3"),
        ("a.jsonl", '{"source": "a"}\n', "line 1 names no column for target: it has 'source'"),
        ("a.txt", "Page", r"pairs are read from \.tsv, \.csv, \.jsonl, \.po or \.mo"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(name, text, error, tmp_path):
    with pytest.raises(ValueError, match=error) as raised:
        read(written(tmp_path, name, text))
    assert "\n" not in str(raised.value)


def test_what_is_not_utf_8_is_told(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_bytes("source\ttarget\nPage\t页面\n".encode("gb18030"))
    with pytest.raises(ValueError, match=r"a\.tsv is not UTF-8 text"):
        read(file)
