"""Slow losses of the policy gradients, per act: of new log-probs, old log-probs and advantages of one answer."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from strop.verify.slow_gradients import Flag, Term


def plain(new_T: Tensor, old_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, None]:
    """-A log pi."""
    return -advantage_T * new_T, None


def held(ratio_T: Tensor, advantage_T: Tensor, low: float, high: float, dual: float | None = None) -> Tensor:
    """max(-rho A, -clip(rho) A), act by act and case by case."""
    terms = []
    for ratio, advantage in zip(ratio_T, advantage_T.tolist(), strict=True):
        if advantage > 0:
            terms.append(-advantage * (ratio if ratio.item() <= 1 + high else ratio.detach() * 0 + 1 + high))
        else:
            top = ratio if dual is None or ratio.item() <= dual else ratio.detach() * 0 + dual
            terms.append(-advantage * (top if ratio.item() >= 1 - low else ratio.detach() * 0 + 1 - low))
    return torch.stack(terms)


def by_token(low: float, high: float, dual: float | None = None) -> Term:
    """One ratio an act."""

    def term(new_T: Tensor, old_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, Tensor]:
        ratio_T = (new_T - old_T).exp()
        return held(ratio_T, advantage_T, low, high, dual), ratio_T

    return term


def by_answer(low: float, high: float, is_mean: bool) -> Term:
    """One ratio an answer: of its whole probability (RLOO), or of its geometric mean an act (GSPO)."""

    def term(new_T: Tensor, old_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, Tensor]:
        length = len(new_T)
        whole = (new_T - old_T).sum() / (length if is_mean else 1)
        ratio_T = whole.exp().repeat(length)
        return held(ratio_T, advantage_T, low, high) / (1 if is_mean else length), ratio_T

    return term


def stopped(low: float, high: float, dual: float | None = None) -> tuple[str, Flag]:
    """The acts whose gradient the clip removes."""
    top = math.inf if dual is None else dual
    return "policy/clip_active", lambda r, a: (r > 1 + high and a > 0) or ((r < 1 - low or r > top) and a < 0)


def kept(mu: float, pi: float, advantage: float, divergence: str, delta: float) -> bool:
    """Whether DPPO still learns from a token, case by case."""
    if divergence == "tv":
        far = abs(pi - mu)
    elif mu < 1.0 and pi == 1.0:
        far = math.inf
    else:
        far = mu * math.log(mu / pi) + ((1 - mu) * math.log((1 - mu) / (1 - pi)) if mu < 1.0 else 0.0)
    return far <= delta or (pi < mu if advantage > 0 else pi > mu)


def within(divergence: str, delta: float) -> tuple[Term, Callable[[], dict[str, float]]]:
    """DPPO's loss, and the share of acts that it left out since this was last asked."""
    seen: list[bool] = []

    def term(new_T: Tensor, mu_T: Tensor, advantage_T: Tensor) -> tuple[Tensor, Tensor]:
        moved = zip(mu_T.exp().tolist(), new_T.detach().exp().tolist(), advantage_T.tolist(), strict=True)
        stays = [kept(mu, pi, advantage, divergence, delta) or advantage == 0.0 for mu, pi, advantage in moved]
        seen.extend(not one for one in stays)
        ratio_T = (new_T - mu_T).exp()
        return -advantage_T * ratio_T * torch.tensor(stays, dtype=torch.float64), ratio_T

    def masked() -> dict[str, float]:
        share = sum(seen) / len(seen)
        seen.clear()
        return {"policy/masked": share}

    return term, masked
