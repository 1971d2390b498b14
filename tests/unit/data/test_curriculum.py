"""A curriculum opens levels by hand-computed rates, and goes on from its state."""

import json
from collections import Counter

import pytest

from outcomes import group, names, of, tasks
from strop.data import Curriculum
from strop.types import Unscored

LEVELS = [tasks("a1", "a2"), tasks("b1", "b2", "b3"), tasks("c1")]


def source(seed=0, **fields):
    return Curriculum(**{"levels": LEVELS, "unlock": 0.5, "window": 3, **fields}).build(seed)


def level(built):
    return built.measures()["curriculum/level"]


def test_a_level_opens_when_the_rate_over_the_window_reaches_the_threshold():
    built = source()
    opened = []
    for won in (2, 0, 3, 3):
        built.observe(of("a1", won))
        opened.append(level(built))
    # 2 of 4, 2 of 8: the window is not full; 5 of 12 < 1/2; without the first group 6 of 12
    assert opened == [1, 1, 1, 2]
    assert built.measures()["curriculum/success_1"] == 6 / 12


def test_a_rate_just_below_the_threshold_opens_nothing():
    built = source(unlock=0.75, window=1)
    built.observe(of("a1", 2))
    assert level(built) == 1
    built.observe(of("a1", 3))
    assert level(built) == 2


def test_the_newest_level_opens_the_next_and_no_other_does():
    built = source(window=1)
    built.observe(of("a1", 4))
    built.observe(of("a2", 4))
    assert level(built) == 2
    built.observe(of("b3", 1))
    assert level(built) == 2
    built.observe(of("b1", 2))
    assert level(built) == 3
    built.observe(of("c1", 4))
    assert level(built) == 3  # there is no fourth
    built.observe([*of("a1", 0), *of("c1", 0)])
    assert level(built) == 3  # nothing closes again


def test_groups_count_one_by_one_however_they_arrive():
    wins = [4, 4, 4, 0, 0, 0]  # after three groups the rate is 1, after six it is 0
    one, all_at_once = source(unlock=1.0), source(unlock=1.0)
    for won in wins:
        one.observe(of("a1", won))
    all_at_once.observe([episode for won in wins for episode in of("a1", won)])
    assert level(one) == level(all_at_once) == 2
    assert one.state_dict() == all_at_once.state_dict()


def test_unscored_groups_do_not_fill_the_window():
    built = source(window=1)
    built.observe(group("a1", Unscored("x"), Unscored("x")))
    assert level(built) == 1
    assert "curriculum/success_1" not in built.measures()


def test_success_is_a_reward_of_that_much():
    built = source(window=1, success=0.3)
    built.observe(group("a1", 0.3, 0.29))
    assert level(built) == 2


def test_only_the_first_level_is_drawn_at_first_and_each_task_once_an_epoch():
    drawn = names(source().next(20))
    assert all(sorted(drawn[i : i + 2]) == ["a1", "a2"] for i in range(0, 20, 2))


def test_without_review_only_the_newest_level_is_drawn():
    built = source(window=1, review=0.0)
    built.observe(of("a1", 4))
    assert Counter(names(built.next(30))) == {"b1": 10, "b2": 10, "b3": 10}


def test_the_draws_depend_on_the_seed_and_not_on_how_many_are_drawn_at_once():
    def opened(seed):
        built = source(seed, window=1)
        built.observe([*of("a1", 4), *of("b1", 4)])
        return built

    whole = names(opened(3).next(40))
    built = opened(3)
    assert [id for n in (1, 7, 0, 12, 20) for id in names(built.next(n))] == whole
    assert names(opened(4).next(40)) != whole
    assert len({id[0] for id in whole}) == 3


def test_which_level_comes_next_depends_on_the_seed_too():
    def drawn(seed):
        built = source(seed, window=1, levels=[tasks("a"), tasks("b"), tasks("c")])
        built.observe([*of("a", 4), *of("b", 4)])
        return names(built.next(40))

    assert drawn(3) != drawn(4)


def played(built, rounds):
    """Draw two tasks a round and answer 3 of 4 right in every other one: levels open in between."""
    drawn = []
    for i in range(rounds):
        chosen = built.next(2)
        drawn += names(chosen)
        built.observe([episode for task in chosen for episode in of(task, 4 if i % 3 else 1)])
    return drawn


@pytest.mark.parametrize("before", [0, 1, 2, 3, 5, 9])
def test_it_goes_on_from_its_state_in_the_middle_of_a_level(before):
    whole = source(1)
    played(whole, before)
    resumed = source(1)
    resumed.next(3)
    resumed.observe(of("a1", 4))
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert resumed.measures() == whole.measures()
    assert played(resumed, 9) == played(whole, 9)
    assert resumed.state_dict() == whole.state_dict()


def test_levels_can_be_added_to_a_run_and_not_taken_away():
    built = source(window=1)
    built.observe([*of("a1", 4), *of("b1", 4)])
    longer = source(window=1, levels=[*LEVELS, tasks("d1")])
    longer.load_state_dict(built.state_dict())
    longer.observe(of("c1", 4))
    assert level(longer) == 4
    with pytest.raises(ValueError, match=r"tasks\.levels has 2 levels, and the run .* had 3"):
        source(levels=LEVELS[:2]).load_state_dict(built.state_dict())


def test_what_was_drawn_is_counted_level_by_level():
    built = source(window=1, review=0.0)
    built.observe([episode for task in built.next(4) for episode in of(task, 4)])
    built.observe([episode for task in built.next(5) for episode in of(task, 0)])
    assert built.measures() == {
        "curriculum/level": 2,
        "curriculum/success_1": 1.0,
        "curriculum/success_2": 0.0,
        "curriculum/drawn_1": 4,
        "curriculum/drawn_2": 5,
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"levels": []}, r"tasks\.levels is empty: give a list of tasks for each level"),
        ({"levels": [tasks("a"), []]}, r"level 2 of tasks\.levels holds no task"),
        ({"levels": tasks("a", "b")}, r"Curriculum\.levels\[0\]=<Task a.*: it is a list in which each is Task"),
        ({"levels": [tasks("a"), tasks("b", "a")]}, "the task id 'a' stands twice in levels 1 and 2"),
        ({"levels": [tasks("a"), tasks("b", "b")]}, "the task id 'b' stands twice in level 2"),
        ({"unlock": 0.0}, r"tasks\.unlock=0\.0: it lies in \(0, 1\]"),
        ({"unlock": 1.01}, r"tasks\.unlock=1\.01: it lies in \(0, 1\]"),
        ({"window": 0}, r"tasks\.window=0: it is at least 1"),
        ({"review": 1.0}, r"tasks\.review=1\.0: it lies in \[0, 1\)"),
        ({"review": -0.1}, r"tasks\.review=-0\.1"),
        ({"success": float("nan")}, r"tasks\.success=nan: it is a finite number"),
        ({"window": 2.5}, r"Curriculum\.window=2\.5: it is an int"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Curriculum(**{"levels": LEVELS, **fields})


def test_its_tasks_are_those_of_all_levels_in_order():
    assert names(list(Curriculum(levels=LEVELS))) == ["a1", "a2", "b1", "b2", "b3", "c1"]
