"""A recipe of several stages on the command line."""

import json
import os
import shutil
import signal
from contextlib import chdir
from pathlib import Path

import pytest

from strop.cli.main import main
from strop.runs.directory import RunDirectory
from strop.runs.progress import Progress

RECIPE = """
import strop


def said_b(task, episode):
    return float(episode.text == "b")


def config(**changes):
    return strop.TrainConfig(
        tasks=[strop.Task("one", "a", answer="b"), strop.Task("two", "b", answer="b")],
        held_out=[strop.Task("three", "a", answer="b"), strop.Task("four", "b b", answer="b")],
        rewards={"said_b": (REWARD, 1.0)},
        sampling=strop.Sampling(max_tokens=1),
        group_size=4,
        prompts_per_step=2,
        threads=1,
        **changes,
    )


def recipe():
    adam = strop.optimizer.AdamW(lr=0.1)
    rloo = strop.algorithms.RLOO.Config(optimizer=adam)
    table = strop.policies.Table.Config(words=["a", "b"], has_end=True)
    return [
        strop.Stage("warm-up", config(policy=table, algorithm=strop.algorithms.SFT.Config(optimizer=adam), steps=2)),
        strop.Stage("rl", config(policy=strop.FromStage("warm-up"), algorithm=rloo, steps=3)),
    ]
"""
COMMAND = ["train", "mine.py", "rl.steps=4", "--run", "runs/r"]


def write(reward: str = "said_b") -> None:
    Path("mine.py").write_text(RECIPE.replace("REWARD", reward))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the recipe and a finished run of it."""
    folder = tmp_path_factory.mktemp("made")
    with chdir(folder):
        write()
        assert main(COMMAND) == 0
    return folder


@pytest.fixture
def here(made, tmp_path):
    """A copy of it, in the folder where the test is."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def stopped(strop, monkeypatch):
    """Train the recipe until a note, or a step, of a stage; gives what was said."""

    def call(note: str = "", step: tuple[int, str] = (0, ""), signal_of=signal.SIGINT):
        said_note, said_step, notes = Progress.note, Progress.step, []

        def note_and_stop(self, text):
            notes.append(text)
            said_note(self, text)
            if note and text.startswith(note):
                raise KeyboardInterrupt

        def step_and_stop(self, number, metrics):
            said_step(self, number, metrics)
            if step[1] and (number + 1, notes[-1 if notes[-1].startswith("stage") else 0].split()[-1]) == step:
                os.kill(os.getpid(), signal_of)

        with monkeypatch.context() as patched:
            patched.setattr(Progress, "note", note_and_stop)
            patched.setattr(Progress, "step", step_and_stop)
            return strop(*COMMAND)

    return call


@pytest.mark.matrix
def test_both_stages_are_trained_and_reported(strop, tmp_path):
    write()
    said = strop(*COMMAND)
    assert said.code == 0, said.err
    for place in ("stage 1 of 2: warm-up", "stage 2 of 2: rl"):
        assert place in said.err  # while it trains
        assert place in said.out  # in the report
    assert said.err.count("\nalgorithm ") == 2  # a plan each
    assert said.out.count("held out") == 2  # a table of scores each
    assert said.out.count("the first 2 held-out prompts (not chosen)") == 1  # of the last one
    assert "strop chat runs/r " in said.err
    assert "strop plot runs/r -o curve.png" in said.err
    for stage in ("1-warm-up", "2-rl"):
        assert (tmp_path / "runs/r" / stage / "recipe.py").read_text() == Path("mine.py").read_text()
        command = RunDirectory(tmp_path / "runs/r" / stage).provenance()["command"]
        assert command == "strop train mine.py rl.steps=4"
    assert RunDirectory(tmp_path / "runs/r/2-rl").config()["steps"] == 4


@pytest.mark.matrix
def test_the_result_as_json_has_every_stage(strop):
    write()
    result = json.loads(strop(*COMMAND, "--json").out)
    assert (result["run"], result["interrupted"]) == ("runs/r", False)
    assert [stage["run"] for stage in result["stages"]] == ["runs/r/1-warm-up", "runs/r/2-rl"]
    assert result["verdicts"] == result["stages"][1]["verdicts"]


