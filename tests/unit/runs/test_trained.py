"""`policy="runs/x"` and strop.FromRun: a run goes on with what another one trained."""

from __future__ import annotations

import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import strop
import tiny_hf
from strop.cli.main import main
from strop.hub.origin import FROM_SCRATCH, origin_of
from strop.policies.transformer import Transformer
from strop.recipes import cartpole_ppo, copy_word
from strop.reports.abilities import why_not_chat
from strop.reports.model_card import card_of
from strop.runs.directory import RunDirectory
from strop.runs.state import same
from strop.runs.trained import named_policy
from strop.types import Task

WORDS = ("red", "blue", "green", "black")
PROMPTS = [(1,), (3, 1, 2)]
JUDGED = [Task(f"{word} again", word, answer=word) for word in WORDS]
ADAM = strop.optimizer.AdamW(lr=0.05)


def first_word(task, episode):
    return float(episode.text.split()[:1] == [task.answer])


def train(name: str, policy: Any, **changes: Any) -> strop.Run:
    """A run of two steps on four words."""
    usual: dict[str, Any] = {
        "tasks": [Task(word, word, answer=word) for word in WORDS],
        "rewards": [first_word],
        "algorithm": strop.algorithms.REINFORCE.Config(optimizer=ADAM),
        "sampling": strop.Sampling(max_tokens=2),
        "steps": 2,
        "group_size": 2,
        "threads": 1,
        "dtype": "float32",
    }
    return strop.train(strop.TrainConfig(policy=policy, **{**usual, **changes}), f"runs/{name}", progress=False)


def logits(policy: Any) -> torch.Tensor:
    return policy.prefill(PROMPTS)[0].detach()


