import pytest

from strop.rewards._text import fall, is_closed, prompt_text, sentences_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A Frog's lamp-post, 8!", ["a", "frog's", "lamp-post", "8"]),
        ("don’t", ["don't"]),
        ("café ＡＢ", ["café", "ab"]),
        ("小青蛙 ok", ["小", "青", "蛙", "ok"]),
        ("... --", []),
    ],
)
def test_words_are_lower_case_and_whole(text, words):
    assert words_of(text) == words


def test_sentences_end_at_marks_and_lines():
    assert sentences_of('He ran. "Stop!" she said\nFar away... 3.5 miles') == [
        "He ran.",
        '"Stop!"',
        "she said",
        "Far away...",
        "3.5 miles",
    ]
    assert sentences_of("青蛙很开心。它笑了！") == ["青蛙很开心。", "它笑了！"]


@pytest.mark.parametrize("text", ["It ended.", 'She said "yes!"', "完。", "Done. \n"])
def test_a_closed_text_ends_with_a_mark(text):
    assert is_closed(text)


@pytest.mark.parametrize("text", ["It ended", "and then...", "and then…", "one, ", ""])
def test_an_open_text_does_not(text):
    assert not is_closed(text)


def test_fall_is_a_straight_line_between_two_flat_ends():
    assert [fall(x, full=30, zero=60) for x in (10, 30, 45, 60, 99)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert [fall(x, full=10, zero=0) for x in (0, 5, 10, 20)] == [0.0, 0.5, 1.0, 1.0]


def test_a_prompt_of_messages_says_all_its_messages():
    assert prompt_text([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]) == "a\nb"
