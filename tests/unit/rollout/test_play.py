"""Playing and scoring: failures become data, and a reward that is not finite stops the run."""

import math
import time

import numpy as np
import pytest

import strop
from strop.codec import WordCodec
from strop.data.written import demonstrations
from strop.environments.guess_word import GuessWord
from strop.environments.single_turn import SingleTurn
from strop.policies.table import Table
from strop.rewards.group import GroupReward
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.samplers.scripted import ScriptedSampler
from strop.types import End, Episode, NonFinite, PerToken, PerTurn, Sampling, Source, Task, Unscored

CODEC = WordCodec(["a", "b", "c", "before", "after", "unknown", "guess"])
SAY_B = ScriptedSampler(CODEC, lambda prompt: "b")
TASKS = [Task("1", "a"), Task("2", "c")]


def scene(rewards=None, environment=SingleTurn, context=None, seconds=5.0) -> Scene:
    return Scene(
        environment=environment,
        rewards=rewards or {},
        codec=CODEC,
        context=context,
        seed=0,
        environment_seconds=seconds,
    )


def run(rewards=None, *, tasks=TASKS, sampler=SAY_B, group_size=2, **options) -> list[Episode]:
    return play(scene(rewards, **options), tasks, group_size, sampler, Sampling(max_tokens=3), "train", 7)


def test_episodes_come_in_order_of_tasks_with_their_groups_and_facts():
    episodes = run({"r": (lambda task, episode: 2.0, 0.5)})
    assert [episode.task.id for episode in episodes] == ["1", "1", "2", "2"]
    assert [episode.group for episode in episodes] == [14, 14, 15, 15]  # step 7 of two tasks
    assert len({episode.id for episode in episodes}) == 4
    first = episodes[0]
    assert (first.end, first.version, first.source, first.text) == (End.TERMINATED, 7, Source.POLICY, "b")
    assert first.reward == 1.0  # 2.0 at weight 0.5
    assert first.turns[0].completion.tokens == (*CODEC.encode("b"), CODEC.end)


def test_a_reward_that_raises_is_unscored_with_its_traceback():
    def broken(task, episode):
        raise KeyError("colour")

    outcome = run({"broken": (broken, 1.0)})[0]
    assert isinstance(outcome.reward, Unscored)
    assert "KeyError: 'colour'" in outcome.reward.reason
    assert "in broken" in outcome.reward.reason


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_non_finite_reward_stops_at_once(number):
    with pytest.raises(NonFinite, match="reward 'bad' of task 1"):
        run({"bad": (lambda task, episode: number, 1.0)})


@pytest.mark.parametrize("wrong", ["0.5", [1.0], np.array([1.0]), (1.0,), 1j, {}, float])
def test_a_reward_of_the_wrong_type_says_what_is_allowed(wrong):
    episode = run({"wrong": (lambda task, episode: wrong, 1.0)})[0]
    assert "a reward returns a number" in episode.reward.reason
    assert "wrong returned" in episode.reward.reason


def test_numpy_numbers_and_booleans_are_numbers():
    assert run({"r": (lambda task, episode: np.float32(0.5), 1.0)})[0].reward == 0.5
    assert run({"r": (lambda task, episode: True, 1.0)})[0].reward == 1.0


def test_dense_rewards_keep_their_positions_and_sum_to_the_total():
    episode = run({"t": (lambda task, episode: PerToken([1.0, 2.0]), 1.0)})[0]
    assert episode.parts["t"].tokens == (1.0, 2.0)
    assert episode.reward == 3.0
    assert run({"t": (lambda task, episode: PerTurn([4.0]), 1.0)})[0].parts["t"].turns == (4.0,)
    wrong = run({"t": (lambda task, episode: PerToken([1.0, 2.0, 3.0]), 1.0)})[0]
    assert "gave PerToken with 3 numbers for 2 tokens" in wrong.reward.reason


