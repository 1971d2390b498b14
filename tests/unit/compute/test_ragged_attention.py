"""Rows as one row of tokens: each prompt once, hardly any padding, and every token attends to its own row alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from answer_rows import BEGUN, CASES, LONG, SHORT, rows
from strop.compute.ragged_attention import RaggedBatch, Sequences, rounded_size


def test_a_prompt_is_read_once_and_nothing_is_padded() -> None:
    shared, alone = (RaggedBatch.of(*CASES[name], 1) for name in ("shared", "alone"))
    # an answer's last word predicts nothing
    assert shared.token_S.tolist() == [*LONG, *SHORT, 1, 1, 2, 3, 4, 5, 8]
    assert shared.position_S.tolist() == [0, 1, 2, 3, 4, 0, 1, 5, 2, 3, 4, 5, 6, 2]
    assert alone.token_S.tolist() == [*LONG, 1, *SHORT, 3, 4]
    assert alone.position_S.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]


def test_what_all_prompts_begin_with_is_read_once() -> None:
    shared, alone, within = (
        RaggedBatch.of(*CASES[name], 1) for name in ("begun alike", "begun alike, alone", "a prompt begins another")
    )
    assert shared.token_S.tolist() == [*BEGUN, 7, 8, 9, 1]
    assert shared.position_S.tolist() == [*range(6), 6, 6, 7, 7]
    assert alone.token_S.tolist() == [*BEGUN, 7, 1, 8, 9, 3, 4, 9]
    assert alone.position_S.tolist() == [*range(6), 6, 7, 6, 7, 8, 9, 6]
    assert within.token_S.tolist() == [*LONG, 6, 6, 9, 2, 3]  # a prompt keeps its last token
    assert within.position_S.tolist() == [*range(5), 5, 5, 6, 7, 8]


def test_a_beginning_is_read_apart_if_that_saves_an_eighth_of_the_tokens() -> None:
    enough, too_few = (RaggedBatch.of_prompts([(1, 2, *[3] * own), (1, 2, *[4] * own)], 1) for own in (6, 7))
    assert (len(enough.levels), len(enough.token_S)) == (2, 2 + 2 * 6)  # 2 of 16 are saved
    assert (len(too_few.levels), len(too_few.token_S)) == (1, 2 * 9)  # 2 of 18
    alike = RaggedBatch.of_prompts([(1, 2, 3)], 1)
    assert len(alike.levels) == 1  # one prompt saves nothing


def test_all_prompts_have_the_beginning() -> None:
    """The first and the last have more in common than all of them."""
    ragged = RaggedBatch.of_prompts([(1, 2, 3, 4), (1, 5, 3), (1, 2, 3, 6)], 1)
    assert ragged.token_S.tolist() == [1, 2, 3, 4, 5, 3, 2, 3, 6]


def test_equal_prompts_stay_two_prompts() -> None:
    """Their rows are asked for in order."""
    ragged = RaggedBatch.of_prompts([(1, 2, 3), (1, 2, 3)], 1)
    assert ragged.token_S.tolist() == [1, 2, 3, 3]
    assert ragged.before_N.tolist() == [2, 3]


def test_rows_are_rounded_up_by_a_sixteenth_at_most() -> None:
    for name in ("35 tokens, read as 36", "35 tokens alone"):
        ragged = RaggedBatch.of(*CASES[name], 1)
        assert (len(ragged.token_S), len(ragged.position_S)) == (36, 36)
    rounded = [rounded_size(num) for num in range(5000)]
    assert rounded[:33] == [*range(33)]
    assert all(num <= found <= num * 17 / 16 for num, found in enumerate(rounded))
    assert {num for num in rounded if 1024 < num <= 2048} == {*range(1088, 2049, 64)}


def seen_by(ragged: RaggedBatch, heads: int, key_heads: int) -> Tensor:
    """Which tokens [H, S, S] each token attends to: the values say who they are, and all scores are equal."""
    num = len(ragged.token_S)
    query, key = torch.zeros(1, heads, num, num), torch.zeros(1, key_heads, num, num)
    value = one_hot(torch.arange(num)).float().expand(1, key_heads, -1, -1)
    out_SHS = ragged.attend(query, key, value, 1.0)[0].view(num, heads, num)
    return out_SHS.transpose(0, 1) > 0


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("name", CASES)
def test_a_token_attends_to_its_row_up_to_itself(name: str, key_heads: int) -> None:
    tokens_BT, decision_BT = CASES[name]
    ragged = RaggedBatch.of(tokens_BT, decision_BT, 4 // key_heads)
    seen_HSS, slots = seen_by(ragged, 4, key_heads), decision_BT.nonzero().tolist()
    assert len(ragged.before_N) == len(slots)
    for (row, slot), token in zip(slots, ragged.before_N.tolist(), strict=True):
        for seen_S in seen_HSS[:, token]:
            order = ragged.position_S[seen_S].argsort()
            assert ragged.token_S[seen_S][order].tolist() == tokens_BT[row, :slot].tolist()
            assert ragged.position_S[seen_S].sort().values.tolist() == [*range(slot)]


def test_a_decision_after_other_tokens_in_the_row() -> None:
    """A second turn: what the environment said stands between two answers."""
    tokens_BT, decision_BT = rows((LONG, [1, 2, 3, 4, 5]), (LONG, [2, 3]))
    decision_BT[0, 6:9] = False
    ragged = RaggedBatch.of(tokens_BT, decision_BT, 1)
    assert ragged.token_S.tolist() == [*LONG, 1, 2, 3, 4, 2]
    assert ragged.before_N.tolist() == [4, 8, 4, 9]


def test_padding_attends_to_nothing_and_is_seen_by_nobody() -> None:
    seen_HSS = seen_by(RaggedBatch.of(*CASES["35 tokens, read as 36"], 1), 2, 2)
    assert not seen_HSS[:, 35].any()
    assert not seen_HSS[:, :, 35].any()


def test_sequences_are_padded_and_back() -> None:
    sequences, states_SHD = Sequences.of(torch.tensor([2, 0, 3])), torch.randn(5, 2, 4)
    padded_BHWD = sequences.pad(states_SHD)
    assert padded_BHWD.shape == (3, 2, 3, 4)
    assert torch.equal(padded_BHWD[2].transpose(0, 1), states_SHD[2:])
    assert not padded_BHWD[0, :, 2:].any()
    assert not padded_BHWD[1].any()
    assert torch.equal(sequences.unpad(padded_BHWD), states_SHD)
    assert [one.tolist() for one in sequences.positions()] == [[0, 0, 2, 2, 2], [0, 1, 0, 1, 2]]
    assert Sequences.of(torch.zeros(0, dtype=torch.long)).pad(states_SHD[:0]).shape == (0, 2, 0, 4)
