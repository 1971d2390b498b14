"""What may be said of a run, and no more."""

import math

from strop.reports.verdicts import verdict


def test_a_rise_is_said_with_its_interval():
    found = verdict("reward", [0.0] * 30, [1.0] * 10 + [0.0] * 20)
    assert found.sentence == f"reward rose by {found.difference:+} on 30 held-out prompts."
    assert not found.fell


def test_what_may_be_chance_is_not_called_better():
    found = verdict("reward", [0.0, 1.0] * 4, [1.0, 1.0] + [0.0, 1.0] * 3)
    assert found.sentence.startswith("reward is not shown to be better: it changed by +0.125 [-0.")
    assert found.sentence.endswith(" on 8 held-out prompts, which may be chance.")


def test_equal_changes_of_all_prompts_have_no_interval():
    rose = verdict("reward", [0.25] * 12, [0.75] * 12)
    assert rose.sentence == "reward rose by +0.500 on each of 12 held-out prompts."
    fell = verdict("gold", [0.75] * 12, [0.25] * 12)
    assert fell.sentence.startswith(
        "gold fell by -0.500 on each of 12 held-out prompts. The reward may have been hacked"
    )
    assert (rose.fell, fell.fell) == (False, True)
    same = verdict("reward", [0.25] * 12, [0.25] * 12)
    assert same.sentence == "reward is the same as before on each of 12 held-out prompts."


def test_one_prompt_shows_nothing():
    found = verdict("reward", [0.75, math.nan], [0.25, 1.0])
    assert found.sentence == "reward changed by -0.500 on the one held-out prompt, which shows nothing."
    assert not found.fell
    assert "no prompt was scored both times" in verdict("reward", [math.nan], [1.0]).sentence


def test_only_prompts_that_were_scored_both_times_count():
    found = verdict("reward", [0.0, 0.5, math.nan, 0.5], [0.5, 0.5, 1.0, math.nan])
    assert (found.num_prompts, found.num_changed) == (2, 1)
    assert (found.before.mean, found.after.mean) == (1.0 / 3, 2.0 / 3)


def test_few_prompts_and_few_changes_are_named():
    few = verdict("reward", [0.0, 0.1, 0.0], [1.0, 1.0, 1.1])
    assert few.sentence.endswith(" on 3 held-out prompts. These are few prompts: believe it only with more.")
    changes = verdict("reward", [0.0] * 48, [1.0] * 7 + [0.0] * 41)
    assert changes.sentence.endswith(" on 48 held-out prompts. Only 7 of them changed: believe it only with more.")
    assert verdict("reward", [0.0] * 48, [1.0] * 8 + [0.0] * 40).sentence.endswith(" on 48 held-out prompts.")


def test_equal_scores_after_are_read_beside_those_before():
    found = verdict("reward", [-1.0] * 4 + [1.0] * 8, [1.0] * 12)
    assert found.after.low < 0.6 < verdict("reward", [0.0] * 4 + [1.0] * 8, [1.0] * 12).after.low
