"""TextArena's games as strop's environments: whose turn it is, whose dice they are, and what the end pays."""

import random
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from strop.baselines import at_random
from strop.environments import Against, TextArena, arena_names
from strop.environments.textarena import require_textarena
from strop.runs import spec
from strop.types import End, Step, Task

pytest.importorskip("textarena")
MATCHES = TextArena(name="TicTacToe-v0-train")


def squares(said):
    """The free squares of tic-tac-toe, as TextArena tells them."""
    moves = said.rpartition("Available Moves:")[2].replace("'", "").replace("[", "").replace("]", "")
    return Step(said, choices=[move.strip() for move in moves.split(",") if move.strip()] or None)


def first_free(task, seen):
    return seen.choices[0]


def holds(task, seen):
    return "hold"


def begun(environment, dice=0, opponent=None, **data):
    made = environment(Task("1", "", data=data), np.random.default_rng(dice), *([opponent] if opponent else []))
    return made, made.start()


def values(env, first, num=5):
    """All values of a Secretary game, which pays nothing before its end."""
    steps = [first]
    while steps[-1].end is None:
        steps.append(env.step("continue"))
    env.close()
    return steps[-2].text, steps[-1]


def test_a_game_alone_is_told_whole_and_pays_at_its_end():
    env, first = begun(TextArena(name="Secretary-v0"))
    assert "You will observe 5 hidden values" in first.text
    assert first.replaces
    told, last = values(env, first)
    assert told.count("The current value is") == 5
    drawn = [float(word.rstrip(".")) for word in told.split() if word.startswith("0.")]
    assert (last.end, last.reward) == (End.TERMINATED, float(drawn[-1] == max(drawn)))
    assert "best overall" in last.text


def test_the_same_seed_is_the_same_game_and_another_one_is_not():
    told = [values(*begun(TextArena(name="Secretary-v0"), seed))[0] for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]
    given = [values(*begun(TextArena(name="Secretary-v0"), one, seed=5))[0] for one in (1, 2)]
    assert given[0] == given[1]


def test_games_side_by_side_have_their_own_dice_and_the_program_keeps_its_own():
    """Pig rolls while it is played: a draw by anyone else in between must not change what it rolls."""
    pig = TextArena(name="PigDice-v0-train")

    def rolled(disturbed):
        env, step = begun(pig, 3, holds)
        other, _ = begun(pig, 4, holds)
        texts = []
        for _ in range(6):
            if disturbed:
                random.random()
                np.random.random()
                other.step("roll")
            step = env.step("roll")
            texts.append(step.text)
        env.close()
        other.close()
        return texts

    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    alone = rolled(disturbed=False)
    assert (random.random(), np.random.random()) == expected
    assert rolled(disturbed=True) == alone


def test_an_opponent_sees_its_own_view_and_both_seats_can_be_had():
    asked = []

    def opponent(task, seen):
        asked.append(seen)
        return seen.choices[0]

    game = TextArena(name="TicTacToe-v0-train", read=squares)
    env, first = begun(game, opponent=opponent)
    assert not asked
    assert "You are Player 0" in first.text
    second = env.step("4")
    assert "You are Player 1" in asked[0].text
    assert asked[0].choices == ("0", "1", "2", "3", "5", "6", "7", "8")
    assert second.choices == ["1", "2", "3", "5", "6", "7", "8"]
    env.close()
    other, first = begun(game, opponent=opponent, seat=1)
    assert "You are Player 1" in first.text
    assert first.choices == ["1", "2", "3", "4", "5", "6", "7", "8"]  # player 0 took the first one
    other.close()


@pytest.mark.parametrize(("moves", "seat", "reward"), [(["3", "4", "5"], 0, 1.0), (["3", "4", "5"], 1, -1.0)])
def test_a_win_pays_one_to_the_player_who_wins(moves, seat, reward):
    """Player 0 has the middle row: told by their own moves, or by the opponent's."""
    mine, theirs = iter(moves), iter(["0", "1"])
    if seat == 0:
        env, step = begun(MATCHES, opponent=lambda task, seen: next(theirs))
    else:
        env, step = begun(MATCHES, opponent=lambda task, seen: next(mine), seat=1)
    while step.end is None:
        step = env.step(next(mine) if seat == 0 else next(theirs))
    env.close()
    assert (step.end, step.reward) == (End.TERMINATED, reward)
    assert "won" in step.text.lower()


