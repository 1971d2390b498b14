"""Texts in a style: halves that share no tale, haiku by hand, and classifiers that tell the halves apart."""

from __future__ import annotations

import pytest

from strop.data import style
from strop.data.style import fitted, haiku, held_out_nouns, own_stories, passages, prompted, trained_nouns


def letters(text: str) -> list[int | None]:
    """A stand-in counter: each word has as many syllables as letters; one with a digit cannot be counted."""
    words = ["".join(letter for letter in word if letter.isalnum()) for word in text.split()]
    return [None if any(map(str.isdigit, word)) else len(word) for word in words]


def grimm(monkeypatch: pytest.MonkeyPatch, *paragraphs: str) -> None:
    """Makes these the only tale."""
    monkeypatch.setattr(style, "_tales", lambda half: [list(paragraphs)] if half == "reward" else [])


def test_halves_share_no_text_and_each_has_hundreds():
    for texts in (passages, own_stories):
        halves = [set(texts("reward")), set(texts("gold"))]
        assert not halves[0] & halves[1]
        assert min(map(len, halves)) > 70
    assert min(len(passages("reward")), len(passages("gold"))) > 700
    assert all(25 <= len(text.split()) <= 60 for text in passages("gold"))


def test_a_passage_is_of_whole_sentences(monkeypatch):
    short, long = " ".join(["Word"] * 15) + ".", " ".join(["Word"] * 70) + "."
    grimm(monkeypatch, f"{short} {short} {long} {short}")
    assert passages("reward") == [f"{short} {short}"]


@pytest.mark.parametrize(
    ("paragraph", "found"),
    [
        ("aa bbb ccccccc ddddd.", ["aa bbb\nccccccc\nddddd."]),
        ("Well, aa bbb ccccccc ddddd, and so on.", ["aa bbb\nccccccc\nddddd,"]),
        ("aa bbb ccccccc ddddd and so on.", []),  # no clause ends there
        ("x aa bbb ccccccc ddddd.", []),  # and none begins there
        ("aaaa bbb ccccccc ddddd.", []),  # a word stands over the end of the first line
        ("aa bbb ccccccc dddd.", []),
        ("aa b8b ccccccc ddddd.", []),
    ],
)
def test_a_haiku_stands_between_the_ends_of_clauses(paragraph, found, monkeypatch):
    grimm(monkeypatch, paragraph)
    assert haiku(letters) == found


def test_a_prompt_names_a_trained_noun_and_no_text_has_a_held_out_one():
    trained, held_out = trained_nouns()[0], held_out_nouns()[0]
    texts = [f"It was {held_out} and {trained}.", f"There was {trained} once.", "Nothing is wonderful."]
    assert prompted(texts) == [(trained, texts[1])]
    assert prompted(texts, any_word=True) == [(trained, texts[1]), ("wonderful", texts[2])]
    assert not set(trained_nouns()) & set(held_out_nouns())


@pytest.mark.parametrize(("family", "half", "other"), [("logistic", "reward", "gold"), ("bayes", "gold", "reward")])
def test_a_classifier_tells_texts_of_the_other_half_apart(family, half, other):
    """Chance is .5."""
    likeness = fitted(family, half).predict_proba
    told, own = likeness(passages(other))[:, 1], likeness(own_stories(other))[:, 1]
    assert ((told > 0.5).mean() + (own < 0.5).mean()) / 2 > 0.9
