"""What there is to see of a run, and what it came to, read from its folder."""

import dataclasses

import pytest

import strop
import table_run
from strop.reports.judgement import judge, judge_again
from strop.reports.outcome import outcome_of, tokens_per_second
from strop.reports.page import episodes_of, page_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return strop.train(table_run.config(), tmp_path_factory.mktemp("page") / "run", progress=False)


def test_the_page_holds_the_facts_and_prints_nothing(run, capsys):
    page = page_of(run.directory)
    assert (page.run, page.status, page.done, page.steps) == (str(run.path), "finished", 2, 2)
    assert (page.checkpoints, page.files, page.max_tokens) == ([0, 2], [], 1)
    assert page.best_checkpoint in (0, 2)
    assert [step for step, _ in page.curves["reward/mean"]] == [0, 1]
    assert page.best.reward >= page.worst.reward
    assert page.verdicts == run.verdicts()
    assert capsys.readouterr() == ("", "")


def test_the_episodes_of_a_step_and_a_step_that_is_not_there(run):
    found = episodes_of(run.directory, 1)
    assert {one.step for one in found.episodes} == {1}
    assert (found.max_tokens, found.pays) == (1, True)
    with pytest.raises(ValueError, match="no episodes of step 7: there are 0 to 1"):
        episodes_of(run.directory, 7)


def test_the_outcome_compares_the_first_judgement_with_the_last(run):
    found = outcome_of(run.directory)
    assert (found.num_held_out, found.steps) == (1, 2)
    assert found.verdicts == run.verdicts()
    assert (found.before, found.after) == (run.judged(0), run.judged(2))


def test_the_outcome_of_a_run_without_a_score_shows_what_it_wrote_at_its_end(tmp_path):
    early = table_run.config(rewards={}, algorithm=strop.algorithms.SFT.Config(), tasks=[strop.Task("one", "a", "b")])
    run = strop.train(dataclasses.replace(early, minutes=1e-9), tmp_path / "run", progress=False)
    found = outcome_of(run.directory)
    assert (found.steps, found.verdicts) == (1, [])
    assert found.after == run.judged(1) != []


def test_tokens_per_second_are_weighed_by_the_time_of_the_steps():
    steps = [
        {"time/tokens_per_second": 100.0, "time/step_seconds": 1.0},
        {"time/tokens_per_second": 10.0, "time/step_seconds": 3.0},
        {"held_out/reward": 1.0},
    ]
    assert tokens_per_second(steps) == pytest.approx((100 + 30) / 4)
    assert tokens_per_second([{"time/step_seconds": 1.0}]) == 0.0


def test_judging_again_finds_what_the_run_found(run):
    judged = judge_again(run.directory, 2, run.config, run.parts)
    assert judged.after == run.judged(2)
    assert judged.before == run.judged(0)
    assert judged.judgement.verdicts == run.verdicts()
    assert judged.judgement.scores["reward"] == run.verdicts()[0].after
    assert judged.judgement.means["tokens"] == 1.0


def test_a_judgement_of_other_tasks_compares_nothing(run):
    other = table_run.config(held_out=[strop.Task("x", "a"), strop.Task("y", "b")]).resolve()
    judged = judge("mine", 2, other, run.parts)
    assert (judged.judgement.who, judged.judgement.prompts, judged.judgement.verdicts) == ("mine", 2, [])
    with pytest.raises(ValueError, match="no held-out prompts"):
        judge("mine", 2, table_run.config(held_out=[]).resolve(), run.parts)
