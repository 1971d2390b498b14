"""Gymnasium's environments as strop's, and back."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from strop.batch import collate
from strop.codec import VectorCodec
from strop.environments import as_gymnasium, from_gymnasium
from strop.environments.corridor import Corridor, examples
from strop.environments.guess_word import GuessWord
from strop.environments.gymnasium import FromGymnasium, _TextGame
from strop.functional.returns import next_value
from strop.rollout.play import Scene, play
from strop.runs import spec
from strop.types import Completion, End, Episode, Pick, Sampling, Step, Task
from unit.environments.toy_gym import Hops

TASK = Task("hop", "", data={"options": {"low": 1}})
VALUE = frozenset({"value"})


class Always:
    """Chooses the action of one id."""

    def __init__(self, id: int) -> None:
        self.id = id

    def sample(self, prompts, sampling, rngs):
        return [Completion((self.id,), (0.0,), "length") for _ in prompts]


def played(make, action: int = 1, actions=("0", "1", "2", "x"), to_text=None) -> Episode:
    environment = from_gymnasium(make) if to_text is None else from_gymnasium(make, to_text)
    codec = VectorCodec(actions, 2)
    scene = Scene(environment=environment, rewards={}, codec=codec, context=None, seed=0)
    (one,) = play(scene, [TASK], 1, Always(action), Sampling(max_tokens=1), "train", 0)
    return one


def test_truncated_keeps_the_last_observation_for_bootstrapping():
    one = played(Hops)
    assert (one.end, len(one.turns), one.reward) == (End.TRUNCATED, 2, 1.0)
    observed = [json.loads(VectorCodec(("0", "1", "2", "x"), 2).decode(turn.prompt)) for turn in one.turns]
    final = json.loads(VectorCodec(("0", "1", "2", "x"), 2).decode(one.final))
    assert [place for place, _ in [*observed, final]] == [0, 1, 2]
    assert len({start for _, start in [*observed, final]}) == 1


def test_terminated_wins_over_truncated():
    one = played(lambda: Hops(turns=1), action=2)
    assert one.end is End.TRUNCATED
    one = played(lambda: Hops(turns=2), action=2)  # place 4 at turn 2: both flags are set
    assert (one.end, one.final) == (End.TERMINATED, ())


def test_every_turn_is_a_row_and_its_next_decision_is_the_row_below():
    # rows are prompt (2 ids), action; the truncated episode adds the row of its last observation
    batch = collate((Pick(played(Hops)), Pick(played(lambda: Hops(turns=9), action=2))), "per_turn")
    width = 3
    assert batch.tokens_BT.shape == (5, width)
    assert batch.action_BT.tolist() == [[False, False, a] for a in (True, True, False, True, True)]
    assert batch.next_BT[:, 2].tolist() == [1 * width + 2, 2 * width + 2, -1, 4 * width + 2, -1]
    assert batch.rewards_BT[:, 2].tolist() == [0.5, 0.5, 0.0, 1.0, 1.0]
    value_BT = batch.tokens_BT.new_zeros(5, width).double()
    value_BT[:, 2] = batch.tokens_BT.new_tensor([10, 20, 30, 40, 50])
    assert next_value(value_BT, batch.next_BT)[:, 2].tolist() == [20, 30, 0, 50, 0]


def test_the_seed_of_a_reset_comes_from_the_stream_and_options_from_the_task():
    made = []

    def make():
        made.append(Hops())
        return made[-1]

    environment = from_gymnasium(make)
    starts = [environment(TASK, np.random.default_rng(seed)).start() for seed in (0, 0, 1)]
    assert starts[0] == starts[1] != starts[2]
    assert made[0].options == {"low": 1}


def test_the_environment_is_closed_and_an_unreadable_action_fails_the_episode():
    made = []

    def make():
        made.append(Hops())
        return made[-1]

    one = played(make, action=3)  # the action "x"
    assert one.end is End.FAILED
    assert "JSONDecodeError" in one.error
    assert made[0].is_closed


def test_an_adapter_is_a_record_that_a_run_writes_down():
    environment = FromGymnasium(Hops)
    assert spec.decode(spec.encode(environment), Path()) == environment


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    for call in (lambda: from_gymnasium("CartPole-v1"), lambda: as_gymnasium(Corridor, [TASK])):
        with pytest.raises(ImportError, match="pip install gymnasium"):
            call()


# ---------------------------------------------------------------- the other way


def test_a_game_is_played_through_reset_and_step():
    (task, texts, best), *_ = examples()
    game = _TextGame(Corridor, [task])
    observation, facts = game.reset(seed=0)
    assert (observation, facts) == ("room1", {"task": "1"})
    seen = [game.step(text) for text in texts]
    assert [one[:4] for one in seen] == [("room2", 0.0, False, False), ("", best, True, False)]


def test_a_time_limit_and_a_failed_step_are_truncated_not_terminated():
    game = _TextGame(Corridor, [Task("1", "", data={"room": 1, "length": 9, "turns": 1})])
    game.reset()
    assert game.step("left")[2:4] == (False, True)

    class Breaks(Corridor):
        def step(self, text):
            return Step("", end=End.FAILED)

    game = _TextGame(Breaks, [Task("1", "", data={"room": 1, "length": 9, "turns": 1})])
    game.reset()
    assert game.step("left")[2:4] == (False, True)


def test_tasks_are_drawn_by_the_seed_or_asked_for_by_id():
    words = ["ant", "bee", "cat"]
    tasks = [Task(word, f"guess {word}?", answer=word, data={"words": words, "turns": 3}) for word in words]
    game = _TextGame(GuessWord, tasks)
    drawn = [game.reset(seed=seed)[1]["task"] for seed in range(12)]
    assert set(drawn) == set(words)
    assert drawn == [game.reset(seed=seed)[1]["task"] for seed in range(12)]
    assert game.reset(options={"task": "bee"})[0] == "guess bee?"
    with pytest.raises(ValueError, match="no task 'dog'"):
        game.reset(options={"task": "dog"})


def test_reset_closes_the_previous_episode():
    closed = []

    class Watched(Corridor):
        def close(self):
            closed.append(self)

    game = _TextGame(Watched, [examples()[0][0]])
    with pytest.raises(ValueError, match="reset"):
        game.step("right")
    game.reset()
    game.reset()
    game.close()
    assert len(closed) == 2


def test_there_and_back_plays_the_same_game():
    (task, texts, best), *_ = examples()
    environment = from_gymnasium(lambda: _TextGame(Corridor, [task]), str, str)
    env = environment(Task("again", ""), np.random.default_rng(0))
    assert env.start() == "room1"
    steps = [env.step(text) for text in texts]
    assert (sum(step.reward for step in steps), steps[-1].end) == (best, End.TERMINATED)


# ---------------------------------------------------------------- with the package


def test_gymnasium_wrappers_accept_our_environment():
    gymnasium = pytest.importorskip("gymnasium")
    env = as_gymnasium(Corridor, [examples()[0][0]])
    assert isinstance(env, gymnasium.Env)
    wrapped = gymnasium.wrappers.TimeLimit(env, 1)
    observation, _ = wrapped.reset(seed=3)
    assert observation in env.observation_space
    assert wrapped.step("left")[3] is True


def test_cartpole_is_played_by_its_id():
    pytest.importorskip("gymnasium")
    environment = from_gymnasium("CartPole-v1")
    env = environment(Task("1", ""), np.random.default_rng(0))
    assert len(json.loads(env.start())) == 4
    steps = [env.step("1") for _ in range(5)]
    assert all(step.reward == 1.0 for step in steps)
    env.close()


def test_an_observation_may_be_the_whole_next_prompt():
    for replaces in (False, True):
        env = from_gymnasium(Hops, replaces=replaces)(TASK, np.random.default_rng(0))
        env.start()
        assert env.step("1").replaces is replaces
