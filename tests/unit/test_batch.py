"""collate: every slot of a batch written out by hand."""

from __future__ import annotations

import math

import pytest

from exact.build import batch_of, episode, turn
from strop.batch import collate, scored_rewards
from strop.types import End, Part, Pick, Unscored

NAN = math.nan


def same(got: list[list[float]], expected: list[list[float]]) -> bool:
    """Equal, with NaN equal to NaN."""
    return all(
        len(a) == len(b) and all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(a, b, strict=True))
        for a, b in zip(got, expected, strict=True)
    )


def test_collate_one_turn_puts_the_reward_on_the_last_action() -> None:
    # prompt 5 6, action 7 8 9, reward 2: slots 0 1 | 2 3 4
    batch = batch_of(episode(turn((5, 6), (7, 8, 9), (-0.1, -0.2, -0.3)), reward=2.0, group=4))
    assert batch.tokens_BT.tolist() == [[5, 6, 7, 8, 9]]
    assert batch.action_BT.tolist() == [[False, False, True, True, True]]
    assert same(batch.logprobs_BT.tolist(), [[NAN, NAN, -0.1, -0.2, -0.3]])
    assert batch.rewards_BT.tolist() == [[0, 0, 0, 0, 2]]
    assert batch.next_BT.tolist() == [[-1, -1, 3, 4, -1]]
    assert batch.decision_BT.tolist() == batch.action_BT.tolist()
    assert (batch.group_E.tolist(), batch.return_E.tolist(), batch.weight_E.tolist()) == ([4], [2.0], [1.0])


def test_collate_joined_skips_the_environment_tokens_between_turns() -> None:
    # 5 | 7 | (env) 3 3 | 8 9; turn rewards .5 and 1, episode reward 2
    one = episode(turn((5,), (7,), reward=0.5), turn((5, 7, 3, 3), (8, 9), reward=1.0), reward=2.0)
    batch = batch_of(one)
    assert batch.tokens_BT.tolist() == [[5, 7, 3, 3, 8, 9]]
    assert batch.action_BT.int().tolist() == [[0, 1, 0, 0, 1, 1]]
    assert batch.next_BT.tolist() == [[-1, 4, -1, -1, 5, -1]]
    assert batch.rewards_BT.tolist() == [[0, 0.5, 0, 0, 0, 3]]
    assert batch.return_E.tolist() == [3.5]


def test_collate_per_turn_links_decisions_across_rows() -> None:
    one = episode(turn((5,), (7,), reward=0.5), turn((5, 7, 3, 3), (8, 9)), reward=2.0)
    batch = batch_of(one, layout="per_turn")
    assert batch.tokens_BT.tolist() == [[5, 7, 0, 0, 0, 0], [5, 7, 3, 3, 8, 9]]
    assert batch.action_BT.int().tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]]
    assert batch.next_BT.tolist() == [[-1, 10, -1, -1, -1, -1], [-1, -1, -1, -1, 11, -1]]  # 10 = row 1 * width 6 + 4
    assert (batch.episode_B.tolist(), batch.turn_B.tolist(), batch.offset_B.tolist()) == ([0, 0], [0, 1], [0, 1])


def test_collate_joined_starts_a_row_where_history_is_rewritten() -> None:
    # the second prompt dropped the first answer's 8: it does not extend 5 7 8
    one = episode(turn((5,), (7, 8)), turn((5, 7, 3), (9,)), turn((5, 7, 3, 9, 4), (6,)), reward=1.0)
    batch = batch_of(one)
    assert batch.tokens_BT.tolist() == [[5, 7, 8, 0, 0, 0], [5, 7, 3, 9, 4, 6]]
    assert batch.next_BT.tolist() == [[-1, 2, 9, -1, -1, -1], [-1, -1, -1, 11, -1, -1]]
    assert (batch.turn_B.tolist(), batch.offset_B.tolist()) == ([0, 1], [0, 2])