def test_a_group_reward_sees_one_task_at_a_time():
    seen = []

    def rank(task, episodes):
        seen.append((task.id, len(episodes)))
        return list(range(len(episodes)))

    episodes = run({"rank": (GroupReward(rank), 1.0)})
    assert seen == [("1", 2), ("2", 2)]
    assert [episode.reward for episode in episodes] == [0.0, 1.0, 0.0, 1.0]


def test_an_environment_that_raises_fails_its_episode_and_no_other():
    class Moody(SingleTurn):
        def step(self, text):
            if self._task.id == "1":
                raise RuntimeError("no mood")
            return super().step(text)

    episodes = run({"r": (lambda task, episode: 1.0, 1.0)}, environment=Moody)
    assert [episode.end for episode in episodes] == [End.FAILED] * 2 + [End.TERMINATED] * 2
    assert "RuntimeError: no mood" in episodes[0].error
    assert isinstance(episodes[0].reward, Unscored)
    assert episodes[0].parts == {}  # a failed episode is not judged


def test_an_environment_that_hangs_is_named_with_its_limit():
    class Slow(SingleTurn):
        def step(self, text):
            time.sleep(30 if self._task.id == "1" else 0)
            return super().step(text)

    started = time.monotonic()
    episodes = run(environment=Slow, seconds=0.3)
    assert time.monotonic() - started < 5
    assert "environment.step took longer than 0.3 seconds" in episodes[0].error
    assert episodes[2].end is End.TERMINATED


def test_a_full_context_fails_with_the_numbers():
    episode = run(context=3)[0]  # 1 token stands and 3 may follow
    assert episode.end is End.FAILED
    assert episode.turns == ()
    assert "1 tokens stand and 3 more" in episode.error
    assert run(context=4)[0].end is End.TERMINATED


def test_turns_extend_what_was_sampled_and_truncation_keeps_the_next_prompt():
    task = Task("1", "guess", answer="a", data={"words": ["a", "b", "c"], "turns": 2})
    (episode,) = run(tasks=[task], environment=GuessWord, group_size=1)
    first, second = episode.turns
    assert second.prompt == first.prompt + first.completion.tokens + CODEC.encode("before")
    assert episode.end is End.TRUNCATED
    assert episode.final == second.prompt + second.completion.tokens + CODEC.encode("before")


def test_random_streams_depend_on_seed_step_and_index_alone():
    policy = Table(CODEC.size)
    sampler = LocalSampler(policy, CODEC.stop)

    def texts(tasks, step, purpose="train"):
        return [e.text for e in play(scene(), tasks, 4, sampler, Sampling(max_tokens=3), purpose, step)]

    assert texts(TASKS, 1) == texts(TASKS, 1)
    assert texts(TASKS[:1], 1) == texts(TASKS, 1)[:4]  # batching does not matter
    assert texts(TASKS, 1) != texts(TASKS, 2)
    assert len(set(texts(TASKS[:1], 1))) > 1  # the members of a group differ
    assert texts(TASKS, 1, "evaluate") == texts(TASKS, 2, "evaluate")  # judgements face the same dice
    assert texts(TASKS, 1, "evaluate") != texts(TASKS, 1)


def test_demonstrations_end_with_the_end_token_as_an_action():
    (episode,) = demonstrations([Task("1", "a", answer="b c")], CODEC)
    assert episode.turns[0].completion.tokens == (*CODEC.encode("b c"), CODEC.end)
    assert episode.turns[0].completion.logprobs is None
    assert episode.source is Source.DATA
    with pytest.raises(ValueError, match="task 2 has no answer"):
        demonstrations([Task("2", "a")], CODEC)


def test_public_names_are_sorted_and_real():
    assert list(strop.__all__) == sorted(strop.__all__, key=lambda name: (name[0].islower(), name))
    for name in strop.__all__:
        assert getattr(strop, name) is not None
    with pytest.raises(AttributeError, match="no public name"):
        _ = strop.trian
