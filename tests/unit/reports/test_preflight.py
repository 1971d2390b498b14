"""What a run can be told before it spends time: by its config, by its parts, and by its first step."""

import random
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

import strop
from strop.memory import Dataset, Prioritised, Replay
from strop.recipes import copy_word
from strop.reports import preflight
from strop.rewards.group import GroupReward
from strop.rewards.trl import from_trl
from strop.runs.progress import Progress
from strop.types import Episode, Step, Stopped, Task

WORDS = ("a", "b")
TASKS = [Task("one", "a", "a"), Task("two", "b", "b"), Task("three", "a b", "a")]


def said_b(task: Task, episode: Episode) -> float:
    return float(episode.text == "b")


def config(**fields) -> strop.TrainConfig:
    usual = {
        "policy": strop.policies.Table.Config(words=WORDS, has_end=True),
        "tasks": TASKS,
        "rewards": {"said_b": said_b},
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "group_size": 2,
        "prompts_per_step": 2,
        "steps": 2,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **fields})


def small(**fields) -> strop.TrainConfig:
    """A transformer that reads 8 tokens."""
    policy = strop.policies.Scratch(words=WORDS, num_layers=1, width=8, num_heads=1, context=8)
    return config(policy=policy, **fields)


def warned(made: strop.TrainConfig) -> tuple[str, ...]:
    resolved = made.resolve()
    return preflight.warnings(resolved, resolved.build())


def train(made, path, **options) -> strop.Run:
    return strop.train(made, path, progress=Progress.silent(), **options)


# ------------------------------------------------------------ the config alone


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 10**20}, "steps=100000000000000000000: it is at most 1,000,000,000"),
        ({"seed": 2**64}, "seed=18446744073709551616: it is at most 18,446,744,073,709,551,615"),
        ({"group_size": 10**9}, "group_size=1000000000: it is at most 1,000,000"),
        ({"prompts_per_step": 2000, "group_size": 1000}, "these are 2,000,000"),
        ({"micro_tokens": 10**12}, "micro_tokens"),
        ({"checkpoint_every": 10**12}, "checkpoint_every"),
        ({"eval_every": 10**12}, "eval_every"),
    ],
)
def test_a_number_that_no_machine_holds_is_refused_with_the_bound(fields, words):
    with pytest.raises(ValueError, match=words):
        config(**fields)


@pytest.mark.parametrize("kind", [Dataset, Replay, Prioritised])
def test_a_draw_that_no_machine_holds_is_refused(kind):
    with pytest.raises(ValueError, match=r"memory\.size=1000001: it is at most 1,000,000"):
        kind.Config(size=1_000_001)


def test_an_answer_without_an_end_is_refused():
    with pytest.raises(ValueError, match=r"sampling\.max_tokens=1000000000: it is at most 1,000,000"):
        strop.Sampling(max_tokens=10**9)


def test_the_largest_seed_trains(tmp_path):
    run = train(replace(small(), seed=2**64 - 1, steps=1), tmp_path / "run")
    assert len(run.metrics()) == 1


def test_so_many_threads_are_refused():
    with pytest.raises(ValueError, match="threads=100000: a run takes at most"):
        config(threads=100_000).resolve()


NAMES = ["GRPO", "DrGRPO", "RLOO", "DAPO", "GSPO", "CISPO", "SAPO", "OnlineDPO", "RejectionSampling"]


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_compares_refuses_a_group_of_one(name):
    algorithm = getattr(strop.algorithms, name).Config()
    with pytest.raises(ValueError, match=f"group_size=1: {name} compares .* at least 2 of them"):
        config(algorithm=algorithm, group_size=1).resolve()
    config(algorithm=algorithm, group_size=2).resolve()


def test_the_best_of_a_group_is_not_all_of_it():
    best = strop.algorithms.RejectionSampling.Config(best=4)
    with pytest.raises(ValueError, match=r"group_size=4: RejectionSampling .* at least 5"):
        config(algorithm=best, group_size=4).resolve()
    config(algorithm=replace(best, threshold=0.5), group_size=1).resolve()


def test_a_baseline_of_the_group_needs_one():
    config(algorithm=strop.algorithms.REINFORCEPlusPlus.Config(), group_size=1).resolve()
    with pytest.raises(ValueError, match="group_size=1: REINFORCEPlusPlus compares"):
        config(algorithm=strop.algorithms.REINFORCEPlusPlus.Config(group_baseline=True), group_size=1).resolve()


@pytest.mark.parametrize("name", ["REINFORCE", "ReMax"])
def test_a_method_that_does_not_compare_takes_a_group_of_one(name):
    config(algorithm=getattr(strop.algorithms, name).Config(), group_size=1).resolve()


