"""Slow references of one update of the preference methods: loops and autograd over the log-probs of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.simpo import SimPO
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling, Tokens, Unscored, Update
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.tree import random_weights, relative, set_weights

EXACT = 1e-10
TEMPERATURE = 0.6


class Answer(NamedTuple):
    """log pi(y) - log ref(y) of an answer, and log pi(y) per token."""

    ratio: Tensor
    mean: Tensor


Loss = Callable[[Answer, Answer], Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """An update to make, and the slow loss whose gradient it must follow."""

    policy: Table
    algorithm: Any
    batch: Batch
    loss: Tensor

    def compare(self, case: str = "") -> tuple[Gap, Update]:
        """Make the update; the gap is the larger of those of its loss and of its step."""
        (gradient,) = torch.autograd.grad(self.loss, self.policy.parameters())
        before = self.policy.weight.detach().clone()
        update = self.algorithm.update(self.batch)
        step_gap = relative(before - self.policy.weight.detach(), gradient)
        loss_gap = abs(update.metrics["optimizer/loss"].value - self.loss.item())
        return Gap(max(step_gap, loss_gap), EXACT, case), update


def log_sigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), as written."""
    return torch.log(1 / (1 + torch.exp(-x)))


def moved_table(config: Any, prefixes: Sequence[Tokens], sign: float = 1.0) -> tuple[Table, Any, Tensor]:
    """A random table, the algorithm built on it, and the reference's weights; then the table moves away from them."""
    policy = Table(3, capacity=64)
    for prefix in prefixes:
        policy.row(prefix)
    start = random_weights(policy, seed=1, scale=2.0)
    set_weights(policy, start)
    algorithm = config.build(policy, Sampling(temperature=TEMPERATURE), 6)
    reference = policy.weight.detach().clone()
    set_weights(policy, start + sign * random_weights(policy, seed=2))
    return policy, algorithm, reference


def logprob(policy: Table, weight: Tensor, prompt: int, answer: Tokens, temperature: float = 1.0) -> Tensor:
    """log p(answer | prompt) under these parameters of the table."""
    rows = [policy.contexts[prompt, *answer[:t]] for t in range(len(answer))]
    terms = [torch.log_softmax(weight[row] / temperature, -1)[y] for row, y in zip(rows, answer, strict=True)]
    return torch.stack(terms).sum()


Groups = Mapping[int, Sequence[tuple[Tokens, float | Unscored]]]

# two prompts, three answers each, of several lengths, and a tie
COMPARED: Mapping[int, Sequence[tuple[Tokens, float]]] = {
    1: [((2, 0), 3.0), ((1, 1, 0), 1.0), ((0,), 2.0)],
    2: [((2, 2, 0), 0.0), ((1, 0), 1.0), ((0,), 1.0)],
}


def groups_batch(groups: Groups, logprob: float | None) -> Batch:
    """Every answer as an episode; `logprob` is the recorded one of each token, None for data."""
    episodes = [
        episode(turn((p,), y, None if logprob is None else [logprob] * len(y)), reward=r, group=p)
        for p, group in groups.items()
        for y, r in group
    ]
    return batch_of(*episodes, layout="per_turn")


def pair_case(config: Any, loss: Loss, sampled: bool = False) -> Case:
    """The mean over prompts of the mean `loss` of their strictly ordered pairs, away from the reference."""
    prefixes = [(p, *y[:t]) for p, group in COMPARED.items() for y, _ in group for t in range(len(y))]
    policy, algorithm, reference = moved_table(config, prefixes)
    temperature = TEMPERATURE if sampled else 1.0

    def read(prompt: int, answer: Tokens) -> Answer:
        own = logprob(policy, policy.weight, prompt, answer, temperature)
        return Answer(own - logprob(policy, reference, prompt, answer, temperature), own / len(answer))

    means = []
    for p, group in COMPARED.items():
        ordered = [(w, v) for w, better in group for v, worse in group if better > worse]
        means.append(torch.stack([loss(read(p, w), read(p, v)) for w, v in ordered]).mean())
    return Case(policy, algorithm, groups_batch(COMPARED, -1.0 if sampled else None), torch.stack(means).mean())


ONE = SGD(lr=1.0)


def check_dpo_step() -> Iterator[Gap]:
    """DPO: a slow reference, one update."""
    for smoothing in (0.0, 0.2):

        def loss(w: Answer, v: Answer, e: float = smoothing) -> Tensor:
            logit = 0.4 * (w.ratio - v.ratio)
            return -(1 - e) * log_sigmoid(logit) - e * log_sigmoid(-logit)

        config = DPO.Config(optimizer=ONE, beta=0.4, smoothing=smoothing)
        yield pair_case(config, loss).compare(f"smoothing {smoothing:g}")[0]


