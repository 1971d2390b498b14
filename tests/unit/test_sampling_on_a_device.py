"""Sampling, search and policies on a device that is pretended: where numbers are, and how often they are fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from exact.coin import identical
from pretended import Elsewhere, chunked, numbers, pretended
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

# ---------------------------------------------------------------- the sampler


@pytest.mark.parametrize(("device", "where"), [("cuda:0", Elsewhere), ("mps", Tensor)])
def test_one_transfer_a_token_for_all_rows(device: str, where: type) -> None:
    sampling = Sampling(temperature=0.7, epsilon=0.1, max_tokens=2)

    def sampled(policy: Any) -> list[tuple[Any, ...]]:
        rngs = [np.random.default_rng(i) for i in range(8)]
        found = LocalSampler(policy, frozenset({3})).sample([(1,), (2,)] * 4, sampling, rngs)
        return [(one.tokens, one.logprobs, one.finish) for one in found]

    expected = sampled(chunked("cpu"))
    assert len({len(tokens) for tokens, *_ in expected}) > 1, "some rows stop early"
    with pretended(device) as now:
        policy, seen = chunked(device), []
        decode = policy.decode

        def looked_up(state: Any, tokens_B: Tensor) -> Any:
            seen.append(type(tokens_B))
            before = now.waits
            found = decode(state, tokens_B)
            now.waits = before  # this policy looks tokens up in lists, and reads them once for that
            return found

        policy.decode = looked_up  # type: ignore[method-assign]
        now.waits = 0
        assert sampled(policy) == expected
        assert now.waits == 2  # a token for all rows
        assert seen == [where]  # what was drawn stays on the device


def test_the_draw_is_made_on_the_device_of_the_probabilities() -> None:
    probs_BV = torch.softmax(torch.randn(5, 700, generator=torch.Generator().manual_seed(0)), dim=-1)
    dice_B = torch.tensor([0.0, 0.1, 0.5, 0.999, 0.3], dtype=torch.float64)
    expected = draw(probs_BV, dice_B).tolist()
    with pretended("cuda:0") as now:
        there = probs_BV.to("cuda:0"), dice_B.to("cuda:0")
        now.sends = 0
        drawn_B = draw(*there)
        assert (now.waits, now.sends) == (0, 0)
        assert drawn_B.tolist() == expected


# ---------------------------------------------------------------- planning


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
def test_search_reads_a_policy_on_any_device(device: str) -> None:
    sampling, stop = Sampling(max_tokens=2), frozenset({3})

    def found(policy: Any) -> list[Any]:
        problem = Problem((1,), sampling, stop, lambda tokens: float(sum(tokens)))
        tree = TreeSearch(TreeSearch.Config(num_simulations=5), policy, problem, critic_values(policy, problem))
        beams = beam_search(policy, (1,), sampling, stop, width=3)
        return [tree.decode(), beams, enumerate_sequences(policy, (1,), sampling, stop).sequences]

    expected = found(chunked("cpu"))
    with pretended(device):
        assert found(chunked(device)) == expected


# ---------------------------------------------------------------- policies


def vectors() -> MLP.Config:
    """A network over two numbers."""
    return MLP.Config(actions=("a", "b", "c"), size=2, hidden=(8,), value_head=True)


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
@pytest.mark.parametrize("steered", [False, True])
def test_a_network_has_the_same_numbers_and_outputs_everywhere(device: str, steered: bool) -> None:
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
    with pretended(device):
        there, _ = config.build(0, "float32", device)
        for policy in (there, there.twin()):
            assert all(isinstance(parameter, Elsewhere) for parameter in policy.parameters())
            assert identical(numbers(policy), numbers(here))
            found = read(policy)
            assert not any(isinstance(one, Elsewhere) for one in found.values())
            assert identical(found, expected)
        assert isinstance(there.prefill([prompt])[0], Elsewhere)
        assert torch.equal(there.prefill([prompt])[0].cpu(), logits_BV)
        restored, _ = config.build(1, "float32", device)
        restored.load_state_dict({name: one.cpu() for name, one in there.state_dict().items()})
        assert identical(numbers(restored), numbers(here))
