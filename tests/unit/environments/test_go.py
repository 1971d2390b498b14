"""The rules of Go by hand, on 5 by 5."""

import numpy as np
import pytest

from strop.environments import Go
from strop.environments.go import POINTS, go_playout
from strop.types import End, Task


def at(rows, **facts):
    """A position drawn as rows, x to move."""
    marks = "".join(rows).replace(" ", "")
    sides = {mark: sum(1 << i for i, one in enumerate(marks) if one == mark) for mark in "xo*"}
    return Go.Position(sides["x"], sides["o"], sides["*"], **facts)


def board(position):
    return "".join(str(position).split()[:25])


def test_points_are_columns_and_rows():
    assert (POINTS[0], POINTS[4], POINTS[5], POINTS[24]) == ("a1", "e1", "a2", "e5")
    after = Go.Position().after("b1")
    assert board(after) == ".o..." + "." * 20
    assert not after.is_black


def test_a_group_without_a_free_point_is_captured():
    position = at(["oo...", "xx...", ".....", ".....", "....."])
    after = position.after("c1")
    assert board(after) == "..o.." + "oo..." + "." * 15  # seen by the other player: x is o now
    two = at(["o.o..", "x.x..", ".....", ".....", "....."])
    assert board(two.after("b1"))[:5] == ".ox.."  # the corner alone: c1 has d1


def test_several_groups_are_captured_at_once():
    position = at(["o.ox.", "x.x..", ".....", ".....", "....."])
    assert board(position.after("b1")) == ".o.o." + "o.o.." + "." * 15


def test_suicide_is_not_legal_and_a_capture_is_none():
    eye = at([".o...", "o....", ".....", ".....", "....."])
    assert "a1" not in eye.moves
    assert "pass" in eye.moves
    shared = at([".xo..", "oo...", ".....", ".....", "....."])
    assert "a1" not in shared.moves  # two stones without a free point
    taken = at([".ox..", "ox...", "x....", ".....", "....."])
    assert "a1" in taken.moves
    assert board(taken.after("a1")) == "o.o.." + ".o..." + "o...." + "." * 10


def test_one_stone_may_not_be_taken_back_at_once():
    position = at([".xo..", "xo.o.", ".xo..", ".....", "....."])
    after = position.after("c2")  # takes b2
    assert board(after)[5:10] == "o*ox."
    assert "b2" not in after.moves
    later = after.after("e5").after("e4")  # each plays elsewhere
    assert "b2" in later.moves
    assert board(later.after("b2"))[5:10] == "xo*o."  # and now c2 may not be taken back


def test_two_stones_may_be_taken_back():
    # x takes two stones with one: no ko
    position = at(["oo.x.", "xxo..", ".....", ".....", "....."])
    after = position.after("c1")
    assert "*" not in board(after)


def test_the_ko_point_is_read_back():
    position = at([".xo..", "xo.o.", ".xo..", ".....", "....."]).after("c2").after("pass")
    for one in (position, at([".xo..", "xo.o.", ".xo..", ".....", "....."]).after("c2"), Go.Position(komi=6.5, left=9)):
        assert Go.Position.read(str(one)) == one
    assert str(position).endswith("black komi 0.5 left 58 passed")


def test_area_counts_stones_and_what_one_colour_surrounds():
    position = at(["..x.o", "xxx.o", "...xo", "...xo", "...xo"])
    # x: 7 stones, 2 + 9 points that only x touches; o: 5 stones; d1 and d2 touch both
    assert position.mine.bit_count() == 7
    assert position.lead == 7 + 2 + 9 - 5 - 0.5
    assert (position.score, position.after("pass").lead) == (1.0, -(7 + 2 + 9 - 5 - 0.5))
    assert at(["x....", ".....", ".....", ".....", "....o"], is_black=False).lead == 0.5  # komi is white's
    assert at(["x....", ".....", ".....", ".....", "....o"], komi=0.0).score == 0.5


def test_two_passes_or_the_last_move_end_the_game():
    once = Go.Position().after("pass")
    assert once.moves[-1] == "pass"
    assert once.after("a1").passes == 0
    assert once.after("pass").moves == ()
    assert Go.Position(left=1).after("a1").moves == ()


def test_a_game_is_played_to_its_score():
    task = Task("1", "", data={"moves": ["c3"], "turns": 3, "komi": 0.5})
    game = Go(task, np.random.default_rng(0), lambda task, seen: "a1" if "a1" in seen.choices else "pass")
    start = game.start()
    assert start.text.startswith(". . . . .\n. . . . .\n. . o . .")
    step = game.step("e5")  # white; then black plays a1 as the third move
    assert (step.end, step.reward) == (End.TERMINATED, 0.0)  # black has two stones, white one and a half
    with pytest.raises(ValueError, match="'c3' is not legal"):
        Go(Task("1", "", data={"moves": ["c3", "c3"]}), np.random.default_rng(0))


def test_a_playout_keeps_its_eyes():
    # black has two eyes and the whole board: it wins every playout
    position = at([".x.x.", "xxxxx", "xxxxx", "xxxxx", "xxxxx"], komi=0.5)
    assert all(go_playout(position, np.random.default_rng(seed)) == 1.0 for seed in range(5))
