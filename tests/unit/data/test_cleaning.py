"""One document, cleaned."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from strop.data.cleaning import cleaned


@pytest.mark.parametrize(
    ("raw", "text", "num_control", "num_invalid"),
    [
        ("plain text", "plain text", 0, 0),
        ("  \n\ta \t b\n\n c \n", "a \t b\n\n c", 0, 0),
        ("one\r\ntwo\rthree", "one\ntwo\nthree", 0, 0),
        ("a\x00b\x07c\x7fd\x9be", "abcde", 4, 0),
        ("e\u0301 \u1112\u1161\u11ab", "é 한", 0, 0),
        ("caf\udce9", "caf\ufffd", 0, 1),
        ("\ud83d half", "\ufffd half", 0, 1),
        ("\u200d👩\u200d👧 \u202bשלום", "\u200d👩\u200d👧 \u202bשלום", 0, 0),
        ("\ufffd stays", "\ufffd stays", 0, 0),
        (" \x0c\r\n\u3000", "", 1, 0),
    ],
)
def test_what_is_removed_and_counted(raw, text, num_control, num_invalid):
    one = cleaned(raw)
    assert (one.text, one.num_control, one.num_invalid) == (text, num_control, num_invalid)


def test_every_control_character_but_tab_and_newline_goes():
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Cc":
            kept = "\n" if chr(code) == "\r" else chr(code) if chr(code) in "\n\t" else ""
            assert cleaned(f"a{chr(code)}b").text == f"a{kept}b"
