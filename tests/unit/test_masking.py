"""Which tokens are hidden, and by what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strop.functional.masking import choose, corrupt

ROWS = 4000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("num", "share", "wanted"), [(20, 0.15, 3), (7, 0.15, 1), (2, 0.15, 1), (1, 0.15, 1), (10, 1.0, 10)]
)
def test_a_share_is_rounded_and_at_least_one(num: int, share: float, wanted: int) -> None:
    can_BT = torch.zeros(3, 24, dtype=torch.bool)
    can_BT[:, 2 : 2 + num] = True
    can_BT[2] = False
    chosen_BT = choose(can_BT, share, rng())
    assert chosen_BT.sum(dim=1).tolist() == [wanted, wanted, 0]
    assert not (chosen_BT & ~can_BT).any()


def test_every_set_of_places_is_as_likely() -> None:
    can_BT = torch.ones(ROWS, 5, dtype=torch.bool)
    can_BT[:, 2] = False
    found, counts = np.unique(choose(can_BT, 0.5, rng()).numpy(), axis=0, return_counts=True)
    assert len(found) == 6  # two of four places
    expected = ROWS / 6
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 20.5  # 5 degrees of freedom: exceeded once in a thousand


def test_of_the_chosen_tokens_eight_tenths_become_the_mask_and_a_tenth_another() -> None:
    tokens_BT, chosen_BT = torch.full((ROWS, 10), 3), torch.zeros(ROWS, 10, dtype=torch.bool)
    chosen_BT[:, ::2] = True
    ordinary_V = np.array([3, 4, 5, 6])
    read_BT = corrupt(tokens_BT, chosen_BT, 9, ordinary_V, rng())
    assert torch.equal(read_BT[~chosen_BT], tokens_BT[~chosen_BT])
    read_N, num = read_BT[chosen_BT], 5 * ROWS
    for token, share in ((9, 0.8), (3, 0.1 + 0.1 / 4), (4, 0.1 / 4), (5, 0.1 / 4), (6, 0.1 / 4)):
        spread = (share * (1 - share) / num) ** 0.5
        assert abs((read_N == token).sum().item() / num - share) < 4 * spread, token


@pytest.mark.parametrize(("masked", "random", "wanted"), [(1.0, 0.0, {9}), (0.0, 1.0, {4, 5}), (0.0, 0.0, {3})])
def test_all_of_one_kind(masked: float, random: float, wanted: set[int]) -> None:
    tokens_BT, chosen_BT = torch.full((50, 4), 3), torch.ones(50, 4, dtype=torch.bool)
    read_BT = corrupt(tokens_BT, chosen_BT, 9, np.array([4, 5]), rng(), masked, random)
    assert set(read_BT.flatten().tolist()) == wanted


def test_the_generator_decides() -> None:
    can_BT = torch.ones(8, 40, dtype=torch.bool)
    assert torch.equal(choose(can_BT, 0.15, rng(1)), choose(can_BT, 0.15, rng(1)))
    assert not torch.equal(choose(can_BT, 0.15, rng(1)), choose(can_BT, 0.15, rng(2)))
