"""Each guard, with the fault that it detects and without."""

import math

import numpy as np
import pytest
import torch
from tiny_run import STOP, make_batch, make_episode

from strop.runs.guards import (
    GapTolerance,
    Watch,
    length_warning,
    lost_warning,
    sampler_gap,
    signal_warning,
)
from strop.runs.measures import add_opinions, step_measures
from strop.types import Completion, End, Max, Mean, Part, Pick, Stopped, Turn, Unscored

STOPS = frozenset({STOP})


def unscored(reason="Traceback (most recent call last):\n  File x\nValueError: bad"):
    return make_episode(parts={"good": Part(1.0, Unscored(reason))})


def failed():
    return make_episode(end=End.FAILED, error="the environment took longer than 5 s")


def test_up_to_a_fifth_may_be_lost():
    assert lost_warning([unscored(), *[make_episode()] * 4]) == ""
    text = lost_warning([unscored(), unscored(), failed(), *[make_episode()] * 9])
    assert "3 of 12 episodes" in text
    assert "(2 times): good: ValueError: bad" in text or "(2 times): ValueError: bad" in text


def test_three_steps_in_a_row_stop_and_one_good_step_resets():
    bad, good = [unscored()] * 3 + [make_episode()], [make_episode()] * 4
    watch = Watch()
    for step, episodes in enumerate([bad, bad, good, bad, bad]):
        watch, _ = watch.after(step, episodes, STOPS, 8)
        watch.check(episodes)
    watch = Watch.from_state(watch.state_dict())
    watch, _ = watch.after(5, bad, STOPS, 8)
    with pytest.raises(Stopped, match="number 3 in a row"):
        watch.check(bad)


def said_of(steps, num_actions=100, **given):
    """The entropy warnings of steps, each an entropy and its rewards."""
    watch, said = Watch(), []
    for step, (entropy, rewards) in enumerate(steps):
        episodes = [make_episode(reward=reward, group=i) for i, reward in enumerate(rewards)]
        watch, events = watch.after(step, episodes, STOPS, 8, entropy=entropy, num_actions=num_actions, **given)
        watch = Watch.from_state(watch.state_dict())  # what it remembers survives a resume
        said += [(step, event.text) for event in events if "entropy has collapsed" in event.text]
    return said


HALF = (0.0, 1.0)


def test_a_collapsed_entropy_is_told_with_what_to_do():
    # ln 100 = 4.6, of which a tenth is 0.46; a fifth of the start is 0.4
    ((step, text),) = said_of([(2.0, HALF), (0.41, HALF), (0.39, HALF)])
    assert step == 2
    assert "(0.39 nats a token; it began with 2, and 100 possible actions have at most 4.6)" in text
    for advice in ("earlier checkpoint", "algorithm.entropy", "algorithm.kl.weight", "algorithm.optimizer.lr"):
        assert advice in text


def test_a_small_entropy_is_no_collapse_where_it_began_small_or_few_actions_allow_no_more():
    assert said_of([(0.3, HALF), (0.07, HALF)]) == []  # not below a fifth of the start
    assert said_of([(0.69, HALF), (0.08, HALF)], num_actions=2) == []  # a tenth of ln 2 is 0.069
    assert len(said_of([(0.69, HALF), (0.06, HALF)], num_actions=2)) == 1
    assert said_of([(0.0, HALF), (0.0, HALF)]) == []  # greedy from the start
    assert said_of([(2.0, HALF), (0.0, HALF)], num_actions=1) == []


def test_a_solved_task_needs_no_entropy():
    assert said_of([(2.0, (0.0, 1.0, 0.0, 0.0)), (0.01, (1.0, 1.0, 1.0, 1.0))]) == []
    assert said_of([(2.0, (-1000.0, 200.0)), (0.01, (90.0, 200.0))]) == []  # 145: the highest tenth begins at 80
    assert len(said_of([(2.0, (-1000.0, 200.0)), (0.01, (0.0, 100.0))])) == 1
    assert said_of([(2.0, (1.0, 1.0)), (0.01, (1.0, 1.0))]) == []  # too easy from the start
    assert len(said_of([(2.0, (0.0, 0.0)), (0.01, (0.0, 0.0))])) == 1  # too hard


