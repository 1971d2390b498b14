"""Games for two: their rules by hand, and the exact values of all positions."""

import numpy as np
import pytest

from strop.environments import Against, Nim, TicTacToe
from strop.environments._match import LIVES
from strop.environments.nim import nim_sum
from strop.planning import best_moves, game_value
from strop.runs import spec
from strop.types import End, Task

Heaps, Marks = Nim.Position, TicTacToe.Position
RNG = np.random.default_rng(0)


def first(task, seen):
    return seen.choices[0]


def last(task, seen):
    return seen.choices[-1]


def cheat(task, seen):
    return "z9"


def nim(heaps, opponent=first):
    return Nim(Task("1", "", data={"heaps": heaps}), RNG, opponent)


def board(squares, opponent=first):
    return TicTacToe(Task("1", "", data={"squares": squares}), RNG, opponent)


def test_nim_takes_from_one_heap_and_the_last_match_wins():
    game = nim([1, 2])
    start = game.start()
    assert (start.text, list(start.choices)) == ("1 2", ["a1", "b1", "b2"])
    step = game.step("b1")  # 1 1, and the opponent takes the first heap: 0 1
    assert (step.text, list(step.choices), step.reward, step.end) == ("0 1", ["b1"], 0.0, None)
    assert (game.step("b1").reward, nim([1, 2]).step("b2").reward) == (1.0, 0.0)  # 1 0: the opponent takes the last


def test_perfect_nim_is_the_exclusive_or():
    heaps = [Heaps((a, b, c)) for a in range(5) for b in range(5) for c in range(5)]
    assert [game_value(one) == 1.0 for one in heaps] == [nim_sum(one) != 0 for one in heaps]
    assert best_moves(Heaps((3, 4, 5))) == ("a2",)  # 1 4 5: 1 xor 4 = 5
    assert Heaps.read(str(Heaps((3, 0, 12)))) == Heaps((3, 0, 12))


def test_three_in_a_row_win_for_either_side():
    assert board("xx.oo....").step("c1").reward == 1.0
    step = board("x..oo...x").step("b1")  # the opponent's first free square is c1: x x o / o o . / . . x
    assert (step.text, step.end) == ("x x o\no o .\n. . x", None)
    lost = board("x..oo...x", last).step("b1")  # its last one is b3: no row
    assert lost.end is None
    assert board("xx.oo..x.", last).step("a3").text == "x x .\no o .\nx x o"
    over = TicTacToe(Task("1", "", data={"squares": "x.xoo...."}), RNG, lambda task, seen: "c2").step("a3")
    assert (over.reward, over.end) == (0.0, End.TERMINATED)


def test_a_full_board_without_a_row_is_a_draw():
    step = board("xoxoxxo.o").step("b3")
    assert (step.reward, step.end) == (0.5, End.TERMINATED)


def test_the_opponent_sees_itself_as_x():
    seen = []

    def watcher(task, one):
        seen.append(one.text)
        return one.choices[0]

    board("x.o......", watcher).step("a2")
    assert seen == ["o . x\no . .\n. . ."]


def test_perfect_tic_tac_toe_is_a_draw():
    assert game_value(Marks()) == 0.5
    assert best_moves(Marks("o........")) == ("b2",)  # a corner is answered in the middle, or lost
    assert game_value(Marks("xo.......")) == 1.0  # beside the corner is a mistake
    assert game_value.cache_info().currsize >= 5478  # positions that can be reached


def test_illegal_moves_are_answered_and_the_third_loses():
    game = nim([1, 2])
    steps = [game.step(text) for text in ("c1", "", "b3")]
    assert [step.text for step in steps] == ["illegal\n1 2", "illegal\n1 2", "illegal"]
    assert [step.end for step in steps] == [None, None, End.TERMINATED]
    assert (steps[-1].reward, LIVES) == (0.0, 3)


def test_an_opponent_who_cheats_is_an_error():
    with pytest.raises(ValueError, match="'z9' is none of a1"):
        nim([1, 2], cheat).step("b2")


def test_a_match_against_several_and_its_judge_can_be_written_down(tmp_path):
    match = Against(game=Nim, opponents=[first, last], judge=cheat)
    again = spec.decode(spec.encode(match), tmp_path)
    assert again == match
    judged = match(Task("1", "", data={"heaps": [1, 2], "judged": True}), RNG)
    with pytest.raises(ValueError, match="z9"):
        judged.step("b2")
    replies = {match(Task("1", "", data={"heaps": [1, 2]}), RNG).step("a1").text for _ in range(20)}
    assert replies == {"0 1", ""}  # the first of 0 2 is b1, the last one b2, which ends the game
    with pytest.raises(ValueError, match="at least one"):
        Against(game=Nim, opponents=[], judge=first)
