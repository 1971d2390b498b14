"""A run chooses its sampler by a Config; another engine than the policy's own is published to, and corrected for."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import strop
from strop.cli.overrides import apply
from strop.functional.corrections import Correction
from strop.policies.table import Table
from strop.recipes import copy_word
from strop.reports.plan import make_plan
from strop.rollout.engine import EmbeddedEngine
from strop.run import _gap_tolerance
from strop.runs import spec
from strop.runs.guards import GapTolerance
from strop.runs.progress import Progress
from strop.samplers import LocalSampler
from strop.types import SamplerConfig, Sampling


def config(**changes) -> strop.TrainConfig:
    return replace(copy_word.recipe(), **changes)


class Remote:
    """A stand-in for another engine: it records log-probs that are a little off."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        gap: float | None = None
        made: list["Remote"] = field(default_factory=list)

        def build(self, policy, codec):
            self.made.append(Remote(policy, codec.stop))
            return self.made[-1]

    def __init__(self, policy, stop):
        self.inner, self.published = LocalSampler(policy, stop), 0

    def publish(self, policy):
        self.published += 1

    def sample(self, prompts, sampling, rngs):
        whole = self.inner.sample(prompts, sampling, rngs)
        return [replace(one, logprobs=tuple(logprob - 5e-5 for logprob in one.logprobs)) for one in whole]


def test_the_policy_itself_samples_by_default():
    resolved = config().resolve()
    assert resolved.sampler == LocalSampler.Config()
    assert resolved.algorithm.correction is None


def test_a_config_with_another_sampler_comes_back_from_its_json():
    chosen = config(sampler=LocalSampler.Config(batch=4)).resolve()
    again = spec.decode(json.loads(json.dumps(spec.encode(chosen.sampler))), Path())
    assert again == chosen.sampler
    assert spec.decode(json.loads(json.dumps(spec.encode(chosen.algorithm))), Path()) == chosen.algorithm


def test_the_command_line_chooses_a_sampler():
    assert apply(config(sampler=Remote.Config()), ["sampler=local"]).sampler == LocalSampler.Config()
    assert apply(config(), ["sampler=LocalSampler", "sampler.batch=4"]).sampler == LocalSampler.Config(batch=4)
    assert apply(config(), ["sampler.batch=4"]).sampler == LocalSampler.Config(batch=4)
    with pytest.raises(ValueError, match=r"sampler=locla: there is no such sampler; did you mean LocalSampler\?"):
        apply(config(), ["sampler=locla"])
    with pytest.raises(ValueError, match=r"sampler.batch=few: allowed is a whole number"):
        apply(config(), ["sampler.batch=few"])


def test_impossible_fields_are_refused():
    with pytest.raises(ValueError, match=r"sampler.batch=0"):
        LocalSampler.Config(batch=0)


def test_another_engine_is_corrected_for():
    assert config(sampler=Remote.Config()).resolve().algorithm.correction == Correction()
    own = Correction(level="sequence", cap=3.0)
    chosen = config(sampler=Remote.Config(), algorithm=strop.algorithms.GRPO.Config(correction=own))
    assert chosen.resolve().algorithm.correction == own


@pytest.mark.parametrize("kind", [strop.algorithms.A2C, strop.algorithms.PPO])
def test_an_actor_critic_is_corrected_too(kind):
    assert config(sampler=Remote.Config(), algorithm=kind.Config()).resolve().algorithm.correction == Correction()


def test_an_algorithm_that_cannot_correct_is_refused():
    chosen = config(sampler=Remote.Config(), algorithm=strop.algorithms.RejectionSampling.Config())
    with pytest.raises(ValueError, match="RejectionSampling has no correction"):
        chosen.resolve()


def test_an_algorithm_that_learns_from_any_policy_needs_no_correction():
    for kind in (strop.algorithms.DQN, strop.algorithms.VTrace):  # V-trace has the ratio in its targets
        chosen = config(sampler=Remote.Config(), algorithm=kind.Config())
        assert chosen.resolve().algorithm == kind.Config()


@pytest.mark.parametrize(("dtype", "mean", "bias"), [("float32", 1e-3, 5e-4), ("bfloat16", 0.1, 0.02)])
def test_the_gap_may_be_as_large_as_other_kernels_explain_or_as_the_engine_states(dtype, mean, bias):
    def of(**changes):
        return _gap_tolerance(config(dtype=dtype, **changes).resolve())

    assert of() == GapTolerance.of(dtype)
    assert of(sampler=Remote.Config()) == GapTolerance(max=None, mean=mean, bias=bias, always=True)
    assert of(sampler=Remote.Config(gap=0.5)) == GapTolerance(max=None, mean=0.5, always=True)
    replayed = of(sampler=Remote.Config(gap=0.5), algorithm=strop.algorithms.VTrace.Config())
    assert not replayed.always  # what others drew is further and further away


def test_the_engine_publishes_to_its_sampler():
    sampler, policy = Remote(Table(4), frozenset()), Table(4)
    EmbeddedEngine(None, sampler, Sampling(), 1, 1).publish(policy)
    assert sampler.published == 1


@pytest.mark.matrix
def test_a_run_with_another_engine_publishes_every_step_and_weighs_what_it_drew(tmp_path):
    remote = Remote.Config()
    run = strop.train(config(sampler=remote, steps=2), tmp_path / "run", progress=Progress.silent())
    assert remote.made[0].published == 2
    for row in run.metrics():
        if "correction/weight" in row:
            assert row["correction/weight"] == pytest.approx(1.0 + 5e-5, abs=1e-6)
            assert row["policy/sampler_gap_bias"] == pytest.approx(5e-5, abs=1e-6)
    assert sum("correction/weight" in row for row in run.metrics()) == 2


def test_the_plan_names_another_engine():
    chosen = config(sampler=Remote.Config()).resolve()
    assert "drawn by Remote" in make_plan(chosen, chosen.build()).distribution
    assert "drawn by" not in make_plan(config().resolve(), config().resolve().build()).distribution


def test_a_sampler_that_is_never_used_is_refused():
    learnt = config(
        algorithm=strop.algorithms.SFT.Config(), tasks=[strop.Task("1", "a", answer="b")], sampler=Remote.Config()
    )
    with pytest.raises(ValueError, match=r"sampler=Remote: SFT learns from demonstrations and samples nothing"):
        learnt.resolve()
