"""Held-out documents with hidden tokens: which tokens, what they cost, and the sentences that are shown."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from small_corpus import text
from strop.data.vocabulary import backend_of, trained
from strop.filling import Filled, example, filled
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.scratch import Scratch
from strop.types import Tokenizer

CONTEXT = 19
"""Positions of the model: 16 tokens of a text."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return trained("word", 300, lambda: [text()])


def policy_of(tokenizer: Tokenizer, seed: int = 0, context: int = CONTEXT) -> MaskedEncoder:
    config = Scratch(tokenizer=tokenizer, shape="bert", width=8, num_heads=2, context=context)
    policy, _ = config.build(seed, "float32")
    assert isinstance(policy, MaskedEncoder)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return policy


def documents(tokenizer: Tokenizer, num: int = 6) -> list[np.ndarray]:
    """Each from its `<end>` to the next; they have 30 to 50 tokens, and one has a single word."""
    backend = backend_of(tokenizer)
    texts = [*text().split("\n\n")[: num - 1], "wood"]
    return [np.array([0, *backend.encode(one, add_special_tokens=False).ids, 0]) for one in texts]


def read_rows(policy: MaskedEncoder, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What the encoder reads from now on."""
    rows: list[list[int]] = []
    usual = policy.encoder.encode

    def encode(tokens_BT: torch.Tensor, length_B: torch.Tensor, type_BT: torch.Tensor) -> torch.Tensor:
        rows.extend(row[:n] for row, n in zip(tokens_BT.tolist(), length_B.tolist(), strict=True))
        return usual(tokens_BT, length_B, type_BT)

    monkeypatch.setattr(policy, "encode", encode)
    return rows


def test_of_every_piece_a_share_is_hidden_always_the_same_and_all_by_the_mask(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = documents(tokenizer)
    pieces = [one[1:-1][first : first + 16].tolist() for one in some for first in range(0, len(one) - 2, 16)]
    seen = []
    for seed, micro_tokens in ((0, 4096), (1, 4096), (2, 40)):
        policy = policy_of(tokenizer, seed)
        rows = read_rows(policy, monkeypatch)
        filled(policy, some, micro_tokens)
        seen.append(sorted(rows))
    assert seen[0] == seen[1] == seen[2]
    mask, left = policy.marks.mask, Counter(map(tuple, pieces))
    assert len(seen[0]) == len(pieces)
    for row in seen[0]:
        assert row[0] == row[-1] == 0
        assert row.count(mask) == max(1, round(0.15 * (len(row) - 2)))
        fits = [piece for piece in left if len(piece) == len(row) - 2]
        whose = [one for one in fits if all(a in (b, mask) for a, b in zip(row[1:-1], one, strict=True))]
        assert whose  # the rest of it is as it was


def test_the_loss_is_each_document_s_own(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece, by transformers' own forward pass."""
    policy, some = policy_of(tokenizer), documents(tokenizer)
    rows = read_rows(policy, monkeypatch)
    found = filled(policy, some, 200)
    assert isinstance(found, Filled)
    nll, right, stood = 0.0, 0, Counter[int]()
    assert len(rows) > len(some)  # a document has several pieces
    flat = {tuple(one[1:-1][first : first + 16].tolist()) for one in some for first in range(0, len(one) - 2, 16)}
    for row in rows:
        (piece,) = {
            one
            for one in flat
            if len(one) == len(row) - 2
            and all(a in (b, policy.marks.mask) for a, b in zip(row[1:-1], one, strict=True))
        }
        logits_TV = policy.model(input_ids=torch.tensor([row])).logits[0]
        for t, token in enumerate(piece, 1):
            if row[t] == policy.marks.mask:
                nll -= logits_TV[t].log_softmax(-1)[token].item()
                right += int(logits_TV[t].argmax() == token)
                stood[token] += 1
    num = stood.total()
    assert found.likelihood.loss == pytest.approx(nll / num, abs=1e-5)
    assert found.accuracy == right / num
    assert Counter(found.stood_N.tolist()) == stood
    assert found.likelihood.tokens_D[-1] == 1  # of the single word, that one
    assert found.likelihood.tokens_D.sum() == num
    one = filled(policy, some[-1:], 200).likelihood
    assert one.loss == pytest.approx(found.likelihood.nll_D[-1], abs=1e-5)
    assert math.isnan(one.error)


SENTENCE = "The king went into the wood and the fox ran from the river to the tower."


def test_a_sentence_has_words_hidden_and_says_what_was_filled_in(tokenizer: Tokenizer) -> None:
    policy = policy_of(tokenizer, context=64)
    one = example(policy, backend_of(tokenizer), f"Oh! {SENTENCE} The end.", 0)
    assert one.sentence == SENTENCE  # the first with enough words
    assert one.hidden.count("____") == 2  # 15 % of 15 words
    pattern = re.escape(one.hidden).replace("____", r"(\w+)")
    words = re.fullmatch(pattern, SENTENCE)
    assert words is not None
    told = re.findall(r"\[(.*?)\]", one.filled)
    assert len(told) == 2
    for word, said in zip(words.groups(), told, strict=True):
        assert said == word or said.endswith(f", not {word}")
    assert re.sub(r"\[.*?\]", "____", one.filled) == one.hidden
    again = example(policy_of(tokenizer, 1, context=64), backend_of(tokenizer), SENTENCE, 0)
    assert again.hidden == one.hidden  # whatever the model
    assert example(policy, backend_of(tokenizer), SENTENCE, 1).hidden != one.hidden


def test_a_right_word_stands_alone(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, backend = policy_of(tokenizer, context=64), backend_of(tokenizer)
    right = iter(example(policy, backend, SENTENCE, 0).sentence)
    assert right

    def knows(policy: Any, blanks: Any) -> Any:
        return None, blanks.token_BT[blanks.hidden_BT], None

    monkeypatch.setattr("strop.filling.fill", knows)
    one = example(policy, backend, SENTENCE, 0)
    assert ", not " not in one.filled
    assert one.filled.replace("[", "").replace("]", "") == SENTENCE


@pytest.mark.parametrize(
    "sentence", ["春眠不覺曉處處聞啼鳥。", "word", "1 2 3 4", "a b c d e f g h i j k l m n o p q r s t"]
)
def test_any_text_can_be_shown(tokenizer: Tokenizer, sentence: str) -> None:
    """Chinese, a single word, none at all, and one longer than the context."""
    one = example(policy_of(tokenizer), backend_of(tokenizer), sentence, 0)
    assert "____" in one.hidden
    assert len(one.read) <= CONTEXT
    assert sentence.startswith(one.sentence)
