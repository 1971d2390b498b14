"""A masked encoder through `strop.train`: on a corpus, then as a classifier or a reward model; and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import strop
import tiny_bert
from small_corpus import corpus, sentence
from strop.algorithms import A2C, DQN, GRPO, PPO, REINFORCE, RLOO, SFT, MaskedLM, RewardModel
from strop.data.prepared import Prepared
from strop.filling import filled
from strop.memory import Chunks, Dataset, Replay
from strop.optimizer import AdamW
from strop.policies.masked_encoder import MaskedEncoder
from strop.reports.pretrained import pretrained_of
from strop.runs.state import same
from strop.types import Episode, Sampling, Task

ACTIONS = ("animal", "person")
SMALL = strop.policies.Scratch(shape="bert", width=16, num_heads=2, num_layers=1, context=64)


def learning(folder: Path, **changes: Any) -> strop.TrainConfig:
    """Six steps on a small corpus."""
    made = strop.pretraining(corpus(folder), SMALL, steps=6)
    usual = {"memory": Chunks.Config(size=4, length=32), "eval_every": 3, "checkpoint_every": 2, "threads": 1}
    return replace(made, **(usual | changes))


def train(config: Any, folder: Path, **options: Any) -> strop.Run:
    return strop.train(config, folder, progress=False, **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> strop.Run:
    folder = tmp_path_factory.mktemp("done")
    return train(learning(folder), folder / "run")


# ------------------------------------------------------------ on a corpus


def test_it_is_learnt_by_filling_in(done: strop.Run) -> None:
    assert isinstance(done.config.algorithm, MaskedLM.Config)
    judged = [row for row in done.metrics() if "held_out/loss" in row]
    assert len(judged) == 3
    # every token but the special ones is equally likely at the start
    assert judged[0]["held_out/loss"] == pytest.approx(math.log(done.policy.vocabulary), rel=0.02)
    assert judged[-1]["held_out/loss"] < judged[0]["held_out/loss"]
    assert not any(name.startswith("held_out/perplexity") for row in judged for name in row)
    with done.directory.reader() as store:
        assert store.best_step() == min(judged, key=lambda row: row["held_out/loss"])["step"]


def test_the_held_out_loss_is_that_of_all_documents(done: strop.Run) -> None:
    prepared = Prepared.open(done.config.corpus)
    held_out = prepared.held_out
    documents = [held_out.tokens[a : b + 1] for a, b in zip(held_out.starts[:-1], held_out.starts[1:], strict=True)]
    found = filled(done.policy, documents, 64)
    last = done.metrics()[-1]
    assert last["held_out/loss"] == pytest.approx(found.likelihood.loss, rel=1e-5)
    assert last["held_out/filled"] == found.accuracy
    first = next(row for row in done.metrics() if "held_out/loss_unigram" in row)
    counts = np.bincount(prepared.train, minlength=len(prepared.train)).astype(float)
    counts[0] = 0.0  # `<end>` is no text
    # the guess knows each token once more than it stands there: a little less sure than the relative frequencies
    sure = -np.log(counts[found.stood_N] / counts.sum()).mean()
    assert sure < first["held_out/loss_unigram"] < sure + 0.05
    assert first["held_out/filled_unigram"] == (found.stood_N == counts.argmax()).mean()


def test_the_report_shows_what_is_filled_in_and_no_perplexity(done: strop.Run) -> None:
    found = pretrained_of(done.directory)
    assert found.rows == []
    assert {row.who for row in found.filled} == {"Scratch after 6 steps", "unigram"}
    ours = next(row for row in found.filled if row.who.startswith("Scratch"))
    assert ours.loss.low < ours.loss.mean < ours.loss.high
    assert len(found.samples) == 3
    for sample in found.samples:
        hidden, told = sample.split("\n")
        assert "____" in hidden
        assert "[" in told
    assert [episode.task.prompt for episode in done.judged(0)] == [episode.task.prompt for episode in done.judged(6)]


def test_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    asked = replace(learning(tmp_path), algorithm=MaskedLM.Config(optimizer=AdamW(lr=1e-3), next_sentence=True))
    half = train(replace(asked, steps=4), tmp_path / "run")
    whole = train(replace(half.config, steps=6), tmp_path / "run", resume=True)
    again = train(asked, tmp_path / "uninterrupted")
    assert same(whole.directory.load("latest"), again.directory.load("latest"))

    ours, theirs = (run.metrics() for run in (whole, again))
    assert len(ours) == len(theirs) == 7
    for a, b in zip(ours, theirs, strict=True):
        both = [name for name in a.keys() & b.keys() if not name.startswith(("time/", "memory/"))]
        assert "masked/nll" in both or "held_out/loss" in both
        assert [a[name] for name in both] == [b[name] for name in both]
    assert whole.judged(6) == again.judged(6)


def test_it_ends_early(tmp_path: Path) -> None:
    wild = MaskedLM.Config(optimizer=AdamW(lr=3.0))
    run = train(learning(tmp_path, algorithm=wild, eval_every=1, patience=2, steps=40), tmp_path / "run")
    with run.directory.reader() as store:
        assert "early stop" in store.events()[-1].text


# ------------------------------------------------------------ then a classifier


def who(word: str) -> str:
    return "animal" if word.split()[1] in ("fox", "bird") else "person"


def tasks(num: int, seed: int = 0) -> list[Task]:
    rng = np.random.default_rng(seed)
    texts = [sentence(rng) for _ in range(num)]
    return [Task(f"{seed}-{i}", text, answer=who(text.lower())) for i, text in enumerate(texts)]


def right(task: Task, episode: Episode) -> float:
    return float(episode.text == task.answer)


KINDS: dict[Any, dict[str, Any]] = {
    SFT: {"memory": Dataset.Config(size=4)},
    REINFORCE: {},
    RLOO: {},
    GRPO: {},
    PPO: {},
    A2C: {},
    DQN: {"memory": Replay.Config(size=8)},
}


def choosing(policy: Any, kind: Any, **changes: Any) -> strop.TrainConfig:
    given: dict[str, Any] = {
        "policy": policy,
        "tasks": tasks(8),
        "held_out": tasks(8, seed=1),
        "rewards": [right],
        "algorithm": kind.Config(optimizer=AdamW(lr=1e-3)),
        "sampling": Sampling(max_tokens=1),
        "group_size": 4,
        "prompts_per_step": 2,
        "steps": 2,
        "checkpoint_every": 1,
        "threads": 1,
    }
    return strop.TrainConfig(**(given | KINDS[kind] | changes))


@pytest.mark.parametrize(
    "kind", [kind if kind in (SFT, PPO) else pytest.param(kind, marks=pytest.mark.matrix) for kind in KINDS]
)
def test_what_was_pretrained_becomes_a_classifier(done: strop.Run, kind: Any, tmp_path: Path) -> None:
    start = strop.FromRun(run=str(done.path), actions=ACTIONS, value_head=kind in (PPO, A2C))
    whole = choosing(start, kind)
    run = train(whole, tmp_path / "whole")
    assert {episode.text for episode in run.judged(2)} <= set(ACTIONS)
    assert all(map(math.isfinite, (value for row in run.metrics() for value in row.values())))
    first = strop.load(f"{run.path}@0").policy
    for name, theirs in done.policy.model.bert.named_parameters():
        assert torch.equal(first.model.bert.get_parameter(name), theirs)
    train(replace(whole, steps=1), tmp_path / "cut")
    again = train(whole, tmp_path / "cut", resume=True)
    assert same(run.directory.load("latest"), again.directory.load("latest"))


def test_a_classifier_stays_one_in_the_next_run(done: strop.Run, tmp_path: Path) -> None:
    taught = train(choosing(strop.FromRun(run=str(done.path), actions=ACTIONS), SFT), tmp_path / "taught")
    more = train(choosing(strop.FromRun(run=str(taught.path)), RLOO, steps=0), tmp_path / "more")
    assert more.policy.actions == ACTIONS
    prompts = [taught.parts.codec.start(task.prompt) for task in tasks(4, seed=2)]
    assert torch.equal(more.policy.prefill(prompts)[0], taught.policy.prefill(prompts)[0])
    other = strop.FromRun(run=str(taught.path), actions=("a", "b")).build(0, "float32")[0]
    assert other.prefill(prompts)[0].abs().max() == 0.0  # another choice is learnt anew


@pytest.mark.matrix
def test_stages(done: strop.Run, tmp_path: Path) -> None:
    first = learning(tmp_path, steps=2)
    stages = [
        strop.Stage("pretrain", first),
        strop.Stage("labels", choosing(strop.FromStage("pretrain", actions=ACTIONS), SFT)),
        strop.Stage("reward", choosing(strop.FromStage("labels"), RLOO)),
    ]
    last = train(stages, tmp_path / "run")
    assert last.policy.actions == ACTIONS
    assert last.metrics()[-1]["step"] == 2


def test_more_than_one_word_is_refused(done: strop.Run, tmp_path: Path) -> None:
    asked = choosing(strop.FromRun(run=str(done.path), actions=ACTIONS), RLOO, sampling=Sampling(max_tokens=2))
    with pytest.raises(ValueError, match=r"one token a turn: set sampling\.max_tokens=1"):
        train(asked, tmp_path / "run")


def test_actions_of_a_policy_that_writes_are_refused(tmp_path: Path) -> None:
    gru = strop.policies.Recurrent.Config(words=["a", "b"], kind="gru", width=8)
    run = train(
        strop.TrainConfig(policy=gru, tasks=[Task("a", "a")], rewards=[right], algorithm=RLOO.Config(), steps=0),
        tmp_path / "run",
    )
    with pytest.raises(ValueError, match="a masked encoder chooses one of given words"):
        strop.FromRun(run=str(run.path), actions=ACTIONS).build(0, "float32")


# ------------------------------------------------------------ then a reward model


def pairs() -> list[Task]:
    return [
        Task(str(i), f"Who? {i}", data={"chosen": f"A fox looked at the river {i}.", "rejected": "The king slept."})
        for i in range(4)
    ]


def test_what_was_pretrained_becomes_a_reward_model(done: strop.Run, tmp_path: Path) -> None:
    asked = strop.TrainConfig(
        policy=strop.FromRun(run=str(done.path), value_head=True),
        tasks=pairs(),
        algorithm=RewardModel.Config(optimizer=AdamW(lr=1e-2)),
        memory=Dataset.Config(size=8),
        steps=6,
        checkpoint_every=3,
        threads=1,
    )
    run = train(asked, tmp_path / "run")
    assert run.metrics()[-1]["preference/accuracy"] == 1.0
    score = strop.TrainedScore(str(run.path))
    both = score("Who? 1", ["A fox looked at the river 1.", "The king slept."])
    assert both[0] > both[1]
    alone = [score("Who? 1", [text])[0] for text in ("A fox looked at the river 1.", "The king slept.")]
    assert both == pytest.approx(alone, abs=1e-5)
    train(replace(asked, steps=3), tmp_path / "cut")
    again = train(asked, tmp_path / "cut", resume=True)
    assert same(run.directory.load("latest"), again.directory.load("latest"))


# ------------------------------------------------------------ folders of others


@pytest.mark.matrix
@pytest.mark.parametrize("lora", [None, strop.policies.LoRA(rank=2)])
def test_a_folder_of_others_learns_its_texts_and_then_labels(tmp_path: Path, lora: Any) -> None:
    folder = str(tiny_bert.make(tmp_path / "bert"))
    words = [Task(str(i), "the cat", answer="sat on the mat .") for i in range(4)]
    own = strop.TrainConfig(
        policy=MaskedEncoder.Config(model=folder, lora=lora),
        tasks=words,
        algorithm=MaskedLM.Config(optimizer=AdamW(lr=1e-2)),
        memory=Dataset.Config(size=4),
        steps=20,
        checkpoint_every=20,
        threads=1,
        dtype="float32",
    )
    run = train(own, tmp_path / "words")
    nll = [row["masked/nll"] for row in run.metrics() if "masked/nll" in row]
    assert sum(nll[-5:]) < sum(nll[:5])
    labels = [Task("0", "good film", answer="yes"), Task("1", "bad film", answer="no")]
    start = strop.FromRun(run=str(run.path), actions=("yes", "no"))
    taught = train(choosing(start, SFT, tasks=labels, held_out=labels, steps=20, dtype="float32"), tmp_path / "labels")
    assert taught.policy.has_adapter == (lora is not None)
    assert taught.metrics()[-1]["held_out/reward"] > 0.4


def test_a_name_finds_its_form(done: strop.Run, tmp_path: Path) -> None:
    from strop.runs.trained import named_policy

    folder = tiny_bert.make(tmp_path / "bert")
    assert named_policy(str(folder)) == MaskedEncoder.Config(model=str(folder))


# ------------------------------------------------------------ what it does not do


@pytest.mark.parametrize("kind", [GRPO, SFT, PPO, DQN])
def test_it_is_not_taught_to_write(done: strop.Run, kind: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"it writes none.*learns from its choices"):
        train(choosing(strop.FromRun(run=str(done.path), value_head=True), kind), tmp_path / "run")
    with pytest.raises(ValueError, match="it writes none"):
        train(choosing(replace(SMALL, words=["a", "b"]), kind), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rewards_have_nothing_to_judge(done: strop.Run, tmp_path: Path) -> None:
    asked = strop.TrainConfig(
        policy=strop.FromRun(run=str(done.path), value_head=True),
        tasks=pairs(),
        held_out=[Task("other", "Who?", data=pairs()[0].data)],
        rewards=[right],
        algorithm=RewardModel.Config(),
    )
    with pytest.raises(ValueError, match="rewards would judge what it writes"):
        train(asked, tmp_path / "run")


def test_a_corpus_is_not_learnt_by_other_means(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it writes none"):
        train(learning(tmp_path, algorithm=SFT.Config()), tmp_path / "run")
    gru = strop.policies.Recurrent.Config(kind="gru", width=8)
    with pytest.raises(ValueError, match="MaskedLM teaches a masked encoder"):
        train(learning(tmp_path, policy=gru), tmp_path / "run")


def test_the_run_says_what_it_is(done: strop.Run) -> None:
    plan = json.loads((done.path / "plan.json").read_text())
    assert "hidden tokens filled in at every evaluation" in plan["tasks"]
    assert "judged every 3 steps" in plan["run"]
    assert done.evaluate()["held_out/loss"] == done.metrics()[-1]["held_out/loss"]


def test_a_stage_that_cannot_be_is_refused_before_the_first_one_trains(tmp_path: Path) -> None:
    stages = [
        strop.Stage("pretrain", learning(tmp_path)),
        strop.Stage("reward", choosing(strop.FromStage("pretrain"), RLOO)),
    ]
    with pytest.raises(ValueError, match="it writes none"):
        train(stages, tmp_path / "run")
    assert not (tmp_path / "run").exists()
