"""Pairs and tables on terminals of every width: whole words, and numbers in their columns."""

import io

import pytest
from rich.console import Console

from strop.cli.layout import Columns, Pairs

PLAN = [
    ("policy", "Transformer (smollm2): 4,884,480 trainable parameters of 139,399,488"),
    ("changed", "algorithm.optimizer.max_grad_norm=0.5 steps=3 policy.model=smollm2"),
]
CHECKS = [("RLOO", "the same gradient under micro-batches, padding and order", "8.9e-16", "1e-12")]
NAMES = ("method", "must equal", "gap", "tolerance")


def shown(what, width):
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(what)
    return stream.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 46, 60, 80, 200])
def test_no_word_that_fits_is_broken(width):
    for what, texts in (
        (Pairs(PLAN), [text for pair in PLAN for text in pair]),
        (Columns(NAMES, CHECKS, frozenset({2, 3})), [text for row in CHECKS for text in row]),
    ):
        found = shown(what, width)
        assert max(map(len, found.splitlines())) <= width
        for word in " ".join(texts).split():
            assert len(word) > width or word in found.split()


def test_pairs_are_two_columns_if_they_fit():
    assert shown(Pairs([("run", "3 steps"), ("seed", "0")]), 30).splitlines()[0].rstrip() == "run   3 steps"
    assert shown(Pairs([("run", "a-word-of-twenty-let")]), 22).splitlines()[0].rstrip() == "run"
    assert shown(Pairs([]), 40).strip() == ""


def test_the_widest_column_gives_way_and_numbers_stay_in_line():
    lines = shown(Columns(NAMES, CHECKS, frozenset({2, 3})), 60).splitlines()
    assert lines[0].split() == ["method", "must", "equal", "gap", "tolerance"]
    assert lines[1].split()[-2:] == ["8.9e-16", "1e-12"]
    assert lines[1].index("1e-12") + 5 == lines[0].index("tolerance") + 9


def test_a_table_that_is_too_wide_becomes_paragraphs():
    first, second = [
        line.rstrip()
        for line in shown(Columns(("name", "gap"), [("abcdefgh", "1e-12")], frozenset({1})), 14).splitlines()
    ]
    assert (first, second) == ("abcdefgh", "  gap 1e-12")
