"""The recipe of games: what is held out, who plays, and old selves that a run keeps."""

from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.baselines.chance import at_random
from strop.beside import attempts_of
from strop.environments.nim import Nim, nim_sum
from strop.recipes._game_rules import GAMES
from strop.recipes._game_starts import has_way, mirrored
from strop.recipes.games import Greedy, OldSelf, Perfect, Search, environment_of, league, match, recipe
from strop.runs import spec
from strop.runs.progress import Progress
from strop.types import Observation, Task

QUICK = ("nim",)
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.matrix) for name in GAMES]
SOLVED = [one for one, name in zip(ALL, GAMES, strict=True) if name != "go"]


def small(config, steps=1, held_out=4):
    return replace(
        config, steps=steps, prompts_per_step=4, held_out=config.held_out[:held_out], baselines={}, checkpoint_every=1
    )


def trained(config, path, resume=False):
    return strop.train(config, path, resume=resume, progress=Progress.silent())


@pytest.mark.parametrize("game", ALL)
def test_every_game_trains_a_step_without_an_error(game, tmp_path):
    run = trained(small(match(game), held_out=1), tmp_path / "run")
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert "held_out/reward" in run.metrics()[-1]


@pytest.mark.parametrize("game", SOLVED)
def test_the_perfect_player_gets_the_exact_optimum(game):
    config = match(game)
    found = attempts_of(replace(config, baselines={"perfect": Perfect(game), "greedy": Greedy(game)}).resolve())
    gap = {name: [one.gold for one in found if one.baseline == name] for name in ("perfect", "greedy")}
    if game in ("frozen_lake", "blackjack"):  # dice: four standard errors
        assert np.mean(gap["perfect"]) == pytest.approx(
            0.0, abs=4 * np.std(gap["perfect"]) / len(gap["perfect"]) ** 0.5
        )
    else:
        assert gap["perfect"] == pytest.approx([0.0] * len(gap["perfect"]))
    assert np.mean(gap["greedy"]) < np.mean(gap["perfect"])


def test_no_start_that_is_judged_is_met_in_training():
    kinds = {
        "nim": lambda data: tuple(sorted(data["heaps"])),
        "tictactoe": lambda data: mirrored(data["squares"]),
        "gridworld": lambda data: tuple(data["map"]),
        "frozen_lake": lambda data: tuple(data["map"]),
        "guess_number": lambda data: (data["low"], data["high"], data["turns"]),
        "taxi": lambda data: (data["state"] // 4 % 5, data["state"] % 4),  # passenger and destination
    }
    for game, kind in kinds.items():
        train, held_out = GAMES[game].starts(0)
        assert not {kind(task.data) for task in train} & {kind(task.data) for task in held_out}, game
    met = {sum(task.data["heaps"]) for task in GAMES["nim"].starts(0)[1]}
    assert met <= {11, 12}  # two moves take 2 at least: no game passes through another start of these


def test_boards_have_eight_mirror_images():
    corners = {mirrored("x........"), mirrored("..x......"), mirrored("......x.."), mirrored("........x")}
    assert len(corners) == 1
    assert len({mirrored("x.o......"), mirrored("o.x......"), mirrored("x.....o..")}) == 1
    assert mirrored("x...o....") != mirrored("xo.......")


def test_a_way_goes_around_walls_and_holes():
    assert has_way(("@#G", "..."))
    assert not has_way(("@#G", ".#."))
    assert not has_way(("SFH", "HHG"))
    assert has_way(("SFF", "HHG"))


def test_an_old_self_is_written_down_and_plays_as_it_did(tmp_path):
    first = small(match("nim", "random", policy="table"), steps=2)
    trained(first, tmp_path / "first")
    second = small(match("nim", f"{tmp_path / 'first'}@1", policy="table"), steps=2)
    (old,) = second.environment.opponents
    assert old.start.run.endswith("first@1")
    assert spec.decode(spec.encode(second.environment), tmp_path) == second.environment
    whole = trained(second, tmp_path / "whole")
    trained(replace(second, steps=1), tmp_path / "parts")
    parts = trained(second, tmp_path / "parts", resume=True)
    assert [one.text for one in whole.episodes()] == [one.text for one in parts.episodes()]


def test_an_old_self_draws_by_its_probabilities(tmp_path):
    config = small(match("nim", "random", policy="table"))
    run = trained(replace(config, tasks=[Task("1", "", data={"heaps": [0, 0, 2], "best": 1.0})]), tmp_path / "run")
    policy, codec = run.policy, run.parts.codec
    row = policy.weight[policy.row(codec.start("0 0 2"))].detach()
    ids = [codec.encode(move)[0] for move in ("c1", "c2")]
    expected = float(row[ids].softmax(0)[0])
    player = OldSelf(strop.FromRun(run=str(tmp_path / "run")))
    drawn = [
        player(Task("1", ""), Observation("0 0 2", ("c1", "c2"), 0, np.random.default_rng(seed))) for seed in range(400)
    ]
    assert drawn.count("c1") / 400 == pytest.approx(expected, abs=0.075)  # three standard errors


def test_a_league_plays_against_all_that_came_before(tmp_path):
    stages = [replace(stage, config=small(stage.config)) for stage in league("nim", stages=3, policy="table")]
    names = [[one.start.stage for one in stage.config.environment.opponents[1:]] for stage in stages]
    assert names == [[], ["self-1"], ["self-1", "self-2"]]
    run = trained(stages, tmp_path / "run")
    assert run.path.name == "3-self-3"
    assert not [episode.error for episode in run.episodes() if episode.error]
    kept = spec.from_files(run.path).environment.opponents
    assert [(one.start.stage, one.start.checkpoint) for one in kept[1:]] == [("self-1", 1), ("self-2", 1)]
    assert kept[1].start.directory().path.name == "1-self-1"
    assert [stage.name for stage in recipe("nim", opponent="league")] == ["self-1", "self-2", "self-3"]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="nobody plays against it in taxi"):
        recipe("taxi", opponent="perfect")
    with pytest.raises(ValueError, match="nobody plays"):
        league("blackjack")
    with pytest.raises(ValueError, match="one of nim"):
        recipe("chess")
    with pytest.raises(ValueError, match="Search"):
        Perfect("go")(Task("1", ""), Observation("", (), 0, np.random.default_rng(0)))


