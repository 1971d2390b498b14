"""Every checkpoint of a run can be kept, and a resume does not forget it."""

from dataclasses import replace

import strop
import table_run

CONFIG = table_run.config(steps=4, checkpoint_every=1, held_out=[])


def test_every_checkpoint_is_kept_and_can_be_loaded(tmp_path):
    run = strop.train(CONFIG, tmp_path / "run", keep_all=True, progress=False)
    assert run.directory.checkpoints.steps() == [0, 1, 2, 3, 4]
    assert strop.load(f"{run.path}@1").policy is not None


def test_a_resume_keeps_them_without_the_option(tmp_path):
    strop.train(CONFIG, tmp_path / "run", keep_all=True, progress=False)
    run = strop.train(replace(CONFIG, steps=6), tmp_path / "run", resume=True, progress=False)
    assert run.directory.checkpoints.steps() == [0, 1, 2, 3, 4, 5, 6]


def test_keep_all_can_begin_at_a_resume(tmp_path):
    strop.train(CONFIG, tmp_path / "run", progress=False)
    run = strop.train(replace(CONFIG, steps=6), tmp_path / "run", resume=True, keep_all=True, progress=False)
    assert run.directory.checkpoints.steps() == [3, 4, 5, 6]


def test_by_default_the_last_two_are_kept(tmp_path):
    run = strop.train(CONFIG, tmp_path / "run", progress=False)
    assert run.directory.checkpoints.steps() == [3, 4]