def test_a_dry_run_plans_every_stage_and_writes_nothing(strop, tmp_path):
    write()
    said = strop("train", "mine.py", "--dry-run", "rl.group_size=8")
    assert said.code == 0, said.err
    assert said.out.index("stage 1 of 2: warm-up") < said.out.index("stage 2 of 2: rl")
    assert "FromStage (warm-up): " in said.out
    assert "2 prompts x 8 samples" in said.out
    assert said.out.count("dry run") == 1
    plans = json.loads(strop("train", "mine.py", "--dry-run", "--json").out)["stages"]
    assert [stage["name"] for stage in plans] == ["warm-up", "rl"]
    assert plans[0]["plan"]["policy"].partition(": ")[2] == plans[1]["plan"]["policy"].partition(": ")[2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.py"]


def test_the_fields_begin_with_their_stage(strop):
    write()
    fields = json.loads(strop("train", "mine.py", "rl.steps=9", "--fields", "--json").out)
    values = {field["path"]: field["value"] for field in fields}
    assert (values["warm-up.steps"], values["rl.steps"], values["rl.policy.stage"]) == ("2", "9", "warm-up")
    assert not [path for path in values if path.endswith("origin")]
    assert "strop train RECIPE rl.steps=20" in strop("train", "mine.py", "--fields").out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps=4", "a field begins with its stage (warm-up, rl); as in rl.steps=20."),
        ("r1.steps=4", "did you mean rl.steps=4?"),
        ("warmup.steps=4", "did you mean warm-up.steps=4?"),
        ("warm-up.stpes=4", "stage warm-up: stpes: TrainConfig has no field 'stpes'; did you mean steps?"),
        ("rl.policy.origin=x", "has no field 'origin'"),
    ],
)
def test_an_unknown_stage_or_field_is_named(strop, tmp_path, override, message):
    write()
    said = strop("train", "mine.py", override)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "runs").exists()


def test_a_recipe_of_wrong_stages_names_the_file(strop):
    Path("mine.py").write_text("def recipe():\n    return [1]\n")
    said = strop("train", "mine.py")
    assert said.code == 1
    assert "mine.py" in said.err
    assert "a list has stages, strop.Stage(name, config)" in said.err


# ------------------------------------------------------------ reading it


def test_show_lists_the_stages_and_shows_the_last(strop, here):
    said = strop("show", "r")
    assert said.code == 0, said.err
    assert "runs/r: 2 stages" in said.out
    assert "1-warm-up  finished" in said.out
    assert "runs/r/2-rl: finished, 4 of 4 steps" in said.out
    assert "--resume" not in said.out
    page = json.loads(strop("show", "r", "--json").out)
    assert (page["run"], page["done"]) == ("runs/r/2-rl", 4)
    assert [stage["name"] for stage in page["stages"]] == ["1-warm-up", "2-rl"]
    alone = json.loads(strop("show", "runs/r/1-warm-up", "--json").out)
    assert (alone["done"], "stages" in alone) == (2, False)
    assert page["table"].keys() >= {"a", "b"}  # what the table of the first stage has become
    assert "4 x" not in strop("show", "r", "--episodes", 0).err


@pytest.mark.parametrize(
    "words", [("eval", "r"), ("eval", "r@best"), ("chat", "r", "--once", "a"), ("eval", "runs/r/1-warm-up")]
)
def test_a_command_on_the_run_means_its_last_stage(strop, here, words):
    said = strop(*words)
    assert said.code == 0, said.err
    if words[0] == "eval":
        assert said.out.startswith(words[1] if "/" in words[1] else "runs/r/2-rl")


@pytest.mark.matrix
def test_plot_draws_all_stages_in_one_picture(strop, here):
    assert strop("plot", "r", "-o", "all.svg").code == 0
    drawn = Path("all.svg").read_text()
    for text in ("r: SFT, RLOO", " warm-up", " rl"):
        assert f"<!-- {text} -->" in drawn


def test_the_card_names_what_was_trained_before(strop, here, monkeypatch):
    from strop.reports.model_card import card_of
    from strop.run import Run

    directory = RunDirectory(Path("runs/r/2-rl"))
    _, codec, sampling = Run(directory).actor()
    card = card_of(directory, 4, codec, sampling, "mine")
    assert (card.before, card.algorithm, card.steps) == ((("SFT", 2),), "RLOO", 4)
    assert card.command == "strop train mine.py rl.steps=4"


