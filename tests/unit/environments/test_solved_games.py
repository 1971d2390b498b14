"""Games of one player: their rules by hand, and optima that are known."""

import numpy as np
import pytest

from strop.environments import Blackjack, FrozenLake, GridWorld, GuessNumber, Taxi
from strop.environments.blackjack import dealer_sums, first_hands, hand_state, hand_text, hand_transitions
from strop.environments.frozen_lake import lake
from strop.environments.gridworld import grid_transitions
from strop.environments.guess_number import found_share
from strop.environments.gymnasium import happened
from strop.environments.taxi import first_states, taxi_moves, taxi_state, taxi_text, town
from strop.planning import backward_induction, iterate_values, mdp_of
from strop.types import End, Task

LAKE = ("SFFF", "FHFH", "FFFH", "HFFG")


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_map_is_walked_around_its_walls():
    game = GridWorld(Task("1", "", data={"map": ["@#G", "..."], "turns": 9}), rng())
    start = game.start()
    assert (start.text, list(start.choices)) == ("@ # G\n. . .", ["down"])
    assert game.step("right").text == "illegal\n@ # G\n. . ."
    step = game.step("down")
    assert (step.text, list(step.choices), step.reward) == (". # G\n@ . .", ["up", "right"], -0.04)
    assert (game.step("right").end, game.step("right").end, game.step("up").reward) == (None, None, 0.96)


def test_the_best_path_is_the_shortest_one():
    rows = ["@#G", "...", "..."]
    solved = iterate_values(mdp_of(grid_transitions(rows), 0), 1.0)
    assert solved.value_S[0] == pytest.approx(1 - 4 * 0.04)
    walls = iterate_values(mdp_of(grid_transitions(["@.#", "#..", "G.."]), 0), 1.0)
    assert walls.value_S[0] == pytest.approx(1 - 4 * 0.04)


def test_a_walk_that_takes_too_long_is_truncated():
    game = GridWorld(Task("1", "", data={"map": ["@..G"], "turns": 2}), rng())
    assert [game.step(text).end for text in ("right", "left")] == [None, End.TRUNCATED]


def test_a_map_needs_one_start_and_one_goal():
    with pytest.raises(ValueError, match="no map"):
        GridWorld(Task("1", "", data={"map": ["@.@G"], "turns": 2}), rng())


def test_a_guess_leaves_the_numbers_on_one_side():
    game = GuessNumber(Task("1", "", answer="5", data={"low": 3, "high": 9, "turns": 4}), rng())
    assert game.start().text == "from 3 to 9\nguesses 4"
    step = game.step("6")
    assert (step.text, list(step.choices)) == ("from 3 to 5\nguesses 3", ["3", "4", "5"])
    assert game.step("3").text == "from 4 to 5\nguesses 2"
    assert game.step("9").text == "illegal\nfrom 4 to 5\nguesses 1"
    assert (game.step("4").reward, game.step("5").reward) == (0.0, 1.0)


def test_no_guesses_find_more_than_bisection():
    def best(n: int, guesses: int) -> float:  # numbers that are found, of n
        if n == 0 or guesses == 0:
            return 0
        return max(1 + best(at, guesses - 1) + best(n - at - 1, guesses - 1) for at in range(n))

    cases = [(n, k) for n in range(1, 10) for k in range(1, 5)]
    assert [best(n, k) / n for n, k in cases] == pytest.approx([found_share(n, k) for n, k in cases])


def test_the_lake_is_drawn_and_its_optimum_is_known():
    task = Task("1", "", data={"map": ["SF", "HG"], "turns": 3, "slippery": False})
    game = FrozenLake(task, rng())
    assert game.start().text == "@ F\nH G"
    assert (game.step("right").text, game.step("down").reward) == ("F @\nH G", 1.0)
    hole = FrozenLake(task, rng()).step("down")
    assert (hole.reward, hole.end) == (0.0, End.TERMINATED)
    model = mdp_of(lake(LAKE).P, 0)
    # 14 / 17 without a time limit; about .74 within Gymnasium's 100 steps, as its documentation's solutions reach
    assert iterate_values(model, 1.0).value_S[0] == pytest.approx(14 / 17)
    assert backward_induction(model, 100).value_HS[100, 0] == pytest.approx(0.7442, abs=1e-4)


