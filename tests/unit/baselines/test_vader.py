"""A lexicon as a baseline."""

from __future__ import annotations

import numpy as np
import pytest

from strop.baselines import Vader
from strop.types import Observation, Task


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a joy", " good"), ("a horrible mess", " bad"), ("not a joy", " bad"), ("the table", " good")],
)
def test_it_takes_the_sign_of_the_lexicon_and_turns_it_behind_not(text, expected):
    seen = Observation(text, (" bad", " good"), 0, np.random.default_rng(0))
    assert Vader(positive=" good", negative=" bad")(Task("x", "horrible"), seen) == expected