def test_score_and_eval_take_the_last_stage(strop, here):
    said = strop("score", "mine.py", "b")
    assert said.code == 0, said.err
    assert "reward 1.000" in said.out
    said = strop("score", "mine.py")
    assert said.code == 2
    assert "the last stage of mine.py starts from stage warm-up, which is not trained yet" in said.err
    assert strop("eval", "r", "--recipe", "mine.py").code == 0


def test_a_sweep_of_stages_is_refused_in_one_line(strop, here):
    said = strop("sweep", "mine.py", "rl.seed=0..1")
    assert said.code == 2
    assert "mine.py has 2 stages, and a sweep trains recipes of one" in said.err


@pytest.mark.matrix
def test_it_is_the_policy_of_another_recipe(strop, here, table_recipe):
    said = strop("train", table_recipe(name="other.py"), "policy=r", "steps=1", "--run", "next")
    assert said.code == 0, said.err
    assert RunDirectory(Path("next")).config()["policy"]["run"] == "runs/r/2-rl@4"


# ------------------------------------------------------------ stopped, and on


def rows(path):
    with RunDirectory(Path(path)).reader() as store:
        return [
            {name: value for name, value in row.items() if not name.startswith(("time/", "memory/"))}
            for row in store.metrics()
        ]


@pytest.mark.matrix
def test_ctrl_c_in_the_first_stage_says_how_to_go_on(strop, stopped, made, tmp_path):
    write()
    said = stopped(step=(1, "warm-up"))
    assert said.code == 130
    resume = "strop train mine.py --resume --run runs/r rl.steps=4"
    assert resume in said.err
    assert not (tmp_path / "runs/r/2-rl").exists()
    shown = strop("show", "r")
    assert "not begun" in shown.out
    assert "strop train --resume --run runs/r" in shown.out
    assert shown.out.count("--resume") == 1
    assert strop(*resume.split()[1:]).code == 0
    for stage in ("1-warm-up", "2-rl"):
        assert rows(tmp_path / "runs/r" / stage) == rows(made / "runs/r" / stage)


@pytest.mark.matrix
def test_stopped_between_the_stages_it_goes_on_from_its_own_files(strop, stopped, tmp_path):
    write(reward='lambda task, episode: float(episode.text == "b")')
    gold = 'steps=3, gold={"always": (lambda task, episode: 0.25, 1.0)})'  # of this stage alone
    Path("mine.py").write_text(Path("mine.py").read_text().replace("steps=3)", gold))
    said = stopped(note="stage 2")
    assert said.code == 130
    assert "step 2 of stage warm-up is saved" in said.err
    Path("mine.py").unlink()
    said = strop("train", "--resume", "--run", "r", "rl.steps=1")
    assert said.code == 0, said.err
    assert "stage 1 of 2: warm-up is done" in said.err
    directory = RunDirectory(tmp_path / "runs/r/2-rl")
    assert directory.config()["steps"] == 1
    assert directory.provenance()["command"] == "strop train mine.py rl.steps=4 rl.steps=1"
    assert (directory.path / "recipe.py").is_file()
    said = strop("eval", "r")
    assert said.code == 0, said.err
    assert "0.250" in said.out  # what its lambdas give: they come from the copy of the recipe


@pytest.mark.matrix
def test_more_steps_of_the_last_stage(strop, here):
    said = strop("train", "--resume", "--run", "r")
    assert said.code == 0, said.err
    assert "all 4 steps are done" in said.err
    assert "strop train --resume --run runs/r rl.steps=8" in said.err
    said = strop("train", "--resume", "--run", "r", "rl.steps=5")
    assert said.code == 0, said.err
    forks = [e["text"] for e in json.loads(strop("show", "r", "--json").out)["events"] if e["level"] == "fork"]
    assert forks == ["steps: 4 -> 5"]


def test_more_steps_of_a_stage_that_lies_behind_are_refused(strop, here):
    said = strop("train", "--resume", "--run", "r", "warm-up.steps=9")
    assert said.code == 2
    assert "warm-up.steps=9: stage warm-up is done, and rl has begun after it" in said.err
    assert strop("train", "mine.py", "--resume", "--run", "r", "warm-up.steps=2", "rl.steps=4").code == 0


