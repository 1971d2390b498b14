"""Recurrent and convolutional language models: each layer by its formula, dropout, fields."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from language_models import STATEFUL, WORDS, batch_after, config_of, logits_of, policy_of
from strop.policies._dropout import Dropout
from strop.policies.convolutional import Convolutional
from strop.policies.recurrent import Recurrent
from strop.types import Heads
from tiny_tokenizer import tokenizer

LAYERED = [name for name in STATEFUL if name != "textgenrnn"]
ROW = (1, 2, 0, 3, 4, 1, 1, 0, 2, 4, 3, 2)
Array = Any


# ---------------------------------------------------------------- by their formulas


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normed(x: Array, w: dict[str, Array], name: str) -> Array:
    scaled = (x - x.mean()) / math.sqrt(x.var() + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def lstm(x: Array, state: Array, w: dict[str, Array], at: str) -> tuple[Array, Array]:
    h, c = state
    gates = w[f"{at}.weight_ih_l0"] @ x + w[f"{at}.bias_ih_l0"] + w[f"{at}.weight_hh_l0"] @ h + w[f"{at}.bias_hh_l0"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


def gru(x: Array, state: Array, w: dict[str, Array], at: str) -> tuple[Array, Array]:
    h, _ = state
    from_x = w[f"{at}.weight_ih_l0"] @ x + w[f"{at}.bias_ih_l0"]
    from_h = w[f"{at}.weight_hh_l0"] @ h + w[f"{at}.bias_hh_l0"]
    (rx, zx, nx), (rh, zh, nh) = np.split(from_x, 3), np.split(from_h, 3)
    r, z = sigmoid(rx + rh), sigmoid(zx + zh)
    h = (1 - z) * np.tanh(nx + r * nh) + z * h
    return h, (h, h)


def rnn(x: Array, state: Array, w: dict[str, Array], at: str) -> tuple[Array, Array]:
    h, _ = state
    inner = w[f"{at}.weight_ih_l0"] @ x + w[f"{at}.bias_ih_l0"] + w[f"{at}.weight_hh_l0"] @ h + w[f"{at}.bias_hh_l0"]
    return np.tanh(inner), (np.tanh(inner), h)


def recurrent(inputs: list[Array], w: dict[str, Array], cell: Any) -> list[Array]:
    inputs = [normed(x, w, "trunk.norm") for x in inputs]
    for layer in range(2):
        state = (np.zeros(8), np.zeros(8))
        outputs = []
        for x in inputs:
            h, state = cell(x, state, w, f"trunk.layers.{layer}")
            outputs.append(h)
        inputs = outputs
    return inputs


def convolutional(inputs: list[Array], w: dict[str, Array]) -> list[Array]:
    inputs = [w["trunk.first.weight"] @ x + w["trunk.first.bias"] for x in inputs]
    for layer, distance in enumerate((1, 2, 4)):
        at = f"trunk.layers.{layer}"
        seen = [normed(x, w, f"{at}.norm") for x in inputs]
        outputs = []
        for t, x in enumerate(inputs):
            gated = w[f"{at}.gated.bias"].copy()
            for j in range(3):  # weight j belongs to the input (2 - j) d before
                if t - (2 - j) * distance >= 0:
                    gated += w[f"{at}.gated.weight"][:, 8 * j : 8 * j + 8] @ seen[t - (2 - j) * distance]
            value, gate = np.split(gated, 2)
            outputs.append(x + w[f"{at}.mixed.weight"] @ (np.tanh(value) * sigmoid(gate)) + w[f"{at}.mixed.bias"])
        inputs = outputs
    return inputs


@pytest.mark.parametrize("name", LAYERED)
def test_its_logits_are_those_of_the_formula(name: str) -> None:
    policy = policy_of(name)
    w = {key: tensor.double().numpy() for key, tensor in policy.state_dict()["weights"].items()}
    inputs = [w["embedding.weight"][token] * math.sqrt(8) for token in ROW[:-1]]
    hidden = convolutional(inputs, w) if name == "convolutional" else recurrent(inputs, w, globals()[name])
    output = w.get("output.weight", w["embedding.weight"])
    wanted = np.stack([output @ normed(h, w, "norm") for h in hidden])
    assert np.abs(logits_of(policy, [ROW])[0].detach().numpy() - wanted).max() < 1e-5


def test_a_convolution_sees_as_far_as_it_says() -> None:
    policy = policy_of("convolutional")  # 3 layers of kernel 3: 1 + 2 (1 + 2 + 4) tokens
    row = tuple(i % 5 for i in range(30))
    (before_TV,) = logits_of(policy, [row])
    (after_TV,) = logits_of(policy, [(row[0] + 1, *row[1:])])
    changed = [t for t in range(29) if (before_TV[t] - after_TV[t]).abs().max() > 1e-6]
    assert changed == list(range(15))


def test_its_layers_look_ever_further_and_start_again() -> None:
    policy, _ = config_of("convolutional", num_layers=10).build(0)
    assert [layer.distance for layer in policy.trunk.layers] == [1, 2, 4, 8, 16, 32, 64, 128, 1, 2]


@pytest.mark.parametrize("name", ["lstm", "convolutional"])
def test_tied_weights_are_those_of_the_embedding(name: str) -> None:
    counts = [sum(p.numel() for p in config_of(name, tied=t).build(0)[0].parameters()) for t in (True, False)]
    assert counts[1] - counts[0] == 6 * 8


# ---------------------------------------------------------------- dropout


def test_dropout_keeps_the_mean_and_draws_from_its_own_generator() -> None:
    dropout, before = Dropout(0.25, seed=3), torch.random.get_rng_state()
    numbers = torch.full((40_000,), 3.0, requires_grad=True)
    dropped = dropout(numbers)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert set(dropped.detach().unique().tolist()) == {0.0, 4.0}
    # 40,000 draws of .25: the standard deviation of the share is .0022
    assert (dropped == 0).double().mean().item() == pytest.approx(0.25, abs=4 * 0.0022)
    dropped.sum().backward()
    assert torch.equal(numbers.grad, dropped.detach() / 3)
    with torch.no_grad():
        assert dropout(numbers) is numbers


def test_dropout_goes_on_from_its_state() -> None:
    one, other = Dropout(0.5, seed=0), Dropout(0.5, seed=1)
    numbers = torch.ones(64)
    one(numbers)
    other.set_state(one.state())
    assert torch.equal(one(numbers), other(numbers))


@pytest.mark.parametrize("name", LAYERED)
def test_dropout_acts_in_the_loss_alone(name: str) -> None:
    plain, dropped = policy_of(name), policy_of(name, dropout=0.5)
    dropped.load_state_dict(plain.state_dict())
    wanted = logits_of(plain, [ROW])[0]
    first, second = (logits_of(dropped, [ROW])[0] for _ in range(2))
    assert min((a - b).abs().max() for a, b in pairwise([first, second, wanted])) > 0.01
    with torch.no_grad():
        assert (logits_of(dropped, [ROW])[0] - wanted).abs().max() < 1e-6
    assert (dropped.prefill([ROW[:-1]])[0][0] - wanted[-1]).abs().max() < 1e-5
    assert (logits_of(dropped.reference(), [ROW])[0] - wanted).abs().max() < 1e-5
    twin = dropped.twin()
    assert torch.equal(logits_of(twin, [ROW])[0], logits_of(dropped, [ROW])[0])  # the same masks, each its own


@pytest.mark.parametrize("name", LAYERED)
def test_nothing_is_drawn_from_the_global_generator(name: str) -> None:
    before = torch.random.get_rng_state()
    policy, _ = config_of(name, dropout=0.5).build(0)
    read = policy.heads(batch_after([ROW]), total)
    read["total"].sum().backward()
    assert torch.equal(torch.random.get_rng_state(), before)


def total(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    return {"total": heads.logits_NV.sum(dim=1)}


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (Recurrent.Config, {}, "neither of them is given"),
        (Recurrent.Config, {"words": WORDS, "tokenizer": tokenizer()}, "both of them is given"),
        (Recurrent.Config, {"words": WORDS, "width": 0}, r"policy\.width=0: it is at least 1"),
        (Recurrent.Config, {"words": WORDS, "num_layers": 0}, r"policy\.num_layers=0: it is at least 1"),
        (Recurrent.Config, {"words": WORDS, "dropout": 1.0}, r"policy\.dropout=1\.0: it lies in \[0, 1\)"),
        (Recurrent.Config, {"words": WORDS, "kind": "elman"}, r"policy\.kind='elman': it is one of lstm, gru, rnn"),
        (Convolutional.Config, {"words": WORDS, "kernel": 1}, r"policy\.kernel=1: it is at least 2"),
        (Convolutional.Config, {"words": WORDS, "dropout": -0.1}, r"policy\.dropout=-0\.1"),
    ],
)
def test_a_wrong_field_is_named(kind: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(**given).build(0)


def test_another_shape_is_refused_before_anything_changes() -> None:
    policy, other = policy_of("lstm"), policy_of("gru")
    before = logits_of(policy, [ROW])[0]
    with pytest.raises(ValueError, match=r"of another shape: trunk\.layers\.0\.bias_hh_l0"):
        policy.load_state_dict(other.state_dict())
    assert torch.equal(logits_of(policy, [ROW])[0], before)


@pytest.mark.parametrize("name", STATEFUL)
def test_it_reads_tokens_of_a_tokenizer_and_any_length(name: str) -> None:
    policy, codec = config_of(name, words=(), tokenizer=tokenizer()).build(0)
    assert policy.context is None
    ids = codec.start("the cat sat on the mat " * 40)
    assert policy.prefill([ids])[0].shape == (1, policy.vocabulary)
    assert policy.vocabulary == len(codec.tokenizer)
