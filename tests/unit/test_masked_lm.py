"""MaskedLM: its loss by hand, what is hidden, and that micro-batches and resumes change nothing."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from exact.build import batch_of, episode, flat, turn
from exact.coin import identical
from strop.algorithms.masked_lm import MaskedLM, halves, segments
from strop.batch import collate
from strop.optimizer import SGD, AdamW
from strop.policies._texts import Marks
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.types import Batch, Heads, Pick, Reduce, Sampling, WeightsLock

WORDS = ("red", "blue", "green", "pink", "grey")
MARKS = Marks(begin=3, separator=4, mask=5, special=frozenset({3, 4, 5}), size=6)
CLS, SEP, MASK = 3, 4, 5


class Guess:
    """Fills in from one distribution, whatever it reads; its first vector is (the sum of what it reads, 1)."""

    fills, width, context, marks = True, 2, None, MARKS

    def __init__(self, *shares: float) -> None:
        self.lock = WeightsLock()
        logits = [math.log(share) for share in shares] + [-40.0] * 3
        self.logit_V = Parameter(torch.tensor(logits, dtype=torch.float64))
        self.read: list[tuple[list[int], list[int]]] = []

    def encode(self, tokens_BT: Tensor, length_B: Tensor, type_BT: Tensor) -> Tensor:
        rows = zip(tokens_BT.tolist(), type_BT.tolist(), length_B.tolist(), strict=True)
        self.read += [(tokens[:n], types[:n]) for tokens, types, n in rows]
        return torch.stack(
            [tokens_BT.float().sum(1, keepdim=True).expand(tokens_BT.shape), tokens_BT * 0 + 1.0], dim=-1
        )

    def words(self, vectors_NH: Tensor, tokens_N: Tensor, reduce: Reduce) -> dict[str, Tensor]:
        return dict(reduce(Heads(tokens_N, logits_NV=self.logit_V.expand(len(tokens_N), -1))))

    def parameters(self) -> list[Parameter]:
        return [self.logit_V]


def built(policy: Any, micro_tokens: int = 4096, seed: int = 0, **given: Any) -> MaskedLM:
    fields = {"optimizer": SGD(lr=1.0)} | given
    return MaskedLM.Config(**fields).build(policy, Sampling(), micro_tokens, seed)


def chunks(*rows: tuple[int, ...]) -> Batch:
    """Texts of which all but the first token can be hidden."""
    return batch_of(*(episode(turn(row[:1], row[1:], None), group=i) for i, row in enumerate(rows)), layout="per_turn")


def bert(seed: int = 0, **given: Any) -> Any:
    fields = {"words": WORDS, "shape": "bert", "width": 8, "num_heads": 2, "context": 24}
    return Scratch(**(fields | given)).build(seed, "float32")[0]


def texts(step: int, num: int = 6) -> Batch:
    rng = np.random.default_rng(step)
    return chunks(*(tuple(rng.integers(0, 5, size=rng.integers(3, 12)).tolist()) for _ in range(num)))


# ------------------------------------------------------------ the loss


def test_the_loss_is_the_mean_over_the_chosen_tokens_of_the_whole_batch() -> None:
    """Of the tokens 0, 1, 2, 2, 2 that can be hidden, under (1/6, 2/6, 3/6); the first token of each row is read."""
    policy = Guess(1 / 6, 2 / 6, 3 / 6)
    before = policy.logit_V.detach().clone()
    update = built(policy, share=1.0, masked=1.0, random=0.0).update(chunks((0, 0, 1, 2), (1, 2, 2)))
    wanted = -(math.log(1 / 6) + math.log(2 / 6) + 3 * math.log(3 / 6)) / 5
    assert update.metrics["optimizer/loss"].value == pytest.approx(wanted, abs=1e-12)
    assert update.metrics["masked/nll"].value == pytest.approx(wanted, abs=1e-12)
    assert update.metrics["masked/accuracy"].value == 3 / 5
    # the gradient of a mean of -log softmax is p - the shares that were seen
    moved = (policy.logit_V.detach() - before)[:3].tolist()
    assert moved == pytest.approx([1 / 5 - 1 / 6, 1 / 5 - 2 / 6, 3 / 5 - 3 / 6], abs=1e-12)
    assert policy.read == [([CLS, 0, MASK, MASK, MASK, SEP], [0] * 6), ([CLS, 1, MASK, MASK, SEP], [0] * 5)]


def test_a_pick_weighs_its_tokens_and_one_of_weight_0_is_not_read() -> None:
    policy = Guess(1 / 6, 2 / 6, 3 / 6)
    weights = (2.0, 0.5, 0.0)
    picks = [Pick(episode(turn((0,), (token,), None)), weight=w) for token, w in zip((1, 2, 0), weights, strict=True)]
    update = built(policy, share=1.0).update(collate(tuple(picks), "per_turn"))
    wanted = -(2.0 * math.log(2 / 6) + 0.5 * math.log(3 / 6)) / 2
    assert update.metrics["optimizer/loss"].value == pytest.approx(wanted, abs=1e-12)
    assert len(policy.read) == 2


def test_next_sentence_starts_at_a_guess_and_learns_whether_the_second_half_followed() -> None:
    policy = Guess(1 / 3, 1 / 3, 1 / 3)
    algorithm = built(policy, next_sentence=True, share=1.0, masked=0.0, random=0.0)
    rows = [(i % 3, (i + 1) % 3, 2, i % 2) for i in range(40)]
    update = algorithm.update(chunks(*rows))
    assert update.metrics["masked/next_nll"].value == pytest.approx(math.log(2), abs=1e-6)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log(3) + math.log(2), abs=1e-6)
    own = [list(row[2:]) for row in rows]
    followed = [tokens[4:6] == own[i] for i, (tokens, _) in enumerate(policy.read)]
    for (tokens, types), row in zip(policy.read, rows, strict=True):  # nothing is masked: what was read is the text
        assert tokens[:4] == [CLS, *row[:2], SEP]
        assert tokens[4:6] in own
        assert types == [0, 0, 0, 0, 1, 1, 1]
    # the gradient at 0 of -log sigmoid(y (w s + b)) is (1/2 - y) (s, 1); some others' halves are equal to a row's own
    share = update.metrics["masked/next_accuracy"].value  # at 0 it says "no" of every pair
    assert 0.25 < share < 0.75
    assert sum(followed) / 40 >= 1 - share
    assert algorithm.follows is not None
    assert algorithm.follows.bias.item() == pytest.approx((1 - share) - 0.5, abs=1e-6)


# ------------------------------------------------------------ what is hidden


def test_marks_at_the_ends_are_taken_off_and_the_prompt_is_only_read() -> None:
    whole = batch_of(episode(turn((CLS, 0, SEP), (1, 2, SEP), None)), layout="per_turn")
    assert segments(whole, MARKS) == [([0, SEP, 1, 2], [0.0, 0.0, 1.0, 1.0])]


def test_halves_are_their_own_or_those_of_another_text() -> None:
    rows = [([i] * 4 + [100 + i] * 5, [1.0] * 9) for i in range(400)]
    pairs, followed_B = halves(rows, np.random.default_rng(0))
    assert 150 < followed_B.sum() < 250  # 200, with a standard deviation of 10
    others = []
    for i, (first, second) in enumerate(pairs):
        assert first == ([i] * 4, [1.0] * 4)
        assert second[1] == [1.0] * 5
        assert (second[0] == [100 + i] * 5) == bool(followed_B[i])
        others += [] if followed_B[i] else [second[0][0] - 100]
    assert len(set(others)) > 120  # all over the batch
    alone, followed_1 = halves(rows[:1], np.random.default_rng(0))
    assert (alone[0][1][0], followed_1.tolist()) == ([100] * 5, [True])


def test_each_update_hides_other_tokens_and_the_run_s_seed_decides_which() -> None:
    def read(seed: int, updates: int) -> list[Any]:
        policy = Guess(1 / 3, 1 / 3, 1 / 3)
        algorithm = built(policy, seed=seed)
        for _ in range(updates):
            algorithm.update(chunks(*[(0, 1, 2, 0, 1, 2, 0, 1, 2, 0)] * 8))
        return policy.read

    first = read(0, 2)
    assert first[:8] != first[8:]
    assert read(0, 2) == first
    assert read(1, 2) != first


# ------------------------------------------------------------ batches and states


@pytest.mark.parametrize("next_sentence", [False, True])
def test_micro_batches_change_nothing(next_sentence: bool) -> None:
    found = []
    for micro_tokens in (1, 30, 4096):
        policy = bert()
        algorithm = built(policy, micro_tokens, next_sentence=next_sentence, optimizer=SGD(lr=0.1))
        updates = [algorithm.update(texts(step)) for step in range(2)]
        found.append((flat(policy.parameters()), [update.metrics["optimizer/loss"].value for update in updates]))
        assert updates[0].metrics["masked/nll"].count == updates[0].metrics["masked/accuracy"].count
    for parameters, losses in found[1:]:
        assert (parameters - found[0][0]).abs().max() < 1e-5
        assert losses == pytest.approx(found[0][1], abs=1e-5)


@pytest.mark.parametrize("next_sentence", [False, True])
def test_save_load_continue_is_bitwise_the_uninterrupted_run(next_sentence: bool) -> None:
    def start() -> tuple[Any, MaskedLM]:
        policy = bert()
        return policy, built(policy, optimizer=AdamW(lr=0.01, warmup_steps=3), next_sentence=next_sentence)

    policy, algorithm = start()
    for step in range(2):
        algorithm.update(texts(step))
    saved = copy.deepcopy((policy.state_dict(), algorithm.state_dict()))
    metrics = [algorithm.update(texts(step)).metrics for step in (2, 3)]
    resumed, again = start()
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert [again.update(texts(step)).metrics for step in (2, 3)] == metrics
    assert identical(resumed.state_dict(), policy.state_dict())
    assert identical(again.state_dict(), algorithm.state_dict())


def test_every_parameter_learns_but_what_is_not_read() -> None:
    policy = bert()
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    built(policy, next_sentence=True).update(texts(0))
    still = {name for name, p in policy.model.named_parameters() if torch.equal(p, before[name])}
    assert still == set()


# ------------------------------------------------------------ what is refused


@pytest.mark.parametrize("make", [lambda: Table(5), lambda: bert(actions=("a", "b")), lambda: bert(value_head=True)])
def test_a_policy_that_does_not_fill_in_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"MaskedLM teaches a masked encoder .* without actions and value_head"):
        built(make())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share": 0.0}, r"algorithm\.share=0\.0"),
        ({"masked": 0.95, "random": 0.1}, "together at most 1"),
        ({"random": -0.1}, r"algorithm\.random=-0\.1"),
    ],
)
def test_shares_that_cannot_be(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MaskedLM.Config(**given)
