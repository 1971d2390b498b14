"""Rewards that read a model handed in: its class, its vectors."""

import math

import numpy as np
import pytest
from one_turn import wrote

from strop.rewards import Classified, GroupReward, SameMeaning
from strop.types import Task

TASK = Task("t", "p", "near")


def group(*texts):
    return [wrote(TASK, text, id=str(i)) for i, text in enumerate(texts)]


def test_classified_reads_the_column_of_its_label():
    def probabilities(texts):
        return np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])[: len(texts)]

    assert GroupReward(Classified(probabilities, label=2))(TASK, group("a", "b")) == [0.1, 0.6]
    assert GroupReward(Classified(probabilities))(TASK, group("a", "b")) == [0.2, 0.3]


@pytest.mark.parametrize("rows", [[[0.5, 0.5]], [[0.5], [0.5]]])
def test_a_table_of_another_shape_is_an_error(rows):
    with pytest.raises(ValueError, match="a row for each text, a column for each class"):
        Classified(lambda texts: rows)(TASK, group("a", "b"))


def test_same_meaning_is_the_cosine_with_the_answer():
    cosines = {"near": 1.0, "half": 0.5, "opposite": -0.7, "...": 0.9}

    def embed(texts):
        return np.array([[cosines[text], math.sqrt(1 - cosines[text] ** 2)] for text in texts])

    assert SameMeaning(embed)(TASK, group("near", "half", "opposite", "...")) == pytest.approx([1.0, 0.5, 0.0, 0.0])
    with pytest.raises(ValueError, match="has no answer: SameMeaning compares"):
        SameMeaning(embed)(Task("t", "p"), group("near"))
