"""Preferences end to end: `strop.train` on a file of pairs, and a trained reward model as the reward of another run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

import strop
from exact.build import batch_of, episode, transformer, turn
from exact.learners import learner
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reward_model import RewardModel
from strop.batch import collate
from strop.functional.value_slots import add_last_value_slots
from strop.learners.heads import text_scores
from strop.optimizer import SGD, AdamW
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.rewards import GroupReward, Learned
from strop.types import Completion, End, Episode, Part, Pick, Task, Turn

pytestmark = pytest.mark.matrix

WORDS = ["fruit", "tool", "apple", "hammer", "please"]
PAIRS = [
    {"prompt": "fruit", "chosen": "apple", "rejected": "hammer"},
    {"prompt": "fruit please", "chosen": "apple", "rejected": "hammer apple"},
    {"prompt": "tool", "chosen": "hammer", "rejected": "apple"},
    {"prompt": "tool please", "chosen": "hammer", "rejected": "apple hammer"},
]


def config_on(tmp_path: Any, records: list[dict[str, Any]], **fields: Any) -> strop.TrainConfig:
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(json.dumps(record) for record in records))
    held_out = [Task("h", "fruit", answer="apple")]
    given = {"memory": strop.memory.Dataset.Config(size=8), "steps": 8, "threads": 1, "checkpoint_every": 4}
    sampling = strop.Sampling(max_tokens=8)
    return strop.TrainConfig(data=str(file), held_out=held_out, sampling=sampling, **(given | fields))


def accuracy(run: strop.Run) -> list[float]:
    return [row["preference/accuracy"] for row in steps(run)]


def steps(run: strop.Run) -> list[dict[str, float]]:
    """The metrics of the steps that learnt (judgements have rows of their own)."""
    return [row for row in run.metrics() if "optimizer/loss" in row]


SCRATCH = Scratch(words=WORDS, width=16, num_heads=2, num_layers=1)
TABLE = strop.policies.Table.Config(words=WORDS, has_end=True)


@pytest.mark.parametrize("policy", [TABLE, SCRATCH], ids=["table", "scratch"])
def test_a_file_of_pairs_trains_a_policy_through_strop_train(tmp_path, policy):
    algorithm = strop.algorithms.DPO.Config(optimizer=AdamW(lr=0.02), beta=0.5)
    config = config_on(tmp_path, PAIRS, policy=policy, algorithm=algorithm)
    run = strop.train(config, tmp_path / "run")
    assert accuracy(run)[0] == 0.0  # log pi = log ref: no preference at all
    assert accuracy(run)[-1] == 1.0
    assert all(row["preference/pairs"] == 4 for row in steps(run))
    assert steps(run)[0]["optimizer/loss"] == pytest.approx(math.log(2), abs=1e-6)
    again = strop.train(replace(config, steps=4), tmp_path / "half")
    assert steps(again)[-1]["optimizer/loss"] == steps(run)[3]["optimizer/loss"]
    resumed = strop.train(config, tmp_path / "half", resume=True)
    for a, b in zip(run.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_labelled_answers_train_kto(tmp_path):
    records = [{"prompt": p["prompt"], "completion": p[k], "label": k == "chosen"} for p in PAIRS for k in list(p)[1:]]
    algorithm = strop.algorithms.KTO.Config(optimizer=AdamW(lr=0.05), beta=0.5)
    run = strop.train(config_on(tmp_path, records, policy=TABLE, algorithm=algorithm), tmp_path / "run")
    last = steps(run)[-1]
    assert last["preference/desirable_ratio"] > 0.1
    assert last["preference/undesirable_ratio"] < -0.1


def test_labelled_answers_are_no_pairs_and_dpo_says_so(tmp_path):
    records = [{"prompt": "fruit", "completion": "apple", "label": True}]
    config = config_on(tmp_path, records, policy=TABLE, algorithm=strop.algorithms.DPO.Config())
    with pytest.raises(ValueError, match="no two answers to one prompt can be compared"):
        strop.train(config, tmp_path / "run")


def test_contradictions_are_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="memory=Fresh forgets the preferences"):
        config_on(
            tmp_path, PAIRS, policy=TABLE, algorithm=strop.algorithms.DPO.Config(), memory=strop.memory.Fresh.Config()
        ).resolve()
    with pytest.raises(ValueError, match="line 1: a preference has the fields"):
        config_on(
            tmp_path, [{"prompt": "fruit", "answer": "apple"}], policy=TABLE, algorithm=strop.algorithms.DPO.Config()
        ).resolve()
    config = config_on(tmp_path, PAIRS, policy=TABLE, algorithm=strop.algorithms.RewardModel.Config())
    with pytest.raises(ValueError, match="value_head=true"):
        strop.train(config, tmp_path / "run")


def test_a_student_learns_from_a_teacher_without_any_reward(tmp_path):
    teacher = replace(SCRATCH, words=WORDS)
    config = strop.TrainConfig(
        policy=replace(SCRATCH, num_layers=2),
        tasks=[Task("1", "fruit"), Task("2", "tool")],
        algorithm=strop.algorithms.Distillation.Config(optimizer=AdamW(lr=0.01), teacher=teacher),
        sampling=strop.Sampling(max_tokens=3), steps=2, threads=1,
    )  # fmt: skip
    run = strop.train(config, tmp_path / "run")
    assert steps(run)[-1]["policy/kl"] == steps(run)[-1]["policy/kl"]
    with pytest.raises(ValueError, match="needs a teacher"):
        strop.algorithms.Distillation.Config().build(Table(3), strop.Sampling(), 64)
    with pytest.raises(ValueError, match="6 tokens and the student 3"):
        strop.algorithms.Distillation.Config(teacher=teacher).build(Table(3), strop.Sampling(), 64)


# ------------------------------------------------------------ reward models


def test_a_trained_reward_model_is_the_reward_of_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_on(
        tmp_path, PAIRS, policy=replace(SCRATCH, value_head=True),
        algorithm=strop.algorithms.RewardModel.Config(optimizer=AdamW(lr=0.02)), steps=30,
    )  # fmt: skip
    run = strop.train(config, "runs/judge")
    assert accuracy(run)[-1] == 1.0
    score = strop.TrainedScore("judge")
    apple, hammer = score("fruit", ["apple", "hammer"])
    assert apple > hammer
    assert score("tool", ["apple"])[0] < score("tool", ["hammer"])[0]
    assert score("fruit", []) == []
    # the same number as the training read: the value behind the end token
    with torch.no_grad():
        tokens = [WORDS.index("fruit"), WORDS.index("apple"), len(WORDS)]
        policy: Any = run.policy
        hidden = policy.model.base_model(input_ids=torch.tensor([tokens])).last_hidden_state[0, -1]
        assert policy.value_head(hidden).item() == pytest.approx(apple, abs=1e-5)
    online = strop.TrainConfig(
        policy=TABLE, tasks=[Task("1", "fruit"), Task("2", "tool")],
        rewards={"judge": GroupReward(Learned(score=score))},
        algorithm=strop.algorithms.OnlineDPO.Config(optimizer=AdamW(lr=0.2)),
        sampling=strop.Sampling(max_tokens=2), steps=3, threads=1,
    )  # fmt: skip
    learnt = strop.train(online, "runs/online")
    assert "strop.rewards.Learned" in json.dumps(learnt.directory.config())
    assert all(isinstance(one.reward, float) for one in learnt.episodes())
    assert strop.Run(learnt.directory).config.rewards["judge"][0].score.score == score  # made again from its files


def test_a_cut_answer_gets_what_is_set_and_several_turns_are_unscored():
    def answer(finish: Any, turns: int = 1) -> Episode:
        one = Turn((1,), Completion((2,), None, finish), "text")
        return Episode("e", Task("t", "p"), 0, (one,) * turns, (), End.TERMINATED)

    seen: list[Any] = []

    def score(prompt: Any, texts: Any) -> list[float]:
        seen.append((prompt, list(texts)))
        return [3.0] * len(texts)

    episodes = [answer("stop"), answer("length"), answer("stop", 2)]
    plain = Learned(score=score)(Task("t", "p"), episodes)
    assert plain[:2] == [3.0, 3.0]
    assert "2 turns" in plain[2].reason
    assert Learned(score=score, unfinished=-1.0)(Task("t", "p"), episodes)[:2] == [3.0, -1.0]
    assert seen == [("p", ["text", "text"]), ("p", ["text"])]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_score_depends_on_the_text_up_to_the_last_token_alone(kind):
    policy = transformer(kind, value_head=True)
    with torch.no_grad():
        policy.value_head.weight.normal_(generator=torch.Generator().manual_seed(0))
    episodes = [
        episode(turn((1, 2), (3, 4, 0), None)),  # the longest row: its slot lies past the batch's width
        episode(turn((1, 2), (0,), None)),
        episode(turn((5,), (6,), None), turn((5, 6, 1), (2, 2), None)),
        episode(turn((5,), (6,), None), turn((3,), (4,), None)),  # a rewritten history: two rows
        episode(turn((1,), (2,), None), end=End.TRUNCATED, final=(1, 2, 6, 6)),  # what follows is not the answer
        episode(turn((1,), (), None)),
    ]
    read = [(1, 2, 3, 4, 0), (1, 2, 0), (5, 6, 1, 2, 2), (3, 4), (1, 2)]
    expected = []
    for tokens in read:
        hidden = policy.model.base_model(input_ids=torch.tensor([tokens])).last_hidden_state[0, -1]
        expected.append(policy.value_head(hidden).item())
    wide = add_last_value_slots(batch_of(*episodes))
    assert text_scores(policy, wide).tolist() == pytest.approx([*expected, 0.0], abs=1e-5)
    got = torch.stack([text_scores(policy, micro) for micro, _ in wide.split(6, "episode")]).sum(dim=0)
    assert got.tolist() == pytest.approx([*expected, 0.0], abs=1e-5)


def test_micro_batches_of_a_reward_model_reach_the_body_of_the_model_too():
    def moved(micro: int) -> torch.Tensor:
        policy = transformer("gpt2", value_head=True)
        with torch.no_grad():
            policy.value_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        start = torch.cat([p.detach().flatten() for p in policy.parameters()]).clone()
        batch = batch_of(
            *(
                episode(turn((1, g), (2 + k,) * (1 + k), None), reward=float(k), group=g)
                for g in (1, 2)
                for k in range(3)
            )
        )
        learner(RewardModel, policy, micro).update(batch)
        return torch.cat([p.detach().flatten() for p in policy.parameters()]) - start

    whole = moved(4096)
    assert (whole != 0).sum() > 500
    assert float((moved(1) - whole).norm() / whole.norm()) < 1e-12


def test_a_transformer_reaches_the_logistic_loss_of_64_pairs():
    # the preferred answer is drawn by a logit that is linear in two features of the word, so the best any score can
    # reach on 64 distinct answers is the saturated fit: each word against each other, p = the share of its wins
    generator = torch.Generator().manual_seed(0)
    won = torch.rand(4, generator=generator) * 0.6 + 0.2
    games = [(k, int(n < round(16 * won[k].item()))) for k in range(4) for n in range(16)]  # 64 pairs, 4 prompts
    batch = batch_of(
        *(
            episode(turn((k,), (token, 6), None), reward=float(good == (token == 4)), group=g)
            for g, (k, good) in enumerate(games)
            for token in (4, 5)
        )
    )
    shares = [sum(good for k, good in games if k == prompt) / 16 for prompt in range(4)]
    # logistic regression with one parameter a prompt: its maximum likelihood is the entropy of the shares
    best = sum(-(p * math.log(p) + (1 - p) * math.log(1 - p)) for p in shares) / 4
    policy = transformer("gpt2", value_head=True)
    algorithm = RewardModel.Config(optimizer=AdamW(lr=0.01), centring=0.0).build(policy, strop.Sampling(), 4096)
    losses = [algorithm.update(batch).metrics["optimizer/loss"].value for _ in range(80)]
    assert losses[0] == pytest.approx(math.log(2))
    assert best <= losses[-1] < best + 1e-3


def test_the_level_of_scores_is_pulled_to_zero():
    policy = Table(10, capacity=16, value_head=True)
    assert policy.value is not None
    a, b = policy.row((9, 1)), policy.row((9, 2))
    with torch.no_grad():
        policy.value[a], policy.value[b] = 5.0, 4.0
    algorithm = RewardModel.Config(optimizer=SGD(lr=0.1), centring=0.5).build(policy, strop.Sampling(), 64)
    batch = batch_of(
        episode(turn((9,), (1,), None), reward=1.0), episode(turn((9,), (2,), None), reward=0.0), layout="per_turn"
    )
    update = algorithm.update(batch)
    # -log sigmoid(1) + .5 * 81; each score moves by -.1 * 2 * .5 * 9 beside the sigmoid's +-.1 / (1 + e)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log1p(math.exp(-1)) + 40.5)
    assert update.metrics["preference/pairs"].value == 1
    push = 0.1 / (1 + math.e)
    assert policy.value[a].item() == pytest.approx(5.0 - 0.9 + push)
    assert policy.value[b].item() == pytest.approx(4.0 - 0.9 - push)


def test_a_process_reward_model_by_hand() -> None:
    # values behind the labelled tokens: 1 at a good step, 2 at a bad one; a third token has no label
    policy = Table(10, capacity=16, value_head=True)
    assert policy.value is not None
    good, bad, free = policy.row((9, 1)), policy.row((9, 1, 2)), policy.row((9, 1, 2, 3))
    with torch.no_grad():
        policy.value[good], policy.value[bad], policy.value[free] = 1.0, 2.0, 7.0
    algorithm = ProcessRewardModel.Config(optimizer=SGD(lr=1.0)).build(policy, strop.Sampling(), 64)
    labels = {"steps": Part(1.0, 0.0, tokens=(1.0, -1.0, 0.0))}
    judged = episode(turn((9,), (1, 2, 3), None), parts=labels)  # a second pick of it weighs nothing: it counts nowhere
    update = algorithm.update(collate((Pick(judged), Pick(judged, weight=0.0)), "per_turn"))
    # (-log sigmoid(1) - log sigmoid(-2)) / 2; the values move by half of sigmoid(-1) and of -sigmoid(2)
    assert update.metrics["optimizer/loss"].value == pytest.approx(
        (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2
    )
    assert update.metrics["preference/accuracy"].value == 0.5
    assert policy.value[good].item() == pytest.approx(1.0 + 0.5 / (1 + math.e))
    assert policy.value[bad].item() == pytest.approx(2.0 - 0.5 / (1 + math.exp(-2)))
    assert policy.value[free].item() == 7.0


def test_a_process_reward_model_learns_which_step_is_wrong(tmp_path):
    records = [
        {"prompt": "fruit", "steps": ["please", " apple"], "labels": [True, True]},
        {"prompt": "fruit", "steps": ["please", " hammer"], "labels": [True, False]},
        {"prompt": "tool", "steps": ["apple", " please"], "labels": [False, False]},
        {"prompt": "tool", "steps": ["hammer", " please"], "labels": [True, True]},
    ]
    algorithm = strop.algorithms.ProcessRewardModel.Config(optimizer=AdamW(lr=0.02))
    config = config_on(tmp_path, records, policy=replace(SCRATCH, value_head=True), algorithm=algorithm, steps=30)
    assert accuracy(strop.train(config, tmp_path / "run"))[-1] == 1.0
