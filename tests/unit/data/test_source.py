import pytest

from strop.data.source import Shuffled
from strop.types import Task

TASKS = [Task(str(i), f"prompt {i}") for i in range(5)]


def ids(tasks):
    return [task.id for task in tasks]


def test_every_epoch_holds_every_task_once_in_its_own_order():
    source = Shuffled(TASKS, seed=0)
    epochs = [ids(source.next(5)) for _ in range(20)]
    assert all(sorted(epoch) == ["0", "1", "2", "3", "4"] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 10


def test_the_order_does_not_depend_on_how_many_are_drawn_at_once():
    whole = ids(Shuffled(TASKS, seed=3).next(23))
    source = Shuffled(TASKS, seed=3)
    assert [id for n in (1, 7, 0, 3, 12) for id in ids(source.next(n))] == whole
    assert ids(Shuffled(TASKS, seed=4).next(23)) != whole


@pytest.mark.parametrize("drawn", [0, 1, 5, 13])
def test_a_source_goes_on_from_its_state(drawn):
    source = Shuffled(TASKS, seed=1)
    source.next(drawn)
    resumed = Shuffled(TASKS, seed=1)
    resumed.next(2)
    resumed.load_state_dict(source.state_dict())
    assert resumed.next(9) == source.next(9)


def test_no_task_is_an_error():
    with pytest.raises(ValueError, match="no task to draw from"):
        Shuffled([])
