"""The device of a run: what may be asked for, what is refused, and what `auto` takes; torch's answers are pretended."""

from dataclasses import dataclass, replace
from functools import partial

import pytest

import strop
import table_run
from machine import report
from strop.codec import WordCodec
from strop.devices import accelerators, device_here, device_of
from strop.policies import MLP, Scratch, Steered, Table, Transformer
from strop.reports.plan import make_plan
from strop.reports.settings import changed_settings
from strop.types import PolicyConfig, Task

TABLE, NETWORK, SMALL = Table.Config(words=["a"]), MLP.Config(actions=["a", "b"], size=2), Scratch(words=["a"])
LARGE = Transformer.Config(model="smollm2")


@pytest.fixture
def machine(monkeypatch):
    """Say what torch reports."""
    return partial(report, monkeypatch)


# ---------------------------------------------------------------- the choice


def test_auto_takes_an_accelerator_for_transformers_and_the_cpu_for_all_else(machine):
    for num_cuda, mps, expected in ((2, False, "cuda:0"), (0, True, "mps"), (1, True, "cuda:0"), (0, False, "cpu")):
        machine(num_cuda, mps)
        for policy in (LARGE, SMALL, Steered.Config(base=SMALL)):
            assert device_of("auto", policy) == expected
        for policy in (TABLE, NETWORK, Steered.Config(base=TABLE), Steered.Config(base=NETWORK)):
            assert device_of("auto", policy) == "cpu"


def test_what_is_asked_for_is_taken_by_its_whole_name(machine):
    machine(num_cuda=2)
    assert accelerators() == ["cuda:0", "cuda:1"]
    assert [device_of(asked, NETWORK) for asked in ("cuda", "cuda:1", "cpu")] == ["cuda:0", "cuda:1", "cpu"]
    machine(mps=True)
    assert device_of("mps", LARGE) == "mps"


@pytest.mark.parametrize("asked", ["gpu", "CPU", "cuda:", "cuda:01", "cuda:-1", "mps:0", "", "cuda:0 "])
def test_another_word_is_refused_with_what_is_allowed(asked):
    with pytest.raises(ValueError, match=r"^device='.*': allowed are auto, cpu, cuda, cuda:0 .* and mps\.$"):
        strop.TrainConfig(device=asked)


@pytest.mark.parametrize(
    ("asked", "there", "told"),
    [
        ("cuda", {"built": False}, r"^device=cuda: this torch \(.*\) is built without CUDA\. Set device=auto,"),
        ("cuda:2", {"num_cuda": 2}, r"^device=cuda:2: torch finds cpu and cuda:0 and cuda:1 here\. Set device=auto,"),
        ("cuda:0", {}, r"^device=cuda:0: torch finds cpu here\."),
        ("mps", {"num_cuda": 1}, r"^device=mps: this torch \(.*\) is built without MPS\. .* or device=cpu; a run that"),
    ],
)
def test_a_device_that_is_not_here_is_refused_before_anything_is_built(machine, asked, there, told):
    machine(**there)
    with pytest.raises(ValueError, match=told):
        replace(table_run.config(), policy=NETWORK, device=asked).resolve()


def test_allowed_words_are_taken():
    for word in ("auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"):
        assert strop.TrainConfig(device=word).device == word


def test_a_table_computes_on_the_cpu_alone(machine):
    machine(num_cuda=1, mps=True)
    for policy in (TABLE, Steered.Config(base=TABLE)):
        for asked in ("cuda", "mps"):
            told = rf"device={asked}: this policy \({type(policy).__qualname__[:-7]}\) computes on the CPU alone"
            with pytest.raises(ValueError, match=told):
                table_run.config(policy=policy, device=asked).resolve()
    with pytest.raises(ValueError, match="computes on the CPU alone"):
        TABLE.build(0, "float32", "cuda:0")


def test_where_another_machine_loads_what_was_trained_on_a_device(machine):
    machine(num_cuda=1)
    assert [device_here(one, LARGE) for one in ("cpu", "cuda:0", "cuda:3", "mps")] == [
        "cpu",
        "cuda:0",
        "cuda:0",
        "cuda:0",
    ]
    assert [device_here(one, NETWORK) for one in ("cpu", "cuda:0", "cuda:3")] == ["cpu", "cuda:0", "cpu"]
    machine()
    assert device_here("cuda:0", LARGE) == "cpu"


# ---------------------------------------------------------------- the number type


def test_a_pretrained_model_computes_in_bfloat16_where_the_device_multiplies_it(machine, monkeypatch):
    config = strop.TrainConfig(policy=LARGE, tasks=[Task("one", "a")], rewards=[table_run.said_b])
    for there, expected in (
        ({"num_cuda": 1}, "bfloat16"),
        ({"num_cuda": 1, "bfloat16": False}, "float32"),
        ({"mps": True}, "float32"),
        ({}, "float32"),
    ):
        machine(**there)
        assert config.resolve().dtype == expected
        assert replace(config, policy=SMALL).resolve().dtype == "float32"
        assert replace(config, dtype="bfloat16").resolve().dtype == "bfloat16"
    monkeypatch.setattr(
        "strop.runs.dtypes.has_bfloat16", lambda: True
    )  # a processor that has it, without an accelerator
    assert config.resolve().dtype == "bfloat16"
    machine(mps=True)
    assert config.resolve().dtype == "float32"