def check_robust_dpo_step() -> Gap:
    """Robust DPO: a slow reference, one update."""

    def loss(w: Answer, v: Answer) -> Tensor:
        logit = 0.4 * (w.ratio - v.ratio)
        return (-0.8 * log_sigmoid(logit) + 0.2 * log_sigmoid(-logit)) / 0.6

    return pair_case(RobustDPO.Config(optimizer=ONE, beta=0.4, flipped=0.2), loss).compare()[0]


def check_ipo_step() -> Gap:
    """IPO: a slow reference, one update."""
    config = IPO.Config(optimizer=ONE, tau=0.3)
    return pair_case(config, lambda w, v: (w.ratio - v.ratio - 1 / 0.6) ** 2).compare()[0]


def check_simpo_step() -> Gap:
    """SimPO: a slow reference, one update."""
    config = SimPO.Config(optimizer=ONE, beta=1.7, gamma=0.6)
    return pair_case(config, lambda w, v: -log_sigmoid(1.7 * (w.mean - v.mean) - 0.6)).compare()[0]


def check_orpo_step() -> Gap:
    """ORPO: a slow reference, one update."""

    def odds(mean: Tensor) -> Tensor:
        return torch.exp(mean) / (1 - torch.exp(mean))

    def loss(w: Answer, v: Answer) -> Tensor:
        return -w.mean - 0.3 * log_sigmoid(torch.log(odds(w.mean)) - torch.log(odds(v.mean)))

    return pair_case(ORPO.Config(optimizer=ONE, weight=0.3), loss).compare()[0]


def check_online_dpo_step() -> Gap:
    """Online DPO: DPO under the sampling distribution, on the ordered pairs of every group, without ties."""
    config = OnlineDPO.Config(optimizer=ONE, beta=0.4)
    return pair_case(config, lambda w, v: -log_sigmoid(0.4 * (w.ratio - v.ratio)), sampled=True).compare()[0]


def check_online_dpo_ties() -> Gap:
    """Online DPO: zero step where a group ties."""
    prefixes = [(1,), (1, 2)]
    policy, algorithm, _ = moved_table(OnlineDPO.Config(optimizer=ONE), prefixes)
    before = policy.weight.detach().clone()
    algorithm.update(groups_batch({1: [((2, 0), 1.0), ((0,), 1.0), ((2, 1), 1.0)]}, -1.0))
    return Gap(float((before - policy.weight.detach()).abs().max()), 0.0)


# three prompts with labelled answers, one of them Unscored
LABELLED: Groups = {
    1: [((2, 0), 1.0), ((0,), 0.0)],
    2: [((1, 1, 0), 0.0)],
    3: [((0,), 1.0), ((2, 2), Unscored("x"))],
}


def kto_case(sign: float) -> tuple[Case, float]:
    """KTO and its z0, from every answer behind the next group's prompt; `sign` is the policy's direction."""
    every = [y for group in LABELLED.values() for y, _ in group]
    prefixes = [(p, *y[:t]) for p in LABELLED for y in every for t in range(len(y))]
    config = KTO.Config(optimizer=ONE, beta=0.5, desirable=1.3, undesirable=0.7)
    policy, algorithm, reference = moved_table(config, prefixes, sign)

    def ratio(prompt: int, answer: Tokens) -> Tensor:
        return logprob(policy, policy.weight, prompt, answer) - logprob(policy, reference, prompt, answer)

    scored = [(p, y, r) for p, group in LABELLED.items() for y, r in group if not isinstance(r, Unscored)]
    following = {1: 2, 2: 3, 3: 1}
    mean = sum(ratio(following[p], y).item() for p, y, _ in scored) / len(scored)
    baseline = max(0.0, mean)
    losses = []
    for p, y, r in scored:
        gain = 0.5 * (ratio(p, y) - baseline)
        losses.append(1.3 * (1 - torch.sigmoid(gain)) if r > 0.5 else 0.7 * (1 - torch.sigmoid(-gain)))
    return Case(policy, algorithm, groups_batch(LABELLED, None), torch.stack(losses).mean()), baseline


def check_kto() -> Iterator[Gap]:
    """KTO: a slow reference, one update, with z0 from answers behind other prompts."""
    for sign, name in ((1.0, "z0 above 0"), (-1.0, "z0 cut at 0")):
        case, baseline = kto_case(sign)
        assert (baseline > 0.01) == (sign > 0), "the case holds what it is named for"
        yield case.compare(name)[0]
