"""Every reward of the folder keeps to the protocol, whatever the policy wrote."""

from __future__ import annotations

import json
import math
from dataclasses import is_dataclass

import numpy as np
import pytest

import strop.rewards
from strop import loader
from strop.rewards import (
    ChrF,
    Copying,
    Fluency,
    GroupReward,
    HappyEnd,
    InScript,
    Learned,
    Repetition,
    SentenceBleu,
    ShortSentences,
    Similarity,
    WordLimit,
    correct_number,
    finished,
    from_trl,
    uses_words,
    word_heap,
)
from strop.types import Completion, End, Episode, Task, Turn, Unscored


def unit_vectors(texts):
    """A stand-in encoder: letters counted, length 1."""
    counts_BV = np.array([[1.0 + text.casefold().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    return counts_BV / np.linalg.norm(counts_BV, axis=1, keepdims=True)


def length_score(prompts, completions, **columns):
    return [min(1.0, len(completion) / 100) if completion else None for completion in completions]


REWARDS = {
    "words": uses_words,
    "sentiment": HappyEnd(),
    "length": WordLimit(most=30, least=15),
    "length/finished": finished,
    "repetition": Repetition(),
    "repetition/copying": Copying(),
    "prose": word_heap,
    "number": correct_number,
    "fluency": GroupReward(Fluency(nats=lambda texts: [3.0 + len(text) % 5 for text in texts])),
    "similarity": GroupReward(Similarity(embed=unit_vectors)),
    "learned": GroupReward(Learned(score=lambda prompt, texts: [len(text) % 7 / 7 for text in texts])),
    "learned/unfinished": GroupReward(Learned(score=lambda prompt, texts: [1.0 for _ in texts], unfinished=0.25)),
    "trl": from_trl(length_score),
    "short_sentences": ShortSentences(words=4),
    "chrf": ChrF(),
    "bleu": SentenceBleu(),
    "script": InScript("LATIN"),
    "group": GroupReward(lambda task, episodes: [float(i == 0) for i, _ in enumerate(episodes)]),
}

TEXTS = {
    "empty": "",
    "space": " \n\t ",
    "marks": "...!?",
    "story": "A frog found a lamp by the river. They were happy.",
    "chinese": "青蛙在河边找到了一盏灯，大家都很开心。8",
    "emoji": "😀😀 🐸 8",
    "odd": "\x00\ufffd\u202e²½Ⅷ٨ 1e999999999 −",
    "long": "the happy frog saw 8 lamps and " * 20_000,
    "one long word": "a" * 500_000,
    "digits": "8" * 100_000,
    "long runs of marks": "!" * 100_000 + "x" + "'" * 100_000 + " " * 100_000 + "=" + "-" * 100_000 + "8",
}

TASK = Task("t", "Write about a frog, a lamp and a river.", answer="8", data={"words": ["frog", "lamp", "river"]})


def episode(text, finish="stop", num_tokens=3):
    completion = Completion((5,) * num_tokens, None, finish)
    return Episode("e", TASK, 0, (Turn((1, 2), completion, text),), (), End.TERMINATED)


def score(reward, episode):
    return reward(TASK, [episode])[0] if isinstance(reward, GroupReward) else reward(TASK, episode)


def test_every_module_of_the_folder_is_tried_here():
    assert {module.name for module in loader.modules("rewards")} == {name.partition("/")[0] for name in REWARDS}


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_reward_is_a_finite_number_in_0_to_1_or_unscored(name, text, finish):
    value = score(REWARDS[name], episode(TEXTS[text], finish))
    if not isinstance(value, Unscored):
        assert type(value) is float
        assert math.isfinite(value)
        assert 0.0 <= value <= 1.0


@pytest.mark.parametrize("name", REWARDS)
def test_an_episode_without_a_turn_or_without_a_token_is_scored(name):
    no_turn = Episode("e", TASK, 0, (), (), End.TERMINATED)
    for odd in (no_turn, episode("", num_tokens=0)):
        value = score(REWARDS[name], odd)
        assert isinstance(value, Unscored) or 0.0 <= value <= 1.0


@pytest.mark.matrix
@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_depends_on_nothing_but_its_arguments(name):
    for text in TEXTS.values():
        assert score(REWARDS[name], episode(text)) == score(REWARDS[name], episode(text))


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_changes_no_fact(name):
    before = json.dumps([TASK.prompt, TASK.answer, dict(TASK.data)])
    score(REWARDS[name], episode(TEXTS["story"]))
    assert json.dumps([TASK.prompt, TASK.answer, dict(TASK.data)]) == before


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_is_a_function_or_a_frozen_record(name):
    reward = REWARDS[name]
    assert hasattr(reward, "__module__")
    assert hasattr(reward, "__name__") or (is_dataclass(reward) and reward.__dataclass_params__.frozen)


def test_every_public_name_is_found_and_says_what_it_is():
    for module in loader.modules("rewards"):
        assert module.summary
        for name in (*module.functions, *module.classes):
            assert getattr(strop.rewards, name).__doc__, name
            assert name != module.name


def test_an_unknown_reward_is_an_error_with_the_nearest_name():
    with pytest.raises(AttributeError, match="did you mean uses_words"):
        strop.rewards.use_words  # noqa: B018