def built(policy: Any, seed: int = 0) -> Any:
    return (named_policy(policy) if isinstance(policy, str) else policy).build(seed, "float32")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a few runs in ./runs, and a model."""
    place = tmp_path_factory.mktemp("trained")
    with chdir(place):
        tiny_hf.make(place / "model", template=False, words=WORDS)
        scratch = strop.policies.Scratch(words=WORDS, num_layers=1, width=16, num_heads=2, context=16)
        a2c = strop.algorithms.A2C.Config(optimizer=ADAM)
        adapted = strop.policies.Transformer.Config(model="model", lora=strop.policies.LoRA(rank=2))
        train("scratch", scratch)
        train("table", strop.policies.Table.Config(words=WORDS))
        train("valued", replace(scratch, value_head=True), algorithm=a2c)
        train("valued_table", strop.policies.Table.Config(words=WORDS, value_head=True), algorithm=a2c)
        train("adapted", adapted, held_out=JUDGED, steps=4, checkpoint_every=2, eval_every=2)
        train("after_table", "table")
        train("after_adapted", "adapted@2")
    return place


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["scratch", "table", "valued", "valued_table"])
def test_it_starts_with_the_weights_of_that_run(name):
    assert torch.equal(logits(built(name)), logits(strop.load(name).policy))
    assert not torch.equal(logits(built(name)), logits(strop.load(f"{name}@0").policy))  # the run learnt something


def test_a_chain_of_two_starts_with_the_weights_of_the_last():
    second = strop.load("after_table").policy
    assert not torch.equal(logits(second), logits(strop.load("table").policy))
    assert torch.equal(logits(built("after_table")), logits(second))


@pytest.mark.parametrize("lora", ["same", None, pytest.param(strop.policies.LoRA(rank=3), marks=pytest.mark.matrix)])
def test_an_adapter_is_merged_and_a_new_one_changes_nothing_yet(lora):
    run = strop.load("adapted").policy
    start = built(strop.FromRun(run="adapted", lora=lora), seed=7)
    gap = (logits(start) - logits(run)).abs().max()
    assert gap < 1e-6
    assert (logits(run) - logits(run.reference())).abs().max() > 1e-3  # there is something to merge
    assert start.has_adapter == (lora is not None)
    ranks = {p.shape[0] for name, p in start.model.named_parameters() if "lora_A" in name}
    assert ranks == {"same": {2}, None: set()}.get(lora, {3})
    assert (logits(start.reference()) - logits(run)).abs().max() < 1e-6  # the reference is the start, not the model


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_an_adapter_on_one_of_two_tied_weights_is_merged_into_that_one(target):
    tied = strop.policies.Scratch(words=WORDS, num_layers=1, width=16, num_heads=2, context=16)
    policy = Transformer.of(
        tied.build(0, "float32")[0].model, strop.policies.LoRA(rank=2, targets=(target,)), 0, "float32"
    )
    with torch.no_grad():
        for number, parameter in enumerate(policy.parameters()):
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    adapted, base = logits(policy), logits(policy.reference())
    assert (adapted - base).abs().max() > 0.1
    assert (logits(policy.restarted(None, 0, False)) - adapted).abs().max() < 1e-5


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
def test_an_adapter_on_the_output_weights_is_exported(tmp_path):
    lora = strop.policies.LoRA(rank=2, targets=("lm_head",))
    train("headed", strop.FromRun(run="scratch", lora=lora))
    assert main(["export", "headed", str(tmp_path / "out")]) == 0


def test_a_run_on_a_merged_adapter_is_read_where_sums_have_other_bits(monkeypatch):
    """Another processor, or a GPU, adds the products of B and A in another order."""
    from peft.tuners.lora import Linear

    product = Linear.get_delta_weight
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(Linear, "get_delta_weight", lambda layer, name: product(layer, name) * (1 + 1e-5))
        there = logits(strop.load("after_adapted").policy)
    gap = (there - logits(strop.load("after_adapted").policy)).abs().max()
    assert 0.0 < gap < 1e-4
    shutil.copytree("runs/after_adapted", "runs/moved_on")
    file = Path("runs/moved_on/config.json")
    file.write_text(file.read_text().replace("adapted@2", "adapted@4"))
    with pytest.raises(ValueError, match="trained on another base model"):
        strop.load("moved_on").policy  # noqa: B018


def test_adapters_of_a_chain_are_all_merged():
    second = strop.load("after_adapted")
    third = built(strop.FromRun(run="after_adapted"), seed=3)
    assert (logits(third) - logits(second.policy)).abs().max() < 1e-6
    assert third.has_adapter
    assert not built(strop.FromRun(run="after_adapted", lora=None)).has_adapter


def test_an_adapter_on_a_model_from_scratch():
    start = built(strop.FromRun(run="scratch", lora=strop.policies.LoRA(rank=2)))
    assert start.has_adapter
    assert (logits(start) - logits(strop.load("scratch").policy)).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["valued", "valued_table"])
def test_a_value_head_is_kept_as_it_was_trained_or_left_out(name):
    def values(policy):
        return policy.value_head.weight if isinstance(policy, Transformer) else policy.value

    trained = strop.load(name).policy
    kept = built(strop.FromRun(run=name, value_head=True))
    assert torch.equal(values(kept), values(trained))
    assert values(kept).abs().sum() > 0
    dropped = built(strop.FromRun(run=name))
    assert not dropped.has_values
    assert torch.equal(logits(dropped), logits(trained))


@pytest.mark.parametrize("name", ["scratch", "table"])
def test_a_value_head_that_is_added_starts_at_zero(name):
    start = built(strop.FromRun(run=name, value_head=True))
    assert start.has_values
    added = [p for p in start.parameters() if not p.abs().sum()]
    assert len(added) in (1, 2)  # of a table the values, of a network weights and bias
    assert torch.equal(logits(start), logits(strop.load(name).policy))


@pytest.mark.matrix
def test_the_value_layers_of_a_vector_policy_are_left_out():
    strop.train(replace(cartpole_ppo.recipe(), steps=0, held_out=(), threads=1), "runs/mlp", progress=False)
    start, trained = built(strop.FromRun(run="mlp")), strop.load("mlp").policy
    assert trained.has_values
    assert not start.has_values
    own = start.state_dict()
    assert own.keys() < trained.state_dict().keys()
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in own.items())
    again = replace(cartpole_ppo.recipe(), policy=strop.FromRun(run="mlp", value_head=True), steps=0, held_out=())
    run = strop.train(replace(again, threads=1), "runs/after_mlp", progress=False)
    assert "acts on 4 numbers" in why_not_chat(run.directory, "after_mlp")


@pytest.mark.matrix
def test_a_checkpoint_is_chosen_by_step_or_as_the_best():
    directory = RunDirectory(Path("runs/adapted"))
    best = directory.checkpoint_step("best")
    for name, step in (("adapted@2", 2), ("adapted@latest", 4), ("runs/adapted", 4), ("adapted@best", best)):
        expected = logits(strop.load(f"adapted@{step}").policy)
        assert (logits(built(name)) - expected).abs().max() < 1e-6
    with pytest.raises(ValueError, match=r"No checkpoint 3 in runs/adapted/checkpoints; there: .*2, 4"):
        built("adapted@3")


def test_a_missing_run_is_named_with_what_is_there():
    with pytest.raises(ValueError, match=r"runs/scrath: no run there.*In runs there is: scratch"):
        train("never", strop.FromRun(run="runs/scrath"))
    assert not Path("runs/never").exists()


def test_a_model_that_strop_knows_comes_before_a_run_of_its_name():
    train("smollm2", strop.policies.Table.Config(words=WORDS), steps=0)
    assert named_policy("smollm2") == strop.policies.Transformer.Config(model="smollm2")
    assert named_policy("runs/smollm2") == strop.FromRun(run="runs/smollm2")
    assert strop.TrainConfig(policy="smollm2").policy == "smollm2"


def test_a_folder_with_a_config_and_a_database_is_a_run_and_not_a_model():
    assert {"config.json", "run.sqlite"} <= {file.name for file in Path("runs/scratch").iterdir()}
    assert named_policy("runs/scratch") == strop.FromRun(run="runs/scratch")
    assert named_policy("runs/scratch@1") == strop.FromRun(run="runs/scratch@1")
    assert named_policy("model") == strop.policies.Transformer.Config(model="model")


def test_the_card_names_the_model_and_what_trained_it_before():
    run = strop.load("after_adapted")
    _, codec, sampling = run.actor()
    card = card_of(run.directory, 2, codec, sampling, "mine")
    assert card.before == (("REINFORCE", 2),)  # adapted@2
    assert card.origin == origin_of("model")
    assert card.origin != FROM_SCRATCH


def test_a_changed_config_of_that_run_is_read_again():
    shutil.copytree("runs/table", "runs/changing")
    start, file = strop.FromRun(run="changing"), Path("runs/changing/config.json")
    assert start.inner().capacity == 4096
    file.write_text(file.read_text().replace("4096", "512"))
    assert start.inner().capacity == 512


def test_an_adapter_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"policy\.lora='all': it is 'same', strop\.policies\.LoRA"):
        strop.FromRun(run="adapted", lora="all")


@pytest.mark.parametrize(
    "name", ["table", *(pytest.param(name, marks=pytest.mark.matrix) for name in ("scratch", "adapted"))]
)
def test_it_is_resumed_bit_for_bit(name):
    whole = train(f"{name}_whole", name, steps=4)
    train(f"{name}_parts", name, steps=2)
    again = strop.train(replace(whole.config, steps=4), f"runs/{name}_parts", resume=True, progress=False)
    assert same(whole.directory.load()[1], again.directory.load()[1])
    assert whole.episodes() == again.episodes()
    assert torch.equal(logits(whole.policy), logits(again.policy))


def test_the_runs_files_say_what_it_started_from():
    assert RunDirectory(Path("runs/after_adapted")).config()["policy"] == {
        "class": "strop.FromRun",
        "run": "adapted@2",
        "lora": "same",
        "actions": None,
        "value_head": False,
    }
    assert RunDirectory(Path("runs/after_adapted")).plan()["policy"].startswith("FromRun (adapted@2): ")


def test_a_pretrained_model_computes_in_bfloat16_after_a_run_too(monkeypatch):
    monkeypatch.setattr("strop.runs.dtypes.has_bfloat16", lambda: True)
    usual = {"tasks": [Task("a", "red")], "rewards": [first_word], "threads": 1, "device": "cpu"}
    dtypes = {name: strop.TrainConfig(policy=name, **usual).resolve().dtype for name in ("after_adapted", "scratch")}
    assert dtypes == {"after_adapted": "bfloat16", "scratch": "float32"}


@pytest.mark.matrix
def test_what_a_run_starts_from_stays_what_it_was(tmp_path):
    """The run that it names trains on; the start, and so the reference, is still that of the checkpoint then."""
    first = strop.train(replace(copy_word.recipe(), steps=2), tmp_path / "first", keep_all=True, progress=False)
    second = strop.train(
        replace(copy_word.recipe(), policy=str(first.path), steps=1), tmp_path / "second", progress=False
    )
    strop.train(replace(copy_word.recipe(), steps=4), first.path, resume=True, progress=False)
    assert second.config.policy.run.endswith("first@2")
    more = strop.train(replace(second.config, steps=2), second.path, resume=True, progress=False)
    with more.directory.reader() as store:
        assert not [event for event in store.events() if event.level == "fork" and "policy" in event.text]
