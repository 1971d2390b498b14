"""A run chooses its sampler by a Config; another engine than the policy's own is published to, and corrected for."""

import json
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

import strop
from exact.build import transformer
from strop.cli.overrides import apply
from strop.functional.corrections import Correction
from strop.policies.table import Table
from strop.recipes import copy_word
from strop.reports.plan import make_plan
from strop.rollout.engine import EmbeddedEngine
from strop.run import _gap_tolerance
from strop.runs import spec
from strop.runs.progress import Progress
from strop.samplers import EightBit, LocalSampler, OpenVINO, _openvino_engine, openvino
from strop.streams import stream
from strop.types import SamplerConfig, Sampling


@pytest.fixture
def without_package(monkeypatch):
    """What is refused is refused before the package is used."""
    monkeypatch.setattr(openvino, "require_processor", lambda precision: None)


def config(**changes) -> strop.TrainConfig:
    return replace(copy_word.recipe(), **changes)


class Remote:
    """A stand-in for another engine: it records log-probs that are a little off."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(SamplerConfig):
        shares_weights: ClassVar[bool] = False
        precision: ClassVar[str | None] = None
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
    chosen = config(sampler=OpenVINO.Config(precision="bfloat16")).resolve()
    again = spec.decode(json.loads(json.dumps(spec.encode(chosen.sampler))))
    assert again == chosen.sampler
    assert spec.decode(json.loads(json.dumps(spec.encode(chosen.algorithm)))) == chosen.algorithm


def test_the_command_line_chooses_a_sampler():
    assert apply(config(), ["sampler=openvino"]).sampler == OpenVINO.Config()
    chosen = apply(config(), ["sampler=OpenVINO", "sampler.precision=bfloat16"]).sampler
    assert chosen == OpenVINO.Config(precision="bfloat16")
    assert apply(config(), ["sampler.batch=4"]).sampler == LocalSampler.Config(batch=4)
    assert apply(config(), ["sampler=eight_bit", "sampler.batch=4"]).sampler == EightBit.Config(batch=4)
    with pytest.raises(ValueError, match=r"sampler=openvin: there is no such sampler; did you mean OpenVINO\?"):
        apply(config(), ["sampler=openvin"])
    with pytest.raises(ValueError, match=r"sampler.precision=int8: allowed is float32 or bfloat16"):
        apply(config(), ["sampler=openvino", "sampler.precision=int8"])


def test_impossible_fields_are_refused():
    with pytest.raises(ValueError, match=r"sampler.precision='int8': allowed are float32, bfloat16"):
        OpenVINO.Config(precision="int8")
    with pytest.raises(ValueError, match=r"sampler.batch=0"):
        LocalSampler.Config(batch=0)


def test_another_engine_is_corrected_for():
    assert config(sampler=OpenVINO.Config()).resolve().algorithm.correction == Correction()
    own = Correction(level="sequence", cap=3.0)
    chosen = config(sampler=OpenVINO.Config(), algorithm=strop.algorithms.GRPO.Config(correction=own))
    assert chosen.resolve().algorithm.correction == own


@pytest.mark.parametrize("kind", [strop.algorithms.A2C, strop.algorithms.PPO])
def test_an_actor_critic_is_corrected_too(kind):
    assert config(sampler=OpenVINO.Config(), algorithm=kind.Config()).resolve().algorithm.correction == Correction()


def test_an_algorithm_that_cannot_correct_is_refused():
    chosen = config(sampler=OpenVINO.Config(), algorithm=strop.algorithms.RejectionSampling.Config())
    with pytest.raises(ValueError, match="RejectionSampling has no correction"):
        chosen.resolve()


def test_an_algorithm_that_learns_from_any_policy_needs_no_correction():
    for kind in (strop.algorithms.DQN, strop.algorithms.VTrace):  # V-trace has the ratio in its targets
        chosen = config(sampler=OpenVINO.Config(), algorithm=kind.Config())
        assert chosen.resolve().algorithm == kind.Config()


def test_the_gap_may_be_as_large_as_the_coarser_side_explains():
    assert _gap_tolerance(config()).max == 1e-4
    assert _gap_tolerance(config(sampler=OpenVINO.Config())).mean == 1e-3
    coarse = _gap_tolerance(config(sampler=OpenVINO.Config(precision="bfloat16")))
    assert coarse == _gap_tolerance(config(sampler=OpenVINO.Config(), dtype="bfloat16"))
    assert coarse.mean == 0.1
    assert _gap_tolerance(config(sampler=EightBit.Config(), dtype="bfloat16")).mean == 0.5  # the coarser of the two


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(_openvino_engine, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'openvino-genai: pip install "strop\[engine\]"'):
        config(sampler=OpenVINO.Config()).resolve().build()


@pytest.mark.usefixtures("without_package")
def test_policies_that_the_engine_cannot_run_are_refused():
    with pytest.raises(ValueError, match="this policy is a Table"):
        OpenVINO(Table(4), frozenset())
    with pytest.raises(ValueError, match=r"model_type='gpt2' \(allowed: 'llama'\)"):
        OpenVINO(transformer("gpt2"), frozenset())
    for name, value, words in [
        ("hidden_act", "gelu", "hidden_act='gelu'"),
        ("mlp_bias", True, "mlp_bias=True"),
        ("rope_parameters", {"rope_type": "yarn"}, "rope_type='yarn'"),
    ]:
        policy = transformer("llama")
        setattr(policy.model.config, name, value)
        with pytest.raises(ValueError, match=words):
            OpenVINO(policy, frozenset())


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize(("name", "value"), [("epsilon", 0.1), ("top_p", 0.9), ("top_k", 5)])
def test_distributions_whose_logprobs_the_engine_does_not_report_are_refused(name, value):
    sampler = OpenVINO(transformer("llama"), frozenset())
    with pytest.raises(ValueError, match=f"sampling.{name}={value}"):
        sampler.sample([(1, 2)], Sampling(**{name: value}), [stream(0, "t", 0)])


def test_the_engine_publishes_to_its_sampler():
    sampler, policy = Remote(Table(4), frozenset()), Table(4)
    EmbeddedEngine(None, sampler, Sampling(), 1, 1).publish(policy)
    assert sampler.published == 1


def test_a_run_with_another_engine_publishes_every_step_and_weighs_what_it_drew(tmp_path):
    remote = Remote.Config()
    run = strop.train(config(sampler=remote, steps=2), tmp_path / "run", progress=Progress.silent())
    assert remote.made[0].published == 2
    for row in run.metrics():
        if "correction/weight" in row:
            assert row["correction/weight"] == pytest.approx(1.0 + 5e-5, abs=1e-6)
            assert row["policy/sampler_gap_bias"] == pytest.approx(5e-5, abs=1e-6)
    assert sum("correction/weight" in row for row in run.metrics()) == 2


def test_a_run_that_samples_in_eight_bits_corrects_for_it(tmp_path, monkeypatch):
    from strop.compute import packed_linear as packed

    monkeypatch.setattr(packed, "FEWEST", 1)
    chosen = config(sampler=EightBit.Config(), sampling=Sampling(max_tokens=4), steps=3)
    run = strop.train(chosen, tmp_path / "run", progress=Progress.silent())
    rows = [row for row in run.metrics() if "correction/ess" in row]
    assert len(rows) == 3
    for row in rows:
        assert 1e-4 < row["policy/sampler_gap_mean"] < 0.2
        assert 0.9 < row["correction/ess"] < 1.0
    plan = make_plan(run.config, run.config.build())
    assert "drawn by EightBit" in plan.distribution


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


@pytest.mark.parametrize(("dtype", "given", "expected"), [
    ("float32", None, "float32"), ("bfloat16", None, "bfloat16"), ("bfloat16", "float32", "float32"),
])  # fmt: skip
def test_the_engine_computes_as_the_policy_does_unless_told_otherwise(dtype, given, expected, without_package):
    policy = transformer("llama")
    policy.dtype = dtype
    assert OpenVINO(policy, frozenset(), given).precision == expected
