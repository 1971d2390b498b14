"""Which tokens of a text are hidden from a model that fills them in, and what stands in their places.

Devlin et al. 2019 (1810.04805), section 3.1, Task 1. All draws come from the generator that is given.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SHARE, MASKED, RANDOM = 0.15, 0.8, 0.1
"""The paper's: of all tokens the share that is chosen; of the chosen ones those that become the mask, and those that
become a random token. The others stay."""


def choose(can_BT: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """bool [B, T]: of the tokens of each row that can be chosen this share, rounded, and at least one.

    A row without such tokens gives none. Every set of so many tokens is as likely as any other.
    """
    dice_BT = torch.from_numpy(rng.random(can_BT.shape)).masked_fill(~can_BT, 2.0)
    rank_BT = dice_BT.argsort(dim=1).argsort(dim=1)
    num_B = (share * can_BT.sum(dim=1)).round().clamp(min=1)
    return can_BT & (rank_BT < num_B.unsqueeze(1))


def corrupt(
    tokens_BT: Tensor,
    chosen_BT: Tensor,
    mask: int,
    ordinary_V: np.ndarray,
    rng: np.random.Generator,
    masked: float = MASKED,
    random: float = RANDOM,
) -> Tensor:
    """The tokens [B, T] as the model reads them: each chosen one is the mask with probability `masked`, one of the
    ordinary tokens with probability `random`, and else itself."""
    dice_BT = torch.from_numpy(rng.random(tokens_BT.shape))
    others_BT = torch.from_numpy(ordinary_V[rng.integers(len(ordinary_V), size=tuple(tokens_BT.shape))])
    read_BT = torch.where(chosen_BT & (dice_BT < masked + random), others_BT.to(tokens_BT.dtype), tokens_BT)
    return read_BT.masked_fill(chosen_BT & (dice_BT < masked), mask)
