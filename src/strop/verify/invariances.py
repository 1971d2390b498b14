"""Changes that must leave a gradient as it is, on a tiny transformer; other families use `same_gradient` too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.algorithms.sft import SFT
from strop.batch import collate
from strop.functional.distributions import logprobs_of
from strop.functional.divergences import KL
from strop.learners.logprobs import read_actions
from strop.learners.reference import Reference
from strop.optimizer import SGD
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.types import Batch, End, Episode, Part, Pick, Sampling, Unscored
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.tree import flat, relative, set_weights, tiny_transformer

ROUNDING = 1e-4
"""Relative rounding of float32 gradients that are summed in another order."""
SAMPLING = Sampling(temperature=0.8, max_tokens=8)
PULL = KL(weight=0.3)


def episodes() -> list[Episode]:
    """Three groups of ragged lengths: one turn, several, a time-out, an Unscored member."""
    return [
        episode(turn((1, 2), (3, 0), (-0.7, -1.9)), reward=1.0, group=0, id="a"),
        episode(turn((1, 2), (5,), (-1.2,)), turn((1, 2, 5, 6, 6), (3, 3, 0)), reward=0.25, group=0, id="b"),
        episode(turn((1, 2), (4, 4)), turn((2, 6), (5, 3, 1, 0)), reward=-0.5, group=0, id="c"),
        episode(
            turn((3,), (1, 1, 1, 1, 1)), reward=2.0, group=1, end=End.TRUNCATED, final=(3, 1, 1, 1, 1, 1, 2), id="d"
        ),
        episode(turn((3,), (0,), (-2.5,)), reward=0.5, group=1, id="e"),
        episode(turn((3,), (2, 0)), reward=Unscored("judge"), group=1, id="f"),
        episode(turn((3,), (6, 0)), reward=1.5, group=1, id="g"),
    ]


def gradient(
    config: Any, some: Sequence[Episode], micro_tokens: int = 4096, change: Callable[[Batch], Batch] = lambda one: one
) -> Tensor:
    """Minus the change by one update under SGD(lr=1); a KL reference has other weights."""
    policy = tiny_transformer()
    start = flat(policy.parameters())
    noise = torch.randn(len(start), generator=torch.Generator().manual_seed(1), dtype=start.dtype)
    set_weights(policy, start + 0.05 * noise)
    algorithm = config.build(policy, SAMPLING, micro_tokens)
    set_weights(policy, start)
    algorithm.update(change(collate(tuple(Pick(one) for one in some), policy.layout)))
    return start - flat(policy.parameters())


def wider(batch: Batch) -> Batch:
    """Three more slots a row, and another token in every padded slot."""
    rows, width = batch.tokens_BT.shape

    def grow(x_BT: Tensor, fill: float) -> Tensor:
        return torch.cat([x_BT, torch.full((rows, 3), fill, dtype=x_BT.dtype)], dim=1)

    used_BT = torch.flip(batch.decision_BT.flip(1).int().cummax(1).values.bool(), (1,))
    next_BT = torch.where(batch.next_BT < 0, -1, batch.next_BT // width * (width + 3) + batch.next_BT % width)
    return replace(
        batch,
        tokens_BT=grow(torch.where(used_BT, batch.tokens_BT, 6), 6),
        action_BT=grow(batch.action_BT, False),
        logprobs_BT=grow(batch.logprobs_BT, torch.nan),
        rewards_BT=grow(batch.rewards_BT, 0.0),
        allowed_BT=grow(batch.allowed_BT, -1),
        next_BT=grow(next_BT, -1),
    )


def same_gradient(config: Any) -> Gap:
    """The largest relative change of the gradient of `config` (SGD at rate 1) under changes that must not matter."""
    some = episodes()
    copies = [replace(one, group=one.group + 10, id=one.id + "'") for one in some]
    other_text = [replace(one, final=(*one.final[:-1], 6)) if one.final else one for one in some]
    return _worst(
        gradient(config, some),
        {
            "padding (I1)": gradient(config, some, change=wider),
            "order (I2)": gradient(config, [some[i] for i in (4, 2, 6, 0, 5, 3, 1)]),
            "micro-batches (I3)": gradient(config, some, micro_tokens=13),
            "copies of the groups (I4)": gradient(config, [*some, *copies]),
            "the environment's last token (I7)": gradient(config, other_text),
        },
    )


def same_advantages(config: Any) -> Gap:
    """The same for methods whose baseline is their group's: a shift of all rewards, and a group of equal rewards.

    The equal group adds nothing but its members to the denominator: with one more member for each scored one, the
    gradient halves. Dr. GRPO, GRPO and RLOO count sequences, so this is exact.
    """
    some = episodes()
    shifted = [_shifted(one, 50.0) for one in some]
    equal = [_shifted(replace(one, group=20, id=one.id + "'"), None) for one in some]
    return _worst(
        gradient(config, some),
        {
            "a shift of rewards (I5)": gradient(config, shifted),
            "an equal group (I6)": 2 * gradient(config, [*some, *equal]),
        },
    )


def _shifted(one: Episode, shift: float | None) -> Episode:
    """The reward plus `shift`, or a tenth where there is none; an Unscored one stays."""
    total = one.parts["r"].total
    if isinstance(total, Unscored):
        return one
    return replace(one, parts={"r": Part(1.0, 0.1 if shift is None else total + shift)})


def _worst(whole: Tensor, changed: dict[str, Tensor]) -> Gap:
    gaps = {name: relative(got, whole) for name, got in changed.items()}
    worst = max(gaps, key=gaps.__getitem__)
    return Gap(gaps[worst], ROUNDING, f"worst is {worst}")


def check_reinforce_invariances() -> Gap:
    """REINFORCE: the same gradient under padding, order, micro-batches, copied groups and another last token."""
    return same_gradient(REINFORCE.Config(optimizer=SGD(lr=1.0), kl=PULL))


def check_rloo_invariances() -> Gap:
    """RLOO: the same gradient under padding, order, micro-batches, copied groups and another last token."""
    return same_gradient(RLOO.Config(optimizer=SGD(lr=1.0), kl=PULL))


def check_rloo_baseline() -> Gap:
    """RLOO: the same gradient under a shift of rewards and an equal group."""
    return same_advantages(RLOO.Config(optimizer=SGD(lr=1.0), kl=KL()))


def check_dr_grpo_invariances() -> Gap:
    """Dr. GRPO: the same gradient under padding, order, micro-batches, copied groups and another last token."""
    return same_gradient(DrGRPO.Config(optimizer=SGD(lr=1.0), kl=PULL))


def check_dr_grpo_baseline() -> Gap:
    """Dr. GRPO: the same gradient under a shift of rewards and an equal group."""
    return same_advantages(DrGRPO.Config(optimizer=SGD(lr=1.0), kl=KL()))


def check_grpo_invariances() -> Gap:
    """GRPO: the same gradient under padding, order, micro-batches, copied groups and another last token."""
    return same_gradient(GRPO.Config(optimizer=SGD(lr=1.0), kl=PULL))


def check_grpo_baseline() -> Gap:
    """GRPO: the same gradient under a shift of rewards and an equal group."""
    return same_advantages(GRPO.Config(optimizer=SGD(lr=1.0), kl=KL()))


def check_sft_invariances() -> Gap:
    """SFT: the same gradient under padding, order, micro-batches, copied groups and another last token."""
    return same_gradient(SFT.Config(optimizer=SGD(lr=1.0)))


@torch.no_grad()
def check_cache() -> Gap:
    """transformer: with cache and left padding, the log-probs of a plain forward pass (I10)."""
    policy = tiny_transformer()
    texts = [(1, 2, 5, 3), (4, 4, 6), (3,)]
    continuation = (2, 6, 1)
    logits_BV, state = policy.prefill(texts)
    gaps = []
    for t in range(len(continuation)):
        for b, text in enumerate(texts):
            plain = policy.model(input_ids=torch.tensor([[*text, *continuation[:t]]]), use_cache=False).logits[0, -1]
            distribution, slow = (
                logprobs_of(logits_BV[b : b + 1], SAMPLING)[0],
                torch.log_softmax(plain.double() / 0.8, -1),
            )
            gaps.append(float((distribution.double() - slow).abs().max()))
        logits_BV, state = policy.decode(state, torch.full((len(texts),), continuation[t]))
    return Gap(max(gaps), 1e-4)


@torch.no_grad()
def check_environment_tokens() -> Gap:
    """transformer: the same log-probs before an environment token, for any token (I7)."""
    both = (episode(turn((1, 2), (5, 4)), turn((1, 2, 5, 4, x, 6), (3, 0))) for x in (6, 1))
    batch = batch_of(*both)
    one_T, other_T = read_actions(tiny_transformer(), batch, SAMPLING)["logprobs"]
    before, behind = slice(2, 4), slice(6, 8)
    is_read = bool((one_T[behind] != other_T[behind]).all())
    return Gap(float((one_T[before] - other_T[before]).abs().max()) if is_read else torch.inf, 1e-6)


def check_dropout() -> Gap:
    """transformer: ratio 1 between two forward passes, though the model has dropout (I9)."""
    model = tiny_transformer().model.train()
    model.get_input_embeddings().register_forward_hook(
        lambda module, _, out: torch.nn.functional.dropout(out, 0.5, module.training)
    )
    policy, batch = Transformer(model), batch_of(*episodes())
    before_BT = read_actions(policy, batch, SAMPLING)["logprobs"].detach()
    GRPO.Config(optimizer=SGD(lr=1e-30)).build(policy, SAMPLING, 13).update(batch)
    after_BT = read_actions(policy, batch, SAMPLING)["logprobs"].detach()
    ratio_N = (after_BT - before_BT)[batch.action_BT].exp()
    return Gap(float((ratio_N - 1).abs().max()), 1e-6)


def check_no_reference() -> Gap:
    """KL: no reference policy at weight 0 (number of references; I13)."""
    made = 0
    for config in (REINFORCE, RLOO, DrGRPO, GRPO):
        algorithm = config.Config(kl=KL(weight=0.0)).build(tiny_transformer(), SAMPLING, 4096)
        made += algorithm.reference.policy is not None
    return Gap(float(made), 0.0)


@torch.no_grad()
def check_adapter() -> Iterator[Gap]:
    """LoRA: the base model's log-probs, bit for bit (I14)."""
    batch = batch_of(*episodes())
    base = read_actions(tiny_transformer(), batch, SAMPLING)["logprobs"]
    policy = tiny_transformer(LoRA(rank=2, alpha=4))
    yield Gap(float((read_actions(policy, batch, SAMPLING)["logprobs"] - base).abs().max()), 0.0, "before a step")
    reference = Reference(PULL, policy, SAMPLING, 4096).policy
    assert reference is not None
    set_weights(policy, flat(policy.parameters()) + 0.1)
    moved = read_actions(policy, batch, SAMPLING)["logprobs"]
    off = read_actions(reference, batch, SAMPLING)["logprobs"]
    is_stuck = bool((moved == base).all())
    yield Gap(torch.inf if is_stuck else float((off - base).abs().max()), 0.0, "as the reference, after a step")
