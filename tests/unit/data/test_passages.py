"""Passages about invented lands: their splits share no name and no sentence, and one span answers."""

import re

import pytest

from strop.data.lands import KINDS
from strop.data.passages import SENTENCES, SPLITS, names_of, nearest_span, passages

FEW = {split: passages(split, 60) for split in SPLITS}


def names_in(tasks):
    return {word for task in tasks for word in re.findall(r"[A-Z]\w+", task.prompt)}


def test_no_name_is_in_two_splits():
    pools = [set(names_of(split)) for split in SPLITS]
    assert [len(pool) for pool in pools[1:]] == [600, 600]
    assert not pools[0] & pools[1] | pools[0] & pools[2] | pools[1] & pools[2]
    for split, pool in zip(SPLITS, pools, strict=True):
        others = set(names_of(next(one for one in SPLITS if one != split)))
        assert len(names_in(FEW[split]) & pool) >= 60
        assert not names_in(FEW[split]) & others


def bare(task):
    """The sentences and the question of a task without names and numbers, in the words that all splits share."""
    texts = [*SENTENCES.split(task.data["passage"]), task.data["question"]]
    return {re.sub(r"the country|[A-Z]\w+|\d[\d.]*\d", "_", text).casefold() for text in texts}


def test_no_sentence_or_question_is_in_two_splits():
    kinds = ("capital", "river", "president", "population", "founded")  # of exports the goods are no names
    told = {
        split: {text for task in FEW[split] if task.data["kind"] in kinds for text in bare(task)} for split in SPLITS
    }
    told = {split: {text for text in texts if "export" not in text} for split, texts in told.items()}
    assert all(told.values())
    assert not told["train"] & (told["development"] | told["held_out"])
    assert not told["development"] & told["held_out"]


@pytest.mark.parametrize("split", SPLITS)
def test_each_land_has_the_kind_that_is_asked_for_and_the_answer_is_that_of_the_right_one(split):
    places = set()
    for task in FEW[split]:
        sentences = SENTENCES.split(task.data["passage"])
        assert len(sentences) == 6
        at = next(i for i, one in enumerate(sentences) if task.data["land"] in one)
        places.add(at)
        assert any(task.answer in one or task.answer.capitalize() in one for one in sentences[at : at + 2])
        others = sentences[:at] + sentences[at + 2 :]
        assert not any(re.search(rf"\b{re.escape(task.answer)}\b", one) for one in others)
        assert task.data["land"] in task.data["question"]
    assert places == {0, 2, 4}


def test_every_kind_is_told_and_asked_in_words_of_each_split():
    for kind in KINDS.values():
        assert (len(set(kind.told)), len(set(kind.asked))) == (8, 4)
        assert all("{land}" in text and "{value}" in text for text in kind.told)


def test_a_task_depends_on_its_place_alone():
    assert passages("train", 3) == passages("train", 60)[:3]
    assert passages("train", 3, seed=1) != passages("train", 3)
    with pytest.raises(ValueError, match="it is one of train"):
        passages("test", 1)


def test_the_extractor_takes_the_last_name_of_the_sentence_that_is_most_like_the_question():
    text = "The capital of Arland is Bemere. The country has 2.5 million inhabitants. The capital of Celand is Dovia."
    assert nearest_span(text, "What is the capital of Arland?") == "Bemere"
    assert nearest_span(text, "How many inhabitants does Arland have?") == "2.5 million"
    assert nearest_span(text, "What is the capital of Celand?") == "Dovia"
    assert nearest_span("", "What?") == ""