@pytest.mark.parametrize(
    ("layout", "tokens", "following"),
    [
        ("joined", [[5, 7, 3, 0]], [[-1, 3, -1, -1]]),
        ("per_turn", [[5, 7, 0, 0], [5, 7, 3, 0]], [[-1, 7, -1, -1], [-1] * 4]),
    ],
)
def test_collate_truncated_ends_in_a_slot_where_a_value_is_read(layout: str, tokens: object, following: object) -> None:
    # after `final` = 5 7 3 the next decision would stand at slot 3
    batch = batch_of(episode(turn((5,), (7,)), end=End.TRUNCATED, final=(5, 7, 3)), layout=layout)
    assert batch.tokens_BT.tolist() == tokens
    assert batch.next_BT.tolist() == following
    assert not batch.action_BT[-1, 3]
    assert batch.decision_BT[-1, 3]
    assert int(batch.action_BT.sum()) == 1


def test_collate_terminated_reads_no_value_even_where_a_final_prompt_stands() -> None:
    batch = batch_of(episode(turn((5,), (7,)), end=End.TERMINATED, final=(5, 7, 3)))
    assert batch.next_BT.tolist() == [[-1, -1]]


def test_collate_a_turn_without_an_action_gives_its_reward_to_the_previous_decision() -> None:
    one = episode(
        turn((5,), (7,), reward=1.0), turn((5, 7, 3), (), reward=10.0), turn((5, 7, 3, 4), (8,), reward=100.0)
    )
    batch = batch_of(one)
    assert batch.tokens_BT.tolist() == [[5, 7, 3, 4, 8]]
    assert batch.rewards_BT.tolist() == [[0, 11, 0, 0, 100]]
    assert batch.next_BT.tolist() == [[-1, 4, -1, -1, -1]]
    assert batch.return_E.tolist() == [111]
    first = episode(turn((5,), (), reward=10.0), turn((5, 4), (8,), reward=1.0))
    assert batch_of(first).rewards_BT.tolist() == [[0, 0, 1]]  # no decision came before it
    assert batch_of(first).return_E.tolist() == [11]


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
def test_collate_an_episode_without_any_action_counts_in_the_return_only(layout: str) -> None:
    batch = batch_of(episode(turn((5,), ()), reward=3.0), episode(turn((5,), (7,)), reward=1.0), layout=layout)
    assert batch.return_E.tolist() == [3.0, 1.0]
    assert batch.weight_E.tolist() == [1.0, 1.0]
    assert batch.rewards_BT.sum().item() == 1.0
    assert int(batch.action_BT.sum()) == 1


def test_collate_spreads_rewards_over_turns_and_tokens() -> None:
    parts = {
        "turns": Part(2.0, 3.0, turns=(1.0, 2.0)),
        "tokens": Part(1.0, 0.6, tokens=(0.1, 0.2, 0.3)),
        "gold": Part(0.0, 50.0),
        "whole": Part(0.5, 8.0),
    }
    one = episode(turn((5,), (7,)), turn((5, 7, 3), (8, 9)), parts=parts)
    # slot 1: 2*1 + .1; slot 3: .2; slot 4: 2*2 + .3 + .5*8
    assert batch_of(one).rewards_BT.tolist() == [[0, 2.1, 0, 0.2, 8.3]]
    assert batch_of(one).return_E.tolist() == [2 * 3 + 0.6 + 4]
    assert math.isclose(sum(scored_rewards(one)), 10.6)


@pytest.mark.parametrize("lost", ["unscored", "failed"])
def test_collate_unscored_and_failed_have_no_weight_and_no_reward(lost: str) -> None:
    reward = Unscored("no") if lost == "unscored" else 1.0
    bad = episode(turn((5,), (7,), reward=4.0), reward=reward, end=End.FAILED if lost == "failed" else End.TERMINATED)
    batch = batch_of(bad, episode(turn((5,), (7,)), reward=2.0))
    assert batch.weight_E.tolist() == [0.0, 1.0]
    assert math.isnan(batch.return_E[0])
    assert batch.rewards_BT.tolist() == [[0, 0], [0, 2]]


