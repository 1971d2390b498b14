"""NGram: what is counted, what is trained, and that acting reads what training reads."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import strop
from exact.build import batch_of, episode, turn
from exact.coin import identical
from strop.codec import WordCodec
from strop.functional.distributions import gather
from strop.functional.smoothing import add_k
from strop.learners.heads import VALUE
from strop.optimizer import SGD, trail
from strop.policies import ngram
from strop.policies.ngram import NGram
from strop.policies.table import Table
from strop.runs.state import pack, same
from strop.runs.tree import unpack
from strop.samplers.local import LocalSampler
from strop.types import Batch, End, Heads, Sampling, Tokens
from strop.verify.counting import counted, texts

SIZE, END = 5, 4


def model(order: int = 3, **more: Any) -> NGram:
    """An n-gram model that has counted a little."""
    policy = NGram(SIZE, END, order, **more)
    counted(policy, texts(3))
    return policy


def batch() -> Batch:
    """Rows of different lengths, one of them cut where a value is read, one that goes on in another document."""
    return batch_of(
        episode(turn((0, 1), (2, 3, 0)), reward=1.0),
        episode(turn((2,), (1, END)), turn((2, 1, END, 0), (1,)), reward=2.0),
        episode(turn((3, 3), (0,)), end=End.TRUNCATED, final=(3, 3, 0, 1)),
    )


def logits(policy: Any, data: Batch | None = None) -> Tensor:
    """The log-probs of the batch's tokens."""

    def chosen(heads: Heads) -> dict[str, Tensor]:
        return {"x": gather(torch.log_softmax(heads.logits_NV, -1), heads.tokens_N)}

    return policy.heads(data or batch(), chosen)["x"]


def moved(policy: NGram, seed: int = 0) -> NGram:
    """The policy with rows for the contexts of the batch, all numbers of its rows moved."""
    logits(policy)
    used = torch.tensor([*range(len(policy.state_dict()["contexts"]))])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one in policy.parameters():
            one[used] = torch.randn(one[used].shape, dtype=one.dtype, generator=generator)
    return policy


def prefixes(data: Batch) -> list[Tokens]:
    return [tuple(data.tokens_BT[b, :t].tolist()) for b, t in data.decision_BT.nonzero().tolist()]


# ------------------------------------------------------------ reading


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_sampling_token_by_token_reads_what_training_reads(order: int) -> None:
    policy = moved(model(order))
    data = batch()
    read = [policy.prefill([prefix])[0][0] for prefix in prefixes(data)]
    expected = torch.log_softmax(torch.stack(read), -1)
    assert torch.equal(logits(policy, data)[data.decision_BT], gather(expected, data.tokens_BT[data.decision_BT]))
    rows = data.tokens_BT[[0, 1]]
    state = policy.prefill([(int(row[0]),) for row in rows])[1]
    for t in range(1, 5):
        stepped, state = policy.decode(state, rows[:, t])
        assert torch.equal(stepped, policy.prefill([tuple(row[: t + 1].tolist()) for row in rows])[0])
    kept = policy.keep(state, [1, 1, 0])
    assert torch.equal(
        policy.decode(kept, torch.tensor([0, 1, 2]))[0][2], policy.decode(state, rows[:, 0] * 0 + 2)[0][0]
    )


def test_a_tokens_cost_does_not_grow_with_what_stands_before_it() -> None:
    policy = model()
    states = [policy.prefill([(0, 1) * n])[1] for n in (1, 1000)]
    assert states[0].shape == states[1].shape == (1,)
    assert states[0] == states[1]


def test_its_chunks_are_small_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradient(policy: NGram) -> tuple[Tensor, Tensor, list[int]]:
        sizes: list[int] = []

        def reduce(heads: Heads) -> dict[str, Tensor]:
            assert heads.logits_NV is heads.q_NV
            sizes.append(len(heads.logits_NV))
            chosen_N = gather(torch.log_softmax(heads.logits_NV, -1), heads.tokens_N)
            return {"x": chosen_N * (1 + heads.first + torch.arange(len(chosen_N))) + heads.value_N}

        read = policy.heads(batch(), reduce, frozenset({"logits", "q", "value"}))["x"]
        read.sum().backward()
        return read.detach(), torch.cat([one.grad.flatten() for one in policy.parameters()]), sizes

    whole = gradient(moved(model(value_head=True)))
    monkeypatch.setattr(ngram, "CHUNK", 2 * SIZE)
    parts = gradient(moved(model(value_head=True)))
    assert torch.equal(whole[0], parts[0])
    assert torch.allclose(whole[1], parts[1], atol=1e-14, rtol=0)
    assert whole[2] == [8]
    assert parts[2][:4] == [2, 2, 2, 2]  # and once more each in the backward pass, but the last


