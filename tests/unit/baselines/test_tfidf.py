"""Word counts as a baseline."""

from __future__ import annotations

import numpy as np
import pytest

from strop.baselines import TfIdf
from strop.types import Observation, Task

TRAIN = [
    Task(str(i), [{"role": "system", "content": "good or bad?"}, {"role": "user", "content": text}], answer)
    for i, (text, answer) in enumerate(
        [
            ("not good", "no"),
            ("very good", "yes"),
            ("not bad", "yes"),
            ("very bad", "no"),
            ("很好", "yes"),
            ("很差", "no"),
        ]
        * 5
    )
]


def said(text: str) -> str:
    return TfIdf().fit(TRAIN)(Task("x", ""), Observation(text, (), 0, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("text", "answer"),
    [("not good", "no"), ("not bad", "yes"), ("Very GOOD!", "yes"), ("不好", "yes"), ("差", "no")],
)
def test_it_reads_words_pairs_of_words_and_single_chinese_characters(text, answer):
    """Each single word goes with both answers as often: only pairs tell "not good" from "not bad"."""
    assert said(text) == answer


def test_it_is_surer_of_what_it_has_seen():
    seen, strange = TfIdf().fit(TRAIN).certainty([Task("a", "very good"), Task("b", "who knows")])
    assert seen > 0.8
    assert strange == pytest.approx(0.5, abs=0.01)


def test_a_smaller_strength_is_less_sure():
    weak, strong = (TfIdf(strength=number).fit(TRAIN).certainty([Task("a", "very good")])[0] for number in (0.1, 16.0))
    assert weak < strong


def test_there_have_to_be_two_answers_and_a_strength():
    with pytest.raises(ValueError, match="all training tasks have the same one"):
        TfIdf().fit(TRAIN[:1])
    with pytest.raises(ValueError, match=r"TfIdf\.strength=0\.0: it is above 0"):
        TfIdf(strength=0.0)
