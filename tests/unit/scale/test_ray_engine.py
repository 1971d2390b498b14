"""The engine on Ray, on a pretended one in this process: same bits whoever dies, bounds of age, each unit once."""

import pickle
import random
import re
from pathlib import Path

import pytest

import fleet
import strop
import tiny_hf
from pretend_ray import DIES, FINE, HANGS, pretended
from strop.rewards.group import GroupReward
from strop.rollout.engine import EmbeddedEngine
from strop.runs.directory import RunDirectory
from strop.scale.ahead import from_state
from strop.scale.pool import Pool
from strop.scale.unit import Unit
from strop.scale.weights import Manifest
from strop.types import End, NonFinite, Source, Stopped

EMBEDDED = strop.scale.Embedded(batch="group")
ADAM = strop.optimizer.AdamW(lr=1e-2)


def often(seed: int, share: float = 0.15):
    """A fate by dice: replicas die while they start and while they play."""
    dice = random.Random(seed)
    return lambda name, arguments: DIES if dice.random() < share else FINE


def train(folder, engine, fate=lambda name, arguments: FINE, seed=0, resume=False, **changed) -> strop.Run:
    with pretended(fate, seed) as ray:
        try:
            return strop.train(fleet.config(engine=engine, **changed), folder, progress=False, resume=resume)
        finally:
            assert all(actor.is_dead for actor in ray.actors), "the engine was not closed"


def ranks(task, episodes):
    return [float(place) for place, _ in enumerate(sorted(episodes, key=lambda one: one.text))]


CURRICULUM = [[strop.Task(w, w, w) for w in fleet.WORDS[:2]], [strop.Task(w, w, w) for w in fleet.WORDS[2:]]]
KINDS = {
    "grpo": {},
    "table": {
        "policy": strop.policies.Table.Config(words=fleet.WORDS, has_end=True),
        "algorithm": strop.algorithms.REINFORCE.Config(optimizer=ADAM),
    },
    "a greedy episode": {"algorithm": strop.algorithms.ReMax.Config(optimizer=ADAM)},
    "refilled": {"algorithm": strop.algorithms.DAPO.Config(optimizer=ADAM, oversampling=4), "prompts_per_step": 1},
    "curriculum": {"tasks": strop.data.Curriculum(levels=CURRICULUM, unlock=0.1, window=2)},
    "choices": {"sampling": strop.Sampling(max_tokens=2, choices=("red", "blue green"))},
    "rewards of groups": {"rewards": [GroupReward(ranks)]},
}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> dict[int, Path]:
    """Runs in this process, by their steps: nothing can die in them."""
    home = tmp_path_factory.mktemp("embedded")
    return {steps: train(home / str(steps), EMBEDDED, steps=steps).path for steps in (4, 6)}


FAST = ("a greedy episode", "refilled", "curriculum")
BY_SPEED = [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]


@pytest.mark.parametrize("kind", BY_SPEED)
def test_without_staleness_it_gives_the_embedded_bits_whoever_dies(kind, tmp_path):
    train(tmp_path / "embedded", EMBEDDED, **KINDS[kind])
    run = train(tmp_path / "ray", fleet.ray_of(most_losses=1000), often(1), **KINDS[kind])
    assert sum(one.get("engine/lost", 0) for one in run.metrics()) > 0, "nobody died"
    fleet.assert_equal_runs(tmp_path / "embedded", tmp_path / "ray")


@pytest.mark.parametrize("kind", ["a greedy episode", "refilled"])
def test_units_of_two_groups_give_the_bits_of_two_groups_in_a_batch_whoever_dies(kind, tmp_path, monkeypatch):
    """Of three tasks a step: the last unit has one. What is compared with plays so in this process."""

    def in_twos(engine, tasks, step, played):
        chunks = [(i, tasks[i : i + 2]) for i in range(0, len(tasks), 2)]
        return [group for i, chunk in chunks for group in engine._together(chunk, step, played + i)]

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedEngine, "play", in_twos)
        train(tmp_path / "embedded", strop.scale.Embedded(), **KINDS[kind])
    run = train(tmp_path / "ray", fleet.ray_of(groups=2, most_losses=1000), often(1), **KINDS[kind])
    assert sum(one.get("engine/lost", 0) for one in run.metrics()) > 0, "nobody died"
    fleet.assert_equal_runs(tmp_path / "embedded", tmp_path / "ray")


