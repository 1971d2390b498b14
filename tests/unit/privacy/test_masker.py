"""Placeholders: who gets which number, what is left as it is, and what is refused."""

import re
import subprocess
import sys

import pytest

import strop.privacy.masker
from strop.privacy import FINDERS, Found, Masker
from strop.privacy.masker import apart


def test_a_person_keeps_their_number_in_a_conversation_also_under_a_part_of_the_name():
    masker = Masker()
    assert masker.masked("Ann Lee wrote to Robert Miller.").text == "<NAME 1> wrote to <NAME 2>."
    assert masker.masked("Robert Miller told Ann Lee.").text == "<NAME 2> told <NAME 1>."
    assert masker.masked("Then Ann said no.").text == "Then <NAME 1> said no."
    assert masker.masked("我叫王小明，他叫李建国。").text == "我叫<NAME 3>，他叫<NAME 4>。"


def test_another_conversation_counts_from_one():
    first, second = Masker(), Masker()
    first.masked("Ann Lee wrote to Robert Miller.")
    assert second.masked("Robert Miller wrote.").text == "<NAME 1> wrote."


def test_one_number_in_two_spellings_is_one_placeholder():
    text = "13812345678, 138-1234-5678, +86 138 1234 5678, １３８１２３４５６７８; 13912345678"
    assert Masker().masked(text).text == "<PHONE 1>, <PHONE 1>, <PHONE 1>, <PHONE 1>; <PHONE 2>"


def test_numbers_that_stand_in_a_text_are_given_to_nobody_else():
    assert Masker().masked("<NAME 7> met Ann Lee.").text == "<NAME 7> met <NAME 8>."


def test_what_was_found_once_is_masked_wherever_it_stands_but_not_inside_a_word():
    # Alone at the start of a sentence, "Rose" is a word; behind "Miss" it is a name.
    text = "Miss Tamsin came. Tamsin's roses; TamsinX; 王伟说王伟来。"
    assert Masker().masked(text).text == "Miss <NAME 1> came. <NAME 1>'s roses; TamsinX; <NAME 2>说<NAME 2>来。"


def test_a_text_is_searched_again_once_what_was_found_is_hidden():
    # A letter before "(212)" is no place for a number; once the address before it is hidden, no letter is there.
    text = "12 Baker Street, London NW1 6XE(212) 555-0187"
    assert Masker().masked(text).text == "<ADDRESS 1><PHONE 1>"


def test_found_says_what_stood_where_in_the_text_as_it_was_given():
    text = "电话：1\u200b３８１２３４５６７８，a@b.org"
    masked = Masker().masked(text)
    assert masked.found == (Found("phone", 3, 15), Found("email", 16, 23))
    assert masked.text == "电话：<PHONE 1>，<EMAIL 1>"


def test_of_two_that_overlap_the_longer_one_stays_and_the_first_of_equal_ones():
    short, long, late = Found("phone", 0, 5), Found("card", 3, 12), Found("id", 12, 14)
    assert apart([late, long, short]) == [long, late]
    assert apart([Found("id", 0, 4), Found("card", 0, 4)]) == [Found("id", 0, 4)]


def test_a_finder_of_your_own():
    def badges(text: str) -> list[Found]:
        return [Found("id", *match.span()) for match in re.finditer(r"EMP-\d{5}", text)]

    assert Masker((*FINDERS, badges)).masked("Badge EMP-00217").text == "Badge <ID 1>"
    assert Masker().masked("Badge EMP-00217").text == "Badge EMP-00217"


def test_without_the_packages_no_masker_is_made(monkeypatch):
    there = strop.privacy.masker.find_spec
    monkeypatch.setattr("strop.privacy.masker.find_spec", lambda name: None if name == "stdnum" else there(name))
    with pytest.raises(ModuleNotFoundError, match=r'python-stdnum: pip install "strop\[privacy\]"'):
        Masker()


@pytest.mark.parametrize("given", [b"Ann Lee", None, ["Ann Lee"]])
def test_what_is_no_text_is_refused(given):
    with pytest.raises(TypeError, match="it is a text"):
        Masker().masked(given)


def test_importing_it_imports_none_of_its_packages():
    heavy = ["torch", "phonenumbers", "stdnum", "names", "wordfreq"]
    code = f"import sys, strop.privacy; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
