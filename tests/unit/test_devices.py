"""The device of a run: what may be asked for, what `auto` takes, what a plan and a resume say; torch's answers are
pretended."""

import json
import os
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

import strop
import table_run
from pretended import Elsewhere, pretended
from strop import devices
from strop.codec import WordCodec
from strop.devices import accelerators, device_here, device_of
from strop.policies import MLP, Scratch, Steered, Table, Transformer
from strop.reports.plan import make_plan
from strop.reports.settings import changed_settings
from strop.run import Run
from strop.runs.directory import RunDirectory
from strop.runs.global_state import CUBLAS
from strop.runs.progress import Progress
from strop.types import PolicyConfig, Task

TABLE, NETWORK, SMALL = Table.Config(words=["a"]), MLP.Config(actions=["a", "b"], size=2), Scratch(words=["a"])
LARGE = Transformer.Config(model="smollm2")
H200 = SimpleNamespace(name="NVIDIA H200", total_memory=139 * 2**30)


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs, or with MPS, as torch reports them."""

    def has(num_cuda: int = 0, mps: bool = False, bfloat16: bool = True, built: bool = True) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: num_cuda > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: num_cuda)
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: H200)
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: bfloat16)
        monkeypatch.setattr("torch.backends.cuda.is_built", lambda: built)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
        monkeypatch.setattr("torch.backends.mps.is_built", lambda: mps)

    return has


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
    monkeypatch.setattr("strop.config.has_bfloat16", lambda: True)  # a processor that has it, without an accelerator
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


def test_another_ones_policy_computes_where_it_is_told_and_on_the_cpu_by_auto(machine):
    machine(num_cuda=1)
    assert [device_of(asked, Own()) for asked in ("auto", "cuda")] == ["cpu", "cuda:0"]
    assert table_run.config(policy=Own()).resolve().device == "cpu"
    with pytest.raises(ValueError, match=r"^policy=.*Alone.*One of your own inherits strop\.types\.PolicyConfig"):
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


# ---------------------------------------------------------------- a run


def first(task, episode):
    """1 for the first action."""
    return float(episode.text == "a")


def config(**fields) -> strop.TrainConfig:
    """A run of two steps over vectors."""
    usual = {
        "policy": NETWORK,
        "tasks": [Task("one", "[0.5, 1.0]")],
        "held_out": [Task("two", "[0.25, 1.0]")],
        "rewards": [first],
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "steps": 2,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **fields})


def forks(run: Run) -> list[str]:
    """The recorded changes of the config and of the machine."""
    with run.directory.reader() as store:
        return [event.text for event in store.events() if event.level == "fork"]


def learnt(run: Run) -> list[dict[str, float]]:
    """What the steps measured, but for time and memory."""
    return [{key: one[key] for key in one if not key.startswith(("time/", "memory/"))} for one in run.metrics()]


@pytest.fixture
def there(tmp_path, machine, monkeypatch) -> Run:
    """A run that was trained on a pretended GPU, whose machine is gone."""
    monkeypatch.delenv(CUBLAS, raising=False)
    machine(num_cuda=1)
    with pretended("cuda:0"):
        run = strop.train(config(device="cuda"), tmp_path / "run", progress=Progress.silent())
        assert os.environ[CUBLAS] == ":4096:8"
        assert all(isinstance(parameter, Elsewhere) for parameter in run.policy.parameters())
    monkeypatch.delenv(CUBLAS)
    machine()
    return Run(run.path)


def test_a_run_on_a_device_records_it_and_learns_what_it_learns_on_the_cpu(there, tmp_path):
    here = strop.train(config(), tmp_path / "here", progress=Progress.silent())
    assert CUBLAS not in os.environ
    assert [RunDirectory(one.path).config()["device"] for one in (there, here)] == ["cuda:0", "cpu"]
    assert there.directory.provenance()["machine"]["accelerator"] == "NVIDIA H200, 139 GiB"
    assert "accelerator" not in here.directory.provenance()["machine"]
    assert there.directory.plan()["device"].startswith("cuda:0 (NVIDIA H200, 139 GiB); ")
    assert learnt(there) == learnt(here)


def test_a_run_whose_device_is_missing_is_read_elsewhere_and_goes_on_there_as_a_fork(there):
    assert there.evaluate()["held_out/reward"] in (0.0, 1.0)
    assert there.actor()[0].device == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device=cuda:0: torch finds cpu here\. .*or device=cpu; .* as a fork\.$"):
        strop.train(replace(there.config, steps=3), there.path, resume=True, progress=Progress.silent())
    assert forks(there) == []
    moved = strop.train(
        replace(there.config, steps=3, device="cpu"), there.path, resume=True, progress=Progress.silent()
    )
    assert forks(moved) == [
        "steps: 2 -> 3",
        'device: "cuda:0" -> "cpu"',
        "machine.accelerator: NVIDIA H200, 139 GiB -> None",
    ]
    assert moved.directory.plan()["device"].startswith("cpu: torch finds no accelerator here")


def test_auto_in_a_recipe_that_goes_on_on_another_machine_is_a_fork(there, machine):
    on = strop.train(config(device="auto", steps=3), there.path, resume=True, progress=Progress.silent())
    assert 'device: "cuda:0" -> "cpu"' in forks(on)


def test_a_run_that_names_no_device_was_on_the_cpu_and_stays_there(tmp_path, machine):
    run = strop.train(config(), tmp_path / "run", progress=Progress.silent())
    file = tmp_path / "run/config.json"
    facts = {key: value for key, value in json.loads(file.read_text()).items() if key != "device"}
    file.write_text(json.dumps(facts | {"format": 1}))
    machine(num_cuda=1)
    assert Run(run.path).config.device == "cpu"
    on = strop.train(replace(Run(run.path).config, steps=3), run.path, resume=True, progress=Progress.silent())
    assert forks(on) == ["steps: 2 -> 3"]


def test_a_checkpoint_of_more_gpus_is_restored_on_fewer(monkeypatch):
    from strop.runs import randomness

    restored = []
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.set_rng_state_all", restored.extend)
    monkeypatch.setattr("torch.cuda.get_rng_state_all", lambda: ["first", "second"])
    state = randomness.capture()
    randomness.restore(state)
    assert restored == ["first"]


def test_allowed_words_are_those_of_the_message():
    for word in ("auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"):
        devices.check_device(word)