# ------------------------------------------------------------ how a reward is called


@dataclass(frozen=True)
class Judge:
    """A reward with settings."""

    weight: float = 1.0

    def __call__(self, task: Task, episode: Episode) -> float:
        return self.weight


class Bare:
    def score(self, task, episode):
        return 1.0


def no_episode(task):
    return 0.0


def three(task, episode, judge):
    return 0.0


def trl(completions, answer, **kwargs):
    return [0.0 for _ in completions]


def trl_closed(completions):
    return [0.0 for _ in completions]


def trl_more(completions, gold_label, **kwargs):
    return [0.0 for _ in completions]


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (no_episode, r"rewards\['r'\] is called with \(task, episode\), and takes \(task\): too many"),
        (three, r"takes \(task, episode, judge\): missing a required argument: 'judge'"),
        (lambda: 0.0, "too many positional"),
        (Judge, r"rewards\['r'\] is the class Judge: make one of it, Judge\(\.\.\.\)"),
        (Bare().score.__func__, "missing a required argument: 'episode'"),
        (GroupReward(no_episode), r"called with \(task, episodes\), and takes \(task\)"),
        (from_trl(trl_closed), r"takes \(completions\): .* in \*\*kwargs"),
        (from_trl(trl_more), "missing a required argument: 'gold_label'"),
    ],
)
def test_a_reward_that_cannot_be_called_is_refused(reward, words):
    with pytest.raises(ValueError, match=words):
        config(rewards={"r": reward}).resolve()


@pytest.mark.parametrize(
    "reward",
    [
        said_b,
        Judge(),
        Bare().score,
        partial(three, judge=None),
        lambda *given: 0.0,
        lambda task, episode, more=1: 0.0,
        max,  # it does not say what it takes
        GroupReward(lambda task, episodes: [0.0] * len(episodes)),
        from_trl(trl),
    ],
)
def test_a_reward_that_can_be_called_is_taken(reward):
    config(rewards={"r": reward}).resolve()


def test_gold_is_looked_at_too():
    with pytest.raises(ValueError, match=r"gold\['g'\] is called with"):
        config(held_out=TASKS, gold={"g": no_episode}).resolve()


def test_a_column_that_some_tasks_lack_is_found():
    tasks = [Task("one", "a", data={"gold_label": 1}), Task("two", "b")]
    with pytest.raises(ValueError, match="gold_label"):
        config(tasks=tasks, rewards={"r": from_trl(trl_more)}).resolve()
    config(tasks=tasks[:1], rewards={"r": from_trl(trl_more)}).resolve()


# ------------------------------------------------------------ tasks and environments


def test_a_prompt_without_room_for_an_answer_is_refused_with_the_count_and_the_longest():
    long = [Task("long", "a " * 7), Task("longer", "b " * 9), Task("fits", "a " * 6)]
    with pytest.raises(ValueError, match=r"2 of 3 tasks can never be played: the policy reads 8 tokens.*=2 leaves 6 .*"
                       r"of task 'longer', has 9"):  # fmt: skip
        warned(small(tasks=long, sampling=strop.Sampling(max_tokens=2)))
    assert warned(small(tasks=long[2:], sampling=strop.Sampling(max_tokens=2))) == ()
    with pytest.raises(ValueError, match="1 of 1 held_out can never be played"):
        warned(small(held_out=long[1:2]))


def test_a_table_reads_prompts_of_any_length():
    assert warned(config(tasks=[Task("long", "a " * 500)])) == ()


def test_a_word_that_the_policy_does_not_know_names_its_task():
    with pytest.raises(ValueError, match="task 'odd': 'zebra' is not in the vocabulary"):
        warned(config(tasks=[*TASKS, Task("odd", "zebra")]))


def test_of_very_many_prompts_the_longest_are_read(monkeypatch):
    monkeypatch.setattr(preflight, "MOST_READ", 2)
    tasks = [*(Task(f"{i}", "a") for i in range(50)), *(Task(f"long {i}", "a " * 9) for i in range(3))]
    with pytest.raises(ValueError, match="2 or more of 53 tasks"):
        warned(small(tasks=tasks))


def test_held_out_tasks_that_are_trained_on_are_counted():
    same, other = Task("other id", "a", "a"), Task("one too", "a", "b")
    text, near = warned(config(held_out=[same, other]))
    assert text.startswith("1 of 2 held-out tasks are training tasks too ('other id' for one)")
    assert near.startswith(
        "1 of 2 held-out tasks ask nearly what training tasks ask, such as 'one too' and 'one' (100 %"
    )
    for unequal in (other, replace(same, data={"n": 1})):
        assert preflight._shared_tasks(config(held_out=[unequal])) == []


