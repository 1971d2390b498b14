"""Pure functions, by hand and against slow loops."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.functional.advantages import group_mean, group_normalised, has_signal, leave_one_out
from strop.functional.aggregation import constant, sequence_mean, sequence_sum, sum_per_pick, token_mean
from strop.functional.distributions import entropy, logprobs_of, probs_of, require_full_support
from strop.functional.returns import next_value, position_in_chain, returns_to_go
from strop.types import End, Sampling, Unscored

NAN = math.nan


def tensor(numbers: object) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


# rewards of two groups: (1, 0 | 2, .5), and a lone member
RETURN_E, GROUP_E = tensor([1.0, 2.0, 0.0, 0.5, 7.0]), torch.tensor([3, 9, 3, 9, 5])


def test_leave_one_out_by_hand() -> None:
    assert leave_one_out(RETURN_E, GROUP_E).tolist() == [1.0, 1.5, -1.0, -1.5, 0.0]


def test_group_mean_by_hand() -> None:
    assert group_mean(RETURN_E, GROUP_E).tolist() == [0.5, 0.75, -0.5, -0.75, 0.0]


def test_group_normalised_uses_the_bessel_corrected_std() -> None:
    # stdev(1, 0) = .707107, stdev(2, .5) = 1.060660
    expected = [0.5 / (math.sqrt(0.5) + 1e-4), 0.75 / (math.sqrt(1.125) + 1e-4)]
    got = group_normalised(RETURN_E, GROUP_E).tolist()
    assert got == pytest.approx([expected[0], expected[1], -expected[0], -expected[1], 0.0], abs=1e-15)


@pytest.mark.parametrize("function", [group_mean, group_normalised, leave_one_out])
def test_unscored_members_leave_the_statistics(function: object) -> None:
    got = function(tensor([1.0, NAN, 0.0, 3.0, NAN]), torch.tensor([0, 0, 0, 0, 1]))
    alone = function(tensor([1.0, 0.0, 3.0]), torch.tensor([0, 0, 0]))
    assert got[[0, 2, 3]].tolist() == alone.tolist()
    assert got[[1, 4]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("function", [group_mean, group_normalised, leave_one_out])
def test_float_noise_in_equal_rewards_is_no_signal(function: object) -> None:
    assert function(tensor([0.1] * 8), torch.zeros(8, dtype=torch.long)).tolist() == [0.0] * 8


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_an_unscored_member_is_no_signal(value: float) -> None:
    return_E = tensor([value, NAN, value, 2.0, NAN, 3.0])
    assert has_signal(return_E, torch.tensor([0, 0, 0, 1, 1, 1])).tolist() == [False] * 3 + [True, False, True]


def test_advantages_sum_to_zero_per_group_and_ignore_the_order() -> None:
    generator = torch.Generator().manual_seed(0)
    return_E = torch.randn(12, generator=generator, dtype=torch.float64)
    group_E = torch.randint(3, (12,), generator=generator)
    order = torch.randperm(12, generator=generator)
    for function in (group_mean, group_normalised, leave_one_out):
        got = function(return_E, group_E)
        for g in range(3):
            assert abs(float(got[group_E == g].sum())) < 1e-12
        assert torch.allclose(function(return_E[order], group_E[order]), got[order], atol=1e-15)
    slow = [statistics.stdev(return_E[group_E == g].tolist()) for g in group_E.tolist()]
    assert torch.allclose(group_normalised(return_E, group_E), group_mean(return_E, group_E) / (tensor(slow) + 1e-4))


def weights_fixture() -> object:
    # picks of 2, 3 (over two rows), 0 and 4 (Unscored) actions: E = 3 count, 5 tokens count
    return batch_of(
        episode(turn((0,), (1, 2))),
        episode(turn((0,), (3,)), turn((5,), (4, 6))),
        episode(turn((0,), ())),
        episode(turn((0,), (1, 2, 3, 4)), reward=Unscored("x")),
    )


def test_aggregation_weights_by_hand() -> None:
    batch = weights_fixture()
    per_token = {
        sequence_mean: (1 / 6, 1 / 9),
        token_mean: (1 / 5, 1 / 5),
        sequence_sum: (1 / 3, 1 / 3),
        lambda b: constant(b, 10): (1 / 30, 1 / 30),
    }
    for function, (first, second) in per_token.items():
        got = function(batch)
        assert got[batch.action_BT & (batch.episode_B == 0).unsqueeze(1)].tolist() == pytest.approx([first] * 2)
        assert got[batch.action_BT & (batch.episode_B == 1).unsqueeze(1)].tolist() == pytest.approx([second] * 3)
        assert float(got[batch.episode_B == 3].abs().sum()) == 0.0
        assert float(got[~batch.action_BT].abs().sum()) == 0.0


def test_sum_per_pick_adds_rows_and_skips_the_rest() -> None:
    batch = weights_fixture()
    value_BT = torch.where(batch.action_BT, batch.tokens_BT.double(), NAN)
    assert sum_per_pick(value_BT, batch).tolist() == [3.0, 13.0, 0.0, 10.0]


@pytest.mark.parametrize("discount", [1.0, 0.9, 0.0])
def test_returns_to_go_equal_a_loop_over_the_chain(discount: float) -> None:
    batch = batch_of(
        episode(turn((0,), (1, 2), reward=1.0), turn((0, 1, 2, 9, 9), (3, 4, 5), reward=2.0), reward=4.0),
        episode(turn((0,), (1,), reward=-1.0), turn((7,), (2, 2), reward=3.0), end=End.TRUNCATED, final=(7, 2, 2, 8)),
        episode(turn((0,), ())),
    )
    rewards, following = batch.rewards_BT.flatten().tolist(), batch.next_BT.flatten().tolist()

    def slow(slot: int) -> float:
        return rewards[slot] + (discount * slow(following[slot]) if following[slot] >= 0 else 0.0)

    got = returns_to_go(batch.rewards_BT, batch.next_BT, discount).flatten().tolist()
    assert got == pytest.approx([slow(i) for i in range(len(rewards))], abs=1e-14)
    # a gap of environment tokens carries the return over: 1 + 6 seen from the first action
    if discount == 1.0:
        assert got[1] == 7.0


def test_position_in_chain_counts_decisions_not_slots() -> None:
    batch = batch_of(
        episode(turn((0,), (1, 2)), turn((0, 1, 2, 9, 9), (3,))),
        episode(turn((0,), (1,)), turn((7,), (2,)), end=End.TRUNCATED, final=(7, 2, 8)),
    )
    got = position_in_chain(batch.next_BT, batch.decision_BT)
    # rows: [0 | 1 2 | 9 9 | 3], [0 | 1], [7 | 2 | 8 | boot]
    assert got[batch.decision_BT].tolist() == [0, 1, 2, 0, 1, 2]


def test_next_value_is_zero_past_the_end_and_read_across_rows() -> None:
    batch = batch_of(episode(turn((0,), (1,)), turn((7,), (2,)), end=End.TRUNCATED, final=(7, 2, 8)))
    value_BT = torch.arange(batch.tokens_BT.numel(), dtype=torch.float64).view_as(batch.tokens_BT)
    width = batch.tokens_BT.shape[1]
    got = next_value(value_BT, batch.next_BT)
    assert got[0, 1] == width + 1
    assert got[1, 1] == width + 3
    assert int((got != 0).sum()) == 2


def test_the_distribution_and_its_logarithm_by_hand() -> None:
    logits = tensor([[0.0, math.log(2.0), math.log(4.0), math.log(1.0)]])  # weights 1 2 4 1

    def by(**kw: float) -> list[float]:
        probs, logs = probs_of(logits, Sampling(**kw)), logprobs_of(logits, Sampling(**kw))
        torch.testing.assert_close(logs, probs.log())
        return probs[0].tolist()

    assert by() == pytest.approx([1 / 8, 2 / 8, 4 / 8, 1 / 8])
    assert by(temperature=0.5) == pytest.approx([1 / 22, 4 / 22, 16 / 22, 1 / 22])  # squares
    assert by(top_k=2) == pytest.approx([0, 2 / 6, 4 / 6, 0])
    assert by(top_p=0.5) == [0, 0, 1, 0]
    assert by(top_p=0.51) == pytest.approx([0, 2 / 6, 4 / 6, 0])
    assert by(top_p=0.76) == pytest.approx([1 / 7, 2 / 7, 4 / 7, 0])  # a tie: the smallest id first
    assert by(top_p=0.6, top_k=3) == pytest.approx(
        [0, 2 / 6, 4 / 6, 0]
    )  # top-p of the distribution that top-k left: 4/7 < .6
    assert by(epsilon=0.2) == pytest.approx([0.8 * x + 0.05 for x in (1 / 8, 2 / 8, 4 / 8, 1 / 8)])
    assert by(temperature=0.0) == [0, 0, 1, 0]
    assert by(temperature=0.0, epsilon=0.4) == pytest.approx([0.1, 0.1, 0.7, 0.1])
    assert logprobs_of(tensor([[3.0, 3.0, 1.0]]), Sampling(temperature=0.0)).exp()[0].tolist() == [1, 0, 0]


def test_distributions_compute_in_float32_or_better() -> None:
    for made in (probs_of, logprobs_of):
        assert made(torch.zeros(1, 3, dtype=torch.bfloat16), Sampling()).dtype == torch.float32
        assert made(torch.zeros(1, 3, dtype=torch.float64), Sampling()).dtype == torch.float64


def test_entropy_by_hand() -> None:
    distribution = tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]).log()
    assert entropy(distribution).tolist() == pytest.approx([math.log(2), 0.0, math.log(3)])


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_p=0.9),
        Sampling(top_k=5),
        Sampling(temperature=0.0),
        Sampling(temperature=0.0, epsilon=0.5),  # the argmax has no gradient, mixed or not
        Sampling(epsilon=1.0),
        Sampling(temperature=lambda step: 1.0),
    ],
)
def test_policy_gradients_refuse_distributions_that_they_cannot_differentiate(sampling: Sampling) -> None:
    with pytest.raises(ValueError, match="sampling"):
        require_full_support(sampling, "GRPO")


def test_policy_gradients_take_temperature_and_epsilon() -> None:
    require_full_support(Sampling(temperature=0.7, epsilon=0.1), "GRPO")