def test_what_imitates_has_no_entropy_of_its_own_to_lose():
    assert said_of([(2.0, ()), (0.01, ())]) == []  # SFT plays no episode
    assert said_of([(2.0, HALF), (0.01, HALF)], pays=False) == []  # distillation follows its teacher
    assert said_of([(None, HALF), (0.01, HALF), (None, HALF)]) == []  # the first that was measured is the start
    assert said_of([(math.nan, HALF), (0.01, HALF)]) == []


def test_a_checkpoint_of_before_is_read():
    assert Watch.from_state({"streak": 2}) == Watch(2)


def test_every_faulty_step_has_a_warning():
    cut = [make_episode(tokens=(1, 2), reward=i / 10) for i in range(4)]
    watch, said = Watch(), []
    for step in range(3):
        watch, events = watch.after(step, cut, STOPS, 2)
        said += [event.step for event in events]
    assert said == [0, 1, 2]


def test_cut_or_never_ending_completions_give_a_warning():
    cut, ended = make_episode(tokens=(1, 2)), make_episode(tokens=(1, STOP))
    assert "All 2 completions were cut at max_tokens=2" in length_warning([cut, cut], STOPS, 2)
    assert length_warning([cut, ended], STOPS, 2) == ""
    assert length_warning([cut, cut], frozenset(), 2) == ""  # nothing could have ended them
    assert length_warning([cut, cut], STOPS, 1) == ""
    assert length_warning([], STOPS, 2) == ""
    odd = make_episode(turns=(Turn((1,), Completion((1, 2), None, "stop"), "x"),))
    assert "Of 1 completion, none ended with a stop token" in length_warning([odd], STOPS, 2)
    empty = make_episode(turns=(Turn((1,), Completion((), (), "length"), ""),))
    assert "cut" in length_warning([empty], STOPS, 2)


def test_groups_without_signal_are_counted_and_explained():
    def group(number, *rewards):
        return [make_episode(reward=reward, group=number) for reward in rewards]

    text = signal_warning([*group(0, *[1.0] * 8), *group(1, 0.0, 0.0), *group(2, 0.5, 0.5), *group(3, 0.0, 1.0)])
    assert "3 of 4 groups" in text
    assert "all 8 answers scored 1: too easy" in text
    assert "all 2 answers scored 0: too hard" in text
    assert "all 2 answers scored 0.5: the reward does not tell them apart" in text
    assert signal_warning(group(0, 0.0, 1e-12)) == ""  # exactly equal, nothing less
    assert signal_warning([*group(0, 1.0), *group(1, 1.0)]) == ""  # groups of one compare nothing


def test_the_sampler_gap_is_reported_and_stops_the_run_above_the_tolerance():
    metrics = {"policy/sampler_gap_max": Max(5e-5), "policy/sampler_gap_mean": Mean(1e-5 * 1e6, 1e6)}
    assert "gap max 5e-05, mean 1e-05" in sampler_gap(metrics, GapTolerance())
    assert sampler_gap({}, GapTolerance()) == ""
    with pytest.raises(Stopped, match=r"max 5e-05.*allowed max 1e-05.*Likely causes"):
        sampler_gap(metrics, GapTolerance(max=1e-5))
    with pytest.raises(Stopped, match="allowed mean"):
        sampler_gap(metrics, GapTolerance(max=None, mean=1e-6))
    with pytest.raises(Stopped):
        sampler_gap({"policy/sampler_gap_max": Max(math.nan)}, GapTolerance())


MANY = 10**8


def over(tokens: float, mean: float) -> Mean:
    """The mean of so many tokens."""
    return Mean(mean * tokens, tokens)


