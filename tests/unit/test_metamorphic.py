"""What must not change a gradient: the split into micro-batches, order, padding, copies, a shift of the rewards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import episode, flat, transformer, turn
from exact.learners import ACTOR_CRITIC, GRADIENT, ON_POLICY, VALUE_BASED, as_baseline, every, learner, suited
from exact.tree import relative, set_weights
from strop.batch import collate
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, End, Episode, Part, Pick, Unscored

KLS = [
    KL(weight=0.3),
    KL(weight=0.3, placement="loss", estimator="full"),
    KL(weight=0.3, placement="loss", estimator="k3_ratio"),
]
KL_IDS = ["k1-reward", "full-loss", "k3_ratio-loss"]


def episodes() -> list[Episode]:
    """Two groups of ragged lengths: several turns, a rewritten history (two rows), a truncated one, one Unscored."""
    return [
        as_baseline(episode(turn((1, 2), (3, 4, 0), (-1.0, -0.7, -2.0)), reward=1.0, group=0)),
        episode(turn((1, 2), (5,)), turn((1, 2, 5, 6, 6), (3, 3, 0)), reward=0.25, group=0),
        episode(turn((1, 2), (4, 4)), turn((2, 6), (5, 3, 1, 0)), reward=-0.5, group=0),
        episode(turn((3,), (1, 1, 1, 1, 1)), reward=2.0, group=1, end=End.TRUNCATED, final=(3, 1, 1, 1, 1, 1, 2)),
        as_baseline(episode(turn((3,), (0,)), reward=0.5, group=1)),
        episode(turn((3,), (2, 0)), reward=Unscored("judge"), group=1),
        episode(turn((3,), (6, 0)), reward=1.5, group=1),
    ]


def policy_of(kind: str) -> Any:
    if kind != "table":
        return transformer(kind, value_head=True)
    table = Table(7, capacity=64, value_head=True)
    table.heads(collate(tuple(picks(episodes())), "per_turn"), lambda heads: {})  # rows have an owner before a number
    set_weights(table, torch.randn(64 * 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    return table


def gradient(
    kind: Any, policy: Any, draw: Sequence[Pick], micro: int = 4096, change: Any = None, **more: Any
) -> Tensor:
    """Minus what one update under SGD(lr=1) moves; the reference stands elsewhere; the policy is restored."""
    start = flat(policy.parameters())
    with torch.no_grad():
        noise = torch.randn(len(start), generator=torch.Generator().manual_seed(1), dtype=start.dtype)
        set_weights(policy, start + 0.1 * noise)
        algorithm = learner(kind, policy, micro, **more)
        set_weights(policy, start)
    batch = suited(kind, collate(tuple(draw), policy.layout))
    algorithm.update(batch if change is None else change(batch))
    moved = start - flat(policy.parameters())
    set_weights(policy, start)
    return moved


def picks(some: Sequence[Episode]) -> list[Pick]:
    return [Pick(one) for one in some]


def kinds_and_kls() -> Iterator[Any]:
    """Each KL for those whose loss can take one; the others have none, or with a critic one in the reward alone."""
    for kind in GRADIENT:
        takes_all = kind not in ACTOR_CRITIC and "kl" in {field.name for field in fields(kind.Config)}
        for kl, name in zip(KLS if takes_all else KLS[:1], KL_IDS, strict=False):
            yield pytest.param(kind, kl, id=f"{kind.__name__}-{name}")


@pytest.mark.matrix
@pytest.mark.parametrize(("kind", "kl"), [*kinds_and_kls()])
def test_micro_batches_add_up_to_the_whole(kind: Any, kl: KL) -> None:
    policy = policy_of("gpt2")
    whole = gradient(kind, policy, picks(episodes()), kl=kl)
    assert float(whole.norm()) > 1e-3
    for micro in (1, 13):  # a row each, and some together
        assert relative(gradient(kind, policy, picks(episodes()), micro, kl=kl), whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_micro_batches_add_up_on_a_table_and_in_float32(kind: Any) -> None:
    for name, tolerance in (("table", 1e-12), ("llama", 1e-5)):
        policy = policy_of(name)
        whole = gradient(kind, policy, picks(episodes()), kl=KLS[0])
        assert relative(gradient(kind, policy, picks(episodes()), 9, kl=KLS[0]), whole) < tolerance


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_several_epochs_do_not_depend_on_the_split(kind: Any) -> None:
    policy = policy_of("gpt2")
    more = {"optimizer": SGD(lr=0.05), "epochs": 3, "kl": KLS[2]}
    whole = gradient(kind, policy, picks(episodes()), **more)
    assert relative(gradient(kind, policy, picks(episodes()), 13, **more), whole) < 1e-11


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_reading_the_logits_of_one_decision_at_a_time_changes_nothing(kind: Any, monkeypatch: Any) -> None:
    policy = policy_of("gpt2")
    whole = gradient(kind, policy, picks(episodes()), kl=KLS[0])
    monkeypatch.setattr("strop.compute.output_head.CHUNK_BYTES", 1)
    assert relative(gradient(kind, policy, picks(episodes()), kl=KLS[0]), whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_the_order_of_a_batch_does_not_matter(kind: Any) -> None:
    policy = policy_of("gpt2")
    whole = gradient(kind, policy, picks(episodes()), kl=KLS[0])
    order = [4, 2, 6, 0, 5, 3, 1]
    assert relative(gradient(kind, policy, [Pick(episodes()[i]) for i in order], kl=KLS[0]), whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_a_copy_of_every_group_does_not_matter(kind: Any) -> None:
    policy = policy_of("gpt2")
    whole = gradient(kind, policy, picks(episodes()), kl=KLS[0])
    copies = [replace(one, group=one.group + 10) for one in episodes()]
    assert relative(gradient(kind, policy, picks(episodes() + copies), kl=KLS[0]), whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
@pytest.mark.parametrize("pad", [0, 6])
def test_padding_does_not_matter(kind: Any, pad: int) -> None:
    def wider(batch: Batch) -> Batch:
        """Three more slots a row, and every padded slot another id."""
        rows, width = batch.tokens_BT.shape

        def grow(x_BT: Tensor, fill: float) -> Tensor:
            return torch.cat([x_BT, torch.full((rows, 3), fill, dtype=x_BT.dtype)], dim=1)

        used_BT = torch.flip(batch.decision_BT.flip(1).int().cummax(1).values.bool(), (1,))
        next_BT = torch.where(batch.next_BT < 0, -1, batch.next_BT // width * (width + 3) + batch.next_BT % width)
        return replace(
            batch,
            tokens_BT=grow(torch.where(used_BT, batch.tokens_BT, pad), pad),
            action_BT=grow(batch.action_BT, False),
            logprobs_BT=grow(batch.logprobs_BT, torch.nan),
            rewards_BT=grow(batch.rewards_BT, 0.0),
            allowed_BT=grow(batch.allowed_BT, -1),
            next_BT=grow(next_BT, -1),
        )

    policy = policy_of("gpt2")
    whole = gradient(kind, policy, picks(episodes()), kl=KLS[0])
    assert relative(gradient(kind, policy, picks(episodes()), change=wider, kl=KLS[0]), whole) < 1e-12


def moved_rewards(scale: float, shift: float) -> list[Episode]:
    def move(one: Episode) -> Episode:
        total = one.parts["r"].total
        return one if isinstance(total, Unscored) else replace(one, parts={"r": Part(1.0, scale * total + shift)})

    return [move(one) for one in episodes()]


@pytest.mark.parametrize("kind", every([kind for kind in GRADIENT if kind.__name__ in ("RLOO", "GRPO", "DrGRPO")]))
def test_group_baselines_ignore_a_shift_and_scale_as_they_say(kind: Any) -> None:
    policy, off = policy_of("table"), KL()
    whole = gradient(kind, policy, picks(episodes()), kl=off)
    assert relative(gradient(kind, policy, picks(moved_rewards(1.0, 50.0)), kl=off), whole) < 1e-12
    scaled = gradient(kind, policy, picks(moved_rewards(4.0, 0.0)), kl=off)
    if kind.__name__ == "GRPO":
        assert relative(scaled, whole) < 1e-3  # up to the 1e-4 beside the std
    else:
        assert relative(scaled, 4.0 * whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_a_pick_of_weight_two_counts_twice_beside_the_denominator(kind: Any) -> None:
    # two picks of one group, REINFORCE-like losses are linear in the pick's weight: w=2 on both doubles the gradient
    policy = policy_of("table")
    pair = episodes()[:2]
    whole = gradient(kind, policy, picks(pair), kl=KL())
    assert relative(gradient(kind, policy, [Pick(one, weight=2.0) for one in pair], kl=KL()), 2 * whole) < 1e-12


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_an_unscored_episode_without_logprobs_is_left_alone(kind: Any) -> None:
    policy = policy_of("table")
    scored = episodes()[:3]
    lost = episode(turn((1, 2), (5, 5), None), reward=Unscored("x"), group=0)
    for kl in KLS:
        whole = gradient(kind, policy, picks(scored), kl=kl)
        assert relative(gradient(kind, policy, picks([*scored, lost]), kl=kl), whole) < 1e-13


@pytest.mark.parametrize("kind", every(ON_POLICY))
def test_actions_without_logprobs_are_refused_in_words(kind: Any) -> None:
    one = episode(turn((1,), (2,), None), reward=1.0)
    with pytest.raises(ValueError, match="no log-prob"):
        learner(kind, policy_of("table")).update(collate((Pick(one),), "per_turn"))


@pytest.mark.parametrize("kind", every(GRADIENT))
def test_episodes_without_any_action_give_a_loss_of_zero(kind: Any) -> None:
    policy = policy_of("gpt2")
    silent = [as_baseline(episode(turn((1, 2), ()), reward=3.0)), episode(turn((1,), ()), reward=1.0)]
    moved = gradient(kind, policy, picks(silent))
    assert float(moved.abs().max()) == 0.0


@pytest.mark.parametrize(
    "kind", every([kind for kind in GRADIENT if kind not in VALUE_BASED])
)  # they read a value there
def test_tokens_of_the_environment_at_the_end_do_not_matter(kind: Any) -> None:
    policy = policy_of("gpt2")
    ends = [
        [episode(turn((1, 2), (5, 4)), end=End.TRUNCATED, final=(1, 2, 5, 4, last, last), reward=2.0), episodes()[0]]
        for last in (3, 6)
    ]
    a, b = (gradient(kind, policy, picks(some), kl=KLS[0]) for some in ends)
    assert relative(a, b) < 1e-12
