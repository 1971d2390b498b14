"""The optimum of KL-regularised RL in closed form: the target of every RLHF method.

max_pi E_pi[r] - beta * KL(pi || ref) over distributions of whole completions (Korbak 2022, 2205.11275; DPO, 2305.18290
eq. 4):

    pi*(y) = ref(y) e^{r(y) / beta} / Z,    Z = sum_y ref(y) e^{r(y) / beta},    J* = beta ln Z

Token by token the same distribution comes from soft backward induction, where the leaves are the rewards:

    V(prefix) = beta ln sum_v ref(v | prefix) e^{Q(prefix, v) / beta},    pi*(v | prefix) = ref e^{(Q - V) / beta},
    V(()) = J*

Without enumeration, from N completions of the reference (Ziegler 2019, 1909.08593, fig. 3): w = e^{r / beta},

    E_pi*[r] = sum w r / sum w,    KL = E_pi*[r] / beta - ln mean w

Degenerates: beta to infinity gives the reference, beta to 0 the best completion. The sampled KL cannot exceed ln N, so
trust a point only while its `effective_size` is far above 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from strop.planning.enumeration import PrefixValues, Reward, SequenceTree, induct
from strop.types import Tokens


@dataclass(frozen=True, slots=True)
class Optimum:
    """pi* over the completions, and its value: objective = reward - beta * kl = beta ln Z."""

    logprobs_Y: Tensor
    objective: float
    reward: float
    kl: float


def regularised_optimum(reference_logprobs_Y: Tensor, rewards_Y: Tensor, beta: float) -> Optimum:
    """pi* by one logsumexp over all completions."""
    _check_beta(beta)
    tilted_Y = reference_logprobs_Y + rewards_Y / beta
    log_Z = torch.logsumexp(tilted_Y, dim=0)
    logprobs_Y = tilted_Y - log_Z
    probs_Y = logprobs_Y.exp()
    kl = torch.where(probs_Y > 0, probs_Y * (logprobs_Y - reference_logprobs_Y), 0.0).sum()
    return Optimum(logprobs_Y, beta * float(log_Z), float(probs_Y @ rewards_Y), float(kl))


def soft_values(reference: SequenceTree, reward: Reward, beta: float) -> PrefixValues:
    """Soft Q and V of every prefix; V of () is J*."""
    _check_beta(beta)
    return induct(reference, reward, lambda logprobs_V, q_V: beta * float(torch.logsumexp(logprobs_V + q_V / beta, 0)))


def soft_policies(reference: SequenceTree, values: PrefixValues, beta: float) -> Mapping[Tokens, Tensor]:
    """The log-distribution [V] of pi* at every prefix: log ref + (Q - V) / beta."""
    _check_beta(beta)
    return {
        prefix: logprobs_V + (values.q[prefix] - values.value[prefix]) / beta
        for prefix, logprobs_V in reference.distributions.items()
    }


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A point of the frontier (the best reward at a KL), estimated from N samples; `effective_size` is
    (sum w)^2 / sum w^2."""

    beta: float
    reward: float
    kl: float
    effective_size: float


def frontier_point(rewards_N: Tensor, beta: float) -> FrontierPoint:
    """Reward and KL of pi* at this beta, from the rewards of N completions of the reference."""
    _check_beta(beta)
    if len(rewards_N) == 0:
        raise ValueError("no reward was given: the frontier is estimated from samples of the reference.")
    rewards_N = rewards_N.double()
    log_mean_w = float(torch.logsumexp(rewards_N / beta, dim=0)) - math.log(len(rewards_N))
    weight_N = torch.softmax(rewards_N / beta, dim=0)
    reward = float(weight_N @ rewards_N)
    return FrontierPoint(beta, reward, reward / beta - log_mean_w, 1.0 / float(weight_N.square().sum()))


def _check_beta(beta: float) -> None:
    if not 0.0 < beta < math.inf:
        raise ValueError(f"beta={beta}: the weight of the KL is a positive number.")
