"""Message catalogues, as text and compiled."""

from __future__ import annotations

import struct

import pytest

from small_pairs import catalogue
from strop.data import messages as module
from strop.data.messages import Message, canonical, messages

EXTRA = r"""
#, fuzzy
msgid "Guessed"
msgstr "猜的"

msgctxt "month"
msgid "May"
msgstr ""
"五"
"月"

msgid "%d page"
msgid_plural "%d pages"
msgstr[0] "%d 页"

#~ msgid "Gone"
#~ msgstr "没了"
"""


def compiled(entries: dict[str, str]) -> bytes:
    """A .mo as the format describes it: a head, two tables of lengths and offsets, the texts, each with a NUL."""
    ids, texts = ([text.encode() for text in side] for side in (entries.keys(), entries.values()))
    at, tables, body = 28 + 16 * len(ids), [], b""
    for side in (ids, texts):
        for text in side:
            tables.append(struct.pack("<II", len(text), at + len(body)))
            body += text + b"\0"
    head = struct.pack("<IIIIIII", 0x950412DE, 0, len(ids), 28, 28 + 8 * len(ids), 0, 28 + 16 * len(ids))
    return head + b"".join(tables) + body


def test_a_catalogue_has_contexts_and_flaws():
    found = list(messages(catalogue({"Page": "页面", "Empty": ""}, EXTRA).encode(), False, "here"))
    assert found == [
        Message("", "Page", "页面"),
        Message("", "Empty", ""),
        Message("", "Guessed", "猜的", "fuzzy"),
        Message("month", "May", "五月"),
        Message("", "%d page", "", "plural"),
        Message("", "Gone", "没了", "obsolete"),
    ]


def test_a_compiled_catalogue_is_read_alike():
    head = {"": "Content-Type: text/plain; charset=UTF-8\n"}
    content = compiled({**head, "Page": "页面", "month\x04May": "五月", "%d page\0%d pages": "%d 页"})
    assert list(messages(content, True, "here")) == [
        Message("", "Page", "页面"),
        Message("month", "May", "五月"),
        Message("", "%d page", "", "plural"),
    ]


@pytest.mark.parametrize(
    ("content", "is_compiled"),
    [
        (b"hello\nworld\n", False),
        (b'msgid "a', False),
        ('msgid "a"\nmsgstr "中"'.encode("gb18030"), False),
        (b"", True),
        (b"hello world", True),
        (compiled({"": "", "a": "b"})[:40], True),
    ],
)
def test_what_is_no_catalogue_is_one_clear_line(content, is_compiled):
    with pytest.raises(ValueError, match=r"here is not a .*message catalogue \(\.[mp]o\)") as raised:
        list(messages(content, is_compiled, "here"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("locale", "name"),
    [
        ("zh_CN", "zh_hans"),
        ("zh-Hans", "zh_hans"),
        ("zh_TW", "zh_hant"),
        ("id_ID", "id"),
        ("pt_BR", "pt_br"),
        ("de", "de"),
        ("sr@latin", "sr@latin"),
    ],
)
def test_a_locale_has_one_spelling(locale, name):
    assert canonical(locale) == name


def test_without_the_package_that_reads_them_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[translate\]"'):
        list(messages(b"", False, "here"))
