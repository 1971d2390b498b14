import math

import pytest
from one_turn import wrote

from strop.rewards import Fluency, GroupReward, Similarity, from_trl
from strop.types import Task, Unscored

TASK = Task("t", "Say it.", answer="8", data={"level": 2})


def group(task, *texts):
    return [wrote(task, text, id=str(i)) for i, text in enumerate(texts)]


def test_trl_function_sees_texts_for_a_text_prompt():
    seen = {}

    def reward(prompts, completions, **columns):
        seen.update(columns, prompts=prompts, completions=completions)
        return [0.5, None]

    assert from_trl(reward)(TASK, group(TASK, "one two", "three")) == [0.5, Unscored("reward returned None")]
    assert seen == {
        "prompts": ["Say it.", "Say it."],
        "completions": ["one two", "three"],
        "completion_ids": [[0, 1], [0]],
        "level": [2, 2],
        "answer": ["8", "8"],
    }


def test_trl_function_sees_messages_for_a_prompt_of_messages():
    messages = [{"role": "user", "content": "Say it."}]
    task = Task("t", messages)

    def reward(prompts, completions, completion_ids):
        assert prompts == [messages]
        assert completions == [[{"role": "assistant", "content": "one"}]]
        return [1]

    scores = from_trl(reward)(task, group(task, "one"))
    assert scores == [1.0]
    assert type(scores[0]) is float


def test_a_field_that_hides_an_argument_of_trl_is_an_error():
    task = Task("t", "p", data={"prompts": 1})
    with pytest.raises(ValueError, match="TRL rewards get prompts from strop: rename"):
        from_trl(lambda **columns: [1.0])(task, group(task, "x"))


def test_a_trl_function_that_returns_infinity_is_an_error():
    with pytest.raises(ValueError, match="returned -inf"):
        from_trl(lambda **columns: [-math.inf])(TASK, group(TASK, "x"))


def test_a_group_reward_must_score_every_episode():
    with pytest.raises(ValueError, match="returned 1 results for 2 episodes"):
        GroupReward(lambda task, episodes: [1.0])(TASK, group(TASK, "a", "b"))


def test_fluency_is_naturalness_times_variety():
    # natural 4, gibberish 6: 5 nats are half way. varied .8: 2 different of 4 words are .5/.8 of full variety.
    nats = {"a b c d": 5.0, "a b a b": 3.0, "x y": 7.0}
    fluency = GroupReward(Fluency(nats=lambda texts: [nats[text] for text in texts]))
    assert fluency(TASK, group(TASK, "a b c d", "a b a b", "x y", "", "...")) == pytest.approx([0.5, 0.625, 0, 0, 0])


def test_similarity_rises_to_about_and_falls_where_the_text_is_its_words():
    import numpy as np

    task = Task("t", "p", data={"words": ["lamp", "frog"]})
    cosines = {"lamp, frog": 1.0, "near": 0.6, "half": 0.25, "list": 0.85, "away": -0.3}

    def embed(texts):
        return np.array([[cosines[text], math.sqrt(1 - cosines[text] ** 2)] for text in texts])

    # about .5: .25 is half way up; stuffed .7: .85 is half way down to 1
    scores = GroupReward(Similarity(embed=embed))(task, group(task, "near", "half", "list", "away", "near"))
    assert scores == pytest.approx([1.0, 0.5, 0.5, 0.0, 1.0])


def test_a_trl_reward_keeps_the_name_of_its_function():
    def politeness(**columns):
        return [1.0]

    assert from_trl(politeness).score.__name__ == "politeness"
