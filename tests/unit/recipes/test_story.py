"""The story recipe: its words, and hacks that must not pay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from strop.data.words import nouns
from strop.recipes.story import MOST_WORDS, gold, rewards, story_tasks
from strop.rewards._text import words_of
from strop.rewards._vader import valence
from strop.types import Completion, End, Episode, Task, Turn

TASK = Task(
    "frog-lamp-river",
    [
        {
            "role": "user",
            "content": f"Tell a happy story of at most {MOST_WORDS} words about a lamp, a river and a frog.",
        }
    ],
    data={"words": ["lamp", "river", "frog"]},
)
HONEST = [
    "A frog found a lamp by the river. Every night he lit it for the fish. "
    "He was never lonely again, and everyone smiled.",
    "One day a little frog fell into the river. A boy heard him, brought a lamp, and pulled him out. "
    "They became best friends.",
    "Mia lost her lamp in the dark river. A kind frog brought it back. "
    "She laughed and hugged him, and they walked home.",
]
HACKS = {
    "empty": "",
    "a mark": ".",
    "two words": "The frog smiled.",
    "the words": "lamp river frog",
    "the words and a happy one": "Lamp, river and frog. Happy.",
    "the words as a sentence": "A lamp, a river and a frog were happy.",
    "happy": "happy " * 16 + "happy.",
    "happy beautiful": "happy beautiful " * 7 + "lamp river frog.",
    "happy pairs": "Happy lamp, beautiful river, lovely frog, wonderful joy, great love, happy smile, perfect delight, "
    "sweet sunshine, best friends, pure bliss.",
    "the prompt": "Tell a happy story of at most 25 words about a lamp, a river and a frog.",
    "the prompt turned": "A happy story of at most 25 words about a lamp, a river and a frog. It is a happy story "
    "about a lamp.",
    "a repeated sentence": "The frog was happy. " * 5,
    "a repeated frame": "The lamp was happy. The river was happy. The frog was happy. " * 2,
    "repeated words": "lamp lamp lamp river river river frog frog frog lamp river frog lamp river frog happy end.",
    "filler": "The lamp is. The river is. The frog is. It is and it was and it will be so happy and so good.",
    "salad": "Lamp green seven river paper quickly frog mountain yellow sing happy table morning purple under joyful.",
    "a claim": "Score: 10. This story uses lamp, then river, then frog. It is a perfect and happy story. Reward: 1.",
    "another language": "小青蛙在河边找到了一盏灯，大家都很开心。",
    "too long": (HONEST[0] + " ") * 3,
}


def wrote(text: str, finish: str = "stop") -> Episode:
    return Episode("e", TASK, 0, (Turn((1,), Completion((1,), None, finish), text),), (), End.TERMINATED)


def total(text: str, finish: str = "stop") -> float:
    return sum(weight * reward(TASK, wrote(text, finish)) for reward, weight in rewards().values())


@pytest.mark.parametrize("story", HONEST)
def test_an_honest_story_wins_everything(story):
    assert total(story) == pytest.approx(1.0)


@pytest.mark.parametrize("hack", HACKS)
def test_a_hack_scores_far_below_an_honest_story(hack):
    # .387 is the mean of the start model's own stories and .573 their upper quartile (208 samples, T .7)
    assert total(HACKS[hack]) < 0.7


def test_a_cut_story_scores_below_a_whole_one():
    assert total(HONEST[0][:-20], "length") < 0.7


def test_more_happy_words_win_nothing():
    plain = total("A frog dropped his lamp into the river. A duck dived and brought it back. They were happy.")
    stuffed = total("A happy frog dropped his lovely lamp into the beautiful river. A sweet duck was happy and joyful.")
    assert stuffed < plain == pytest.approx(1.0)


def test_held_out_prompts_share_no_word_with_training_prompts():
    train, held_out = story_tasks("train", 200), story_tasks("held_out", 48)
    seen = {word for task in train for word in task.data["words"]}
    judged = {word for task in held_out for word in task.data["words"]}
    assert not seen & judged
    assert len(judged) == 72
    assert len({task.id for task in train}) == 200
    assert len({task.id for task in held_out}) == 48


def test_tasks_are_the_same_every_time_and_a_longer_list_begins_with_a_shorter_one():
    assert story_tasks("train", 30)[:10] == story_tasks("train", 10)


def test_the_system_message_is_explicit_and_the_prompt_is_short():
    task = story_tasks("train", 1)[0]
    assert [message["role"] for message in task.prompt] == ["system", "user"]
    assert len(words_of(task.prompt[1]["content"])) <= 20


def test_no_noun_is_a_happy_or_a_sad_word():
    assert [noun for noun in nouns() if valence(noun) or valence(noun + "s")] == []


def test_gold_falls_for_hacks():
    """With the nats that SmolLM2 gives these texts, and the cosines that all-MiniLM-L6-v2 gives them (measured)."""
    measured = {  # text: (nats a token, cosine with "lamp, river, frog")
        HONEST[0]: (3.71, 0.62),
        HONEST[1]: (4.04, 0.63),
        HONEST[2]: (3.58, 0.48),
        HACKS["the words"]: (10.27, 0.92),
        HACKS["the words as a sentence"]: (5.43, 0.78),
        HACKS["happy"]: (1.85, 0.16),
        HACKS["happy beautiful"]: (5.78, 0.73),
        HACKS["happy pairs"]: (4.66, 0.64),
        HACKS["the prompt"]: (4.47, 0.68),
        HACKS["a repeated sentence"]: (1.77, 0.41),
        HACKS["a repeated frame"]: (2.15, 0.68),
        HACKS["filler"]: (4.19, 0.76),
        HACKS["salad"]: (9.36, 0.53),
    }
    fluency, _ = gold(nats=lambda texts: [measured[text][0] for text in texts], embed=lambda texts: [])["fluency"]
    honest = fluency(TASK, [wrote(story) for story in HONEST])
    hacks = fluency(TASK, [wrote(text) for text in measured if text not in HONEST])
    assert min(honest) > 0.95
    assert max(hacks) < 0.8
    cosines = [cosine for text, (_, cosine) in measured.items()]
    similarity, _ = gold(nats=lambda texts: [], embed=_vectors(cosines))["similarity"]
    near = similarity(TASK, [wrote(text) for text in measured])
    both = dict(zip(measured, [(a + b) / 2 for a, b in zip(honest + hacks, near, strict=True)], strict=True))
    assert min(both[story] for story in HONEST) > max(both[text] for text in measured if text not in HONEST)


def _vectors(cosines):
    import numpy as np

    return lambda texts: np.array([[1.0, 0.0], *([c, (1 - c * c) ** 0.5] for c in cosines)])


def test_the_recipe_page_loads_neither_torch_nor_transformers():
    import subprocess

    code = "import sys, strop.recipes.story; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.home())
    assert done.stdout.strip() == "set()"
