"""Grammar, simple words and toxicity: few words, counted by hand."""

import pytest
from one_turn import wrote

import strop
from strop.rewards import Grammar, SimpleWords, Toxicity, grammar
from strop.types import Task

TASK = Task("t", "p")


def scored(reward, text):
    return reward(TASK, wrote(TASK, text))


def test_grammar_counts_mistakes_per_word():
    """Eight words, of which "go" and "a" are wrong."""
    text = "He go to school and eat a apples."
    words, mistakes = 8, 2
    assert scored(Grammar(most=0.5), text) == pytest.approx(1 - mistakes / words / 0.5)
    assert scored(Grammar(), text) == 0.0
    assert scored(Grammar(), "He goes to school and eats apples.") == 1.0


def test_a_word_of_another_script_is_a_mistake():
    assert scored(Grammar(most=1.0), "Frogs like 青.") == pytest.approx(2 / 3)
    assert scored(Grammar(), "青蛙很开心。") == 0.0
    assert scored(Grammar(), "...") == 0.0


def test_grammar_reads_a_beginning(monkeypatch):
    monkeypatch.setattr(grammar, "MOST_CHARS", 11)
    assert scored(Grammar(), "A frog sat. He go to school and eat a apples.") == 1.0


# On the Zipf scale of wordfreq 3.1: the 7.73, frog 3.89, defenestrate 1.04.
@pytest.mark.parametrize(("least", "share"), [(0.0, 1.0), (3.5, 2 / 3), (4.0, 1 / 3), (8.0, 0.0)])
def test_simple_words_are_the_share_of_common_ones(least, share):
    assert scored(SimpleWords(least=least), "The frog: defenestrate!") == pytest.approx(share)


def test_simple_words_of_another_language():
    assert scored(SimpleWords(language="fr"), "le chat") == 1.0
    assert scored(SimpleWords(least=5.0, language="en"), "le chat") == 0.0
    assert scored(SimpleWords(), "...") == 0.0


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"SimpleWords\.language='xx': it is one of .*de, .*en"):
        SimpleWords(language="xx")


def test_chinese_words_are_found_by_jieba(monkeypatch):
    monkeypatch.setattr("strop.rewards.simple_words.find_spec", lambda name: None if name == "jieba" else object())
    with pytest.raises(ModuleNotFoundError, match=r'needs the package jieba: pip install "wordfreq\[cjk\]"'):
        SimpleWords(language="zh")


def test_toxicity_scores_each_text_of_a_group_in_its_place():
    nice, rude, again = Toxicity()(TASK, [wrote(TASK, text) for text in ("Have a nice day.", "You stupid idiot.", "")])
    assert rude > 0.9
    assert max(nice, again) < 0.1


@pytest.mark.parametrize(
    ("reward", "extra"), [("Grammar", "rewards"), ("SimpleWords", "rewards"), ("Toxicity", "toxicity")]
)
def test_without_its_package_the_extra_is_named(reward, extra, monkeypatch):
    module = getattr(strop.rewards, reward).__module__
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "strop\[{extra}\]"'):
        getattr(strop.rewards, reward)()
