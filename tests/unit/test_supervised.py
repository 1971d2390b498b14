"""SFT: which tokens are targets, and what their mean is over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import strop
import tiny_hf
from exact.build import batch_of, episode, turn
from exact.coin import build
from strop.algorithms.sft import SFT
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling


def test_sft_trains_the_end_token_though_padding_has_the_same_id() -> None:
    # id 0 ends, pads and fills: the mask comes from the episode, so exactly the two completions' tokens are targets
    batch = batch_of(episode(turn((1,), (2, 0), None)), episode(turn((1,), (2, 2, 2, 0), None)))
    assert batch.action_BT.int().tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]]
    policy = Table(3, capacity=16)
    before = torch.log_softmax(policy.weight[policy.row((1, 2))], -1)[0].item()
    build(SFT, policy).update(batch_of(episode(turn((1,), (2, 0), None)), layout="per_turn"))
    assert torch.log_softmax(policy.weight[policy.row((1, 2))], -1)[0].item() > before


def test_sft_denominator_is_global_not_a_mean_of_means() -> None:
    # lengths 1 and 3, micro-batches of one row: the loss is the sum over 4 tokens / 4, with every token at ln 3
    algorithm = SFT.Config(optimizer=SGD(lr=1.0)).build(Table(3, capacity=16), Sampling(), 1)
    rows = batch_of(episode(turn((1,), (2,), None)), episode(turn((1,), (2, 2, 0), None)), layout="per_turn")
    update = algorithm.update(rows)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log(3))
    nll = update.metrics["policy/nll"]
    assert (nll.value, nll.count) == (pytest.approx(math.log(3)), 4)
    # after (1,): 2 twice, -log pi gradient 2/4 of (2/3, -1/3, -1/3) up
    assert algorithm.policy.weight[0].tolist() == pytest.approx([-1 / 6, -1 / 6, 1 / 3])


def test_a_pass_holds_no_more_than_micro_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, heads = [], Table.heads

    def counted(table: Table, micro: Batch, *more: Any) -> Any:
        sizes.append(micro.tokens_BT.numel())
        return heads(table, micro, *more)

    monkeypatch.setattr(Table, "heads", counted)
    rows = batch_of(*(episode(turn((1,), (2, 0), None), id=str(i)) for i in range(4)))
    SFT.Config(optimizer=SGD(lr=1.0)).build(Table(3, capacity=16), Sampling(), 7).update(rows)
    assert sizes == [6, 6]  # two rows of three slots; three rows would be nine


def learnt_from(policy: Any, tasks: list[strop.Task], **given: Any) -> list[Any]:
    """The episodes that a run of SFT has in its memory, in the order of its tasks."""
    config = strop.TrainConfig(policy=policy, tasks=tasks, algorithm=SFT.Config(**given), threads=1, dtype="float32")
    (draw,) = config.resolve().build().memory.draws(np.random.default_rng(0))
    return sorted((pick.episode for pick in draw[: len(tasks)]), key=lambda one: one.id)


WORDS = ["cat", "dog", "good", "bad"]
PAIRS = [strop.Task("1", "cat", answer="good"), strop.Task("2", "dog", answer="bad")]


@pytest.mark.parametrize("shape", ["llama", "t5"])
def test_without_an_end_one_decision_is_all_that_is_learnt(shape: Any) -> None:
    policy = strop.policies.Scratch(words=WORDS, shape=shape, width=8, num_heads=1, num_layers=1)
    ended, open_ = (learnt_from(policy, PAIRS, end=end) for end in (True, False))
    assert [one.turns[0].completion.tokens for one in ended] == [(2, 4), (3, 4)]  # behind the words
    assert [one.turns[0].completion.tokens for one in open_] == [(2,), (3,)]
    assert [one.turns[0].completion.finish for one in open_] == ["length"] * 2
    assert [one.turns[0].prompt for one in open_] == [one.turns[0].prompt for one in ended]


def test_an_answer_without_an_end_may_fill_the_context() -> None:
    policy = strop.policies.Scratch(words=WORDS, width=8, num_heads=1, num_layers=1, context=2)
    assert learnt_from(policy, PAIRS, end=False)
    with pytest.raises(ValueError, match="have 3 tokens, and the policy reads 2"):
        learnt_from(policy, PAIRS)


def test_a_turn_without_an_end_is_closed_before_the_next_one_as_in_a_chat(tmp_path: Any) -> None:
    folder = str(tiny_hf.make(tmp_path / "tiny"))
    policy = strop.policies.Transformer.Config(model=folder, lora=None)
    played = strop.Task("1", "the cat", data={"played": [{"text": "sat", "reply": "the dog"}, {"text": "sat"}]})
    (ended,), (open_,) = (learnt_from(policy, [played], end=end) for end in (True, False))
    first, closed = open_.turns[0].completion.tokens, ended.turns[0].completion.tokens
    assert closed[:-1] == first
    assert open_.turns[1].prompt == ended.turns[1].prompt
    assert open_.turns[1].completion.tokens == first


def test_a_corpus_has_its_ends(tmp_path: Any) -> None:
    text = tmp_path / "text.txt"
    text.write_text("a b c\n\nd e f\n")
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS), data=strop.Corpus(source=str(text)), algorithm=SFT.Config(end=False)
    )
    with pytest.raises(ValueError, match="documents of a corpus have their ends"):
        config.resolve()