def test_values_are_of_contexts_and_need_a_head() -> None:
    policy = moved(model(value_head=True))
    read = policy.heads(batch(), lambda heads: {"v": heads.value_N}, VALUE)["v"]
    index = policy.state_dict()
    row = {context: i for i, context in enumerate(index["contexts"].tolist())}
    for (b, t), prefix in zip(batch().decision_BT.nonzero().tolist(), prefixes(batch()), strict=True):
        assert read[b, t] == policy.rows.value[row[int(policy.contexts.behind([prefix])[0])]]
    with pytest.raises(ValueError, match=r"set policy\.value_head=true"):
        model().heads(batch(), lambda heads: {"v": heads.value_N}, VALUE)


def test_a_text_is_scored_as_its_tokens_are_read() -> None:
    text = (0, 1, 2, END, 0, 1, 3, 3)
    for policy in (model(), moved(model()), moved(model(capacity=2)), NGram(SIZE)):
        read = [policy.prefill([text[:t]])[0][0].log_softmax(-1)[token].item() for t, token in enumerate(text)]
        assert policy.score(text).tolist() == pytest.approx(read, rel=1e-12)
    assert model().score(()).shape == (0,)


# ------------------------------------------------------------ rows


def test_only_a_gradient_takes_rows() -> None:
    policy = model()
    before = copy.deepcopy(policy.state_dict())
    policy.prefill([(0, 1)])
    with torch.no_grad():
        logits(policy)
    policy.score((0, 1, 2))
    logits(policy.reference())
    assert identical(policy.state_dict(), before)
    first = logits(policy)
    assert len(policy.state_dict()["contexts"]) == len({int(n) for n in policy.contexts.behind(prefixes(batch()))})
    assert torch.equal(first, logits(policy))


def test_the_defaults_hold_every_context_or_16_million_numbers() -> None:
    assert NGram(4, 3, order=3).rows.delta.shape == (16 + 1, 4)
    assert NGram(4, None, order=3).rows.delta.shape == (25 + 1, 4)
    assert NGram(4, 3, order=1).rows.delta.shape == (1 + 1, 4)
    config = strop.policies.NGram.Config(words=[str(i) for i in range(1000)], capacity=7)
    assert config.build(0)[0].rows.delta.shape == (7 + 1, 1001)
    assert ngram.TRAINED == 16_000_000


@pytest.mark.parametrize("capacity", [1, 3, 4, 100])
def test_the_sampler_is_never_another_policy_than_the_trainer_though_the_rows_fill_up(capacity: int) -> None:
    policy, rng = model(capacity=capacity), np.random.default_rng(0)
    algorithm = strop.algorithms.REINFORCE.Config(optimizer=SGD(lr=3.0)).build(policy, Sampling(), 64)
    sampler, gaps, sizes = LocalSampler(policy, frozenset({END})), [], []
    for step in range(6):
        prompts = [tuple(rng.integers(4, size=2).tolist()) for _ in range(4)]
        rngs = [np.random.default_rng([step, i]) for i in range(4)]
        played = sampler.sample(prompts, Sampling(max_tokens=5), rngs)
        pairs = zip(prompts, played, strict=True)
        data = batch_of(
            *(episode(turn(x, y.tokens, y.logprobs), reward=float(y.tokens[0] == 1), id=str(x)) for x, y in pairs)
        )
        gaps.append(algorithm.update(data).metrics["policy/sampler_gap_max"].value)
        sizes.append(len(policy.state_dict()["contexts"]))
    assert max(gaps) <= 1e-12
    assert sizes == sorted(sizes)
    assert (sizes[-1] == capacity) == (capacity < 100)
    assert bool((policy.rows.delta[-1] != 0.0).any()) == (capacity < 100)
    assert float(policy.rows.delta.detach().abs().sum()) > 0.1


