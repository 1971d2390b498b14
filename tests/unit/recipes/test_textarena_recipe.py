"""The recipe of TextArena's games: what is read, who plays, what is best, and a step of training."""

from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.beside import attempts_of
from strop.recipes import _arena_pig as pig
from strop.recipes import _arena_secretary as secretary
from strop.recipes import _arena_wild as wild
from strop.recipes._arena_wild import Wild
from strop.recipes.textarena import GAMES, BestAnswer, Plays, recipe
from strop.runs import spec
from strop.runs.progress import Progress
from strop.types import Observation, Task

TASK = Task("1", "")
LATE = Wild("XXOOOXX..")
"""Nobody can win at once. X on 7 or 8 makes two of a row whose third square is free; O on either makes nothing."""


def seen(text, *choices):
    return Observation(text, choices, 0, np.random.default_rng(0))


def begun(game, opponent="rule", task=None):
    config = recipe(game, opponent)
    env = config.environment(task or config.tasks[0], np.random.default_rng(5))
    return env, env.start()


@pytest.mark.parametrize("game", GAMES)
def test_what_is_read_is_written_with_the_words_and_has_room(game):
    pytest.importorskip("textarena")
    env, step = begun(game)
    words, turns = set(GAMES[game].words), 0
    while step.end is None and turns < 40:
        assert set(step.text.split()) <= words
        assert all(set(move.split()) <= words for move in step.choices)
        assert len(step.text.split()) + GAMES[game].move_words == GAMES[game].context
        step, turns = env.step(step.choices[-1]), turns + 1
    assert turns
    env.close()


def test_the_values_are_told_in_hundredths_and_records_are_those_above_all_before():
    said = "The current value is 0.2380.\n[Player] [continue]\nThe current value is 0.5442."
    assert secretary.read(said).text == "left 3\n54 record"
    assert secretary.read(f"{said} The current value is 0.3700.").text == "left 2\n37 below"


def test_pig_is_told_from_the_own_side():
    said = (
        "You are Player 1 playing.\nCurrent Total Scores: Player 0: '7'; Player 1: '12'\nYou current turn total is 44. "
    )
    assert pig.read(said).text == "mine 12\nother 7\nturn 30"


def test_a_board_is_read_from_the_last_one_that_is_drawn():
    first = (
        "Current Board:\n\n 0 | 1 | 2 \n---+---+---\n 3 | 4 | 5 \n---+---+---\n 6 | 7 | 8 \n\nAvailable Moves: [X 0]"
    )
    board = first.replace("4", "X").replace(" 0 |", " O |")
    step = wild.read(f"{first}\n{board}")
    assert step.text == "O . .\n. X .\n. . ."
    assert step.choices[:2] == ("X 1", "O 1")


def test_boards_that_are_the_same_game_are_one_kind():
    corners = {wild.kind(Wild(f"{'.' * at}{mark}{'.' * (8 - at)}")) for at in (0, 2, 6, 8) for mark in "XO"}
    assert len(corners) == 1
    assert wild.kind(Wild("XO.......")) == wild.kind(Wild(".......XO")) != wild.kind(Wild("XX......."))


def test_the_first_player_wins_from_the_centre():
    """They answer each move by its opposite square, with the other mark."""
    assert wild.value(Wild()) == 1.0
    assert wild.value(wild.kind(Wild("....X...."))) == -1.0


@pytest.mark.parametrize(("opponent", "careless"), [("random", -0.5), ("rule", -1.0), ("perfect", -1.0)])
def test_the_best_answer_by_hand(opponent, careless):
    """Anyone completes the row in one of two moves, who sees it always; after O nobody can win: a draw."""
    for move, expected in {"X 7": careless, "X 8": careless, "O 7": 0.0, "O 8": 0.0}.items():
        assert wild.earned(wild.kind(LATE.after(move)), opponent) == pytest.approx(expected), move
    assert wild.best(LATE, opponent) == 0.0
    assert BestAnswer("wild", opponent)(TASK, seen(str(LATE))) in ("O 7", "O 8")


def test_the_rule_of_wild_wins_at_once_where_it_can():
    assert wild.rule("X X .\n. . .\n. . .", ()) == {"X 2": 1.0}
    assert len(wild.rule(str(LATE), ())) == 4


