"""One round on a tiny model: what is learnt from, who judges, what is promoted, and what a crash leaves."""

import dataclasses
import math

import pytest

import strop
from feedback_people import answer, compared, said
from strop.assistant import Settings, create, forget, judges, learn, overview_of
from strop.assistant.judge import last_judge, preferred
from strop.assistant.people import FILE as KEY
from strop.runs.progress import Progress
from strop.types import Task

WORDS = ("one", "two", "red", "blue", "good", "bad")
PROMPTS = [f"{a} {b} {c}" for a in WORDS[:4] for b in WORDS[:4] for c in WORDS[:4]]
LEARNERS = [name for name in map("person-{:032x}".format, range(40)) if not judges(name, 0.3)]
JUDGES = [name for name in map("person-{:032x}".format, range(40)) if judges(name, 0.3)]
"""As a store keeps names."""


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The run of a model that says good as often as bad."""
    tasks = [Task(f"{i} {prompt}", prompt, answer=word) for prompt in PROMPTS for i, word in enumerate(("good", "bad"))]
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, num_layers=1, width=16, num_heads=2, context=16),
        tasks=tasks,
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=0.02)),
        memory=strop.memory.Dataset.Config(size=64),
        sampling=strop.Sampling(max_tokens=2),
        steps=30,
        threads=1,
    )
    return strop.train(config, tmp_path_factory.mktemp("first") / "run", progress=Progress.silent()).path


@pytest.fixture
def made(first, tmp_path):
    settings = Settings(
        temperature=1.0,
        max_tokens=1,
        lr=0.01,
        beta=0.5,
        epochs=6,
        batch=16,
        lora_rank=0,
        judge_pairs=20,
        margin=0.1,
        threads=1,
    )
    skills = {"answers": [Task(prompt, prompt, "good") for prompt in PROMPTS]}
    made = create(tmp_path / "mine", str(first), settings=settings, questions=PROMPTS[:50], skills=skills)
    (made.path / KEY).write_text("0" * 64)  # chance would say who is a judge
    return made


def collect(assistant, better="good", people=LEARNERS, name="", number=40):
    """Comparisons of good and bad."""
    worse = "bad" if better == "good" else "good"
    with assistant.feedback() as store:
        for i in range(number):
            ids = [f"{name}{i} {text}" for text in (better, worse)]
            texts = [answer(id, text, question=PROMPTS[i % 64]) for id, text in zip(ids, (better, worse), strict=True)]
            store.write(texts, [compared(*ids, "A", rater=people[i % len(people)])])


def judged_by_people(assistant, new, choice, number=60):
    """Blind comparisons of the new version, which is A, with the one that serves."""
    old = assistant.versions.serving
    with assistant.feedback() as store:
        for i in range(number):
            two = [answer(f"{new} {i} of {one}", WORDS[one], question=PROMPTS[i], version=one) for one in (new, old)]
            store.write(two, [compared(*(one.inference for one in two), choice, rater=f"judge {i}")])


def test_people_promote_a_version_that_learnt_what_they_like_and_a_crash_in_between_is_made_good(made):
    collect(made)
    assert overview_of(made).lessons == {"thumbs": 0, "pairs": 40, "demonstrations": 0, "ratings": 0}
    waits = learn(made.path, "people", progress=False)
    assert (waits.version, waits.status, waits.serving) == (1, "waiting", 0)
    assert "there are 0 comparisons, and it takes 50" in waits.verdict.why
    assert learn(made.path, "people", progress=False).status == "waiting"
    judged_by_people(made, 1, "A")
    assert (overview_of(made).versions[1].status, overview_of(made).compared) == ("waiting", 60)
    before = made.versions.serving
    done = learn(made.path, "people", progress=False)
    assert (before, done.status, done.serving) == (0, "promoted", 1), done.verdict.why
    assert done.verdict.why.endswith("Judged by people.")
    manifest = made.versions.manifest(1)
    assert manifest.origin.startswith("rounds/001/2-sft@")
    assert len(manifest.feedback) == 40
    assert sum(one["after"] == "good" for one in made.versions.diff(1)) > 45
    _a_promotion_that_was_cut_off_is_completed(made)


def _a_promotion_that_was_cut_off_is_completed(made):
    (made.path / "serving.json").write_text('{"version": 0, "history": [0]}')
    assert learn(made.path, "people", progress=False).serving == 1


def test_what_people_like_less_is_refused_and_not_learnt_from_again(made):
    collect(made, better="bad")
    learn(made.path, "people", progress=False)
    judged_by_people(made, 1, "B")
    done = learn(made.path, "people", progress=False)
    assert (done.status, done.serving) == ("refused", 0)
    assert "people prefer the version that serves" in done.verdict.why
    assert sum(one["after"] == "bad" for one in made.versions.diff(1)) > 45
    assert overview_of(made).lessons["pairs"] == 60  # those of the judges, who prefer the version that serves


def test_a_reward_model_of_other_people_judges_where_people_did_not(made):
    collect(made)
    collect(made, people=JUDGES, name="judge ", number=48)
    done = learn(made.path, progress=False)
    assert (done.status, done.serving) == ("promoted", 1), done.verdict.why
    assert "Judged by a reward model that orders 1.000 [0." in done.verdict.why
    assert len(made.versions.manifest(1).feedback) == 40
    assert done.verdict.comparisons == 50
    judge = last_judge(made.rounds)
    assert preferred(judge, PROMPTS[0], "good", "bad") > 0.75
    both = [preferred(judge, PROMPTS[0], *pair) for pair in (("good", "bad"), ("bad", "good"))]
    assert sum(both) == pytest.approx(1.0, abs=1e-6)
    good, bad = judge.score(PROMPTS[0], ["good", "bad"])
    assert both[0] == pytest.approx(math.exp(good) / (math.exp(good) + math.exp(bad)))
    assert preferred(judge, PROMPTS[0], "good", " ") is None


def test_a_reward_model_that_agrees_with_nobody_decides_nothing(made):
    collect(made)
    collect(made, people=JUDGES, name="judge ", number=48)
    with made.feedback() as store:
        for i in range(0, 48, 2):  # the same pairs, the other way round, by the same people: half of them changed
            store.write(
                [], [compared(f"judge {i} good", f"judge {i} bad", "B", rater=JUDGES[i % len(JUDGES)], id=f"{i}")]
            )
    done = learn(made.path, progress=False)
    assert (done.status, done.serving) == ("refused", 0)
    assert "this does not show that it is better than tossing a coin" in done.verdict.why
    assert last_judge(made.rounds) is None


def test_every_kind_of_lesson_is_a_stage_and_earlier_rounds_come_again(made):
    collect(made, number=16)
    with made.feedback() as store:
        asked = [answer("x", "bad", question=PROMPTS[0]), answer("y", "bad", question=PROMPTS[1])]
        store.write(asked, [said("thumb", False, "x"), said("thumb", True, "y")])
        store.add("demonstration", "good", rater=JUDGES[0], inference="x")
        store.add("thumb", False, rater=JUDGES[1], inference="y")
    learn(made.path, "people", progress=False)
    assert (made.path / "rounds" / "001").is_dir()
    assert made.versions.manifest(1).origin.startswith("rounds/001/3-sft@")
    with pytest.raises(ValueError, match="version 1 learnt from 2 people from whom the reward model learns"):
        learn(made.path, "model", progress=False)
    judged_by_people(made, 1, "A")
    learn(made.path, "people", progress=False)
    collect(made, name="again ", number=20)
    learn(made.path, "people", progress=False)
    second = made.versions.manifest(2)
    assert (second.parent, len(second.feedback), len(second.replayed)) == (1, 80, 20)


def rated(assistant, marks, people=LEARNERS, name="rated "):
    """Each person rates good and bad answers; `marks` are what each is worth."""
    with assistant.feedback() as store:
        for i, prompt in enumerate(PROMPTS[:40]):
            for text, mark in marks.items():
                one = answer(f"{name}{i} {text}", text, question=prompt)
                store.write([one], [said("rating", mark, one.inference, rater=people[i % 8])])


def test_ratings_teach_a_reward_model_which_rloo_climbs(made):
    told = []
    rated(made, {"good": 0.9, "bad": 0.7})
    assert overview_of(made).lessons["ratings"] == 80
    learn(made.path, "people", progress=False, tell=told.append)
    manifest = made.versions.manifest(1)
    assert manifest.origin.startswith("rounds/001/1-rloo@")
    assert len(manifest.feedback) == 80
    assert any("a reward model tells 1.000 [0." in text and "RLOO climbs it" in text for text in told), told
    assert sum(one["after"] == "good" for one in made.versions.diff(1)) > 45


def test_ratings_that_are_too_few_wait(made):
    told = []
    with made.feedback() as store:
        for i in range(30):
            one = answer(f"{i}", "good" if i % 2 else "bad", question=PROMPTS[i])
            store.write([one], [said("rating", float(i % 2), one.inference)])
    with pytest.raises(ValueError, match=r"has 0 new lessons(?s:.*)30 ratings wait: a reward model takes 60"):
        learn(made.path, "people", progress=False)
    collect(made, number=20)
    learn(made.path, "people", progress=False, tell=told.append)
    assert len(made.versions.manifest(1).feedback) == 20
    assert overview_of(made).lessons["ratings"] == 30
    assert told[0].startswith("30 ratings wait")


def test_ratings_that_tell_nothing_are_not_climbed(made):
    with made.feedback() as store:
        for i in range(80):  # the same texts, good to one half of the people and bad to the other
            one = answer(f"{i}", ("good", "bad")[i % 2], question=PROMPTS[i % 64])
            store.write([one], [said("rating", float(i // 2 % 2), one.inference, rater=f"r{i % 2}")])
    with pytest.raises(ValueError, match="not shown to be better than a coin, and there is nothing else"):
        learn(made.path, "people", progress=False)
    assert not (made.path / "rounds" / "001.json").exists()
    collect(made, number=20)
    learn(made.path, "people", progress=False)
    assert made.versions.manifest(1).origin.startswith("rounds/001/2-sft@")
    assert len(made.versions.manifest(1).feedback) == 20


def test_a_round_that_is_cut_off_goes_on_with_the_feedback_that_it_began_with(made, monkeypatch):
    collect(made)
    from strop.assistant import learning

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(learning, "export_run", cut)
        with pytest.raises(KeyboardInterrupt):
            learn(made.path, "people", progress=False)
    assert made.versions.numbers() == [0]
    collect(made, name="later ")
    learn(made.path, "people", progress=False)
    assert len(made.versions.manifest(1).feedback) == 40
    assert overview_of(made).lessons["pairs"] == 80


def test_too_little_to_learn_from_is_said(made):
    collect(made, number=3)
    with pytest.raises(ValueError, match="has 3 new lessons, and learning takes 20"):
        learn(made.path, progress=False)
    with pytest.raises(ValueError, match="judge='crowd'"):
        learn(made.path, "crowd")
    with pytest.raises(ValueError, match=r"is no assistant: it has no assistant\.json"):
        learn(made.path.parent, progress=False)


def test_an_assistant_needs_enough_questions_and_a_new_folder(first, tmp_path):
    with pytest.raises(ValueError, match="there are 3 questions: it takes 50"):
        create(tmp_path / "new", str(first), questions=["one", "two", "red"], skills={})
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="exists and is not empty"):
        create(tmp_path, str(first), questions=PROMPTS[:50], skills={})


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"epochs": 0.0}, "epochs=0.0"), ({"margin": 2.0}, "margin=2.0"), ({"batch": 0}, "batch=0"), ({"lr": "x"}, "lr")],
)
def test_settings_are_checked(changes, why):
    with pytest.raises(ValueError, match=why):
        dataclasses.replace(Settings(), **changes)


def test_without_a_person_who_is_forgotten_it_learns_again_from_the_others(made):
    collect(made, people=LEARNERS[:2], number=60)
    assert learn(made.path, "people", progress=False).status == "waiting"
    with made.feedback() as store:
        hers = {one.id for one in store.feedback() if one.rater == LEARNERS[0]}
    found = forget(made.path, LEARNERS[:1])
    assert (found.retired, found.serving, found.left, len(hers)) == ((1,), 0, (), 30)
    assert not made.round(1).exists()
    assert learn(made.path, "people", progress=False).version == 2
    learnt = made.versions.manifest(2)
    assert (learnt.parent, len(learnt.feedback), len(learnt.replayed)) == (0, 30, 0)
    assert hers.isdisjoint([*learnt.feedback, *learnt.replayed])
    assert sum(one["after"] == "good" for one in made.versions.diff(2)) > 45