def test_go_is_judged_by_the_search():
    environment = environment_of("go", [Greedy("go")])
    assert environment.judge == Search()
    board = ". o . . .\no . . . .\n. . . . .\n. . . . .\n. . . . .\nblack komi 0.5 left 20 passed"
    seen = Observation(board, ("pass", "c3"), 0, np.random.default_rng(0))
    assert Search(20)(Task("1", ""), seen) != "a1"
    assert Greedy("go")(Task("1", ""), seen) != "pass"


def test_with_a_teacher_the_policy_imitates_first_and_then_plays(tmp_path):
    stages = recipe("nim", teacher="perfect", minutes=5)
    assert [stage.name for stage in stages] == ["imitate", "play"]
    assert sum(stage.config.minutes for stage in stages) == pytest.approx(5.0)
    games = [[turn["text"] for turn in task.data["played"]] for task in stages[0].config.tasks]
    assert all(games)
    first = stages[0].config.tasks[0]
    position = Nim.Position.read(first.prompt)
    assert nim_sum(position.after(first.data["played"][0]["text"])) == 0  # as Bouton's player does
    run = trained([replace(stage, config=small(stage.config)) for stage in stages], tmp_path / "run")
    assert run.path.name == "2-play"


def test_each_game_is_against_one_of_several_opponents():
    assert match("nim", "greedy").environment.opponents == [Greedy("nim")]
    assert match("nim", "random,perfect").environment.opponents == [at_random, Perfect("nim")]
    assert match("nim").environment.opponents == [Perfect("nim")]
    assert match("tictactoe").environment.opponents == [at_random, Perfect("tictactoe")]
    assert match("go").environment.opponents == [at_random]  # the search would take seconds for a game
    assert match("nim", "random, perfect").environment.opponents == [at_random, Perfect("nim")]
    with pytest.raises(ValueError, match="opponent='nobody': it is random, greedy, perfect, a run"):
        match("nim", "random,nobody")


def test_an_opponent_may_be_a_model_behind_an_api():
    asked = strop.Endpoint(url="http://127.0.0.1:8000/v1", model="org/small")
    assert match("nim", "random, http://127.0.0.1:8000/v1#org/small").environment.opponents == [at_random, asked]
    with pytest.raises(ValueError, match="model is empty"):
        match("nim", "http://127.0.0.1:8000/v1")


def test_each_game_learns_in_its_own_way():
    """Returns of taxi are near -50, those of nim 0 or 1; a hand of blackjack is mostly luck."""
    assert match("taxi").algorithm.critic.weight < 0.1 * match("nim").algorithm.critic.weight
    assert match("blackjack").prompts_per_step > match("nim").prompts_per_step
    assert match("taxi").algorithm.discount < match("nim").algorithm.discount == 1.0


def test_taxi_imitates_a_rule_first_unless_it_is_told_not_to():
    assert [stage.name for stage in recipe("taxi")] == ["imitate", "play"]
    assert recipe("taxi", teacher="none").environment is recipe("taxi")[1].config.environment
    assert recipe("nim").environment.opponents == match("nim").environment.opponents


def test_a_league_has_no_teacher():
    with pytest.raises(ValueError, match="opponent=league, teacher='greedy'"):
        recipe("nim", opponent="league", teacher="greedy")
