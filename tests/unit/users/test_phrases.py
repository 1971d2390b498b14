"""What is said: moves mean themselves, words are split, both languages say the same."""

from itertools import product

import pytest

from strop.users import num_words, phrases_of
from strop.users.phrases import LANGUAGES, WORDINGS, part_of
from strop.users.problems import AREAS, FIXES, HANDOVER, MOVES, PRAISE, QUESTIONS
from strop.users.temper import TEMPERS


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_move_means_itself_in_both_manners(language):
    phrases = phrases_of(language)
    assert set(phrases.moves) == set(phrases.means) == set(MOVES)
    for move in MOVES:
        plain, polite = phrases.said(move), phrases.said(move, True)
        assert phrases.move_of(plain) == phrases.move_of(polite) == move
        assert (phrases.is_courteous(plain), phrases.is_courteous(polite)) == (False, True)
        assert num_words(plain) <= phrases.brief < num_words(polite)


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("Have you tried to reboot the router?", "restart"),
        ("Please unplug it, then restart it, then update it.", "restart"),  # pulled out is not pushed in
        ("Update it. If that fails, restart it.", "update"),
        ("How long has it been so?", "since"),
        ("Could you tell me what lights you see?", "lights"),
        ("I will pass you to a specialist.", HANDOVER),
        ("You are so right!", PRAISE),
        ("Have a nice day.", None),
        ("", None),
    ],
)
def test_free_text_means_the_first_thing_that_stands_in_it(text, move):
    assert phrases_of("en").move_of(text) == move


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_words_are_in_two_splits_and_none_is_empty(language):
    phrases = phrases_of(language)
    lists = [*phrases.subjects.values(), *phrases.troubles.values()]
    lists += [texts for causes in phrases.answers.values() for texts in causes.values()]
    assert len(lists) == 5 + 5 + 15
    for texts in lists:
        parts = [set(part_of(texts, wording)) for wording in WORDINGS]
        assert all(parts)
        assert sum(map(len, parts)) == len(set.union(*parts)) == len(texts)
    every = [text for texts in lists for text in texts]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_words(language):
    phrases = phrases_of(language)
    assert set(phrases.frames) == set(TEMPERS)
    assert set(phrases.subjects) == set(phrases.troubles) == set(phrases.answers) == set(AREAS)
    assert all(set(phrases.answers[area]) == set(AREAS[area].fixes) for area in AREAS)
    assert set(phrases.topics) == set(phrases.keywords)
    for temper, frames in phrases.frames.items():
        polite = {phrases.is_courteous(frame) for frame in frames}
        assert True not in polite or temper == "formal"
    assert phrases.is_courteous(phrases.thanks)


def test_problems_fit_together():
    fixes = [fix for area in AREAS.values() for fix in area.fixes.values()]
    assert set(fixes) == set(FIXES)
    assert {area.question for area in AREAS.values()} == set(QUESTIONS)
    assert all(len(set(area.fixes.values())) == 3 for area in AREAS.values())


def test_the_same_answer_means_different_things_in_different_areas():
    """So the second turn cannot be taken without the first."""
    answers = phrases_of("en").answers
    assert all("green" in " ".join(answers[area][cause]).lower() for area, cause in product(("internet",), ("hung",)))
    assert "green" in " ".join(answers["speaker"]["low"]).lower()
    assert AREAS["internet"].fixes["hung"] != AREAS["speaker"].fixes["low"]


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="one of en, zh"):
        phrases_of("fr")
    with pytest.raises(ValueError, match="one of lights"):
        phrases_of("en").said("dance")
