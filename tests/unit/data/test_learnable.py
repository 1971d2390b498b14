"""Tasks drawn by p (1 - p): probabilities by hand, and draws that go on from the state."""

import json

import pytest

from outcomes import group, names, of, tasks
from strop.data import Learnable
from strop.data.learnable import learnability
from strop.types import Unscored

TASKS = tasks("a", "b", "c")


def source(seed=0, **fields):
    return Learnable(**{"tasks": TASKS, "uniform": 0.1, **fields}).build(seed)


def test_what_is_learnable_by_hand():
    # E[p (1 - p)] of a Beta(s + 1, f + 1): ab / ((a + b) (a + b + 1))
    assert learnability(0, 0) == pytest.approx(1 / 6)
    assert learnability(4, 4) == pytest.approx(25 / 110)
    assert learnability(8, 0) == learnability(0, 8) == pytest.approx(9 / 110)
    assert learnability(500, 500) == pytest.approx(1 / 4, abs=1e-3)


def test_the_probabilities_by_hand():
    built = source()
    assert built.probs_N.tolist() == pytest.approx([1 / 3] * 3)
    built.observe([*of("a", 2), *of("b", 0)])
    # a: 3 x 3 / (6 x 7) = 9/42; b: 1 x 5 / 42 = 5/42; c, never played: 7/42. Their sum is 21/42
    assert built.probs_N.tolist() == pytest.approx([0.1 / 3 + 0.9 * w / 21 for w in (9, 5, 7)])
    assert built.probs_N.sum() == pytest.approx(1.0)


def test_only_the_last_groups_count():
    built = source(window=1)
    built.observe(of("a", 4))
    built.observe(of("a", 2))
    fresh = source(window=1)
    fresh.observe(of("a", 2))
    assert built.probs_N.tolist() == fresh.probs_N.tolist()
    both = source(window=2)
    both.observe([*of("a", 4), *of("a", 2)])
    # a: 6 of 8: 7 x 3 / (10 x 11) = 21/110, beside two of 1/6
    assert both.probs_N[0] == pytest.approx(0.1 / 3 + 0.9 * (21 / 110) / (21 / 110 + 2 / 6))


def test_all_uniform_ignores_the_outcomes():
    built = source(uniform=1.0)
    built.observe(of("a", 4))
    assert built.probs_N.tolist() == pytest.approx([1 / 3] * 3)


def test_unscored_groups_tell_nothing():
    built = source()
    built.observe(group("a", Unscored("x")))
    assert built.probs_N.tolist() == pytest.approx([1 / 3] * 3)


def test_the_draws_depend_on_the_seed_and_not_on_how_many_are_drawn_at_once():
    whole = names(source(3).next(30))
    built = source(3)
    assert [id for n in (1, 7, 0, 12, 10) for id in names(built.next(n))] == whole
    assert names(source(4).next(30)) != whole


def played(built, rounds):
    drawn = []
    for i in range(rounds):
        chosen = built.next(2)
        drawn += names(chosen)
        built.observe([episode for task in chosen for episode in of(task, i % 5)])
    return drawn


@pytest.mark.parametrize("before", [0, 1, 4])
def test_it_goes_on_from_its_state(before):
    whole, resumed = source(1), source(1)
    played(whole, before)
    played(resumed, 3)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert resumed.probs_N.tolist() == whole.probs_N.tolist()
    assert played(resumed, 9) == played(whole, 9)
    assert resumed.state_dict() == whole.state_dict()


def test_tasks_may_come_and_go_between_the_parts_of_a_run():
    before = source()
    before.observe([*of("a", 2), *of("b", 0)])
    after = source(tasks=tasks("b", "d"))
    after.load_state_dict(before.state_dict())
    # b: 5/42, d: 7/42
    assert after.probs_N.tolist() == pytest.approx([0.05 + 0.9 * 5 / 12, 0.05 + 0.9 * 7 / 12])


def test_its_metrics_by_hand():
    built = source(uniform=1.0)
    assert built.measures() == pytest.approx(
        {"curriculum/drawn": 0, "curriculum/played": 0.0, "curriculum/variety": 3.0}
    )
    built.next(4)
    built.observe([*of("a", 4), *of("b", 1)])
    assert built.measures() == pytest.approx(
        {
            "curriculum/drawn": 4,
            "curriculum/played": 2 / 3,
            "curriculum/variety": 3.0,
            "curriculum/success": (1.0 + 0.25) / 2,
            "curriculum/sometimes": 1 / 2,
        }
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tasks": []}, r"tasks\.tasks is empty"),
        ({"tasks": "abc"}, r"Learnable\.tasks='abc': it is a list in which each is Task"),
        ({"uniform": 0.0}, r"tasks\.uniform=0\.0: it lies in \(0, 1\]"),
        ({"uniform": 1.5}, r"tasks\.uniform=1\.5"),
        ({"window": 0}, r"tasks\.window=0: it is at least 1"),
        ({"success": float("inf")}, r"tasks\.success=inf: it is a finite number"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Learnable(**{"tasks": TASKS, **fields})
