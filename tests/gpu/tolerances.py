"""How far a device may be from the CPU.

In float32 two orders of a sum differ by some 1e-6: a hundred times less than what is allowed here, and TF32, which
float32 must not be computed in, is off by more. In bfloat16 two orders of a sum differ as much as each differs from
float32. So that distance is compared: it must be of the size that it has on the CPU, and not 0 either.
"""

from __future__ import annotations

from torch import Tensor

from strop.runs.guards import GapTolerance

LOGPROB = GapTolerance.of("float32").max
"""Of one log-prob, in nats."""
SHARE = 1e-4
"""Of a gradient, of values, and of the way that weights have gone, as a share of its length."""
FACTOR = 3.0
"""Between the distances from float32 on two devices."""
FLIPPED = 0.02
"""The share of sampled tokens that may differ under the same dice: a flip is as rare as its probabilities are near
(1e-6 a token), and what follows it in its row is another text."""


def apart(one: Tensor, other: Tensor) -> float:
    """The distance as a share of the other's length."""
    return float((one - other).norm() / other.norm())


def rounds_alike(there: Tensor, here: Tensor, exact: Tensor) -> bool:
    """Whether it is as far from the exact numbers there as here."""
    return 1 / FACTOR <= apart(there, exact) / apart(here, exact) <= FACTOR