def test_pig_near_the_end_by_hand():
    """At 28 against 29, one roll that is no 1 wins on either side: V = 5/6 + V / 36, so that V = 6/7.

    Who has 27 rolls on after a 2: they win a turn with 4/6 + 1/6 x 5/6 = 29/36, so that V = 5/6 + V x 7/216 = 180/209.
    """
    best = pig.solved("rule").best_SST
    assert best[28, 29, 0] == pytest.approx(6 / 7, abs=1e-9)
    assert best[28, 27, 0] == pytest.approx(180 / 209, abs=1e-9)
    assert best[29, 0, 2] == 1.0
    assert BestAnswer("pig", "rule")(TASK, seen("mine 28\nother 29\nturn 2")) == "hold"
    assert BestAnswer("pig", "rule")(TASK, seen("mine 28\nother 29\nturn 0")) == "roll"


def test_the_rule_of_pig_holds_at_twenty_or_when_it_wins():
    texts = {"mine 0\nother 0\nturn 19": "roll", "mine 0\nother 0\nturn 20": "hold", "mine 25\nother 0\nturn 5": "hold"}
    assert {text: Plays("pig")(TASK, seen(text)) for text in texts} == texts


def test_the_secretary_is_gilberts_and_mostellers(monkeypatch):
    """What they tabulate: thresholds by the number of values to come, and .6392 for five values."""
    assert [round(secretary.threshold(left), 4) for left in range(5)] == [0.0, 0.5, 0.6899, 0.7758, 0.8246]
    assert secretary.best() == pytest.approx(0.6392, abs=5e-5)
    monkeypatch.setattr(secretary, "NUM_VALUES", 2)  # accept from 1/2: 3/8 + 3/8
    assert secretary.best.__wrapped__() == pytest.approx(0.75, abs=1e-3)


def test_the_classical_rule_lets_two_of_five_pass():
    texts = {"left 3\n99 record": "continue", "left 2\n10 record": "accept", "left 2\n99 below": "continue"}
    assert {text: Plays("secretary")(TASK, seen(text)) for text in texts} == texts


@pytest.mark.parametrize(
    ("game", "opponent"),
    [("wild", "rule"), ("wild", "perfect"), ("pig", "rule"), ("secretary", "rule")],
)
def test_the_best_answer_earns_what_it_should_in_textarena(game, opponent):
    pytest.importorskip("textarena")
    config = recipe(game, opponent)
    found = attempts_of(replace(config, held_out=config.held_out[:80]).resolve())
    gap = {name: np.array([one.gold for one in found if one.baseline == name]) for name in config.baselines}
    best = gap["optimum"]
    assert best.mean() == pytest.approx(0.0, abs=4 * best.std() / len(best) ** 0.5 + 1e-9)  # four standard errors
    assert gap["random"].mean() < best.mean()


def test_no_board_that_is_judged_is_met_in_training():
    train, held_out = wild.starts(3, "rule")

    def kinds(tasks):
        boards = (dict(reversed(move.split()) for move in task.data["opening"]) for task in tasks)
        return {wild.kind(Wild("".join(board.get(str(at), ".") for at in range(9)))) for board in boards}

    assert kinds(train)
    assert not kinds(train) & kinds(held_out)
    assert {len(task.data["opening"]) for task in (*train, *held_out)} == {
        2,
        3,
    }  # two moves come between two of one's own


@pytest.mark.parametrize(
    ("game", "policy"),
    [
        ("wild", "scratch"),
        *(pytest.param(*one, marks=pytest.mark.matrix) for one in (("pig", "table"), ("secretary", "scratch"))),
    ],
)
def test_it_trains_a_step_without_an_error(game, policy, tmp_path):
    pytest.importorskip("textarena")
    config = recipe(game, policy=policy)
    config = replace(config, steps=1, prompts_per_step=4, held_out=config.held_out[:1], baselines={})
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert "held_out/gold/to_optimum" in run.metrics()[-1]
    assert spec.from_files(run.path).environment == config.environment


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="one of wild, pig, secretary"):
        recipe("chess")
    with pytest.raises(ValueError, match="played alone"):
        recipe("secretary", "random")
    with pytest.raises(ValueError, match="in pig it is random or rule"):
        recipe("pig", "perfect")
