"""Sampling, search and policies on a pretended device: where numbers are, and how often they are fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chunks import chunked, numbers
from exact.coin import identical
from strop.batch import collate
from strop.codec import VectorCodec
from strop.planning.beam import beam_search
from strop.planning.enumeration import enumerate_sequences
from strop.planning.mcts import Problem, TreeSearch, critic_values
from strop.policies.mlp import MLP
from strop.policies.steered import Steered
from strop.samplers.local import LocalSampler, draw
from strop.types import Sampling
from strop.verify.awkward import picks

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended, transfers

# ---------------------------------------------------------------- the sampler


@pytest.mark.parametrize(("has_float64", "drawn_on"), [(True, "pretend"), (False, "cpu")])
def test_one_transfer_a_token_for_all_rows(has_float64: bool, drawn_on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.samplers.local.WITHOUT_FLOAT64", () if has_float64 else ("pretend",))
    sampling, drawn = Sampling(temperature=0.7, epsilon=0.1, max_tokens=2), []

    def sampled(policy: Any) -> list[tuple[Any, ...]]:
        rngs = [np.random.default_rng(i) for i in range(8)]
        found = LocalSampler(policy, frozenset({3})).sample([(1,), (2,)] * 4, sampling, rngs)
        return [(one.tokens, one.logprobs, one.finish) for one in found]

    expected = sampled(chunked("cpu"))
    assert len({len(tokens) for tokens, *_ in expected}) > 1, "some rows stop early"
    with pretended(has_float64):
        policy = chunked(DEVICE)
        decode = policy.decode
        policy.decode = lambda state, tokens_B: drawn.append(tokens_B.device.type) or decode(state, tokens_B)
        with transfers() as seen:
            assert sampled(policy) == expected
    # this policy looks tokens up in lists, and reads them once for that
    assert len([line for line in seen.to_host if "chunked.py" not in line]) == 2, seen.to_host
    assert seen.random == []
    assert drawn == [drawn_on]  # what was drawn stays there


def test_the_draw_is_made_on_the_device_of_the_probabilities() -> None:
    probs_BV = torch.softmax(torch.randn(5, 700, generator=torch.Generator().manual_seed(0)), dim=-1)
    dice_B = torch.tensor([0.0, 0.1, 0.5, 0.999, 0.3], dtype=torch.float64)
    with pretended():
        there = probs_BV.to(DEVICE), dice_B.to(DEVICE)
        with transfers() as seen:
            drawn_B = draw(*there)
        assert (seen.to_host, seen.to_device, seen.random) == ([], [], [])
        assert drawn_B.tolist() == draw(probs_BV, dice_B).tolist()


# ---------------------------------------------------------------- planning


def test_search_reads_a_policy_on_a_device() -> None:
    sampling, stop = Sampling(max_tokens=2), frozenset({3})

    def found(policy: Any) -> list[Any]:
        problem = Problem((1,), sampling, stop, lambda tokens: float(sum(tokens)))
        tree = TreeSearch(TreeSearch.Config(num_simulations=5), policy, problem, critic_values(policy, problem))
        beams = beam_search(policy, (1,), sampling, stop, width=3)
        return [tree.decode(), beams, enumerate_sequences(policy, (1,), sampling, stop).sequences]

    expected = found(chunked("cpu"))
    with pretended(has_float64=False):
        assert found(chunked(DEVICE)) == expected


# ---------------------------------------------------------------- policies


def vectors() -> MLP.Config:
    """A network over two numbers."""
    return MLP.Config(actions=("a", "b", "c"), size=2, hidden=(8,), value_head=True)


@pytest.mark.parametrize("steered", [False, True])
def test_a_network_has_the_same_numbers_and_outputs_everywhere(steered: bool) -> None:
    config = Steered.Config(base=vectors(), strength=0.5) if steered else vectors()
    prompt = VectorCodec(("a", "b", "c"), 2).start("[0.5, -2.0]")
    batch = collate(tuple(picks()[:1]), "joined")
    batch = replace(
        batch,
        tokens_BT=torch.tensor([[*prompt, 1], [*prompt, 2]]),
        action_BT=torch.tensor([[False, False, True]] * 2),
        next_BT=torch.full((2, 3), -1),
    )

    def read(policy: Any) -> dict[str, Tensor]:
        def sums(heads: Any) -> dict[str, Tensor]:
            own_N = heads.logits_NV.gather(1, heads.tokens_N.unsqueeze(1)).squeeze(1)
            return {"own": own_N, "q": heads.q_NV.sum(dim=1), "value": heads.value_N}

        return policy.heads(batch, sums, frozenset({"logits", "q", "value"}))

    here, _ = config.build(0, "float32")
    expected, (logits_BV, _) = read(here), here.prefill([prompt])
    with pretended(has_float64=False):
        there, _ = config.build(0, "float32", str(DEVICE))
        for policy in (there, there.twin()):
            assert all(parameter.device == DEVICE for parameter in policy.parameters())
            assert identical(numbers(policy), numbers(here))
            found = read(policy)
            assert {one.device.type for one in found.values()} == {"cpu"}
            assert identical(found, expected)
        found_BV, _ = there.prefill([prompt])
        assert found_BV.device == DEVICE
        assert torch.equal(found_BV.cpu(), logits_BV)
        restored, _ = config.build(1, "float32", str(DEVICE))
        restored.load_state_dict({name: one.cpu() for name, one in there.state_dict().items()})
        assert identical(numbers(restored), numbers(here))
