"""DQN, ILQL and path consistency by hand: targets, errors, steps, and what no gradient may pass through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.algorithms.dqn import DQN, duel
from strop.algorithms.ilql import ILQL
from strop.algorithms.path_consistency import PathConsistency
from strop.batch import collate
from strop.functional.errors import expectile, huber
from strop.functional.windows import window
from strop.memory import Replay
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, End, Part, Pick, Sampling, Unscored

S0, S1 = (9,), (9, 0)


def table(rows: dict[tuple[int, ...], list[float]], values: dict[tuple[int, ...], float] | None = None) -> Table:
    policy = Table(len(next(iter(rows.values()))), capacity=16, value_head=True)
    fill(policy, rows, values or {})
    return policy


@torch.no_grad()
def fill(policy: Any, rows: dict[tuple[int, ...], list[float]], values: Any = ()) -> None:
    for prefix, numbers in rows.items():
        policy.weight[policy.row(prefix)] = torch.tensor(numbers, dtype=torch.float64)
    for prefix in values:
        policy.value[policy.row(prefix)] = values[prefix]


def row(policy: Table, prefix: tuple[int, ...]) -> list[float]:
    return policy.weight[policy.row(prefix)].tolist()


def dqn(policy: Table, **fields: Any) -> Any:
    given = {"discount": 0.5, "huber": None, "double": False} | fields
    return DQN.Config(optimizer=SGD(lr=1.0), **given).build(policy, Sampling(), 4096)


def two_tokens(reward: float = 5.0, **more: Any) -> Batch:
    """a=0 in S0 pays nothing, then a=1 in S1 pays the reward and terminates."""
    return batch_of(episode(turn(S0, (0, 1)), reward=reward, **more), layout="per_turn")


# Q(S0) = (4, 0, 0), Q(S1) = (1, 3, 2); the copy says Q-(S1) = (10, 20, 30); discount .5
#   max of the copy          y0 = .5 * 30 = 15
#   double                   the policy chooses action 1, the copy judges it: y0 = .5 * 20 = 10
#   (roles swapped           the copy chooses 2, the policy judges it: 1: the common mistake)
#   terminal                 y1 = 5 exactly
@pytest.mark.parametrize(("double", "first"), [(False, 15.0), (True, 10.0)])
def test_dqn_targets_and_step_by_hand(double: bool, first: float) -> None:
    policy = table({S0: [4, 0, 0], S1: [1, 3, 2]})
    algorithm = dqn(policy, double=double)
    fill(algorithm.method.copy, {S1: [10, 20, 30]})
    batch = two_tokens()
    assert algorithm.method.opinions(batch)[0][batch.action_BT].tolist() == [first, 5.0]
    update = algorithm.update(batch)
    assert update.per_token["td_error"][batch.action_BT].tolist() == [first - 4, 2.0]
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [first - 4]
    assert update.metrics["optimizer/loss"].value == ((first - 4) ** 2 / 2 + 2**2 / 2) / 2
    # each of two decisions carries 1/2 of its error; nothing else moves, so no gradient passed through y
    assert row(policy, S0) == [4 + (first - 4) / 2, 0, 0]
    assert row(policy, S1) == [1, 3 + 2 / 2, 2]
    assert row(algorithm.method.copy, S1) == [10, 20, 30]


def test_huber_bounds_the_step() -> None:
    policy = table({S0: [4, 0, 0], S1: [1, 3, 2]})
    algorithm = dqn(policy, huber=1.0)
    update = algorithm.update(two_tokens())  # errors .5 * 3 - 4 = -2.5 and 2: slopes -1 and 1
    assert row(policy, S0)[0] == 4 - 1 / 2
    assert row(policy, S1)[1] == 3 + 1 / 2
    assert update.metrics["optimizer/loss"].value == ((2.5 - 0.5) + (2 - 0.5)) / 2


def test_huber_is_half_the_square_then_a_line() -> None:
    error = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    assert huber(error, 1.0).tolist() == [2.5, 0.125, 0.0, 0.125, 2.5]
    assert huber(error, None).tolist() == [4.5, 0.125, 0.0, 0.125, 4.5]
    (slope,) = torch.autograd.grad(huber(error, 2.0).sum(), error)
    assert slope.tolist() == [-2.0, -0.5, 0.0, 0.5, 2.0]


@pytest.mark.parametrize(("every", "share", "after"), [(1, 1.0, [1, 1]), (2, 1.0, [0, 1]), (1, 0.5, [0.5, 0.75])])
def test_the_target_copy_moves_by_target_share_every_target_every_updates(
    every: int, share: float, after: list[float]
) -> None:
    policy = table({S0: [0, 0]})
    algorithm = dqn(policy, target_every=every, target_share=share)
    for expected in after:
        fill(policy, {S0: [1, 0]})
        algorithm.update(batch_of(episode(turn(S0, (0,)), reward=1.0), layout="per_turn"))  # no error: stays at 1
        assert row(algorithm.method.copy, S0)[0] == expected


# rewards 1, 2, 4 in a row; v = 16 and 32 before the second and third token, 8 where time ran out; discount .5
@pytest.mark.parametrize(("num_steps", "end", "expected"), [
    (1, End.TRUNCATED, [1 + 8, 2 + 16, 4 + 4]),
    (2, End.TRUNCATED, [1 + 1 + 8, 2 + 2 + 2, 4 + 4]),  # the last has one reward left: discount^1, not ^2
    (3, End.TRUNCATED, [1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4]),
    (9, End.TRUNCATED, [1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4]),
    (2, End.TERMINATED, [1 + 1 + 8, 2 + 2, 4]),
    (9, End.TERMINATED, [1 + 1 + 1, 2 + 2, 4]),
])  # fmt: skip
def test_n_step_targets_by_hand(num_steps: int, end: End, expected: list[float]) -> None:
    final = (9, 0, 1, 2, 0) if end is End.TRUNCATED else ()
    parts = {"r": Part(1.0, 7.0, tokens=(1.0, 2.0, 4.0))}
    batch = batch_of(episode(turn(S0, (0, 1, 2)), parts=parts, end=end, final=final), layout="per_turn")
    algorithm = dqn(table({S0: [0, 0, 0]}), n_step=num_steps)
    fill(algorithm.method.copy, {S1: [16, 0, 0], (9, 0, 1): [0, 32, 0], (9, 0, 1, 2, 0): [0, 0, 8]})
    assert algorithm.method.opinions(batch)[0][batch.action_BT].tolist() == expected


def test_n_step_picks_of_a_replay_end_at_the_next_decision() -> None:
    # three turns paying 1, 2, 4; picks of two turns, v = 16 before the third: 1 + .5 * 2 + .25 * 16, 2 + .5 * 16
    one = episode(turn((1,), (0,), reward=1), turn((2,), (0,), reward=2), turn((3,), (0,), reward=4), id="e")
    algorithm = dqn(table({(3,): [0, 0]}), n_step=2)
    fill(algorithm.method.copy, {(3,): [16, 0]})
    memory = Replay.Config(size=40, n_step=2).build()
    memory.add([one])
    (draw,) = memory.draws(np.random.default_rng(0))
    batch = collate(draw, "per_turn")
    expected = {0: [6.0, 10.0], 1: [4.0, 4.0], 2: [4.0]}
    wanted = [target for pick in draw for target in expected[pick.turn or 0]]
    assert {pick.turn for pick in draw} == {0, 1, 2}
    assert algorithm.method.opinions(batch)[0][batch.action_BT].tolist() == wanted


def test_a_picks_weight_scales_its_step_and_not_its_priority() -> None:
    policy = table({(1,): [0, 0], (2,): [0, 0]})
    draw = (
        Pick(episode(turn((1,), (0,)), reward=4.0), weight=0.25),
        Pick(episode(turn((2,), (1,)), reward=-4.0)),
        Pick(episode(turn((2,), (0,)), reward=Unscored("x"))),
    )
    update = dqn(policy).update(collate(draw, "per_turn"))
    assert row(policy, (1,)) == [0.25 * 4 / 2, 0]
    assert row(policy, (2,)) == [0, -4 / 2]
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [4.0, 4.0, 0.0]  # one that teaches nothing is not asked for


def test_dueling_by_hand_and_its_gauge() -> None:
    advantage, value = torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([10.0])
    assert duel(advantage, value).tolist() == [[8.0, 9.0, 13.0]]
    assert torch.equal(duel(advantage + 7.0, value), duel(advantage, value))
    policy = table({S0: [1, 2, 6]}, {S0: 10})
    update = dqn(policy, dueling=True).update(batch_of(episode(turn(S0, (2,)), reward=16.0), layout="per_turn"))
    # error 3: dQ/dV = 1, dQ/dA = (-1/3, -1/3, 2/3)
    assert update.metrics["q/error_max"].value == 3.0
    assert policy.value is not None
    assert policy.value[0].item() == 13.0
    assert row(policy, S0) == [0, 1, 8]


def test_dueling_needs_a_value_head_and_says_so() -> None:
    with pytest.raises(ValueError, match=r"policy\.value_head=true"):
        dqn(Table(3), dueling=True).update(two_tokens())


def test_data_of_people_needs_no_logprobs() -> None:
    policy = table({S0: [0, 0]})
    dqn(policy).update(batch_of(episode(turn(S0, (1,), None), reward=2.0), layout="per_turn"))
    assert row(policy, S0) == [0, 2]


@pytest.mark.parametrize(("field", "value"), [
    ("discount", 1.1), ("n_step", 0), ("target_every", 0), ("target_share", 0.0),
])  # fmt: skip
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"algorithm\.{field}"):
        DQN.Config(**{field: value})


# ------------------------------------------------------------ ILQL


@pytest.mark.parametrize(("level", "expected"), [(0.5, 0.9), (0.7, 1.342105), (0.9, 2.192308), (0.99, 2.898058)])
def test_the_expectile_of_three_numbers(level: float, expected: float) -> None:
    # 0, 1, 3 with chances .5, .3, .2: the root of the loss's slope, by bisection
    number, chance = torch.tensor([0.0, 1, 3], dtype=torch.float64), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad((chance * expectile(number - middle, level)).sum(), middle)
        low, high = (middle.item(), high) if slope < 0 else (low, middle.item())
    assert low == pytest.approx(expected, abs=5e-7)


def ilql(policy: Table, **fields: Any) -> Any:
    given = {"discount": 0.5, "conservative": 0.0, "jitter": 0.0, "level": 0.9} | fields
    return ILQL.Config(optimizer=SGD(lr=1.0), **given).build(policy, Sampling(), 4096)


def test_ilql_step_by_hand() -> None:
    policy = table({S0: [3, 1], S1: [0, 4]}, {S0: 2, S1: 6})
    algorithm = ilql(policy, target_share=0.5)
    fill(algorithm.method.copies[0], {S0: [5, 99], S1: [99, 3]})
    fill(algorithm.method.copies[1], {S0: [7, 99], S1: [99, 1]})
    update = algorithm.update(two_tokens(reward=2.0))
    # q = min(5, 7) = 5 over V = 2: V0 += (1/2) 2 * .9 * 3 = 2.7;   q = 1 under V = 6: V1 -= (1/2) 2 * .1 * 5 = .5
    assert policy.value is not None
    assert policy.value[:2].tolist() == pytest.approx([4.7, 5.5])
    # y0 = 0 + .5 * V1 = 3, Q = 3: stays;   y1 = 2 (terminated), Q = 4: moves by (1/2) 2 (2 - 4) = -2
    for network in (policy, algorithm.method.second):
        assert row(network, S0) == [3, 1]
        assert row(network, S1) == [0, 2]
    loss = (0.9 * 9 + 0.1 * 25 + 2 * (0 + 4)) / 2
    assert update.metrics["optimizer/loss"].value == pytest.approx(loss)
    assert row(algorithm.method.copies[0], S1) == [49.5, 2.5]  # halfway to (0, 2)
    assert row(algorithm.method.copies[1], S0) == [5.0, 50.0]


def test_ilql_reads_v_of_the_policy_and_q_of_both_copies() -> None:
    # the copy's V is no one's target: y0 = .5 * V1 = 3 with the policy's V1 = 6, whatever the copy says
    policy = table({S0: [1, 0], S1: [0, 2]}, {S0: 0, S1: 6})
    algorithm = ilql(policy)
    fill(algorithm.method.copies[0], {}, {S0: 50, S1: 70})
    batch = two_tokens(reward=2.0)
    update = algorithm.update(batch)
    assert update.per_token["td_error"][batch.action_BT].tolist() == [3 - 1, 0.0]


def test_the_conservative_term_lowers_actions_outside_the_data() -> None:
    # equal Q: the slope of logsumexp is (.5, .5), minus 1 for what was done; no other error here
    policy = table({S0: [0, 0]}, {S0: 0})
    ilql(policy, conservative=0.2).update(batch_of(episode(turn(S0, (0,)), reward=0.0), layout="per_turn"))
    assert row(policy, S0) == [0.1, -0.1]


def lost_and_light() -> Batch:
    """A quarter of a pick that pays 4, a whole one that pays -4, and one that was lost."""
    draw = (
        Pick(episode(turn((1,), (0,)), reward=4.0), weight=0.25),
        Pick(episode(turn((2,), (1,)), reward=-4.0)),
        Pick(episode(turn((2,), (0,)), reward=Unscored("x"))),
    )
    return collate(draw, "per_turn")


def test_ilql_weighs_picks_and_not_their_priorities() -> None:
    # Q and V are 0: each of two scored tokens moves its Q by weight * 2 * error / 2
    policy = table({(1,): [0, 0], (2,): [0, 0]})
    update = ilql(policy).update(lost_and_light())
    assert row(policy, (1,)) == [0.25 * 4, 0]
    assert row(policy, (2,)) == [0, -4]
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [4.0, 4.0, 0.0]


def test_paths_weigh_picks_and_not_their_priorities() -> None:
    # pi = ref and V = 0: C = r, and each V moves by weight * C / 2
    policy = table({(1,): [0, 0], (2,): [0, 0]})
    config = PathConsistency.Config(optimizer=SGD(lr=1.0), unified=False)
    update = config.build(policy, Sampling(), 4096).update(lost_and_light())
    assert policy.value is not None
    assert policy.value[:2].tolist() == [0.25 * 4 / 2, -4 / 2]
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [4.0, 4.0, 0.0]


def test_each_copy_of_ilql_starts_as_the_network_it_trails() -> None:
    algorithm = ilql(table({S0: [3, 1]}), jitter=0.1)
    for slow, fast in zip(algorithm.method.copies, algorithm.method.networks, strict=True):
        assert torch.equal(slow.weight, fast.weight)


@pytest.mark.parametrize("build", [dqn, ilql])
def test_errors_and_action_values_are_reported_under_their_own_names(build: Any) -> None:
    # both take y1 = 5 of the second token; y0 = .5 * 3 of DQN's copy, .5 * V1 = 3 of ILQL: errors -2.5 or -1, and 2
    policy = table({S0: [4, 0, 0], S1: [1, 3, 2]}, {S0: 0, S1: 6})
    metrics = build(policy).update(two_tokens()).metrics
    first = 2.5 if build is dqn else 1.0
    assert metrics["q/error_mean"].value == (first + 2) / 2
    assert metrics["q/error_max"].value == max(first, 2)
    assert metrics["q/mean"].value == (4 + 3) / 2
    assert metrics["q/largest"].value == 4


def test_the_second_network_starts_elsewhere_and_always_at_the_same_place() -> None:
    first, again = (ilql(table({S0: [3, 1]}), jitter=0.1) for _ in range(2))
    assert not torch.equal(first.method.second.weight, first.method.policy.weight)
    assert torch.equal(first.method.second.weight, again.method.second.weight)
    assert torch.equal(ilql(Table(2, value_head=True), jitter=0.1).method.second.weight, Table(2).weight)  # no spread


# ------------------------------------------------------------ path consistency


def coin(**fields: Any) -> tuple[Table, Any]:
    """ref is a fair coin everywhere; then pi(0 | S0) = 3/4, V(S0) = 0.7 in the head. The copy still is the coin."""
    policy = table({S0: [0, 0], S1: [0, 0]})
    given = {"beta": 0.5, "discount": 0.5} | fields
    algorithm = PathConsistency.Config(optimizer=SGD(lr=1.0), **given).build(policy, Sampling(), 4096)
    fill(policy, {S0: [math.log(3), 0]}, {S0: 0.7})
    return policy, algorithm


RATIO = 0.5 * math.log(1.5)  # beta log pi / ref of action 0 in S0
V0, V1 = 0.5 * math.log(4), 0.5 * math.log(2)  # beta logsumexp of (ln 3, 0) and of (0, 0)


@pytest.mark.parametrize(("n_step", "unified", "first", "second"), [
    (1, True, -V0 - RATIO + 0.5 * V1, -V1 + 2),
    (2, True, -V0 - RATIO + 0.5 * 2, -V1 + 2),
    (None, True, -V0 - RATIO + 0.5 * 2, -V1 + 2),
    (1, False, -0.7 - RATIO, 2.0),  # the head says 0 of S1
    (None, False, -0.7 - RATIO + 0.5 * 2, 2.0),
])  # fmt: skip
def test_path_residuals_by_hand(n_step: int | None, unified: bool, first: float, second: float) -> None:
    _, algorithm = coin(n_step=n_step, unified=unified)
    batch = two_tokens(reward=2.0)
    update = algorithm.update(batch)
    assert update.per_token["residual"][batch.action_BT].tolist() == pytest.approx([first, second], abs=1e-14)
    assert update.metrics["optimizer/loss"].value == pytest.approx((first**2 + second**2) / 4)
    assert update.metrics["path/residual_mean"].value == pytest.approx((abs(first) + abs(second)) / 2)
    assert update.metrics["path/residual_max"].value == pytest.approx(max(abs(first), abs(second)))


def test_a_path_ends_in_the_copy_and_begins_in_the_reference() -> None:
    # the copy says (0, ln 7) of S1: .5 ln 8 there; what it says of S0 is no one's start
    _, algorithm = coin(n_step=1)
    fill(algorithm.method.copy, {S0: [5, 0], S1: [0, math.log(7)]})
    batch = two_tokens(reward=2.0)
    residual = algorithm.update(batch).per_token["residual"][batch.action_BT].tolist()
    assert residual == pytest.approx([-V0 - RATIO + 0.5 * 0.5 * math.log(8), -V1 + 2], abs=1e-14)


def test_a_path_of_an_unscored_answer_has_no_residual() -> None:
    _, algorithm = coin()
    batch = collate(
        (Pick(episode(turn(S0, (0,)), reward=1.0)), Pick(episode(turn(S0, (0,)), reward=Unscored("x")))), "per_turn"
    )
    update = algorithm.update(batch)
    scored, lost = update.per_token["residual"][batch.action_BT].tolist()
    assert (scored, lost) == (pytest.approx(1.0 - V0 - RATIO, abs=1e-14), 0.0)
    assert update.priority_K is not None
    assert update.priority_K[1] == 0.0


def test_path_step_by_hand_where_paths_overlap() -> None:
    # value head, n_step none: C0 = 1 - .7 - RATIO holds the terms of both tokens, C1 = 2 that of the second.
    # d(C^2/2) = C dC;  dC0/dV0 = -1;  dC0/d log pi(0|S0) = -.5;  dC0/d log pi(1|S1) = -.5 * .5;  dC1 = -.5
    policy, algorithm = coin(unified=False)
    c0, c1 = 0.3 - RATIO, 2.0
    algorithm.update(two_tokens(reward=2.0))
    assert policy.value is not None
    assert policy.value[:2].tolist() == pytest.approx([0.7 + c0 / 2, c1 / 2])
    up0, up1 = 0.5 * c0 / 2, (0.25 * c0 + 0.5 * c1) / 2  # what the log-probs are pushed by
    assert row(policy, S0) == pytest.approx([math.log(3) + up0 * 0.25, -up0 * 0.25])
    assert row(policy, S1) == pytest.approx([-up1 * 0.5, up1 * 0.5])


def test_one_step_of_unified_paths_is_soft_q_learning() -> None:
    # C = r + discount beta lse(copy) - Q(s, a), Q = beta (logit - log ref): linear in the one logit that was chosen
    policy, algorithm = coin(n_step=1)
    algorithm.update(batch_of(episode(turn(S0, (0,)), reward=1.0), layout="per_turn"))
    error = 1.0 - 0.5 * (math.log(3) - math.log(0.5))
    assert row(policy, S0) == pytest.approx([math.log(3) + 0.5 * error, 0.0], abs=1e-15)


def test_a_window_that_terminates_reads_no_value() -> None:
    batch = two_tokens(reward=5.0)  # slots: prompt, token of S0, token of S1 in a row of one turn
    steps = window(batch.rewards_BT, batch, 0.5, 1)
    everywhere = torch.full_like(batch.rewards_BT, 8.0)
    assert steps.bootstrapped(everywhere)[batch.action_BT].tolist() == [4.0, 5.0]
    assert steps.end_BT[batch.action_BT].tolist() == [2, -1]
