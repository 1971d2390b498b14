"""`engine` in configs, on the command line, in plans, and where ray is missing."""

import sys

import pytest

import fleet
import strop
from strop.cli import engine_flags
from strop.cli.errors import Usage
from strop.cli.main import main
from strop.reports import preflight
from strop.reports.plan import make_plan
from strop.scale.born import Born, last_words
from strop.scale.losses import Losses, told
from strop.types import Stopped


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"staleness": 5}, "engine.staleness=5: it is 0 .* to 4"),
        ({"staleness": -1}, "engine.staleness=-1"),
        ({"replicas": 0}, "engine.replicas=0"),
        ({"groups": 0}, "engine.groups=0"),
        ({"unit_seconds": 0.0}, "engine.unit_seconds=0.0: it is positive"),
        ({"address": 3}, "Ray.address=3"),
    ],
)
def test_a_field_out_of_range_says_what_is_allowed(fields, why):
    with pytest.raises(ValueError, match=why):
        strop.scale.Ray(**fields)


def test_embedded_refuses_another_batch():
    with pytest.raises(ValueError, match=r"engine.batch='all': allowed are step, group"):
        strop.scale.Embedded(batch="all")


def test_the_default_engine_imports_no_ray(tmp_path):
    before = set(sys.modules)
    strop.train(fleet.config(steps=1), tmp_path / "run", progress=False)
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] == "ray"}


def test_where_ray_is_missing_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("strop.scale.cluster.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'engine=ray needs the package ray: pip install "strop\[ray\]"'):
        strop.train(fleet.config(engine=fleet.ray_of()), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_flags_are_fields(capsys):
    words = "train copy_word --dry-run --engine ray --ray auto --rollout-replicas 3 --staleness 1"
    assert main(words.split()) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 replicas on Ray at auto; episodes at most 1 step old, and corrected for their age" in shown


def test_fields_of_an_engine_stand_beside_its_flag(capsys):
    words = "train copy_word --dry-run --engine ray engine.unit_seconds=30"
    assert main(words.split()) == 0
    assert "2 replicas on Ray" in capsys.readouterr().out
    fields = ["engine.unit_seconds=30", "rl.engine.url=http://h/v1", "engine=ray", "steps=3", "rewards.engine=1"]
    assert [engine_flags.is_field(one) for one in fields] == [True, True, False, False, False]


@pytest.mark.parametrize("engine", ["", " --engine embedded", " --engine http"])
def test_a_flag_of_ray_without_the_engine_is_refused(engine, capsys):
    assert main(f"train two_words --dry-run --staleness 1{engine}".split()) == Usage.code
    said = capsys.readouterr().err
    assert "--staleness is for --engine ray, or for a recipe whose engine is strop.scale.Ray." in said
    assert "strop train RECIPE --engine ray --staleness ..." in said


def test_a_flag_of_ray_changes_the_engine_that_the_recipe_has(capsys):
    words = "train copy_word --dry-run engine=ray engine.replicas=3 --staleness 1"
    assert main(words.split()) == 0
    assert "3 replicas on Ray on this machine; episodes at most 1 step old" in " ".join(capsys.readouterr().out.split())


def test_a_field_of_ray_may_be_typed_beside_the_flag(capsys):
    words = "train copy_word --dry-run --json engine.unit_seconds=7 --engine ray --rollout-replicas 3"
    assert main(words.split()) == 0
    shown = capsys.readouterr().out
    assert '"engine.replicas=3"' in shown
    assert '"engine.unit_seconds=7.0"' in shown


def test_stages_that_play_get_the_engine_and_others_do_not():
    sft = fleet.config(algorithm=strop.algorithms.SFT.Config(), rewards=())
    stages = [strop.Stage("first", sft), strop.Stage("rl", fleet.config())]
    assert engine_flags.of_recipe(stages, ["engine=ray"]) == ["rl.engine=ray"]
    assert engine_flags.of_recipe(fleet.config(), ["engine=ray"]) == ["engine=ray"]


def test_fields_of_ray_alone_go_to_the_stages_that_have_its_engine():
    stages = [strop.Stage("here", fleet.config()), strop.Stage("rl", fleet.config(engine=fleet.ray_of()))]
    assert engine_flags.of_recipe(stages, ["engine.replicas=3"]) == ["rl.engine.replicas=3"]
    with pytest.raises(Usage, match="--rollout-replicas is for --engine ray"):
        engine_flags.of_recipe(stages[:1], ["engine.replicas=3"])


def test_the_plan_names_the_engine_only_where_it_is_another():
    for engine, words in (
        (strop.scale.Embedded(), ""),
        (strop.scale.Embedded(batch="group"), "plays one group after the other"),
        (strop.scale.Ray(), "2 replicas on Ray on this machine; each step by its newest weights"),
    ):
        config = fleet.config(engine=engine).resolve()
        assert make_plan(config, config.build()).engine == words


def test_a_loss_is_told_without_rays_advice(tmp_path):
    text = (
        "The actor died.\n\tactor_id: fe1d\nThe actor is dead because its worker process has died. Worker exit type: "
    )
    text += "SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file. "
    text += "Some common causes include: (1) the process was killed"
    assert told(RuntimeError(text)) == "Worker unexpectedly exits with a connection error code 2. End of file"
    log = tmp_path / "worker.err"
    log.write_text(":job_id:01\n:actor_name:Replica\nfirst\nMemoryError\n")
    import socket

    assert last_words(Born(socket.gethostname(), 1, str(log))).endswith("first | MemoryError")
    log.write_text(
        "before\nFatal Python error: Aborted\n\nThread 0x1:\n  File a\n" + "  File b\n" * 9 + "Extension modules: c\n"
    )
    told_of_crash = "Fatal Python error: Aborted | Thread 0x1: | File a | File b | File b"
    assert last_words(Born(socket.gethostname(), 1, str(log))).endswith(f": {told_of_crash}")
    assert last_words(Born("elsewhere", 1, "/logs/x.err")) == " Its log is /logs/x.err on elsewhere."


def test_losses_beyond_the_budget_stop_the_run():
    losses = Losses(most=1)
    losses.add("one")
    with pytest.raises(Stopped, match=r"2 replicas were lost within 10 minutes.*The last one: two"):
        losses.add("two")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"replicas": 3}, ""),
        ({"replicas": 4}, "4 replicas share 3 units of work (prompts_per_step=3, engine.groups=1, engine.staleness=0)"),
        ({"replicas": 4, "staleness": 1}, ""),
        ({"replicas": 3, "groups": 2}, "3 replicas share 2 units of work"),
    ],
)
def test_replicas_without_work_are_a_warning(fields, words):
    made = fleet.config(engine=fleet.ray_of(**fields)).resolve()
    found = [one for one in preflight.warnings(made, made.build()) if "replicas share" in one]
    assert len(found) == bool(words)
    assert not words or found[0].startswith(words)


def test_the_plan_says_how_many_groups_are_decoded_together():
    made = fleet.config(engine=fleet.ray_of(groups=2)).resolve()
    assert make_plan(made, made.build()).engine.startswith("2 replicas on Ray on this machine, 2 groups in a batch; ")