@pytest.mark.matrix
def test_another_recipe_is_refused(strop, here, table_recipe):
    said = strop("train", table_recipe(name="other.py"), "--resume", "--run", "r")
    assert said.code == 2
    assert "runs/r has the stages warm-up, rl, and other.py has none" in said.err
    assert strop("train", "other.py", "--run", "plain").code == 0
    said = strop("train", "mine.py", "--resume", "--run", "plain")
    assert said.code == 1
    assert "plain is not a run of several stages" in said.err


@pytest.mark.matrix
def test_a_stage_that_diverges_says_which_field_to_lower(strop, tmp_path):
    write(reward="lambda task, episode: float('nan') if len(seen) > 8 or seen.append(1) else 1.0")
    Path("mine.py").write_text(Path("mine.py").read_text().replace("import strop", "import strop\n\nseen = []"))
    said = strop(*COMMAND)
    assert said.code == 1
    assert "strop train mine.py --resume --run runs/r" in said.err
    assert "of stage rl is saved" in said.err


@pytest.mark.matrix
def test_keep_all_holds_for_every_stage(strop, tmp_path):
    write()
    assert strop(*COMMAND, "--keep-all", "rl.checkpoint_every=1").code == 0
    assert RunDirectory(tmp_path / "runs/r/2-rl").checkpoints.steps() == [0, 1, 2, 3, 4]
    assert (tmp_path / "runs/r/1-warm-up/checkpoints/KEEP_ALL").is_file()


# ------------------------------------------------------------ from a corpus

ON_CORPUS = """
import strop
from dataclasses import replace


def said_the(task, episode):
    return float("the" in episode.text)


def recipe():
    model = strop.policies.Scratch(num_layers=1, width=16, num_heads=2, context=256)
    learnt = replace(strop.pretraining("book.txt", model, steps=3), threads=1, checkpoint_every=1)
    start = strop.FromStage("pretrain", checkpoint="best")
    tasks = [strop.Task("one", "the cat"), strop.Task("two", "a dog")]
    sampling = strop.Sampling(max_tokens=2)
    rloo = strop.algorithms.RLOO.Config()
    return [
        strop.Stage("pretrain", learnt),
        strop.Stage(
            "rl",
            strop.TrainConfig(
                policy=start, tasks=tasks, rewards=[said_the], algorithm=rloo, sampling=sampling, steps=2, threads=1
            ),
        ),
    ]
"""


@pytest.fixture
def on_corpus(tmp_path):
    words = ["the", "cat", "dog", "sat", "on", "a", "mat", "and", "ran", "to", "red", "blue", "house", "tree"]
    order = [words[(i * i + i // 7) % len(words)] for i in range(4000)]
    text = "\n\n".join(" ".join(order[i : i + 40]) for i in range(0, 4000, 40))
    (tmp_path / "book.txt").write_text(text)
    (tmp_path / "mine.py").write_text(ON_CORPUS)


@pytest.mark.matrix
def test_a_dry_run_reads_the_corpus_that_an_earlier_stage_learns(strop, on_corpus, tmp_path):
    plans = json.loads(strop("train", "mine.py", "--dry-run", "--json").out)["stages"]
    first, second = (stage["plan"]["policy"] for stage in plans)
    assert first.partition(": ")[2] == second.partition(": ")[2]
    assert plans[1]["plan"]["samples"][0]["text"] == "<end>the cat"  # by the tokenizer that the corpus made
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["book.txt", "mine.py"]


@pytest.mark.matrix
def test_stopped_while_it_learns_a_corpus_it_goes_on_to_the_reward(strop, on_corpus, stopped, tmp_path):
    assert strop("train", "mine.py", "rl.steps=4", "--run", "whole").code == 0
    assert stopped(step=(1, "pretrain")).code == 130
    Path("mine.py").unlink()
    said = strop("train", "--resume", "--run", "r")
    assert said.code == 0, said.err
    for place in ("stage 1 of 2: pretrain\n", "perplexity of held-out documents", "stage 2 of 2: rl\n"):
        assert place in said.out
    for stage in ("1-pretrain", "2-rl"):
        assert rows(tmp_path / "runs/r" / stage) == rows(tmp_path / "whole" / stage)
    assert "perplexity" in strop("show", "r").out
