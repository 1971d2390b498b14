"""Was there a crash? From the data of the turns alone."""

from strop.rewards.drive import safe
from strop.types import Completion, End, Episode, Task, Turn, Unscored

TASK = Task("1", "")


def drive(*data):
    turns = tuple(Turn((0,), Completion((1,), None, "stop"), "hold", 0.0, one) for one in data)
    return Episode("1", TASK, 0, turns, (), End.TRUNCATED)


def test_a_drive_is_safe_if_no_turn_crashed():
    assert safe(TASK, drive({"crashed": False}, {"crashed": False})) == 1.0
    assert safe(TASK, drive({"crashed": False}, {"crashed": True})) == 0.0


def test_a_drive_that_says_nothing_is_unscored():
    for episode in (drive(), drive({})):
        assert isinstance(safe(TASK, episode), Unscored)
