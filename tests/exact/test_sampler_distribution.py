"""What the sampler says of its draws; that they follow the distribution is a row of `strop verify` (sampler)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exact.tree import PROMPT, table_tree
from strop.samplers.local import LocalSampler, draw
from strop.types import Sampling
from strop.verify.sampling import SAMPLINGS, slow_distribution


@pytest.mark.parametrize("distribution", SAMPLINGS.values(), ids=str)
def test_sequences_carry_the_logprobs_of_the_exact_distribution(distribution: Sampling) -> None:
    tree = table_tree(3, 3, seed=0, scale=0.7)
    rows = {s: tree.policy.weight[tree.policy.contexts[PROMPT + s]].tolist() for s in tree.states}
    distributions = {s: slow_distribution(row, distribution) for s, row in rows.items()}

    n, rng = 200, np.random.default_rng(1)
    sampling = Sampling(
        **{name: getattr(distribution, name) for name in ("temperature", "epsilon", "top_p", "top_k")}, max_tokens=3
    )
    drawn = LocalSampler(tree.policy, frozenset({0}), batch=n).sample([PROMPT] * n, sampling, [rng] * n)
    for one in drawn:
        expected = [distributions[one.tokens[:t]][token] for t, token in enumerate(one.tokens)]
        assert np.exp(one.logprobs) == pytest.approx(expected, abs=1e-12)
        assert one.finish == ("stop" if one.tokens[-1] == 0 else "length")


def test_draw_inverts_the_cumulated_distribution() -> None:
    distribution = torch.tensor([[0.2, 0.0, 0.5, 0.3, 0.0]], dtype=torch.float64).expand(7, -1)
    uniform = torch.tensor([0.0, 0.199999, 0.2, 0.69, 0.71, 0.999999, 1.0 - 2**-53], dtype=torch.float64)
    assert draw(distribution, uniform).tolist() == [0, 0, 2, 2, 3, 3, 3]


def test_draw_never_takes_an_impossible_token() -> None:
    # float32 rounding: the distribution sums to less than 1, and the last entries have probability 0
    distribution = torch.zeros(1, 1000)
    distribution[0, 1:999] = torch.softmax(torch.zeros(998), -1)
    top = 1.0 - 2**-53
    assert draw(distribution, torch.tensor([top], dtype=torch.float64)).item() == 998
    assert draw(distribution, torch.tensor([0.0], dtype=torch.float64)).item() == 1