# ---------------------------------------------------------------- a third party's policy


@dataclass(frozen=True, slots=True)
class Own(PolicyConfig):
    """Another one's policy, with the default of what it computes on."""

    def build(self, seed, dtype, device="cpu"):
        return Table(1), WordCodec(["a"], has_end=False)


@dataclass(frozen=True, slots=True)
class Alone:
    """It does not inherit."""

    def build(self, seed, dtype, device="cpu"):
        return Table(1), WordCodec(["a"], has_end=False)


@dataclass(frozen=True, slots=True)
class Older(PolicyConfig):
    """It is built without a device."""

    def build(self, seed, dtype):
        return Table(1), WordCodec(["a"], has_end=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picky(PolicyConfig):
    """It asks for a number type, and keeps that which it is built with."""

    computes_in: str = "bfloat16"

    def build(self, seed, dtype, device="cpu"):
        policy = Table(1)
        policy.computes_in = dtype
        return policy, WordCodec(["a"], has_end=False)


@pytest.mark.parametrize("fast", [True, False])
def test_another_ones_policy_computes_in_what_its_config_asks_for(machine, monkeypatch, fast):
    machine()
    monkeypatch.setattr("strop.runs.dtypes.has_bfloat16", lambda: fast)
    fastest = "bfloat16" if fast else "float32"
    for asked, given in (("bfloat16", "bfloat16"), ("float32", "float32"), ("fastest", fastest)):
        config = table_run.config(policy=Picky(computes_in=asked)).resolve()
        assert config.dtype == given
        assert config.build().policy.computes_in == given
        assert table_run.config(policy=Steered.Config(base=Picky(computes_in=asked))).resolve().dtype == given
    assert table_run.config(policy=Own()).resolve().dtype == "float32"
    assert table_run.config(policy=Picky(), dtype="float32").resolve().dtype == "float32"  # the run's own word
    with pytest.raises(ValueError, match=r"^policy=Picky computes in 'half': its computes_in is one of float32,"):
        table_run.config(policy=Picky(computes_in="half")).resolve()


def test_another_ones_policy_computes_where_it_is_told_and_on_the_cpu_by_auto(machine):
    machine(num_cuda=1)
    assert [device_of(asked, Own()) for asked in ("auto", "cuda")] == ["cpu", "cuda:0"]
    assert table_run.config(policy=Own()).resolve().device == "cpu"
    with pytest.raises(
        ValueError, match=r"^policy=.*Alone.*One of your own is a dataclass that inherits strop\.types\.PolicyConfig"
    ):
        table_run.config(policy=Alone())
    with pytest.raises(ValueError, match=r"^policy=Older has build\(seed, dtype\): it is called as .*dtype, device\)"):
        table_run.config(policy=Older())


# ---------------------------------------------------------------- what is told


def plan_of(**fields):
    """The plan's line about the device, of a policy that is built on the CPU."""
    config = table_run.config(**fields).resolve()
    parts = table_run.config().resolve().build()
    return dict(make_plan(config, parts).lines())["device"]


def test_the_plan_says_the_device_and_why_and_what_a_resume_promises(machine):
    bits = "; a resume is equal bit for bit"
    machine()
    assert plan_of() == f"cpu: this policy (Table) computes nowhere else{bits}"
    assert plan_of(policy=SMALL) == f"cpu: torch finds no accelerator here{bits}"
    machine(num_cuda=1)
    assert plan_of(policy=NETWORK) == f"cpu: device=auto takes cuda:0 for transformers only{bits}"
    assert plan_of(policy=SMALL, device="cpu") == f"cpu, and not cuda:0{bits}"
    rounding = "a resume starts from the same bits and is equal within rounding, {} nats a token{}, since torch has no"
    assert plan_of(policy=SMALL).startswith(f"cuda:0 (NVIDIA H200, 139 GiB); {rounding.format('0.0001', '')}")
    half = plan_of(policy=SMALL, dtype="bfloat16")
    assert half.startswith(f"cuda:0 (NVIDIA H200, 139 GiB); {rounding.format('0.05', ' in the mean')}")
    machine(mps=True)
    assert plan_of(policy=SMALL).startswith("mps; a resume starts")


def test_the_device_is_a_field_like_another_and_no_change_of_its_own(machine):
    machine(num_cuda=1)
    config = table_run.config(policy=SMALL).resolve()
    assert config.device == "cuda:0"
    assert not [line for line in changed_settings(config) if line.startswith("device")]