def test_a_unit_of_two_groups_is_given_up_with_both(tmp_path):
    def fate(name, arguments):
        return DIES if name == "play" and arguments[2].place == 0 and arguments[2].step == 1 else FINE

    kind = KINDS["a greedy episode"]
    whole = {one.id: one for one in train(tmp_path / "whole", fleet.ray_of(groups=2), **kind).episodes()}
    run = train(tmp_path / "ray", fleet.ray_of(groups=2, most_losses=1000), fate, **kind)
    failed = [one for one in run.episodes() if one.end is End.FAILED]
    assert len(failed) == 2 * (4 + 1)
    assert "while they played task " in failed[0].error
    assert " and 1 beside it; the last one" in failed[0].error
    for one in failed:
        expected = whole[one.id]
        assert (one.task, one.group, one.seed, one.source) == (
            expected.task, expected.group, expected.seed, expected.source
        )  # fmt: skip


@pytest.mark.slow
def test_lora_gives_the_embedded_bits(tmp_path):
    model = tiny_hf.make(tmp_path / "tiny", template=False, words=fleet.WORDS)
    policy = strop.policies.Transformer.Config(model=str(model), lora=strop.policies.LoRA(rank=2))
    train(tmp_path / "embedded", EMBEDDED, policy=policy)
    train(tmp_path / "ray", fleet.ray_of(), policy=policy)
    fleet.assert_equal_runs(tmp_path / "embedded", tmp_path / "ray")


def test_a_replica_that_hangs_is_replaced_after_its_time(embedded, tmp_path):
    fates = iter([FINE] * 5 + [HANGS])
    engine = fleet.ray_of(unit_seconds=0.2)
    run = train(tmp_path / "ray", engine, lambda name, arguments: next(fates, FINE))
    fleet.assert_equal_runs(embedded[4], tmp_path / "ray")
    assert told(run) == ["engine.unit_seconds"]


def told(run, marks=("engine.unit_seconds", "worker process has died")) -> list[str]:
    """Which of these the run's warnings name."""
    with run.directory.reader() as store:
        texts = [event.text for event in store.events() if event.text.startswith("lost a replica")]
    return [mark for text in texts for mark in marks if mark in text]


def test_a_unit_that_takes_every_replica_with_it_is_given_up_with_the_reason(embedded, tmp_path):
    def fate(name, arguments):
        return DIES if name == "play" and arguments[2].tasks[0].id == "red" else FINE

    run = train(tmp_path / "ray", fleet.ray_of(most_losses=1000), fate)
    failed = [one for one in run.episodes() if one.end is End.FAILED]
    assert {one.task.id for one in failed} == {"red"}
    assert len(failed) % 4 == 0
    assert "3 replicas were lost while they played task red" in failed[0].error
    assert "worker process has died" in failed[0].error
    # ids, groups and seeds are those of the episodes that it stands for
    whole = {one.id: one for one in strop.Run(embedded[4]).episodes()}
    for one in failed:
        assert (one.task, one.group, one.seed) == (whole[one.id].task, whole[one.id].group, whole[one.id].seed)


def test_a_unit_of_an_algorithm_with_a_greedy_episode_is_given_up_with_one(tmp_path):
    def fate(name, arguments):
        return DIES if name == "play" and arguments[2].tasks[0].id == "red" else FINE

    engine, greedy = fleet.ray_of(most_losses=1000), KINDS["a greedy episode"]
    whole = {one.id: one for one in train(tmp_path / "embedded", EMBEDDED, **greedy).episodes()}
    failed = [one for one in train(tmp_path / "ray", engine, fate, **greedy).episodes() if one.end is End.FAILED]
    assert {one.source for one in failed} == {Source.POLICY, Source.GREEDY}
    for one in failed:
        assert (one.group, one.seed, one.source) == (whole[one.id].group, whole[one.id].seed, whole[one.id].source)