def test_tasks_without_content_do_not_count_as_shared():
    assert warned(config(tasks=[Task("1", "")], held_out=[Task("2", "")], environment=Greeting)) == ()


def test_more_threads_than_cores_is_a_warning(monkeypatch):
    monkeypatch.setattr(preflight, "num_cores", lambda: 1)
    assert warned(config(threads=2)) == ("2 threads share 1 core, which makes them slower.",)


class Greeting:
    """Says "a"; notes who was made and closed, and throws every die there is."""

    made: list[str] = []  # noqa: RUF012
    closed: list[str] = []  # noqa: RUF012

    def __init__(self, task, rng):
        self.task = task
        Greeting.made.append(task.id)
        random.random(), np.random.random(), torch.rand(1), rng.random()

    def start(self):
        return "a"

    def step(self, text):
        return Step("", 1.0, strop.types.End.TERMINATED)

    def close(self):
        Greeting.closed.append(self.task.id)


class Broken(Greeting):
    """Starts on no task whose answer is "a"."""

    def start(self):
        if self.task.answer == "a":
            raise RuntimeError("no such room")
        return "a"


def test_an_environment_is_started_once_closed_and_leaves_the_random_state():
    Greeting.made.clear()
    Greeting.closed.clear()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert warned(config(environment=Greeting)) == ()
    assert (Greeting.made, Greeting.closed) == (["one"], ["one"])
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_an_environment_that_never_starts_is_refused_with_its_line():
    with pytest.raises(ValueError, match=r"does not start on task 'one' of tasks: RuntimeError: no such room "
                       r"\(.*test_preflight\.py, line \d+\)\."):  # fmt: skip
        warned(config(environment=Broken, tasks=[TASKS[0], TASKS[2]]))


def test_an_environment_that_starts_only_on_another_task_is_a_warning():
    (text,) = warned(config(environment=Broken))
    assert "does not start on task 'one' of tasks: RuntimeError: no such room" in text
    assert text.endswith("An episode of such a task is lost.")


def test_an_id_that_gymnasium_does_not_know_is_refused():
    pytest.importorskip("gymnasium")
    with pytest.raises(ValueError, match=r"NameNotFound: .*CartPol.*Did you mean: `CartPole`\?$"):
        warned(config(environment=strop.environments.from_gymnasium("CartPol-v1")))


def test_a_first_text_that_the_policy_cannot_read_is_refused():
    class Zebra(Greeting):
        def start(self):
            return "zebra"

    with pytest.raises(ValueError, match="'zebra' is not in the vocabulary"):
        warned(config(environment=Zebra))


# ------------------------------------------------------------ in a run


