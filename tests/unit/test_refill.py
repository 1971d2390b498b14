"""What an algorithm asks of a rollout beyond its groups: tasks until enough can teach, and a greedy answer to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

import strop
from strop.environments.single_turn import SingleTurn
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.runs.measures import step_measures
from strop.samplers.local import LocalSampler
from strop.types import Episode, Extras, Sampling, Source, Stopped, Task, Unscored

WORDS = ["a", "b", "solved", "hopeless"]


def differ(returns: Sequence[float]) -> bool:
    return len(set(returns)) > 1


class Cycle:
    """The tasks in order, again and again."""

    def __init__(self, *names: str) -> None:
        self.names, self.drawn = names, 0
        self.told: list[tuple[int, Sequence[Episode]]] = []

    def next(self, n: int) -> list[Task]:
        self.drawn += n
        return [Task(f"{name}{i}", name) for i in range(self.drawn - n, self.drawn) for name in [self._name(i)]]

    def _name(self, i: int) -> str:
        return self.names[i % len(self.names)]

    def observe(self, episodes: Sequence[Episode]) -> None:
        self.told.append((self.drawn, episodes))

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


def pays(task: Task, episode: Episode) -> float:
    """Every answer to "solved" is right, none to "hopeless", one of four words to the others."""
    return {"solved": 1.0, "hopeless": 0.0}.get(str(task.prompt), float(episode.text == "b"))


def engine(prompts: int = 2, group_size: int = 8, pay: Any = pays, **extras: Any) -> EmbeddedEngine:
    policy, codec = Table.Config(words=WORDS).build(0)
    with torch.no_grad():
        policy.weight[policy.row(codec.encode("a"))] += torch.tensor([0.0, 0.5, 0.0, 0.0])  # "b" is the likeliest
    scene = Scene(environment=SingleTurn, rewards={"pays": (pay, 1.0)}, codec=codec, context=None, seed=0)
    sampler = LocalSampler(policy, codec.stop)
    return EmbeddedEngine(scene, sampler, Sampling(max_tokens=1), group_size, prompts, Extras(**extras))


def groups_of(episodes: Sequence[Episode]) -> dict[int, list[Episode]]:
    groups: dict[int, list[Episode]] = {}
    for one in episodes:
        groups.setdefault(one.group, []).append(one)
    return groups


def test_tasks_are_played_until_enough_groups_can_teach() -> None:
    tasks = Cycle("solved", "a", "hopeless")
    episodes = engine(accepts=differ, oversampling=6).rollout(tasks, 3)
    groups = groups_of(episodes)
    names = [str(members[0].task.prompt) for members in groups.values()]
    # first solved, a; one is missing, so one task at a time follows: hopeless, solved, a
    assert names == ["solved", "a", "hopeless", "solved", "a"]
    assert tasks.drawn == 5
    assert all(len(members) == 8 and len({one.task.id for one in members}) == 1 for members in groups.values())
    assert list(groups) == [3 * 12 + g for g in range(5)]  # 6 times 2 tasks at most: 12 numbers a step
    assert step_measures(episodes)["signal/groups"] == pytest.approx(2 / 5)


def test_the_source_is_told_of_every_group_once_before_it_is_asked_for_more() -> None:
    tasks = Cycle("solved", "a", "hopeless")
    episodes = engine(accepts=differ, oversampling=6).rollout(tasks, 3)
    assert [drawn for drawn, _ in tasks.told] == [2, 3, 4, 5]
    assert [one for _, told in tasks.told for one in told] == episodes  # of rejected groups too, scored, in order
    assert all("pays" in one.parts for _, told in tasks.told for one in told)


def test_the_source_is_told_before_the_run_stops() -> None:
    tasks = Cycle("solved")
    with pytest.raises(Stopped):
        engine(accepts=differ, oversampling=2).rollout(tasks, 0)
    assert sum(len(told) for _, told in tasks.told) == 4 * 8


def test_every_episode_has_dice_and_names_of_its_own_and_plays_are_equal_to_the_bit() -> None:
    plays = [engine(accepts=differ, oversampling=6).rollout(Cycle("solved", "a", "hopeless"), 3) for _ in range(2)]
    assert plays[0] == plays[1]
    for key in ("id", "seed"):
        assert len({getattr(one, key) for one in plays[0]}) == len(plays[0])
    plain = engine(oversampling=6).rollout(Cycle("solved", "a", "hopeless"), 3)
    assert plays[0][: len(plain)] == plain  # the first round has the dice of a run that never refills
    other = engine(accepts=differ, oversampling=6).rollout(Cycle("solved", "a", "hopeless"), 4)
    assert not {one.group for one in other} & {one.group for one in plays[0]}


def test_a_run_without_extras_is_as_it_was() -> None:
    episodes = engine().rollout(Cycle("solved", "a"), 7)
    assert [one.group for one in episodes] == [14] * 8 + [15] * 8
    assert episodes[9].id == "train-000007-0009"
    assert episodes[9].seed == (0, 7, 9)


def test_the_bound_stops_the_run_in_words() -> None:
    tasks = Cycle("solved", "a", *["hopeless"] * 4)
    with pytest.raises(Stopped, match="step 3 played 6 tasks and found 1 of 2 groups that can teach") as stopped:
        engine(accepts=differ, oversampling=3).rollout(tasks, 3)
    assert "solved or out of reach" in str(stopped.value)
    assert "oversampling" in str(stopped.value)


def test_unscored_members_do_not_decide() -> None:
    def sometimes(task: Task, episode: Episode) -> float | Unscored:
        return 1.0 if episode.text == "b" else Unscored("no judge")

    with pytest.raises(Stopped):
        engine(pay=sometimes, accepts=differ, oversampling=2).rollout(Cycle("a"), 0)


def test_one_greedy_answer_to_each_task_beside_the_samples() -> None:
    episodes = engine(greedy=True).rollout(Cycle("a", "solved"), 5)
    groups = groups_of(episodes)
    assert list(groups) == [10, 11]
    for members in groups.values():
        sources = [one.source for one in members]
        assert sources == [Source.POLICY] * 8 + [Source.GREEDY]
    greedy = groups[10][-1]
    assert (greedy.text, greedy.turns[0].completion.logprobs) == ("b", (0.0,))
    assert (greedy.id, greedy.version, greedy.reward) == ("greedy-000005-0000", 5, 1.0)
    assert greedy.seed == (0, 5, 0)  # the environment's dice differ from step to step
    assert len({one.id for one in episodes}) == 18
    sampled = [one for one in episodes if one.source is Source.POLICY]
    assert sampled == engine().rollout(Cycle("a", "solved"), 5)  # their dice do not notice
    assert step_measures(episodes) == step_measures(sampled)  # what is reported is how the policy acts


def test_greedy_answers_do_not_decide_whether_a_group_can_teach() -> None:
    def alone(task: Task, episode: Episode) -> float:
        return 1.0 if episode.source is Source.GREEDY else 0.0

    with pytest.raises(Stopped):
        engine(pay=alone, greedy=True, accepts=differ, oversampling=2).rollout(Cycle("a"), 0)


# ------------------------------------------------------------ whole runs


def right(task: Task, episode: Episode) -> float:
    return float(episode.text == task.answer)


def config(algorithm: Any, steps: int) -> strop.TrainConfig:
    words = ("red", "blue", "green")
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=words),
        tasks=[Task(word, word, answer=word) for word in words],
        rewards=[right],
        algorithm=algorithm,
        sampling=Sampling(max_tokens=1),
        group_size=3,
        prompts_per_step=2,
        steps=steps,
        checkpoint_every=2,
        threads=1,
    )


ADAM = strop.optimizer.AdamW(lr=0.1)
WHOLE = [strop.algorithms.DAPO.Config(optimizer=ADAM, oversampling=20), strop.algorithms.ReMax.Config(optimizer=ADAM)]


@pytest.mark.matrix
@pytest.mark.parametrize("algorithm", WHOLE, ids=["dapo", "remax"])
def test_a_run_that_is_continued_is_the_uninterrupted_one(algorithm: Any, tmp_path: Any) -> None:
    whole = strop.train(config(algorithm, 6), tmp_path / "whole")
    strop.train(config(algorithm, 3), tmp_path / "parts")
    parts = strop.train(config(algorithm, 6), tmp_path / "parts", resume=True)
    played = [[one for step in range(6) for one in run.episodes(step=step)] for run in (whole, parts)]
    assert played[0] == played[1]
    assert torch.equal(whole.policy.weight, parts.policy.weight)
    if isinstance(algorithm, strop.algorithms.DAPO.Config):
        assert len(played[0]) > 6 * 6  # it refilled
        assert differ([one.reward for one in played[0][-3:]])


def test_a_run_that_is_solved_stops_and_says_so(tmp_path: Any) -> None:
    algorithm = replace(WHOLE[0], oversampling=2)
    always = replace(config(algorithm, 3), rewards=[lambda task, episode: 1.0])
    with pytest.raises(Stopped, match="found 0 of 2 groups"):
        strop.train(always, tmp_path / "run")
