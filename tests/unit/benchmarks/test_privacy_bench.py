"""The measurement of personal data that is found: its labels, its bounds, and the pages are those of the record."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import privacy as bench
from privacy_texts import HELD_OUT, WRITTEN_ON
from privacy_values import check_of, with_luhn

from strop.privacy import KINDS, Found


@pytest.fixture(scope="module")
def record():
    return json.loads((bench.RESULTS / "privacy.json").read_text(encoding="utf-8"))


def test_labels_are_where_the_values_stand():
    texts = {"en": ("Write to {email} by {NOT date}.",)}
    for one in bench.generated(texts, "en", 5, seed=3):
        (label,) = one.true
        value = one.text[label.start : label.end]
        assert label.kind == "email"
        assert one.text.startswith(f"Write to {value} by ")
        assert "@" in value


def test_check_digits_of_the_generator():
    assert with_luhn("411111111111111") == "4111111111111111"
    assert check_of("11010519491231002") == "X"  # the example of GB 11643


def test_counts_by_hand():
    # One name is masked whole; of the number, which is no telephone's, nothing; the product's name is no person's.
    text = "Ann Lee has 1234567. Aurora Lamp"
    label = bench.Labelled(text, (Found("name", 0, 7), Found("phone", 12, 19)))
    found = bench.count([label])
    assert found["name"] == {"values": 1, "masked": 1, "spans": 2, "right": 1}
    assert found["phone"] == {"values": 1, "masked": 0, "spans": 0, "right": 0}


def test_no_sentence_is_both_held_out_and_written_on():
    for language in ("en", "zh"):
        assert not set(HELD_OUT[language]) & set(WRITTEN_ON[language])


def test_kinds_with_a_check_digit_are_found_and_names_mostly(record):
    for language in ("en", "zh"):
        for kind in KINDS:
            one = record[language][kind]
            if one["values"]:
                bound = 0.8 if kind == "name" else 0.99 if kind in ("card", "iban", "id") else 0.95
                assert min(one["masked"] / one["values"], one["right"] / one["spans"]) >= bound, (language, kind)


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_pages_are_those_of_the_record(record, language):
    assert bench.page_of(record, language) in (bench.DOCS / f"privacy{language}.md").read_text(encoding="utf-8")