def test_a_run_that_cannot_be_played_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="can never be played"):
        train(small(tasks=[Task("long", "a " * 9)]), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_warnings_are_in_the_plan_and_stored_as_events_once(tmp_path):
    plans = []
    made = config(held_out=TASKS[:1])
    run = train(made, tmp_path / "run", announce=plans.append)
    train(replace(made, steps=4), tmp_path / "run", announce=plans.append, resume=True)
    (text,) = plans[0].warnings
    assert plans[1].warnings == (text,)
    assert ("warning", text) in plans[0].lines()
    with run.directory.reader() as store:
        kept = [(event.step, event.level) for event in store.events() if event.text == text]
    assert kept == [(0, "warning")]


def test_the_plan_says_who_chose_the_threads(tmp_path, monkeypatch):
    plans = []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    train(config(threads=None), tmp_path / "a", announce=plans.append)
    train(config(threads=1), tmp_path / "b", announce=plans.append)
    assert plans[0].seed.endswith("1 thread (OMP_NUM_THREADS)")
    assert plans[1].seed.endswith("1 thread")


def never(task, episode):
    raise KeyError("the judge is asleep")


def test_a_first_step_without_any_reward_stops_the_run_with_the_reason(tmp_path):
    with pytest.raises(
        Stopped, match=r"None of the 4 episodes of step 0 could be scored: KeyError: 'the judge"
    ) as told:
        train(config(rewards={"never": never}, steps=50), tmp_path / "run")
    file = tmp_path / "run/failures/step-000000/reason.txt"
    assert str(file) in str(told.value)
    assert "in never" in file.read_text()
    with pytest.raises(Stopped, match="step 0"):  # nor does it go on as it is
        train(config(rewards={"never": never}, steps=50), tmp_path / "run", resume=True)
    assert train(config(steps=3), tmp_path / "run", resume=True).directory.checkpoint_step() == 3


def test_a_first_judgement_without_any_reward_stops_the_run_and_is_made_again(tmp_path):
    with pytest.raises(Stopped, match="None of the 2 episodes of the first judgement"):
        train(config(rewards={"never": never}, held_out=TASKS[:2]), tmp_path / "run")
    run = train(config(held_out=TASKS[:2]), tmp_path / "run", resume=True)
    assert [row["step"] for row in run.metrics() if row.get("held_out/reward", np.nan) >= 0.0] == [0, 2]


def test_a_first_step_with_one_reward_goes_on(tmp_path):
    def once(task, episode, seen=[]):  # noqa: B006
        seen.append(episode)
        return 1.0 if len(seen) == 1 else never(task, episode)

    with pytest.raises(Stopped, match="number 3 in a row"):
        train(config(rewards={"once": once}, steps=50), tmp_path / "run")


def test_later_steps_are_given_time(tmp_path):
    def later(task, episode, seen=[]):  # noqa: B006
        seen.append(episode)
        return 1.0 if len(seen) <= 4 or len(seen) > 8 else never(task, episode)

    train(config(rewards={"later": later}, steps=4), tmp_path / "run")


def test_copy_word_says_that_it_judges_what_it_trains_on():
    made = copy_word.recipe()
    (text,) = preflight._shared_tasks(made)
    assert text.startswith("8 of 8 held-out tasks")


# ------------------------------------------------------------ near twins of training tasks

ASKED = "Please name the longest of all rivers that flow through the south of"
NEARLY = "Please name, the longest of all the rivers that flow through the south of"


def test_a_held_out_prompt_that_is_trained_on_is_told_whatever_its_answer():
    (text,) = warned(config(held_out=[Task("h", "b", "a"), Task("new", "b a", "a")]))
    assert text.startswith(
        "1 of 2 held-out tasks ask nearly what training tasks ask, such as 'h' and 'two' (100 % alike)"
    )
    assert "strop.data.without takes them out of training" in text


def test_a_held_out_task_that_is_nearly_trained_on_is_told():
    made = config(tasks=[Task("1", f"{ASKED} Chad?"), Task("2", "How?")], held_out=[Task("h", f"{NEARLY} Chad")])
    # 14 and 15 words make 13 and 14 runs; "all rivers" is in the first alone, "all the" and "the rivers" in the other.
    (text,) = preflight._near_tasks(replace(made, held_out=[Task("h", f"{NEARLY} Chad".replace(",", ""))]))
    assert "'h' and '1' (80 % alike): 'Please name the longest" in text
    assert preflight._near_tasks(made)
    assert preflight._near_tasks(replace(made, held_out=[Task("h", "Where is Chad?")])) == []


def test_a_task_that_is_told_to_be_trained_on_is_not_told_twice():
    (text,) = warned(config(held_out=[TASKS[0], Task("new", "b a", "a")]))
    assert text.startswith("1 of 2 held-out tasks are training tasks too")


def test_prompts_say_nothing_of_tasks_that_an_environment_tells_apart():
    class Own(strop.environments.SingleTurn):
        pass

    held_out = [Task("h", "b", "a")]
    assert preflight._near_tasks(config(held_out=held_out))
    assert preflight._near_tasks(config(held_out=held_out, environment=Own)) == []
    assert preflight._near_tasks(config(tasks=[Task("1", "", "a")], held_out=[Task("h", "", "b")])) == []


def test_of_many_tasks_some_are_compared_which_is_told(monkeypatch):
    tasks = [Task(str(number), f"prompt {number}") for number in range(10)]  # of 8 characters each
    made = config(tasks=tasks, held_out=[Task("a", "PROMPT 2"), Task("b", "PROMPT 4")])
    assert preflight._near_tasks(made)[0].startswith("2 of 2 held-out tasks ask nearly what training tasks ask, such")
    monkeypatch.setattr(preflight, "MOST_COMPARED", 4)  # of 10: of three tasks the first, so 0, 3, 6 and 9
    assert preflight._near_tasks(made) == []
    made = replace(made, held_out=[Task("a", "PROMPT 2"), Task("b", "PROMPT 6")])
    beginning = "of 2 held-out tasks ask nearly what training tasks ask"
    assert preflight._near_tasks(made)[0].startswith(f"1 {beginning} (4 of 10 were compared), such as 'b'")
    monkeypatch.setattr(preflight, "MOST_COMPARED", 10)
    monkeypatch.setattr(preflight, "MOST_CHARACTERS", 41)  # about half of the 80: of two tasks the first
    assert preflight._near_tasks(made)[0].startswith(f"2 {beginning} (5 of 10 were compared), such as 'a'")