def test_who_dies_long_after_it_was_last_looked_was_there_until_then():
    """A replica that plays is there, though nobody looks while the learner learns."""
    with pretended() as ray:
        pool = Pool(fleet.ray_of(replicas=1, start_seconds=5.0), fleet.config().resolve(), give_up=None)
        pool._look()
        pool._alone_since -= 60.0
        ray.actors[0].die()
        pool._replace(pool.members[0], "it died")
        pool._check_deadlines()
        pool.close()


def test_the_unit_that_was_played_when_its_replica_died_comes_first():
    with pretended():
        pool = Pool(fleet.ray_of(replicas=1), fleet.config().resolve(), give_up=None)
        pool._look()
        pool.publish(Manifest(1, 0, ""), None)
        units = [Unit(0, place, (strop.Task(str(place), ""),)) for place in range(4)]
        pool.submit(units)
        pool.hand_out(3)
        pool._replace(pool.members[0], "it died")
        assert [unit.place for unit in pool._waiting] == [0, 1, 2, 3]
        pool.close()


def test_too_many_losses_stop_the_run_and_say_why(tmp_path):
    with pytest.raises(Stopped, match=r"4 replicas were lost within 10 minutes.*most_losses=3.*worker process"):
        train(tmp_path / "ray", fleet.ray_of(most_losses=3), lambda name, arguments: DIES)


def test_a_replica_that_never_starts_is_not_waited_for(tmp_path):
    with pytest.raises(Stopped, match=r"waited 0.2 s \(engine.start_seconds\) for a replica.*4 processors"):
        train(tmp_path / "ray", fleet.ray_of(start_seconds=0.2), lambda name, arguments: HANGS)


def test_a_reward_that_is_not_finite_stops_the_run_as_it_does_here(tmp_path):
    with pytest.raises(NonFinite, match="reward 'bad'"):
        train(tmp_path / "ray", fleet.ray_of(), rewards={"bad": lambda task, episode: float("nan")})


def test_the_status_has_replicas_units_staleness_and_version():
    with pretended():
        parts = fleet.config(engine=fleet.ray_of(staleness=1)).resolve().build()
        assert parts.engine.status() == ""
        parts.engine.publish(parts.policy)
        parts.engine.rollout(parts.tasks, 0)
        assert re.fullmatch(r"2 of 2 replicas, \d under way, 1 step ahead, version 0", parts.engine.status())
        parts.engine.close()
        assert parts.engine.status() == ""


def test_what_is_not_finite_survives_the_way_from_another_process():
    error = pickle.loads(pickle.dumps(NonFinite("the loss", [1, 2], "Do less.")))
    assert (str(error), error.what, error.batch, error.advice) == (
        "the loss is not finite. Do less.", "the loss", [1, 2], "Do less.",
    )  # fmt: skip


def ages(run) -> list[tuple[int, int]]:
    """How many steps each episode is behind the step that learns from it, and that step."""
    return [(one.seed[1] - one.version, one.seed[1]) for one in run.episodes()]


def order(run) -> list[tuple[str, str]]:
    return [(one.id, one.task.id) for one in run.episodes()]


