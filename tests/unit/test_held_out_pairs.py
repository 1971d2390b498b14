"""Pairs that are held out: how often and how strongly the policy prefers what people chose, at every judgement."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

import strop
from exact.build import batch_of
from exact.learners import TRAINED, configured, learner
from strop.cli.main import main
from strop.codec import WordCodec
from strop.data.preferences import preferences
from strop.learners.preference import judge_pairs
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.types import Comparer, Sampling, Task

WORDS = ["fruit", "tool", "apple", "hammer"]
CODEC = WordCodec(WORDS)


def pair(prompt: str, chosen: str, rejected: str) -> Task:
    return Task(f"{prompt}-{chosen}", prompt, data={"chosen": chosen, "rejected": rejected})


PAIRS = [pair("fruit", "apple", "hammer"), pair("tool", "hammer", "apple"), pair("tool", "apple", "hammer")]
COMPARERS = [
    kind for kind in TRAINED if isinstance(learner(kind, Table(CODEC.size, capacity=64, value_head=True)), Comparer)
]


def moved(kind: Any) -> tuple[Any, Table]:
    """The algorithm, and its policy moved from its reference: after "tool" the hammer, elsewhere nothing."""
    policy = Table(CODEC.size, capacity=64, value_head=True)
    algorithm = configured(kind, optimizer=SGD(lr=1.0), beta=2.0, gamma=0.0).build(policy, Sampling(), 4096)
    assert policy.value is not None
    with torch.no_grad():
        policy.weight[policy.row(CODEC.encode("tool")), WORDS.index("hammer")] = math.log(3)
        policy.value[policy.row((*CODEC.encode("tool hammer"), len(WORDS)))] = 1.5
    return algorithm, policy


def test_dpo_counts_pairs_and_their_logits_by_hand() -> None:
    # "tool": hammer 3/7 and apple 1/7 of five words, the end behind either is as likely: the logits are 2 ln 3 and
    # -2 ln 3; "fruit": 0, which prefers nothing
    algorithm, _ = moved(strop.algorithms.DPO)
    got = judge_pairs(algorithm, preferences(PAIRS, CODEC), "per_turn")
    assert got == {"held_out/accuracy": pytest.approx(1 / 3), "held_out/logit": pytest.approx(0.0, abs=1e-12)}
    got = judge_pairs(algorithm, preferences(PAIRS[:2], CODEC), "per_turn")
    assert got == {"held_out/accuracy": 0.5, "held_out/logit": pytest.approx(math.log(3))}


def test_simpo_compares_what_a_token_is_worth_in_the_mean() -> None:
    # the answer of "tool" and the end behind it: half of ln 3, times beta
    algorithm, _ = moved(strop.algorithms.SimPO)
    got = judge_pairs(algorithm, preferences(PAIRS[1:2], CODEC), "per_turn")
    assert got == {"held_out/accuracy": 1.0, "held_out/logit": pytest.approx(math.log(3))}


def test_orpo_compares_the_odds_of_what_a_token_is_worth_in_the_mean() -> None:
    # hammer 3/7 and the end 1/5: the geometric means are sqrt(3/35) and, of the apple, sqrt(1/35)
    algorithm, _ = moved(strop.algorithms.ORPO)
    chosen, rejected = math.sqrt(3 / 35), math.sqrt(1 / 35)
    got = judge_pairs(algorithm, preferences(PAIRS[1:2], CODEC), "per_turn")
    odds = chosen / (1 - chosen) / (rejected / (1 - rejected))
    assert got == {"held_out/accuracy": 1.0, "held_out/logit": pytest.approx(math.log(odds))}


def test_a_reward_model_compares_the_scores_behind_the_last_token() -> None:
    algorithm, _ = moved(strop.algorithms.RewardModel)
    got = judge_pairs(algorithm, preferences(PAIRS[:2], CODEC), "per_turn")
    assert got == {"held_out/accuracy": 0.5, "held_out/logit": pytest.approx(0.75)}


def test_a_reward_model_says_at_which_level_it_scores() -> None:
    algorithm, policy = moved(strop.algorithms.RewardModel)
    assert policy.value is not None
    with torch.no_grad():  # 1.5 for the chosen answer, then .5 for the one that is not
        policy.value[policy.row((*CODEC.encode("tool apple"), len(WORDS)))] = 0.5
    found = algorithm.compare(batch_of(*preferences(PAIRS[1:2], CODEC), layout="per_turn"))
    assert found["preference/score"].value == pytest.approx(1.0)


def test_every_method_that_reads_pairs_alone_can_compare_them() -> None:
    names = {kind.__name__ for kind in COMPARERS}
    assert names == {"DPO", "IPO", "ORPO", "RewardModel", "RobustDPO", "SimPO"}


@pytest.mark.parametrize("kind", COMPARERS)
def test_comparing_moves_nothing_and_says_what_an_update_would(kind: Any) -> None:
    algorithm, policy = moved(kind)
    batch = batch_of(*preferences(PAIRS, CODEC), layout="per_turn")
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    assert isinstance(algorithm, Comparer)
    found = algorithm.compare(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))
    update = algorithm.update(batch).metrics
    for name in ("preference/accuracy", "preference/logit"):
        assert found[name] == update[name]


@pytest.mark.parametrize("kind", COMPARERS)
def test_the_logit_is_above_0_where_the_chosen_answer_is_the_likelier(kind: Any) -> None:
    algorithm, _ = moved(kind)
    right, wrong = (algorithm.compare(batch_of(*preferences([one], CODEC), layout="per_turn")) for one in PAIRS[1:])
    assert right["preference/logit"].value > 0.0 > wrong["preference/logit"].value
    assert (right["preference/accuracy"].value, wrong["preference/accuracy"].value) == (1.0, 0.0)


def written(folder: Any, tasks: list[Task]) -> str:
    file = folder / "pairs.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": one.prompt, **one.data}) for one in tasks))
    return str(file)


def test_a_run_reports_held_out_pairs_and_shows_them(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=WORDS, has_end=True),
        data=written(tmp_path, PAIRS[:2]), held_out=PAIRS[1:],
        algorithm=strop.algorithms.DPO.Config(optimizer=AdamW(lr=0.1), beta=0.5),
        memory=strop.memory.Dataset.Config(size=4), steps=4, eval_every=2, threads=1,
    )  # fmt: skip
    run = strop.train(config, tmp_path / "run")
    rows = {row["step"]: row["held_out/accuracy"] for row in run.metrics() if "held_out/accuracy" in row}
    assert rows == {0: 0.0, 2: 0.5, 4: 0.5}  # of two pairs that contradict each other one is learnt
    assert not any("held_out/reward" in row for row in run.metrics())  # nothing can judge a text: nothing is played
    assert run.evaluate()["held_out/accuracy"] == 0.5
    run.plot(tmp_path / "curves.svg")
    capsys.readouterr()
    for command in (["show", str(tmp_path / "run")], ["eval", str(tmp_path / "run")]):
        assert main(command) == 0
        assert "accuracy" in capsys.readouterr().out


def test_a_tenth_of_a_file_of_pairs_is_held_out(tmp_path: Any) -> None:
    many = [pair(f"fruit {'tool ' * i}".strip(), "apple", "hammer") for i in range(10)]
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=WORDS), data=written(tmp_path, many),
        algorithm=strop.algorithms.DPO.Config(),
    ).resolve()  # fmt: skip
    assert (len(config.tasks), len(config.held_out)) == (9, 1)
