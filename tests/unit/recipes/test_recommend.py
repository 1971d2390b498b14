"""The recipe of recommendations, on a small file and a tiny model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import small_ratings
import strop
import tiny_hf
from strop.data.recommend import recommended
from strop.recipes.recommend import OPEN, Popularity, Together, genres, marked, recipe, right_where_open, years
from strop.types import Observation, Task, Unscored


def film(title, *kinds):
    return {"title": title, "genres": list(kinds)}


def asked(user, liked, films, right):
    options = [f" {one['title']}" for one in films]
    return Task(f"{user}", "", options[right], {"user": user, "liked": liked, "films": films, "options": options})


OLD = [film("a (1950)", "Drama"), film("b (1960)", "Drama", "War")]
TASK = asked("ann", OLD, [film("c (1990)", "War"), film("d (1955)", "Comedy"), film("e (1970)", "Drama")], 2)
SEEN = Observation("", (), 0, None)


def test_rules_by_hand():
    # c: 0 + 1/2; d: 0; e: 1 + 1/2. The mean year is 1955.
    assert (genres(TASK, SEEN), years(TASK, SEEN)) == (" e (1970)", " d (1955)")
    others = [
        asked("ann", OLD, [film("c (1990)"), film("x (1900)")], 0),
        asked("bob", [film("a (1950)"), film("z (2000)")], [film("c (1990)"), film("d (1955)")], 0),
        asked("cid", [film("e (1970)"), film("d (1955)")], [film("z (2000)"), film("x (1900)")], 0),
    ]
    # c is liked by ann and bob, d and e by cid; a by ann and bob, b by ann
    assert Popularity().fit(others)(TASK, SEEN) == " c (1990)"
    # with a and b: c 2/2 + 1/sqrt(2); d and e, whom cid alone likes, 0
    assert Together().fit(others)(TASK, SEEN) == " c (1990)"
    assert Together().fit(others[2:])(TASK, SEEN) == " c (1990)"  # nothing is known: the first


def test_together_is_a_cosine():
    people = [
        asked("ann", [film("a (1950)"), film("d (1955)")], [film("x (1900)"), film("y (1900)")], 0),
        asked("bob", [film("e (1970)"), film("d (1955)")], [film("x (1900)"), film("y (1900)")], 0),
        asked("cid", [film("b (1960)"), film("e (1970)")], [film("y (1900)"), film("x (1900)")], 0),
        asked("dan", [film("d (1955)"), film("y (1900)")], [film("z (1900)"), film("x (1900)")], 0),
    ]
    # d: 1 / sqrt(3 * 1) with a; e: 1 / sqrt(2 * 1) with b
    assert Together().fit(people)(TASK, SEEN) == " e (1970)"


def test_gold_is_the_half_that_genres_leave_open():
    clear = asked("ann", OLD, [film("c (1990)"), film("e (1970)", "Drama")], 1)
    unclear = asked("bob", OLD, [film("c (1990)", "Drama"), film("e (1970)", "Drama")], 1)
    found = marked([clear, unclear])
    assert [task.data[OPEN] for task in found] == [False, True]

    class Said:
        text = " e (1970)"

    assert isinstance(right_where_open(found[0], Said), Unscored)
    assert right_where_open(found[1], Said) == 1.0


@pytest.mark.parametrize("method", ["sft", "rl"])
def test_films_are_words_and_what_few_like_is_rare(method, tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    recommended.cache_clear()
    file = small_ratings.write(tmp_path / "r.csv")
    config = recipe(str(file), method=method)
    spoken = set(config.policy.words)
    for task in [*config.tasks, *config.held_out]:
        read = task.prompt.split()
        assert (len(read), read[-1]) == (6, "next")
        assert {*read, *task.data["options"]} <= spoken
        films = [film["title"].replace(" ", "_") for film in task.data["liked"]]
        assert all(word in (name, "rare") for word, name in zip(read, films, strict=False))
    short = replace(config, steps=2, prompts_per_step=4, minutes=None, held_out=config.held_out[:8])
    short = replace(short, memory=strop.memory.Dataset.Config(size=4) if method == "sft" else None)
    run = strop.train(short, tmp_path / "run", progress=False)
    assert [row for row in run.metrics() if "held_out/gold/open" in row]


@pytest.mark.learning
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("method", "steps", "size"), [("sft", 60, 64), pytest.param("rl", 150, 64, marks=pytest.mark.slow)]
)
def test_films_come_to_stand_beside_those_that_the_same_people_like(method, steps, size, seed, tmp_path, monkeypatch):
    """Each person likes one genre: of those of the four that are of it, nobody can say which they like next."""
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    recommended.cache_clear()
    file = small_ratings.write(tmp_path / "r.csv", people=160)
    config = recipe(str(file), method=method, seed=seed)
    memory = config.memory and replace(config.memory, size=size)
    config = replace(config, steps=steps, minutes=None, prompts_per_step=size, memory=memory, baselines={})
    run = strop.train(config, tmp_path / "run", progress=False)
    of_genre = [
        sum(film["title"][0] == task.data["liked"][0]["title"][0] for film in task.data["films"])
        for task in config.held_out
    ]
    best = sum(1 / number for number in of_genre) / len(of_genre)
    judged = [row["held_out/right"] for row in run.metrics() if "held_out/right" in row]
    assert judged[0] < best - 0.1
    error = (best * (1 - best) / len(of_genre)) ** 0.5
    assert judged[-1] > best - 2 * error


def test_films_have_no_letters(tmp_path):
    with pytest.raises(ValueError, match="say=letter: with model=films"):
        recipe(str(small_ratings.write(tmp_path / "r.csv")), say="letter")


@pytest.mark.parametrize(
    ("method", "say"),
    [("rl", "title"), ("sft", "letter"), *(pytest.param(*one, marks=pytest.mark.matrix) for one in
                                           [("sft", "title"), ("rl", "letter")])],
)  # fmt: skip
def test_it_is_judged_beside_popularity_and_genres(method, say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    recommended.cache_clear()
    tiny_hf.make(Path("tiny"), context=640)
    file = small_ratings.write(tmp_path / "r.csv")
    config = recipe(str(file), "tiny", method=method, say=say)
    config = replace(config, steps=1, prompts_per_step=2, group_size=2, minutes=None, held_out=config.held_out[:8])
    run = strop.train(config, "runs/r", progress=False)
    judged = [row for row in run.metrics() if "held_out/right" in row]
    assert {"held_out/calibration_error", "held_out/gold/open"} <= set(judged[-1])
    beside = [json.loads(line) for line in Path("runs/r/baselines.jsonl").read_text().splitlines()]
    assert {one["baseline"] for one in beside} == {"popularity", "genres", "years", "liked together"}
    options = {task.id: task.data["options"] for task in config.tasks}
    assert all(episode.text in options[episode.task.id] for episode in run.episodes())
