"""Which pairs stay, which go, and why."""

from __future__ import annotations

import pytest

from strop.data.pairs import LONGEST, Dropped, Pair, clean


def cleaned(*pairs: tuple[str, str]):
    kept, dropped = clean(Pair(*pair, "here") for pair in pairs)
    return [(pair.source, pair.target) for pair in kept], [(one.pair.source, one.reason) for one in dropped]


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("Page", "", "untranslated"),
        (" \n ", "页面", "untranslated"),
        ("OK", "ok", "untranslated"),
        ("PDF:", "PDF：", "untranslated"),
        ("~LE", "LE(~L)", "untranslated"),
        ("<b>Page</b>", "<b>页面</b>", "markup"),
        ("Delete %(name)s", "删除", "placeholders differ"),
        ("%s %s", "%s", "placeholders differ"),
        ("%s: %s", "%s：%s", "no word"),
        ("5 of", "5 /", "no word"),
        ("Page", "页" * (LONGEST + 1), "too long"),
    ],
)
def test_a_pair_goes_for_one_reason(source, target, reason):
    kept, dropped = clean([Pair(source, target, "here")])
    assert kept == []
    assert [one.reason for one in dropped] == [reason]


def test_spaces_breaks_and_marks_of_keys_do_not_stand_in_what_stays():
    kept, dropped = cleaned(("  ~Delete\n the\tpage\x07 ", "删除\r\n页面(~D)"), ("Cafe\u0301", "咖啡馆"))
    assert kept == [("Delete the page", "删除 页面"), ("Caf\u00e9", "咖啡馆")]
    assert dropped == []


def test_placeholders_stay():
    assert cleaned(("Delete {name}?", "删除 {name}？"))[0] == [("Delete {name}?", "删除 {name}？")]


def test_of_texts_that_differ_in_case_signs_and_placeholders_the_first_stays():
    kept, dropped = cleaned(
        ("Delete %(a)s", "删除 %(a)s"), ("delete {b}!", "删除 {b}！"), ("Delete", "删除"), ("DELETE.", "删除。")
    )
    assert kept == [("Delete %(a)s", "删除 %(a)s"), ("Delete", "删除")]
    assert dropped == [("delete {b}!", "duplicate"), ("DELETE.", "duplicate")]


def test_of_several_translations_the_most_frequent_stays_else_the_first():
    kept, dropped = cleaned(
        ("Table", "桌子"), ("Table", "表格"), ("table:", "表格："), ("Owner", "所有者"), ("Owner", "属主")
    )
    assert kept == [("Table", "表格"), ("Owner", "所有者")]
    assert dropped == [("Table", "another translation"), ("table:", "duplicate"), ("Owner", "another translation")]


def test_equal_translations_of_two_texts_both_stay():
    assert cleaned(("Erase", "删除"), ("Delete", "删除")) == ([("Erase", "删除"), ("Delete", "删除")], [])


def test_what_is_dropped_can_be_read():
    assert clean([Pair("a", "", "file.tsv, line 7")])[1] == [Dropped(Pair("a", "", "file.tsv, line 7"), "untranslated")]