def test_ice_slips_to_either_side_in_two_of_three_steps():
    outcomes = lake(LAKE).P[0][1]  # down: left stays, down to 4, right to 1
    drawn = [happened(outcomes, rng(seed))[1] for seed in range(600)]
    shares = [drawn.count(state) / 600 for state in (0, 4, 1)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.06)  # three standard errors
    assert happened([(1.0, 7, 0.0, False)], rng())[1] == 7


def test_the_taxi_tells_where_all_are_and_pays_as_gymnasium():
    game = Taxi(Task("1", "", data={"state": 2, "turns": 20}), rng())
    start = game.start()
    assert start.text == "taxi row 0 column 0\npassenger red\ndestination yellow"
    assert set(start.choices) == {"south", "east", "pickup"}
    assert game.step("pickup").text == "taxi row 0 column 0\npassenger inside\ndestination yellow"
    assert game.step("fly").text.startswith("illegal\ntaxi row 0")
    paid = [game.step(text).reward for text in ["south"] * 4 + ["dropoff"]]
    assert paid == [-1.0] * 4 + [20.0]
    assert all(taxi_state(taxi_text(state)) == state for state in range(500))
    assert "west" not in taxi_moves(town().encode(0, 2, 0, 1))  # the wall beside column 1


def test_the_best_taxi_earns_7_93():
    states = first_states()
    model = mdp_of(town().P, {state: 1 / len(states) for state in states})
    assert len(states) == 300
    assert model.start @ iterate_values(model, 1.0).value_S == pytest.approx(7.93)


def test_blackjack_pays_by_the_sums():
    def paid(player, dealer, *texts):
        game = Blackjack(Task("1", "", data={"player": player, "dealer": dealer}), rng())
        game.start()
        return [game.step(text) for text in texts][-1]

    assert [paid([10, 10], dealer, "stick").reward for dealer in ([10, 9], [10, 10], [10, 1])] == [1.0, 0.0, -1.0]
    game = Blackjack(Task("1", "", data={"player": [1, 6], "dealer": [10, 7]}), rng())
    assert game.start().text == "you 17\ndealer 10\nace yes"
    assert paid([10, 10], [10, 7], "", "", "zzz").reward == -1.0
    bust = Blackjack(Task("1", "", data={"player": [10, 10], "dealer": [10, 7]}), rng())
    bust.start()
    assert any(bust.step("hit").reward == -1.0 for _ in range(2))  # an ace at most, then any card


def test_the_best_blackjack_loses_4_7_in_a_hundred():
    # Sutton & Barto's game with Gymnasium's rules; the same model, solved by hand for two known decisions of theirs
    assert sum(dealer_sums(10).values()) == pytest.approx(1.0)
    assert sum(first_hands().values()) == pytest.approx(1.0)
    model = mdp_of(hand_transitions(), first_hands())
    solved = iterate_values(model, 1.0)
    assert model.start @ solved.value_S == pytest.approx(-0.0466, abs=1e-4)
    hits = {text: bool(solved.action_S[hand_state(text)]) for text in (hand_text(16, 10, 0), hand_text(16, 6, 0))}
    assert list(hits.values()) == [True, False]


def test_the_model_of_blackjack_is_the_game():
    model = mdp_of(hand_transitions(), first_hands())
    solved = iterate_values(model, 1.0)
    total = 0.0
    for seed in range(400):
        game, end = Blackjack(Task("1", ""), rng(seed)), None
        step = game.start()
        while end is None:
            step = game.step(("stick", "hit")[solved.action_S[hand_state(step.text)]])
            end = step.end
        total += step.reward
    assert total / 400 == pytest.approx(-0.0466, abs=3 * 0.95 / 400**0.5)