def test_bfloat16_allows_a_mean_gap_but_no_bias():
    scattered = {
        "policy/sampler_gap_max": Max(0.3),
        "policy/sampler_gap_mean": over(MANY, 0.049),
        "policy/sampler_gap_bias": over(MANY, -0.004),
    }
    assert "bias -0.004" in sampler_gap(scattered, GapTolerance.of("bfloat16"))
    leaning = scattered | {"policy/sampler_gap_bias": over(MANY, -0.006)}
    with pytest.raises(Stopped, match=r"allowed bias 0\.005"):
        sampler_gap(leaning, GapTolerance.of("bfloat16"))
    with pytest.raises(Stopped, match=r"allowed mean 0\.05"):
        sampler_gap(scattered | {"policy/sampler_gap_mean": over(MANY, 0.051)}, GapTolerance.of("bfloat16"))


def test_the_mean_over_few_tokens_has_a_wider_limit():
    for kind, bound in ("mean", 0.05), ("bias", 0.005):
        for tokens in (1, 16, 400):
            allowed = bound + 4 * 0.05 / math.sqrt(tokens)
            for share in (0.99, -0.99) if kind == "bias" else (0.99,):
                told = {f"policy/sampler_gap_{kind}": over(tokens, share * allowed)}
                assert "agree" in sampler_gap(told, GapTolerance.of("bfloat16"))
            with pytest.raises(Stopped, match=f"allowed {kind}"):
                sampler_gap({f"policy/sampler_gap_{kind}": over(tokens, 1.01 * allowed)}, GapTolerance.of("bfloat16"))
    assert GapTolerance().scatter(1) == 0.0


def test_measures_by_hand():
    episodes = [
        make_episode(tokens=(1, 2, STOP), reward=0.0),
        make_episode(tokens=(1, STOP), reward=1.0),
        make_episode(tokens=(1,), reward=1.0, group=1),
        unscored(),
        failed(),
    ]
    measures = step_measures(episodes)
    # FAILED leaves the baseline, but its part was computed: rewards 0, 1, 1 and the failed one's 0.5.
    assert measures["reward/mean"] == 2 / 3
    assert measures["reward/std"] == pytest.approx(math.sqrt(2 / 9))
    assert measures["reward/good"] == 2.5 / 4
    assert measures["rollout/length"] == (3 + 2 + 1 + 3 + 3) / 5
    assert measures["rollout/stop_share"] == 4 / 5
    assert (measures["rollout/unscored"], measures["rollout/failed"]) == (1 / 5, 1 / 5)
    assert measures["signal/groups"] == 1.0  # group 0 differs; group 1 has one answer
    assert step_measures([]) == {}


def test_a_reward_cannot_have_the_name_of_a_metric():
    with pytest.raises(ValueError, match="Rename it"):
        step_measures([make_episode(parts={"mean": Part(1.0, 0.0)})])


def test_opinions_of_all_rows_are_copied_to_the_episodes_actions():
    from dataclasses import replace

    turns = tuple(Turn((5, 6), Completion(tokens, None, "length"), "") for tokens in ((1, 2), (3,), (4, 5, 6)))
    episode = make_episode("e", turns=turns)
    single = make_batch((Pick(make_episode(tokens=(1, 2))),))
    # Two rows: the first holds turn 0 of the first pick, the second turn 2 of another pick of the same episode.
    batch = replace(
        single,
        action_BT=torch.tensor([[False, True, True, False], [False, True, True, True]]),
        episode_B=torch.tensor([0, 1]),
        offset_B=torch.tensor([0, 3]),
    )
    opinion_BT = torch.tensor([[9.0, 0.1, 0.2, 9.0], [9.0, 0.4, 0.5, 0.6]], dtype=torch.float64)
    found: dict = {}
    add_opinions(found, (Pick(episode, 0), Pick(episode, 2)), batch, {"advantage": opinion_BT})
    expected = np.array([0.1, 0.2, np.nan, 0.4, 0.5, 0.6], dtype=np.float32)
    np.testing.assert_array_equal(found["e", "advantage"], expected)
    assert found["e", "advantage"].dtype == np.float32
