"""Every reward of the folder keeps to the protocol, whatever the policy wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass

import numpy as np
import pytest

import strop.rewards
from judge_server import text_in
from strop import loader
from strop.rewards import (
    Answered,
    ChrF,
    Classified,
    Clipped,
    Copying,
    Fluency,
    Grammar,
    GroupReward,
    HappyEnd,
    InScript,
    Learned,
    Matches,
    Pairwise,
    Reasoned,
    Repetition,
    Rouge,
    Rubric,
    SameMaths,
    SameMeaning,
    Scaled,
    SentenceBleu,
    ShortSentences,
    Similarity,
    SimpleWords,
    Toxicity,
    ValidJSON,
    WordLimit,
    correct_number,
    courteous,
    exact_answer,
    final_number,
    finished,
    from_trl,
    gave_answer,
    num_calls,
    num_failed_calls,
    only_number,
    right_answer,
    safe,
    solved,
    thumbs_up,
    token_f1,
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


def share_of_b(text):
    return text.count("b") / max(1, len(text))


def longest_is_best(questions, read):
    """A stand-in judge of pairs: the longer text."""
    replies = []
    for _, asked in questions:
        a, b = (len(text_in(asked["content"], f"answer {place}")) for place in "AB")
        replies.append(read(json.dumps({"better": "tie" if a == b else "A" if a > b else "B"})))
    return replies


def marks_by_length(questions, read):
    """A stand-in judge by criteria: a point more for each 10 characters."""
    texts = [text_in(asked["content"], "answer") for _, asked in questions]
    return [read(json.dumps({"long": 1 + min(4, len(text) // 10)})) for text in texts]


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
    "exact": exact_answer,
    "answer": Answered(),
    "answer/right": right_answer,
    "answer/answers": gave_answer,
    "answer/f1": token_f1,
    "tools": final_number,
    "tools/only": only_number,
    "tools/calls": num_calls,
    "tools/failed": num_failed_calls,
    "support": thumbs_up,
    "drive": safe,
    "support/solved": solved,
    "support/courteous": courteous,
    "pattern": Matches(r".*\d+"),
    "json_schema": ValidJSON({"type": "integer"}),
    "rouge": Rouge(),
    "grammar": Grammar(),
    "simple_words": SimpleWords(),
    "toxicity": GroupReward(Toxicity()),
    "classified": GroupReward(Classified(lambda texts: [[1 - p, p] for p in map(share_of_b, texts)])),
    "meaning": GroupReward(SameMeaning(unit_vectors)),
    "composition": Clipped(WordLimit(most=30), high=0.5),
    "composition/scaled": Scaled(WordLimit(most=30), worst=-1.0, best=1.0),
    "pairwise": GroupReward(Pairwise(longest_is_best, against="answer")),
    "maths": SameMaths(),
    "reason": Reasoned(lambda answer, data: float(answer == "8")),
    "rubric": GroupReward(Rubric(marks_by_length, {"long": "It is long."})),
    "group": GroupReward(lambda task, episodes: [float(i == 0) for i, _ in enumerate(episodes)]),
}

NO_REWARDS = {"judge"}
"""What rewards ask: see tests/unit/rewards/test_judge.py."""
LEAST = {"answer": -1.0}
"""Of those that are no numbers from 0 to 1."""

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
SHORT_TEXTS = [name for name, text in TEXTS.items() if len(text) < 100]
"""How an answer ended matters to these alone: to a long one it would be the same, and take seconds."""

TASK = Task("t", "Write about a frog, a lamp and a river.", answer="8", data={"words": ["frog", "lamp", "river"]})


@dataclass(frozen=True)
class Gold:
    """A text that gets the best value there is, and texts that get less of it; the best of a penalty is the least."""

    right: str
    wrong: Sequence[str]
    best: float = 1.0
    is_penalty: bool = False
    task: Task = TASK


QUIZ = Task("q", "What is the capital of Peru?", answer="Lima is the capital of Peru.")

GOLD = {
    "words": Gold("The frog saw a lamp by the river.", ["A frog, a lamp, a river.", "A lamp fell.", ""]),
    "sentiment": Gold("It rained. Then they were happy.", ["They were happy. Then it rained.", "They were sad.", ""]),
    "length": Gold("word " * 20, ["word " * 5, "word " * 45, ""]),
    "length/finished": Gold("All was well.", ["All was", "All was...", ""]),
    "repetition": Gold("A frog saw a lamp.", ["frog frog frog"], best=0.0, is_penalty=True),
    "repetition/copying": Gold("They were happy.", ["Write about a frog."], best=0.0, is_penalty=True),
    "prose": Gold("The frog sat on a stone by the river.", ["frog lamp river"], best=0.0, is_penalty=True),
    "number": Gold("It is 8.", ["It is 9.", "8 or 9", "eight", ""]),
    "fluency": Gold("A frog sat", ["A frog sat quietly.", "frog frog ", ""]),  # 10 letters: 3 nats; 19: 7
    "short_sentences": Gold("He sat. She ran.", ["He sat for a long time.", ""]),
    "chrf": Gold("8", ["9", "88", ""]),
    "bleu": Gold("8", ["9", "8 8", ""]),
    "script": Gold("frog", ["frog 青蛙", "青蛙", "8", ""]),
    "exact": Gold("8.", ["9", "8 8", "8 or 9", ""]),
    "answer": Gold("8.", ["I don't know", "9", "8 or 9", ""]),
    "answer/right": Gold("It is 8.", ["I don't know", "9", "It is 8 or 9", ""]),
    "answer/answers": Gold("9", ["I don't know"]),
    "answer/f1": Gold("8", ["8 9", "9", ""]),
    "tools": Gold("It is 8.", ["9", "8 or 9", "eight", ""]),
    "tools/only": Gold("8", ["It is 8.", "9", "8.0", ""]),
    "support/courteous": Gold("Please restart it.", ["Restart it.", ""]),
    "pattern": Gold("So it is 8", ["eight", "8.", ""]),
    "json_schema": Gold("8", ["8.5", '"8"', "it is 8", ""]),
    "rouge": Gold(
        "Lima is the capital of Peru",
        ["Lima", "The capital of Peru is Lima.", "Lima is the capital of Peru too.", ""],
        task=QUIZ,
    ),
    "grammar": Gold("He goes to school.", ["He go to school.", "青蛙", ""]),
    "simple_words": Gold("The frog is happy.", ["The frog is ecstatically euphoric.", "xyzzyq", ""]),
    "toxicity": Gold("Have a nice day.", ["You are a stupid idiot."], best=0.04, is_penalty=True),
    "classified": Gold("bbb", ["bab", ""]),
    "meaning": Gold("Lima is the capital of Peru.", ["Rome is the capital of Italy.", "no", ""], task=QUIZ),
    "pairwise": Gold("88", ["8", ""]),  # the answer is 8: longer, as long, shorter
    "maths": Gold("So it is 8.", ["It is 9.", "4 + 4", "eight", ""]),
    "reason": Gold("The answer is 8.", ["It is 8, or 9.", "9", ""]),
    "rubric": Gold("word " * 8, ["word " * 7, ""]),  # 40 characters get 5
    "composition": Gold("word " * 20, ["word " * 50, ""], best=0.5),
    "composition/scaled": Gold("word " * 20, ["word " * 50, ""]),
}
WITHOUT_GOLD = {"similarity", "learned", "learned/unfinished", "trl", "group", "drive", "support", "support/solved"} | {
    "tools/calls",
    "tools/failed",
}
"""Their numbers are those of the function inside, or of what an environment says; Similarity's and those of thumbs are
worked out in the unit tests."""


def episode(text, finish="stop", num_tokens=3):
    completion = Completion((5,) * num_tokens, None, finish)
    return Episode("e", TASK, 0, (Turn((1, 2), completion, text),), (), End.TERMINATED)


def score(reward, episode, task=TASK):
    return reward(task, [episode])[0] if isinstance(reward, GroupReward) else reward(task, episode)


def test_every_module_of_the_folder_is_tried_here():
    modules = {module.name for module in loader.modules("rewards")}
    assert modules == {name.partition("/")[0] for name in REWARDS} | NO_REWARDS


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize(
    ("finish", "text"), [*(("stop", name) for name in TEXTS), *(("length", name) for name in SHORT_TEXTS)]
)
def test_a_reward_is_a_finite_number_in_0_to_1_or_unscored(name, text, finish):
    value = score(REWARDS[name], episode(TEXTS[text], finish))
    if not isinstance(value, Unscored):
        assert type(value) is float
        assert math.isfinite(value)
        assert LEAST.get(name, 0.0) <= value <= 1.0


def test_every_reward_has_a_gold_answer_here_or_none_of_its_own():
    assert set(GOLD) | WITHOUT_GOLD == set(REWARDS)


@pytest.mark.parametrize("name", GOLD)
def test_a_gold_answer_gets_the_maximum_and_wrong_ones_less(name):
    gold = GOLD[name]
    best = score(REWARDS[name], episode(gold.right), gold.task)
    assert best == pytest.approx(gold.best, abs=0.02 if name == "toxicity" else 1e-6)
    for wrong in gold.wrong:
        found = score(REWARDS[name], episode(wrong), gold.task)
        assert found > best + 0.01 if gold.is_penalty else found < best - 0.01, wrong


@pytest.mark.parametrize("name", REWARDS)
def test_an_episode_without_a_turn_or_without_a_token_is_scored(name):
    no_turn = Episode("e", TASK, 0, (), (), End.TERMINATED)
    for odd in (no_turn, episode("", num_tokens=0)):
        value = score(REWARDS[name], odd)
        assert isinstance(value, Unscored) or LEAST.get(name, 0.0) <= value <= 1.0


@pytest.mark.matrix
@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_depends_on_nothing_but_its_arguments(name):
    for text in (text[:5000] for text in TEXTS.values()):  # how long they may be is seen above
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