def test_collate_a_gold_part_that_is_unscored_changes_nothing() -> None:
    one = episode(turn((5,), (7,)), parts={"r": Part(1.0, 2.0), "gold": Part(0.0, Unscored("offline"))})
    assert batch_of(one).weight_E.tolist() == [1.0]


def test_collate_unknown_logprobs_are_nan() -> None:
    batch = batch_of(episode(turn((5,), (7,), None)))
    assert same(batch.logprobs_BT.tolist(), [[NAN, NAN]])


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
def test_collate_a_transition_bootstraps_at_the_next_prompt(layout: str) -> None:
    one = episode(turn((5,), (7,), reward=1.0), turn((5, 7, 3), (8,), reward=2.0), turn((5, 7, 3, 8, 4), (9,)))
    batch = collate((Pick(one, turn=1, length=1),), layout)
    rows = [[5, 7, 3, 8, 4, 0]] if layout == "joined" else [[5, 7, 3, 8, 0, 0], [5, 7, 3, 8, 4, 0]]
    assert batch.tokens_BT.tolist() == rows
    assert int(batch.action_BT.sum()) == 1
    assert batch.action_BT[0, 3]
    assert batch.next_BT[0, 3] == (len(rows) - 1) * 6 + 5
    assert batch.rewards_BT.sum().item() == 2.0
    assert (batch.turn_B.tolist()[0], batch.offset_B.tolist()[0]) == (1, 1)


def test_collate_an_n_step_window_and_the_last_one() -> None:
    one = episode(turn((5,), (7,)), turn((5, 7, 3), (8,)), turn((5, 7, 3, 8, 4), (9,)), reward=6.0)
    window = collate((Pick(one, turn=0, length=2, weight=0.5),), "joined")
    assert window.next_BT.tolist() == [[-1, 3, -1, 5, -1, -1]]
    assert window.rewards_BT.sum().item() == 0.0  # the episode's reward falls on the last action of all
    assert window.weight_E.tolist() == [0.5]
    last = collate((Pick(one, turn=2, length=1),), "joined")
    assert last.next_BT.tolist() == [[-1] * 6]
    assert last.rewards_BT.tolist() == [[0, 0, 0, 0, 0, 6]]


def test_collate_a_transition_bootstraps_at_the_next_decision_past_an_empty_turn() -> None:
    # the empty turn's reward already stands on the transition's action: what follows is the decision after it
    one = episode(turn((5,), (7,)), turn((5, 7, 3), (), reward=10.0), turn((5, 7, 3, 4), (8,)))
    batch = collate((Pick(one, turn=0, length=1),), "joined")
    assert batch.tokens_BT.tolist() == [[5, 7, 3, 4, 0]]
    assert batch.next_BT.tolist() == [[-1, 4, -1, -1, -1]]
    assert batch.rewards_BT.tolist() == [[0, 10, 0, 0, 0]]


@pytest.mark.parametrize("layout", ["joined", "per_turn"])
def test_collate_a_picked_turn_without_an_action_reads_no_value(layout: str) -> None:
    one = episode(turn((5,), ()), turn((5, 3), (8,)))
    batch = collate((Pick(one, turn=0, length=1),), layout)
    assert batch.tokens_BT.tolist() == [[5]]
    assert not bool(batch.decision_BT.any())


def test_collate_refuses_what_does_not_exist() -> None:
    one = episode(turn((5,), (7,)))
    with pytest.raises(ValueError, match="at least one pick"):
        collate((), "joined")
    with pytest.raises(ValueError, match="1 turns"):
        collate((Pick(one, turn=1, length=1),), "joined")
    with pytest.raises(ValueError, match="no episode of this update has a turn"):
        batch_of(episode())


def test_collate_does_not_change_the_episode() -> None:
    one = episode(turn((5,), (7,)), turn((5, 7, 3), (8,)), end=End.TRUNCATED, final=(5, 7, 3, 8, 2))
    batch_of(one)
    assert one.turns[0].prompt == (5,)
    assert one.final == (5, 7, 3, 8, 2)