def test_a_shared_row_that_trains_too_soon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from strop.policies._rows import Rows

    def shares_at_once(rows: Rows, contexts: list[int]) -> Tensor:
        """No context gets a row in the update in which it is first read."""
        read = torch.tensor([rows._row.get(one, rows.capacity) for one in contexts])
        if torch.is_grad_enabled():
            for one in contexts:
                rows._row.setdefault(one, len(rows._row))
        return read

    monkeypatch.setattr(Rows, "of", shares_at_once)
    with pytest.raises(AssertionError):
        test_the_sampler_is_never_another_policy_than_the_trainer_though_the_rows_fill_up(100)


# ------------------------------------------------------------ copies


def test_a_twin_has_rows_of_its_own_for_the_same_contexts() -> None:
    policy = moved(model(value_head=True))
    twin, old = policy.twin(), logits(policy).detach()
    assert torch.equal(logits(twin), old)
    with torch.no_grad():
        for one in policy.parameters():
            one.add_(torch.randn(one.shape, dtype=one.dtype, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(logits(twin).detach(), old)
    trail(twin, policy)
    assert torch.equal(logits(twin), logits(policy))
    other = batch_of(episode(turn((3, 1), (1, 1))))
    logits(twin, other)  # the twin reads new contexts first
    assert identical(twin.state_dict()["contexts"], policy.state_dict()["contexts"])


def test_a_reference_is_frozen_and_sees_neither_later_rows_nor_later_counts() -> None:
    policy = moved(model(value_head=True))
    frozen, old = policy.reference(), logits(policy).detach()
    before = copy.deepcopy(frozen.state_dict())
    with torch.no_grad():
        policy.rows.delta.add_(1.0).mul_(2.0)
    counted(policy, texts(4))
    logits(policy, batch_of(episode(turn((3, 1), (1, 1)))))
    assert torch.equal(logits(frozen), old)
    assert not logits(frozen).requires_grad
    assert identical(frozen.state_dict(), before)
    assert not torch.equal(logits(policy), old)


# ------------------------------------------------------------ saving


@pytest.mark.parametrize("capacity", [2, 50])
def test_a_saved_state_holds_what_was_used_and_goes_on_to_the_bit(capacity: int) -> None:
    policy = moved(model(value_head=True, capacity=capacity))
    with torch.no_grad():
        if capacity == 2:
            policy.rows.delta[-1] += 0.3  # the rows are full, so the shared one trains
    state = copy.deepcopy(policy.state_dict())
    assert all(isinstance(value, Tensor | int) for value in state.values())
    num = min(capacity, 7)  # ^2, ^0, 01, 12, 21, 23, 33
    assert state["contexts"].shape == (num,)
    assert state["delta"].shape == (num + 1, SIZE)
    assert state["value"].shape == (num + 1,)
    tensors, tree = pack(state)
    assert same(unpack(tree, tensors), state)
    again = NGram(SIZE, END, 3, capacity=capacity, value_head=True)
    with torch.no_grad():
        again.rows.delta.add_(5.0)
    again.load_state_dict(state)
    for one in (policy, again):
        counted(one, texts(6))
        logits(one, batch_of(episode(turn((3, 1), (1, 1)))))
    assert identical(again.state_dict(), policy.state_dict())
    assert torch.equal(again.rows.delta, policy.rows.delta)
    assert torch.equal(logits(again), logits(policy))
    assert again.num_ngrams == policy.num_ngrams


def test_a_state_of_another_shape_is_refused() -> None:
    state = moved(model()).state_dict()
    with pytest.raises(ValueError, match=r"policy\.order=2: the saved policy has order 3"):
        NGram(SIZE, END, 2).load_state_dict(state)
    with pytest.raises(ValueError, match=r"policy\.capacity=3: the saved policy has 7 trained contexts"):
        NGram(SIZE, END, 3, capacity=3).load_state_dict(state)


def test_a_new_value_head_begins_at_0_on_saved_rows() -> None:
    policy, valued = moved(model()), NGram(SIZE, END, 3, value_head=True)
    valued.load_state_dict({**valued.state_dict(), **policy.state_dict()})
    assert torch.equal(logits(valued), logits(policy))
    assert float(valued.rows.value.detach().abs().sum()) == 0.0


# ------------------------------------------------------------ beside a table, and its config


def test_without_counts_it_is_a_table_of_the_last_tokens() -> None:
    data = batch_of(episode(turn((0, 1), (2, 3, 0)), reward=1.0), episode(turn((2, 0), (1, 1)), reward=2.0))
    policies = [NGram(SIZE, order=3), Table(SIZE, order=2)]
    for policy in policies:
        algorithm = strop.algorithms.REINFORCE.Config(optimizer=SGD(lr=1.0)).build(policy, Sampling(), 64)
        for _ in range(3):
            algorithm.update(data)
    assert torch.allclose(logits(policies[0], data), logits(policies[1], data), atol=1e-14)


def test_its_config_says_what_is_wrong() -> None:
    config = strop.policies.NGram.Config
    with pytest.raises(ValueError, match=r"policy\.words and policy\.tokenizer: neither of them is given"):
        config().build(0)
    with pytest.raises(ValueError, match=r"policy\.smoothing='witten-bell': it is kneser-ney or add-k"):
        config(words=["a"], smoothing="witten-bell")
    with pytest.raises(ValueError, match=r"policy\.discount=0\.5: only kneser-ney has one"):
        config(words=["a"], smoothing="add-k", discount=0.5)
    with pytest.raises(ValueError, match=r"policy\.order=40: over 3 tokens an n-gram has at most 39"):
        config(words=["a", "b"], order=40).build(0)
    with pytest.raises(ValueError, match="computes on the CPU alone"):
        config(words=["a"]).build(0, "float32", "cuda:0")


def test_its_config_sets_the_smoothing() -> None:
    words = ("a", "b", "c", "d")
    for fields, expected in (
        ({"smoothing": "add-k", "k": 0.5}, NGram(SIZE, END, 2, partial(add_k, k=0.5))),
        ({}, NGram(SIZE, END, 2)),
        ({"discount": 0.3}, NGram(SIZE, END, 2, partial(strop.functional.kneser_ney, discount=0.3))),
    ):
        policy, codec = strop.policies.NGram.Config(words=words, order=2, **fields).build(0)
        assert isinstance(codec, WordCodec)
        counted(policy, texts(3)), counted(expected, texts(3))
        assert torch.equal(logits(policy), logits(expected))
    bare, _ = strop.policies.NGram.Config(words=words, has_end=False).build(0)
    assert bare.vocabulary == 4
    assert bare.contexts.mark == 4
    assert bare.prefill([(0,)])[0].exp().tolist() == [pytest.approx([0.25] * 4)]


def test_a_tokenizers_end_begins_a_prompt_and_a_context() -> None:
    vocabulary = {"<end>": 0, "a": 1, "b": 2}
    begin = {"SpecialToken": {"id": "<end>", "type_id": 0}}
    made = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "decoder": None,
        "added_tokens": [{"id": 0, "content": "<end>", "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing", "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
            "special_tokens": {"<end>": {"id": "<end>", "ids": [0], "tokens": ["<end>"]}},
        },
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "a"},
    }  # fmt: skip
    config = strop.policies.NGram.Config(tokenizer=strop.Tokenizer(json.dumps(made)), order=3)
    policy, codec = config.build(0)
    assert (policy.vocabulary, policy.contexts.mark, codec.end) == (3, 0, 0)
    assert codec.start("a b") == (0, 1, 2)
    counted(policy, [((0,), (1, 2, 0))])
    assert torch.equal(policy.prefill([codec.start("a")])[0], policy.prefill([(1,)])[0])  # either way a document begins


@pytest.mark.parametrize("end", [END, None])
def test_a_token_changes_nothing_that_stands_before_it(end: int | None) -> None:
    policy, rng = NGram(SIZE, end, order=3), np.random.default_rng(0)
    counted(policy, texts(0, end=end))
    rows = rng.integers(SIZE, size=(8, 9))
    for t in range(1, 9):
        changed = rows.copy()
        changed[:, t] = (changed[:, t] + 1) % SIZE
        read = [
            logits(policy, batch_of(*(episode(turn(row[:1], row[1:])) for row in some.tolist())))
            for some in (rows, changed)
        ]
        assert torch.equal(read[0][:, :t], read[1][:, :t])
        assert not torch.equal(read[0][:, t:], read[1][:, t:])
