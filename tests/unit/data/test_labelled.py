"""Texts with labels: what is cut, what is dropped, and who is held out."""

from __future__ import annotations

from collections import Counter

import pytest

from strop.data.labelled import Text, beginnings, labelled


def texts(**counts: int) -> list[Text]:
    """So many texts of each label, of which no two share two words that follow each other."""
    return [
        Text(f"{label}{i} a{label}{i} b{label}{i}", label) for label, number in counts.items() for i in range(number)
    ]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("One, two;\n three  four.", 2, "One, two;"),
        ("One two.", 2, "One two."),
        ("One two .", 5, "One two ."),
        ("很好，值得买。", 3, "很好，值"),
        ("not-so good", 2, "not-so"),
        ("...", 1, "..."),
        ("", 1, ""),
    ],
)
def test_a_text_is_cut_behind_its_words(text, words, expected):
    assert beginnings(["before this", text, "and after it"], words)[1] == expected


def test_every_label_has_its_share_of_each_split():
    """A tenth of 60 and of 40 is held out, as much is to choose by, and 48 and 32 are left."""
    found = labelled(texts(good=60, bad=40), words=9)
    assert found.labels == ("bad", "good")
    counts = [Counter(one.label for one in part) for part in (found.held_out, found.development, found.train)]
    assert counts == [{"good": 6, "bad": 4}, {"good": 6, "bad": 4}, {"good": 48, "bad": 32}]
    assert len({one.text for part in (found.held_out, found.development, found.train) for one in part}) == 100


def test_of_many_texts_400_are_held_out():
    found = labelled(texts(good=2700, bad=1800), words=9)
    assert Counter(one.label for one in found.held_out) == {"good": 240, "bad": 160}
    assert len(found.development) == 400


def test_the_order_of_the_file_changes_nothing_and_the_seed_does():
    given = texts(good=30, bad=30)
    found = labelled(given, words=9)
    assert labelled(given[::-1], words=9) == found
    assert labelled(given, words=9, seed=1).held_out != found.held_out


def test_labels_are_mixed_in_each_split():
    train = labelled(texts(good=200, bad=200), words=9).train
    assert 60 < sum(one.label == "good" for one in train[:160]) < 100


def test_of_near_duplicates_the_first_one_stays():
    """After the cut to ten words the second is the first, and the third shares 8 of its 9 pairs, of 10 in all."""
    first = "one two three four five six seven eight nine ten"
    twins = [Text(f"{first} eleven", "good"), Text(f"{first}!", "bad"), Text(first.replace("ten", "zehn"), "bad")]
    found = labelled([*twins, *texts(good=10, bad=10)], words=10)
    kept = [one for part in (found.held_out, found.development, found.train) for one in part]
    assert found.num_near == 2
    assert [one for one in kept if one.text.startswith("one")] == [Text(first, "good")]


@pytest.mark.parametrize(
    ("counts", "words", "message"),
    [
        ({"good": 10}, 9, "takes texts of two labels at least, and there are: 'good' 10."),
        ({}, 9, "there are: none."),
        ({"good": 10, "bad": 2}, 9, "a label needs 3 texts at least, .* 'good' 10, 'bad' 2 "),
        ({"good": 10, "bad": 10}, 0, "words=0: a text is cut to at least one word"),
    ],
)
def test_what_cannot_be_split_says_why(counts, words, message):
    with pytest.raises(ValueError, match=message):
        labelled(texts(**counts), words=words)