@pytest.mark.parametrize(
    ("first", "length", "expected"),
    [
        # turn 0 pays 1; turn 2 has no action, so its 10 falls on turn 1, which pays 2; turn 4 has none either
        (0, 1, [1.1]),  # 1 + .1
        (0, 2, [1.1, 0.2, 62.3]),  # 2 + 10 + .3 + 5 * (4 + 6)
        (1, 1, [0.2, 62.3]),
        (1, 2, [0.2, 62.3]),
        (2, 2, [1103.4]),  # its own 10 and 30 fell before: 100 + 1000 of turn 4 + .4 + 3, the whole
        (3, 1, [1103.4]),
        (0, 5, [1.1, 0.2, 62.3, 1103.4]),
    ],
)
def test_picked_turns_have_the_rewards_that_fall_on_their_actions(
    first: int, length: int, expected: list[float]
) -> None:
    parts = {
        "tokens": Part(1.0, 1.0, tokens=(0.1, 0.2, 0.3, 0.4)),
        "turns": Part(5.0, 10.0, turns=(0.0, 4.0, 6.0, 0.0, 0.0)),
        "whole": Part(1.0, 3.0),
    }
    one = episode(
        turn((5,), (7,), reward=1.0),
        turn((6,), (8, 9), reward=2.0),
        turn((6, 1), (), reward=10.0),
        turn((4,), (7,), reward=100.0),
        turn((4, 1), (), reward=1000.0),
        parts=parts,
    )
    batch = collate((Pick(one, first, length),), "per_turn")
    assert batch.rewards_BT[batch.action_BT].tolist() == pytest.approx(expected)


def test_a_batch_holds_what_each_reward_gave_and_weighs() -> None:
    # the environment's own first, then the named ones by name; gold is reported only, and FAILED gave nothing
    many = [
        episode(turn((5,), (7,), reward=0.5), turn((5, 7), (8,), reward=1.0), parts={"b": Part(2.0, 3.0)}),
        episode(turn((5,), (7,)), parts={"b": Part(2.0, Unscored("judge")), "a": Part(-1.0, 4.0)}),
        episode(turn((5,), (7,)), parts={"a": Part(-1.0, 6.0), "gold/x": Part(0.0, 9.0)}),
        episode(turn((5,), (7,), reward=2.0), parts={"a": Part(-1.0, 6.0)}, end=End.FAILED),
    ]
    batch = batch_of(*many)
    assert same(batch.parts_EK.tolist(), [[1.5, NAN, 3.0], [0.0, 4.0, NAN], [0.0, 6.0, NAN], [NAN, NAN, NAN]])
    assert batch.part_weight_K.tolist() == [1.0, -1.0, 2.0]
    told_E = (batch.parts_EK * batch.part_weight_K).nansum(dim=1)
    assert [told_E[e].item() for e in (0, 2)] == [batch.return_E[e].item() for e in (0, 2)] == [7.5, -6.0]


def test_one_name_with_two_weights_is_two_rewards() -> None:
    many = [episode(turn((5,), (7,)), parts={"r": Part(weight, 1.0)}) for weight in (0.5, 2.0)]
    batch = batch_of(*many)
    assert same(batch.parts_EK.tolist(), [[0.0, 1.0, NAN], [0.0, NAN, 1.0]])
    assert batch.part_weight_K.tolist() == [1.0, 0.5, 2.0]


def test_some_rows_of_a_batch_keep_what_the_rewards_gave() -> None:
    batch = batch_of(*(episode(turn((5,), (7,)), parts={"r": Part(2.0, float(i))}, id=str(i)) for i in range(3)))
    for some in (batch.rows([2, 0]), *(micro for micro, *_ in batch.split(2, "row")), batch.to("cpu")):
        assert some.parts_EK.tolist() == [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]
        assert some.part_weight_K.tolist() == [1.0, 2.0]
