"""Texts with hidden tokens: how they stand, what can be hidden, and how they are cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strop.learners.blanks import Blanks, bare, fill
from strop.policies._texts import Marks
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.scratch import Scratch

MARKS = Marks(begin=7, separator=8, mask=9, special=frozenset({7, 8, 9}), size=10)
WORDS = ("red", "blue", "green", "pink", "grey")


def blanks() -> Blanks:
    return Blanks.of([[((1, 2, 8, 3), (1.0, 0.0, 1.0, 2.0))], [((4,), (1.0,)), ((5, 6), (1.0, 1.0))]], MARKS)


def test_a_text_stands_between_its_marks_and_says_its_segments() -> None:
    made = blanks()
    assert made.token_BT.tolist() == [[7, 1, 2, 8, 3, 8], [7, 4, 8, 5, 6, 8]]
    assert made.type_BT.tolist() == [[0] * 6, [0, 0, 0, 1, 1, 1]]
    assert made.weight_BT.tolist() == [[0, 1, 0, 0, 2, 0], [0, 1, 0, 1, 1, 0]]  # the separator in a text is none
    assert made.length_B.tolist() == [6, 6]
    assert not made.hidden_BT.any()


def test_only_what_weighs_is_hidden_and_the_rest_is_read() -> None:
    made = blanks().hide(MARKS, np.random.default_rng(0), share=1.0)
    assert torch.equal(made.hidden_BT, made.weight_BT > 0)
    assert made.read_BT.tolist() == [[7, 9, 2, 8, 9, 8], [7, 9, 8, 9, 9, 8]]
    assert torch.equal(made.token_BT, blanks().token_BT)


def test_a_random_token_is_never_special() -> None:
    text = [((1, 2, 3, 4, 5, 6) * 50, (1.0,) * 300)]
    made = Blanks.of([text], MARKS).hide(MARKS, np.random.default_rng(0), share=1.0, masked=0.0, random=1.0)
    assert set(made.read_BT[made.hidden_BT].tolist()) == {0, 1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [((7, 1, 2, 8), (1, 2)), ((1, 2), (1, 2)), ((7,), ()), ((7, 8), ()), ((1, 8, 2), (1, 8, 2)), ((), ())],
)
def test_marks_at_the_ends_are_taken_off(tokens: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert bare(tokens, (0.5,) * len(tokens), MARKS) == (wanted, (0.5,) * len(wanted))


def test_from_scratch_one_token_begins_and_ends() -> None:
    marks = Marks(begin=8, separator=8, mask=9, special=frozenset({8, 9}), size=10)
    assert bare((8,), (0.0,), marks) == ((), ())
    assert bare((8, 1, 8), (0.0, 1.0, 0.0), marks) == ((1,), (1.0,))


@pytest.mark.parametrize(
    ("begin", "row", "wanted"),
    [
        (7, (7, 1, 2, 8, 0), (0, 0, 0, 0, 1)),  # a prompt; what stands behind it is another segment
        (7, (7, 1, 8, 2, 3, 8, 4), (0, 0, 0, 1, 1, 1, 1)),  # there are two of them
        (7, (7, 1, 2, 3), (0, 0, 0, 0)),
        (8, (8, 1, 8, 2, 8), (0, 0, 0, 1, 1)),  # from scratch, the first token is no end
    ],
)
def test_the_segments_of_a_text_are_read_off_its_separators(
    begin: int, row: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    marks = Marks(begin=begin, separator=8, mask=9, special=frozenset({begin, 8, 9}), size=10)
    tokens_BT = torch.tensor([row])
    assert marks.types(tokens_BT).tolist() == [list(wanted)]
    assert tokens_BT.tolist() == [list(row)]


@pytest.mark.parametrize(("budget", "sizes"), [(1, [1, 1, 1, 1]), (12, [1, 2, 1]), (14, [2, 2]), (1000, [4])])
def test_every_text_is_in_one_micro_batch_and_whole(budget: int, sizes: list[int]) -> None:
    lengths = (1, 5, 3, 2)
    made = Blanks.of([[(range(n), (1.0,) * n)] for n in lengths], MARKS).hide(MARKS, np.random.default_rng(0), 0.5)
    parts = list(made.split(budget))
    assert [len(rows) for _, rows in parts] == sizes
    assert sorted(row for _, rows in parts for row in rows.tolist()) == [0, 1, 2, 3]
    for micro, rows in parts:
        assert micro.token_BT.shape == (len(rows), max(lengths[row] for row in rows) + 2)
        for at, row in enumerate(rows.tolist()):
            stands = slice(0, lengths[row] + 2)
            for name in ("token_BT", "type_BT", "weight_BT", "read_BT", "hidden_BT"):
                assert torch.equal(getattr(micro, name)[at, stands], getattr(made, name)[row, stands])
            assert micro.length_B[at] == lengths[row] + 2


def test_filling_in_is_the_models_own_log_prob_at_each_hidden_place() -> None:
    policy, _ = Scratch(words=WORDS, shape="bert", width=8, num_heads=2, context=16).build(0, "float32")
    assert isinstance(policy, MaskedEncoder)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    texts = [[((0, 1, 2, 3, 4), (1.0,) * 5)], [((4, 3), (1.0, 1.0)), ((2,), (1.0,))]]
    made = Blanks.of(texts, policy.marks).hide(policy.marks, np.random.default_rng(3), 0.4)
    logprobs_N, likeliest_N, first_BH = fill(policy, made)
    at = 0
    for b, length in enumerate(made.length_B.tolist()):  # each text alone, by transformers
        inputs = {"input_ids": made.read_BT[b : b + 1, :length], "token_type_ids": made.type_BT[b : b + 1, :length]}
        logits_TV = policy.model(**inputs).logits[0]
        assert (first_BH[b] - policy.model.bert(**inputs).last_hidden_state[0, 0]).abs().max() < 1e-5
        for t in made.hidden_BT[b].nonzero()[:, 0].tolist():
            wanted = logits_TV[t].log_softmax(-1)[made.token_BT[b, t]]
            assert abs(logprobs_N[at].item() - wanted.item()) < 1e-5
            assert likeliest_N[at] == logits_TV[t].argmax()
            at += 1
    assert at == len(logprobs_N) == 3