def test_an_opening_is_played_in_turn_and_refused_where_it_is_not_allowed():
    game = TextArena(name="TicTacToe-v0-train", read=squares)
    env, first = begun(game, opponent=first_free, opening=["4", "0"])
    assert set(first.choices) == set("1235678")
    env.close()
    for bad in (["4", "4"], ["0", "3", "1", "4", "2"]):
        with pytest.raises(ValueError, match="opening="):
            begun(game, opponent=first_free, opening=bad)


def test_an_illegal_text_is_answered_and_the_second_one_in_a_row_loses():
    env, _ = begun(MATCHES, opponent=lambda task, seen: "0")
    again = env.step("zzz")
    assert (again.end, again.reward) == (None, 0.0)
    assert again.text.count("Current Board") == 1
    last = env.step("²\x00")
    assert (last.end, last.reward) == (End.TERMINATED, -1.0)
    env.close()


def test_turns_are_a_limit_of_ours():
    lake = TextArena(name="FrozenLake-v0-train")
    env, _ = begun(lake, turns=2)
    assert env.step("zzz").end is None
    step = env.step("down")
    assert (step.end, step.reward) == (End.TRUNCATED, 0.0)
    assert "Current Board" in step.text
    env.close()


def test_the_game_is_closed(monkeypatch):
    env, _ = begun(TextArena(name="Secretary-v0"))
    closed = []
    monkeypatch.setattr(env._env, "close", lambda: closed.append(True))
    env.close()
    assert closed


def test_a_run_keeps_what_it_played(tmp_path):
    made = Against(game=TextArena(name="Nim-v0", options={"piles": [2, 1]}), opponents=[at_random], judge=at_random)
    assert spec.decode(spec.encode(made), tmp_path) == made


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no such game; it is one of TicTacToe-v0"):
        begun(TextArena(name="TicTacToe-v9"))
    with pytest.raises(ValueError, match="arena_names"):
        begun(TextArena(name="Zzz"))
    with pytest.raises(ValueError, match="without -raw"):
        TextArena(name="TicTacToe-v0-raw")
    with pytest.raises(ValueError, match="Against"):
        begun(TextArena(name="TicTacToe-v0"))
    with pytest.raises(ValueError, match="none of 0, 1"):
        begun(TextArena(name="TicTacToe-v0-train", read=squares), opponent=lambda task, seen: "9", seat=1)
    with pytest.raises(ValueError, match="single player, whose seat is 0"):
        begun(TextArena(name="Secretary-v0"), seat=1)


def test_a_reward_that_is_no_number_is_named():
    """Some of TextArena's games give the reason of an illegal move as its reward."""
    env, _ = begun(TextArena(name="Countdown-v0"))
    env.step("zzz")
    with pytest.raises(ValueError, match="no number"):
        env.step("zzz")
    env.close()


def test_what_a_game_prints_is_no_data(capsys):
    env, _ = begun(TextArena(name="FrozenLake-v0", options={"size": 2, "num_holes": 9}))
    env.close()
    told = capsys.readouterr()
    assert told.out == ""
    assert "Too many holes" in told.err


def test_an_opponent_who_never_hands_over_is_stopped(monkeypatch):
    class Stuck:
        """A game in which the other player is always to move."""

        state = SimpleNamespace(error_count=0)

        def reset(self, num_players, seed): ...
        def get_observation(self):
            return 1, "your move"

        def step(self, action):
            return False, {}

        def close(self): ...

    arena = ModuleType("textarena")
    arena.__version__ = "0"
    arena.make = lambda name: Stuck()
    arena.envs = SimpleNamespace(registration=SimpleNamespace(ENV_REGISTRY={"Stuck": None}))
    monkeypatch.setitem(sys.modules, "textarena", arena)
    monkeypatch.setattr("strop.environments.textarena.MOST_REPLIES", 20)
    with pytest.raises(ValueError, match="made 20 moves"):
        begun(TextArena(name="Stuck"), opponent=lambda task, seen: "on")


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "textarena", None)
    with pytest.raises(ModuleNotFoundError, match=r"strop\[textarena\]"):
        require_textarena("it")


def test_the_names_are_those_that_tell_texts():
    assert {"Secretary-v0", "WildTicTacToe-v0-train"} <= set(arena_names())
    assert not [name for name in arena_names() if "-raw" in name]
