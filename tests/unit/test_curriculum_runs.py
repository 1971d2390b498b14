"""Runs whose tasks are a source that is told outcomes: config, plan, files, metrics, and what a resume gives."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

import strop
from code_lock import LEVELS, WORDS, config, level, opens
from outcomes import tasks
from strop.cli.main import main
from strop.cli.overrides import apply
from strop.data import Curriculum, Learnable
from strop.data.source import Shuffled
from strop.reports import preflight
from strop.reports.fields import fields_of
from strop.reports.page import page_of
from strop.reports.plan import make_plan
from strop.reports.signal import signal_of_start
from strop.runs import spec
from strop.runs.directory import config_text
from strop.types import Task, TaskSource, TaskSourceConfig

ALL = [task for one in LEVELS for task in one]


@dataclass(frozen=True)
class Named(TaskSourceConfig):
    """A source of somebody else: lists of tasks by name, and one beside them."""

    groups: Mapping[str, Sequence[Task]]
    more: Sequence[Task]

    def __iter__(self) -> Iterator[Task]:
        for group in self.groups.values():
            yield from group
        yield from self.more

    def build(self, seed: int) -> TaskSource:
        return Shuffled(list(self), seed)


NAMED = Named(groups={"tasks": tasks("x", "y"), "map": tasks("z"), "class": []}, more=tasks("w"))
SOURCES = [
    Curriculum(levels=LEVELS, unlock=0.6),
    Curriculum(levels=[LEVELS[0], [*LEVELS[2], *LEVELS[1]]]),
    Learnable(tasks=ALL),
    NAMED,
]


def train(made, path, **options):
    return strop.train(made, path, progress=False, **options)


# ------------------------------------------------------------ the config


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_the_files_of_a_run_give_the_source_back(source, tmp_path):
    before = config(tasks=source).resolve()
    written, files = spec.to_files(before)
    for name, text in {"config.json": config_text(written), **files}.items():
        (tmp_path / name).write_text(text)
    after = spec.from_files(tmp_path).resolve()
    assert after.tasks == source
    assert spec.to_files(after) == (written, files)
    assert spec.read_tasks(tmp_path / "tasks.jsonl") == list(source)
    assert "north" not in json.dumps(written["tasks"]), "tasks stand in their own file"


def test_a_change_of_the_source_is_named():
    before, _ = spec.to_files(config().resolve())
    after, _ = spec.to_files(config(tasks=Curriculum(levels=LEVELS, window=4, unlock=0.5)).resolve())
    assert spec.changes(before, after) == ["tasks.unlock: 0.8 -> 0.5"]
    listed, _ = spec.to_files(config(tasks=[*ALL]).resolve())
    (line,) = [line for line in spec.changes(listed, before) if "Curriculum" in line]
    assert line.startswith("tasks: null -> ")


def test_its_fields_are_typed_like_others():
    assert apply(config(), ["tasks.unlock=0.5", "tasks.window=3"]).tasks == Curriculum(
        levels=LEVELS, unlock=0.5, window=3
    )
    with pytest.raises(ValueError, match=r"tasks\.unlock=1\.5: it lies in \(0, 1\]"):
        apply(config(), ["tasks.unlock=1.5"])
    with pytest.raises(ValueError, match=r"tasks\.unlok: .* did you mean unlock\?"):
        apply(config(), ["tasks.unlok=1"])
    lines = [one.line for one in fields_of(config())]
    assert {"tasks: Curriculum", "tasks.levels: 6 of them", "tasks.window=4"} <= set(lines)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tasks": Curriculum}, r"tasks=<class .*a Config such as strop\.data\.Curriculum\(levels="),
        ({"tasks": Shuffled(ALL)}, r"tasks=<.*Shuffled.*: it is a list of strop\.Task"),
        ({"data": "tasks.jsonl"}, "tasks and data are both given"),
        ({"rewards": []}, "nothing gives a reward"),
        (
            {"algorithm": strop.algorithms.SFT.Config()},
            r"tasks=Curriculum: .* SFT sees none, since it learns from demo",
        ),
        (
            {"algorithm": strop.algorithms.Distillation.Config(teacher=config().policy), "rewards": []},
            "tasks=Curriculum: .* Distillation sees none, since nothing gives a reward",
        ),
        ({"tasks": Learnable(tasks=[level(1), level(1)])}, "tasks holds the id 'first 1' twice"),
    ],
)
def test_what_a_source_cannot_work_with_is_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        config(**changed).resolve()


def test_a_source_that_is_built_without_the_seed_is_refused():
    class Mine(Named):
        def build(self):
            raise AssertionError

    with pytest.raises(ValueError, match=r"tasks=.*Mine has build\(\): it is called as build\(seed\)"):
        config(tasks=Mine(groups={}, more=ALL))


def test_the_plan_and_the_warnings_read_every_level():
    made = config(tasks=Curriculum(levels=LEVELS, unlock=0.6, window=4), held_out=[replace(level(6), id="again")])
    made = made.resolve()
    parts = made.build()
    plan = make_plan(made, parts)
    assert plan.tasks == "6 to train on, drawn by Curriculum, 1 held out"
    assert [sample.task for sample in plan.samples] == ["first 1", "first 2"]
    assert "tasks.unlock=0.6" in plan.changed
    assert {"tasks.levels (6 values)", "tasks.review=0.25"} <= set(plan.fields)
    assert "1 of 1 held-out tasks are training tasks too" in preflight.warnings(made, parts)[0]


def test_a_prompt_that_cannot_be_read_is_found_in_any_level():
    policy = strop.policies.Scratch(words=WORDS, num_layers=1, width=8, num_heads=1, context=12)
    long = Curriculum(levels=[[level(1)], [Task("long", "lock " * 20)]])
    made = config(policy=policy, tasks=long).resolve()
    with pytest.raises(ValueError, match="1 of 2 tasks can never be played"):
        preflight.warnings(made, made.build())


def test_the_signal_is_that_of_the_tasks_that_are_drawn_first():
    signal = signal_of_start(config().resolve(), 6, gold=False)
    assert signal.mean > 0.02  # 1 of 9 answers opens the first level; all six together 1 of 48


# ------------------------------------------------------------ whole runs


def curriculum_of(run):
    return [{name: x for name, x in one.items() if name.startswith("curriculum/")} for one in run.metrics()]


def test_a_run_records_the_level_the_rates_and_what_was_drawn(tmp_path, capsys):
    easy = Curriculum(levels=LEVELS[:2], unlock=0.01, window=2, review=0.5)
    run = train(config(tasks=easy, steps=8, group_size=16), tmp_path / "run")
    recorded = curriculum_of(run)
    assert [one["curriculum/level"] for one in recorded] == sorted(one["curriculum/level"] for one in recorded)
    assert recorded[-1]["curriculum/level"] == 2
    played = [one.task.id for step in range(8) for one in run.episodes(step)]
    for number in (1, 2):
        assert recorded[-1][f"curriculum/drawn_{number}"] == played.count(f"first {number}") / 16
        rates = [opens(one.task, one) for one in run.episodes() if one.task.id == f"first {number}"]
        assert recorded[-1][f"curriculum/success_{number}"] == sum(rates[-32:]) / 32
    assert {"curriculum/level", "curriculum/success_1", "curriculum/drawn_2"} <= set(page_of(run.directory).curves)
    assert main(["show", str(run.path)]) == 0
    assert "curriculum/success_2" in capsys.readouterr().out


def test_a_list_of_tasks_records_nothing_of_this(tmp_path):
    assert curriculum_of(train(config(tasks=ALL, steps=1), tmp_path / "run")) == [{}]


@pytest.mark.parametrize("source", [Curriculum(levels=LEVELS, unlock=0.2, window=3), Learnable(tasks=ALL)])
def test_a_run_that_is_continued_is_the_uninterrupted_one(source, tmp_path):
    made = config(tasks=source, steps=7, checkpoint_every=2)
    whole = train(made, tmp_path / "whole")
    train(replace(made, steps=4), tmp_path / "parts")
    parts = train(made, tmp_path / "parts", resume=True)
    assert curriculum_of(parts) == curriculum_of(whole)
    assert whole.directory.load(6)[1]["tasks"] == parts.directory.load(6)[1]["tasks"]
    assert [one.id for one in whole.episodes()] == [one.id for one in parts.episodes()]
    assert whole.episodes() == parts.episodes()


def test_another_seed_draws_other_tasks(tmp_path):
    runs = [train(config(tasks=Learnable(tasks=ALL), seed=seed, steps=2), tmp_path / f"{seed}-{i}") for i, seed in
            enumerate((0, 0, 1))]  # fmt: skip
    drawn = [[one.task.id for one in run.episodes()] for run in runs]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_run_takes_a_level_more_when_it_is_continued(tmp_path):
    made = config(tasks=Curriculum(levels=LEVELS[:1], unlock=0.01, window=1), steps=3)
    train(made, tmp_path / "run")
    longer = replace(made, tasks=replace(made.tasks, levels=LEVELS[:2]), steps=6)
    run = train(longer, tmp_path / "run", resume=True)
    assert curriculum_of(run)[-1]["curriculum/level"] == 2
    with run.directory.reader() as store:
        assert [one.text for one in store.events() if one.level == "fork" and "tasks" in one.text]
    with pytest.raises(ValueError, match="levels can be added at the end"):
        train(replace(made, steps=9), tmp_path / "run", resume=True)


ADAM = strop.optimizer.AdamW(lr=0.1)
ALGORITHMS = {
    "REINFORCE": {},
    "RLOO": {},
    "PPO": {},
    "DAPO": {"oversampling": 50},
    "ReMax": {},
    "OnlineDPO": {},
    "DQN": {},
}


@pytest.mark.matrix
@pytest.mark.parametrize("source", [Curriculum(levels=LEVELS, unlock=0.1, window=2), Learnable(tasks=ALL)])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_kind_of_algorithm_trains_on_a_source_and_goes_on(name, source, tmp_path):
    algorithm = getattr(strop.algorithms, name).Config(optimizer=ADAM, **ALGORITHMS[name])
    memory = strop.memory.Replay.Config(capacity=64, size=8) if name == "DQN" else None
    made = config(tasks=source, algorithm=algorithm, memory=memory, steps=5, checkpoint_every=2)
    whole = train(made, tmp_path / "whole")
    train(replace(made, steps=3), tmp_path / "parts")
    parts = train(made, tmp_path / "parts", resume=True)
    assert whole.episodes() == parts.episodes()
    assert curriculum_of(whole) == curriculum_of(parts)
    drawn = sum(x for name, x in curriculum_of(whole)[-1].items() if name.startswith("curriculum/drawn"))
    assert drawn == len({one.group for one in whole.episodes()})  # DAPO: those of rejected groups too
    assert drawn > 20 if name == "DAPO" else drawn == 20
