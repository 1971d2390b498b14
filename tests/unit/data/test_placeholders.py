"""Placeholders and marks of accelerator keys, in the spellings of the catalogues that have a name."""

from __future__ import annotations

import pytest

from strop.data.placeholders import MARKUP, bare, placeholders, without_accelerators


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Added {name} “{object}”.", ["{name}", "{object}"]),
        ("{} of {0}, {count:.2f}", ["{}", "{0}", "{count:.2f}"]),
        ("%(value)s has %(n)d", ["%(value)s", "%(n)d"]),
        ("%s: %d%% and %.1f, %2$s", ["%s", "%d", "%.1f", "%2$s"]),
        ("%PRODUCTNAME %1 $(ARG1) ${x} $1 $name$", ["%PRODUCTNAME", "%1", "$(ARG1)", "${x}", "$1", "$name$"]),
        ("已打开%PRODUCTNAME文档$1次", ["%PRODUCTNAME", "$1"]),
        ("100% of it, 5 % daily, {not one}, $ 5", []),
    ],
)
def test_placeholders_are_found(text, found):
    assert sorted(placeholders(text).elements()) == sorted(found)


def test_texts_are_compared_without_their_names():
    assert bare("Delete %(page)s?").split() == bare("Delete {0} ?").split() == ["Delete", "0", "?"]


@pytest.mark.parametrize(
    ("source", "target", "cleared"),
    [
        ("~File", "文件(~F)", ("File", "文件")),
        ("_Use catalog...", "使用编目 (_U)...", ("Use catalog...", "使用编目...")),
        ("V_ertical:", "垂直（_E）:", ("Vertical:", "垂直:")),
        ("Fo~rmat", "For~mat", ("Format", "Format")),
        ("&Save", "保存", ("Save", "保存")),
        ("Q&A", "Q&A", ("Q&A", "Q&A")),
        ("Terms & Conditions", "条款", ("Terms & Conditions", "条款")),
        ("my_file name", "文件名", ("my_file name", "文件名")),
        ("%(my_name)s _is here", "%(my_name)s在这(_I)", ("%(my_name)s is here", "%(my_name)s在这")),
        ("Set (a) or (b)", "设置 (a) 或 (b)", ("Set (a) or (b)", "设置 (a) 或 (b)")),
        ("__all__ and _x", "全部", ("__all__ and _x", "全部")),
    ],
)
def test_marks_of_keys_go_and_nothing_else(source, target, cleared):
    assert without_accelerators(source, target) == cleared


@pytest.mark.parametrize(
    ("text", "is_markup"),
    [("<b>Bold</b>", True), ("a &amp; b", True), ("a &#39; b", True), ("x<br/>y", True), ("a < b > c", False),
     ("A & B; C", False), ("T<=t", False)],
)  # fmt: skip
def test_markup_is_told_from_signs(text, is_markup):
    assert bool(MARKUP.search(text)) == is_markup
