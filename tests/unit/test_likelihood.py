"""Held-out likelihood beside one token at a time, and the standard error of a ratio by hand."""

import math

import numpy as np
import pytest
import torch

import strop
from strop.batch import collate
from strop.likelihood import Likelihood, likelihood

WORDS = ["a", "b", "c", "d"]
RNG = np.random.default_rng(1)
DOCUMENTS = [RNG.integers(0, 4, size=size) for size in (2, 5, 11, 40)]


def scratch(context: int):
    config = strop.policies.Scratch(words=WORDS, has_end=False, width=16, num_heads=2, num_layers=1, context=context)
    policy, _ = config.build(seed=0, dtype="float32")
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3.0)  # far from uniform
    return policy


def slowly(policy, document: np.ndarray, first: int) -> list[float]:
    """-log p of each token given the tokens from `first(t)` to it, by prefill alone."""
    found = []
    for t in range(1, len(document)):
        logits_1V, _ = policy.prefill([tuple(document[first(t) : t].tolist())])
        found.append(-torch.log_softmax(logits_1V.double(), -1)[0, document[t]].item())
    return found


def test_a_document_that_fits_is_read_as_one():
    policy = scratch(64)
    found = likelihood(policy, DOCUMENTS, micro_tokens=4096)
    expected = [sum(slowly(policy, document, lambda t: 0)) for document in DOCUMENTS]
    assert found.nll_D == pytest.approx(expected, rel=1e-5)
    assert found.tokens_D.tolist() == [1, 4, 10, 39]
    assert found.loss == pytest.approx(sum(expected) / 54, rel=1e-5)


def test_a_longer_one_is_read_in_windows_with_half_a_window_before_every_token():
    policy, window = scratch(8), 8
    found = likelihood(policy, DOCUMENTS, micro_tokens=4096)

    def first(t: int) -> int:
        """Where the window of token t begins: [0, 8), then windows of four new tokens after the four before them."""
        return 0 if t < window else (t - window) // 4 * 4 + 4

    expected = [sum(slowly(policy, document, first)) for document in DOCUMENTS]
    assert found.nll_D == pytest.approx(expected, rel=1e-5)


def test_micro_batches_change_nothing():
    policy = scratch(64)
    whole = likelihood(policy, DOCUMENTS, 4096)
    for micro_tokens in (64, 16, 1):  # fewer than a window too
        assert likelihood(policy, DOCUMENTS, micro_tokens).nll_D == pytest.approx(whole.nll_D, rel=1e-6)


def test_a_long_document_does_not_widen_the_short_ones(monkeypatch):
    policy, short = scratch(64), [DOCUMENTS[1]] * 30
    whole, widths = likelihood(policy, [DOCUMENTS[3], *short], 4096), []

    def seen(draw, layout):
        batch = collate(draw, layout)
        widths.append(batch.tokens_BT.shape[1])
        return batch

    monkeypatch.setattr("strop.likelihood.ROWS", 10)
    monkeypatch.setattr("strop.likelihood.collate", seen)
    again = likelihood(policy, [DOCUMENTS[3], *short], 4096)
    assert widths == [5, 5, 5, 40]
    assert again.nll_D == pytest.approx(whole.nll_D, rel=1e-6)


def test_documents_without_a_word_have_no_perplexity_a_word():
    assert math.isnan(Likelihood(np.array([2.0, 6.0]), np.array([1, 2])).per(np.int64(0)))


def test_perplexities_of_a_uniform_policy():
    policy, _ = strop.policies.NGram.Config(words=WORDS, has_end=False).build(0)
    found = likelihood(policy, DOCUMENTS, 4096)
    assert found.loss == pytest.approx(math.log(4), abs=1e-12)
    assert found.per(54) == pytest.approx(4.0)
    assert found.per(27) == pytest.approx(16.0)  # units of two tokens


def test_the_error_is_that_of_a_ratio():
    # losses 2, 6 and 4 nats over 1, 2 and 3 tokens: ratio 2; residuals 0, 2, -2; sqrt(3/2 * 8) / 6
    found = Likelihood(np.array([2.0, 6.0, 4.0]), np.array([1, 2, 3]))
    assert found.loss == 2.0
    assert found.error == pytest.approx(math.sqrt(12) / 6)
    assert math.isnan(Likelihood(np.array([2.0]), np.array([1])).error)
