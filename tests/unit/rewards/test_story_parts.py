"""The parts of the story reward, each by numbers worked out by hand."""

import pytest
from one_turn import wrote

from strop.rewards import Copying, HappyEnd, Repetition, WordLimit, finished, uses_words, word_heap
from strop.types import Task

TASK = Task("t", "Tell a story about a lamp.", data={"words": ["lamp", "river", "berry"]})


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The lamp fell into the river near a berry.", 3),
        ("The LAMPS saw rivers eat berries.", 3),
        ("The lamp's light met the river's boat.", 2),
        ("A clamp, a riverbank and a blackberry.", 0),  # no word stands whole
        ("A lamp, a river and a berry.", 1),  # a list: naming is not using
        ("lamp river berry", 1),
        ("A lamp and the river saw a berry.", 2),  # "and the" joins the first two; "saw" parts the third
        ("Lamp lamp lamp.", 1),
    ],
)
def test_uses_words_does_not_count_lists(text, share):
    assert uses_words(TASK, wrote(TASK, text)) == pytest.approx(share / 3)


def test_uses_words_reads_phrases_and_scripts_without_spaces():
    task = Task("t", "p", data={"words": ["ice cream", "青蛙"]})
    assert uses_words(task, wrote(task, "Two ice creams for 一只青蛙。")) == 1.0
    assert uses_words(task, wrote(task, "Ice in cream.")) == 0.0


def test_uses_words_without_words_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"task 'x': uses_words needs data\[\"words\"\]"):
        uses_words(Task("x", "p"), wrote(TASK, "text"))


# At most 30, at least 10 words: 5 words are half of 10; 45 lie half way from 30 to 60.
@pytest.mark.parametrize(
    ("num_words", "score"), [(0, 0.0), (5, 0.5), (10, 1.0), (30, 1.0), (45, 0.5), (60, 0.0), (99, 0.0)]
)
def test_word_limit_is_a_plateau_with_two_slopes(num_words, score):
    assert WordLimit(least=10, most=30)(TASK, wrote(TASK, "word " * num_words)) == score


def test_word_limit_refuses_an_empty_range():
    with pytest.raises(ValueError, match="1 <= least <= most"):
        WordLimit(least=31, most=30)


@pytest.mark.parametrize(
    ("text", "finish", "score"),
    [("All was well.", "stop", 1.0), ("All was well.", "length", 0.0), ("All was", "stop", 0.0), (".", "stop", 0.0)],
)
def test_finished_needs_a_stop_token_and_a_mark(text, finish, score):
    assert finished(TASK, wrote(TASK, text, finish)) == score


def test_repetition_is_the_share_of_pairs_seen_before():
    assert Repetition(2)(TASK, wrote(TASK, "happy happy happy happy")) == pytest.approx(2 / 3)  # 1 distinct of 3
    assert Repetition(2)(TASK, wrote(TASK, "a b a b a")) == 0.5  # ab ba ab ba: 2 distinct of 4
    assert Repetition(2)(TASK, wrote(TASK, "one")) == 0.0


def test_copying_is_the_share_of_ngrams_from_the_prompt():
    # "tell a story" "a story for" "story for you": the first stands in the prompt
    assert Copying(3)(TASK, wrote(TASK, "Tell a story for you")) == pytest.approx(1 / 3)
    assert Copying(3)(TASK, wrote(TASK, "Tell a story about a lamp.")) == 1.0
    assert Copying(3)(TASK, wrote(TASK, "A lamp")) == 0.0


# Function words: 0 of 5 = 0 %; 1 of 5 = 20 %, half way from 10 to 30; 2 of 5; 5 of 5.
@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("lamp river frog table boat", 1.0),
        ("the river frog table boat", 0.5),
        ("the river and frog boat", 0.0),
        ("the and of it was", 1.0),
        ("", 0.0),
    ],
)
def test_word_heap_measures_how_far_the_share_of_function_words_is_from_prose(text, score):
    assert word_heap(TASK, wrote(TASK, text)) == pytest.approx(score)


def test_happy_end_saturates_at_one_happy_word():
    one = HappyEnd()(TASK, wrote(TASK, "The storm was bad. At last the frog was happy."))
    many = HappyEnd()(TASK, wrote(TASK, "The storm was bad. At last the frog was happy, glad, joyful and HAPPY!!!"))
    assert one == 1.0
    assert many < one


def test_happy_end_reads_the_end_only():
    assert HappyEnd()(TASK, wrote(TASK, "The frog was happy. Then it died alone in misery.")) == 0.0
    assert HappyEnd()(TASK, wrote(TASK, "The frog was happy. Then it sat on a stone.")) == 0.0


def test_happy_end_divides_by_the_happy_words_beyond_the_free_ones():
    # 12 words, spacing 6: two are free; four happy words stand there: 2/4
    text = "A happy frog and a happy duck had joy and were happy."
    assert HappyEnd()(TASK, wrote(TASK, text)) == 0.5


def test_a_cut_text_has_no_end():
    assert HappyEnd()(TASK, wrote(TASK, "They were happy.", "length")) == 0.0


def test_happy_end_names_the_line_that_installs_its_lexicon(monkeypatch):
    monkeypatch.setattr("strop.rewards.sentiment.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[demo\]"'):
        HappyEnd()
