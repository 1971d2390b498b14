"""TrainConfig: contradictions are errors in words, and config.json gives the same config back."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

import strop
from strop.cli.overrides import apply
from strop.recipes import copy_word, two_words
from strop.rewards import WordLimit
from strop.runs import spec
from strop.runs.directory import config_text
from strop.types import Task

ROOT = Path(strop.__file__).parent


def config(**changes) -> strop.TrainConfig:
    return replace(copy_word.recipe(), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": ()}, "nothing to train on"),
        ({"rewards": ()}, "nothing gives a reward"),
        ({"gold": [copy_word.copied], "held_out": ()}, "gold is judged on held-out tasks"),
        ({"tasks": [Task("1", "apple"), Task("1", "bread")]}, "the id '1' twice"),
        ({"memory": strop.memory.Replay.Config()}, "GRPO is on-policy"),
        ({"rewards": [lambda t, e: 1.0, lambda t, e: 0.0]}, "two rewards called"),
        ({"rewards": {"r": "not a function"}}, "must be a function"),
        ({"rewards": {"r": (copy_word.copied, float("nan"))}}, "must be a finite number"),
        ({"tasks": (), "data": "nowhere.jsonl"}, "there is no such file"),
        (
            {"algorithm": strop.algorithms.SFT.Config(), "memory": strop.memory.Fresh.Config()},
            "forgets the demonstrations",
        ),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        config(**changes).resolve()


@pytest.mark.parametrize(("n_step", "turns", "max_tokens", "needed"), [
    (3, 1, 1, 3), (3, 2, 1, 3), (3, 1, 2, 2), (5, 2, 2, 3), (3, 3, 1, None), (3, 1, 3, None), (4, 2, 2, None),
])  # fmt: skip
def test_an_n_step_longer_than_the_memorys_picks_is_refused(n_step, turns, max_tokens, needed):
    one = config(
        algorithm=strop.algorithms.DQN.Config(n_step=n_step),
        memory=strop.memory.Replay.Config(n_step=turns),
        sampling=strop.Sampling(max_tokens=max_tokens),
    )
    if needed is None:
        one.resolve()
        return
    with pytest.raises(ValueError, match=rf"algorithm.n_step={n_step}: DQN sees.*Set memory.n_step={needed}"):
        one.resolve()


@pytest.mark.parametrize(
    ("field", "value"),
    [("group_size", 0), ("steps", -1), ("threads", 0), ("dtype", "float16"), ("micro_tokens", 0)],
)
def test_impossible_numbers_are_refused_at_once(field, value):
    with pytest.raises(ValueError, match=field):
        config(**{field: value})


def test_top_p_is_refused_for_policy_gradients():
    parts = config(sampling=strop.Sampling(top_p=0.9, max_tokens=2)).resolve()
    with pytest.raises(ValueError, match=r"GRPO cannot train with sampling.top_p=0.9"):
        parts.build()


def test_config_json_gives_the_config_back(tmp_path):
    before = config(rewards={"short": (WordLimit(most=3), 0.5), "copied": copy_word.copied}).resolve()
    written, files = spec.to_files(before)
    for name, text in {"config.json": config_text(written), **files}.items():
        (tmp_path / name).write_text(text)
    after = spec.from_files(tmp_path).resolve()
    assert spec.to_files(after) == (written, files)
    assert after.algorithm == before.algorithm
    assert after.tasks == before.tasks
    assert [weight for _, weight in after.rewards.values()] == [0.5, 1.0]


def test_changes_name_the_field_and_both_values():
    before, _ = spec.to_files(config().resolve())
    after, _ = spec.to_files(config(steps=200, sampling=strop.Sampling(temperature=0.5, max_tokens=1)).resolve())
    assert spec.changes(before, after) == ["sampling.temperature: 1.0 -> 0.5", "steps: 60 -> 200"]


def test_overrides_are_typed_and_name_the_nearest_field():
    found = apply(two_words.recipe(), ["steps=7", "algorithm.rate=0.25", "threads=none"])
    assert (found.steps, found.algorithm.rate, found.threads) == (7, 0.25, None)
    with pytest.raises(ValueError, match="did you mean steps"):
        apply(two_words.recipe(), ["stpes=7"])
    with pytest.raises(ValueError, match="steps=many"):
        apply(two_words.recipe(), ["steps=many"])


def test_data_is_split_by_problem(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps({"prompt": word, "answer": word}) + "\n" for word in copy_word.WORDS))
    found = config(tasks=(), held_out=(), data=str(file)).resolve()
    assert (len(found.tasks), len(found.held_out)) == (7, 1)
    assert not {t.prompt for t in found.tasks} & {t.prompt for t in found.held_out}


def test_data_may_be_a_table_and_is_checked_by_line(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("prompt,answer\n" + "".join(f"{word},{word}\n" for word in copy_word.WORDS))
    found = config(tasks=(), held_out=(), data=str(file)).resolve()
    assert sorted(task.id for task in [*found.tasks, *found.held_out]) == [str(n) for n in range(2, 10)]
    file.write_text("prompt,chosen,rejected\napple,apple,bread\napple,bread,bread\n")
    with pytest.raises(ValueError, match=r"data\.csv, line 3: the chosen and the rejected answer are the same text"):
        config(tasks=(), held_out=(), data=str(file), algorithm=strop.algorithms.DPO.Config()).resolve()


def test_a_folder_that_datasets_saved_is_no_run(tmp_path):
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(ValueError, match=r"holds the splits train: give one, such as .*/train"):
        config(tasks=(), held_out=(), data=str(tmp_path)).resolve()


def test_a_usual_run_has_few_fields_and_files_stay_short():
    assert len(strop.TrainConfig.__dataclass_fields__) <= 28
    for kind in (strop.algorithms.GRPO, strop.algorithms.DrGRPO, strop.algorithms.RLOO, strop.algorithms.REINFORCE):
        assert len(fields(kind.Config)) <= 8
    long = {p.name: n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert not long, f"files over 300 lines: {long}"


@pytest.mark.matrix
def test_a_small_run_starts_without_torchs_compiler() -> None:
    code = (
        "import sys, torch, strop.recipes.two_words as of\n"
        "of.recipe().resolve().set_up_torch()\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "print({'torch._dynamo', 'torch._inductor'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_algorithm_draws_from_the_seed_of_the_run():
    ppo = strop.algorithms.PPO.Config(minibatches=2)
    policy = strop.policies.Table.Config(words=copy_word.WORDS, value_head=True)
    assert config(policy=policy, algorithm=ppo, seed=7).resolve().build().algorithm.seed == 7


def test_a_policy_without_the_head_that_an_algorithm_reads_is_refused_before_a_step():
    policy = strop.policies.Table.Config(words=copy_word.WORDS)
    with pytest.raises(ValueError, match=r"value head.*policy.value_head=true"):
        config(policy=policy, algorithm=strop.algorithms.DQN.Config(dueling=True)).resolve().build()


def test_a_field_of_a_component_is_found_by_its_name():
    with pytest.raises(ValueError, match=r"no field 'epochs'; did you mean algorithm\.epochs\?"):
        apply(copy_word.recipe(), ["epochs=2"])