@pytest.mark.parametrize("staleness", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_with_staleness_a_step_is_played_as_early_as_allowed(staleness, embedded, tmp_path):
    run = train(tmp_path / "ray", fleet.ray_of(staleness=staleness), steps=6)
    assert order(run) == order(strop.Run(embedded[6]))  # the same tasks, in the same order
    assert [age for age, _ in ages(run)] == [min(step, staleness) for _, step in ages(run)]
    assert [one["engine/staleness"] for one in run.metrics() if "engine/staleness" in one] == [
        min(step, staleness) for step in range(6)
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_with_staleness_and_losses_every_unit_is_learnt_once_and_none_too_old(seed, embedded, tmp_path):
    run = train(tmp_path / "ray", fleet.ray_of(staleness=2, most_losses=1000), often(seed), seed, steps=6)
    assert order(run) == order(strop.Run(embedded[6]))
    assert all(0 <= age <= 2 for age, _ in ages(run))
    assert any(age for age, _ in ages(run))


BREAKS = {"now": False}


def breaks(task, episode):
    """A reward that stops the run when it sees step 4, if it is told to."""
    return float("nan") if BREAKS["now"] and episode.seed[1] == 4 else fleet.first_word(task, episode)


@pytest.mark.parametrize("then", [2, pytest.param(0, marks=pytest.mark.slow)])
def test_what_ran_ahead_is_in_the_checkpoint_and_learnt_after_a_resume(then, embedded, tmp_path):
    changed = {"steps": 6, "checkpoint_every": 1, "rewards": {"r": breaks}}
    home = tmp_path / "ray"
    BREAKS["now"] = True
    with pytest.raises(NonFinite):
        train(home, fleet.ray_of(staleness=2), **changed)
    BREAKS["now"] = False
    checkpoints = RunDirectory.open(home).checkpoints
    done = checkpoints.newest_first()[0]
    ahead = checkpoints.load(done)["engine"]["ahead"]
    assert [one["step"] for one in ahead] == [done, done + 1]
    kept = [episode for one in ahead for played in from_state(one)[1].values() for episode in played.episodes]
    run = train(home, fleet.ray_of(staleness=then), resume=True, **changed)
    assert order(run) == order(strop.Run(embedded[6]))
    learnt = {one.id: one for one in run.episodes()}
    if then:
        assert kept, "nothing was played ahead"
        assert all(learnt[one.id] == one for one in kept)
    assert all(age <= then for age, step in ages(run) if step >= done)


def test_what_was_played_ahead_in_units_of_another_size_is_played_again(embedded, tmp_path):
    changed = {"steps": 6, "checkpoint_every": 1, "rewards": {"r": breaks}}
    BREAKS["now"] = True
    with pytest.raises(NonFinite):
        train(tmp_path / "ray", fleet.ray_of(staleness=2), **changed)
    BREAKS["now"] = False
    run = train(tmp_path / "ray", fleet.ray_of(staleness=2, groups=2), resume=True, **changed)
    assert order(run) == order(strop.Run(embedded[6]))


def test_the_embedded_engine_does_not_go_on_without_what_ran_ahead(tmp_path):
    BREAKS["now"] = True
    changed = {"steps": 6, "checkpoint_every": 1, "rewards": {"r": breaks}}
    with pytest.raises(NonFinite):
        train(tmp_path / "ray", fleet.ray_of(staleness=2), **changed)
    BREAKS["now"] = False
    with pytest.raises(ValueError, match="2 steps that an engine with staleness played ahead"):
        train(tmp_path / "ray", EMBEDDED, resume=True, **changed)


def test_an_algorithm_without_a_correction_refuses_staleness():
    algorithm = strop.algorithms.SARSA.Config()
    table = strop.policies.Table.Config(words=fleet.WORDS, has_end=True)
    with pytest.raises(ValueError, match=r"engine.staleness=1: SARSA .* has no correction"):
        fleet.config(policy=table, algorithm=algorithm, engine=fleet.ray_of(staleness=1)).resolve()


def test_with_staleness_the_algorithm_truncates_the_ratio_to_what_acted():
    resolved = fleet.config(engine=fleet.ray_of(staleness=1)).resolve()
    assert resolved.algorithm.correction == strop.functional.Correction(level="token", kind="truncate", cap=2.0)
    assert fleet.config(engine=fleet.ray_of()).resolve().algorithm.correction is None
