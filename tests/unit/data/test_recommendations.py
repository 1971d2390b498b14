"""Which film next: who is asked about what, and that popularity tells nothing."""

from collections import Counter

import numpy as np
import pytest

import small_ratings
from strop.data.ratings import Film, Rating, ratings
from strop.data.recommend import NUM_OPTIONS, Popular, recommended


def found(tmp_path, **given):
    recommended.cache_clear()
    return recommended(str(small_ratings.write(tmp_path / "r.csv")), tell=lambda line: None, **given)


def test_no_person_is_in_two_splits_and_answers_are_liked_next(tmp_path):
    parts = found(tmp_path)
    given = {(one.user, one.film.title): one for one in ratings(str(tmp_path / "r.csv"), print)}
    users = [{task.data["user"] for task in part} for part in (parts.train, parts.development, parts.held_out)]
    assert all(users)
    assert len(set().union(*users)) == sum(map(len, users))
    for task in (*parts.train, *parts.development, *parts.held_out):
        liked = [given[task.data["user"], film["title"]] for film in task.data["liked"]]
        right = given[task.data["user"], task.answer.strip()]
        assert min(one.stars for one in liked) >= 4 <= right.stars
        times = [one.time for one in (*liked, right)]
        assert times == list(range(int(times[0]), int(times[0]) + 6))
        others = [option for option in task.data["options"] if option != task.answer]
        assert len(others) == NUM_OPTIONS - 1
        assert not [option for option in others if (task.data["user"], option.strip()) in given]
        assert [f" {film['title']}" for film in task.data["films"]] == task.data["options"]


def test_the_right_film_has_every_rank_of_popularity_equally_often():
    films = [Film(f"f{i}", ()) for i in range(90)]
    known = Popular({film: 5 + i for i, film in enumerate(films)})
    rng = np.random.default_rng(0)
    ranks = Counter(sum(films.index(other) > 45 for other in known.beside(films[45], {44}, rng)) for _ in range(1200))
    for count in ranks.values():
        assert count / 1200 == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 1200) ** 0.5)  # four standard errors
    assert len(ranks) == NUM_OPTIONS
    assert known.beside(films[88], set(), rng) is None  # one film alone is more popular
    assert known.beside(Film("unknown", ()), set(), rng) is None
    assert all(films[44] not in known.beside(films[45], {44}, rng) for _ in range(50))
    assert known.places([films[3], Film("unknown", ())]) == {3}


def test_every_six_in_a_row_are_asked_about_as_often_as_they_are_drawn(tmp_path):
    once, more = found(tmp_path, draws=1), found(tmp_path, draws=3)
    assert len(more.train) == 3 * len(once.train) > len(found(tmp_path).train)
    assert [task.data for task in more.held_out] == [task.data for task in found(tmp_path).held_out]
    times = {(one.user, one.film.title): one.time for one in ratings(str(tmp_path / "r.csv"), print)}
    rows = dict[tuple[str, float], list[frozenset[str]]]()
    for task in more.train:
        row = [times[task.data["user"], film["title"]] for film in task.data["liked"]]
        right = times[task.data["user"], task.answer.strip()]
        assert [*row, right] == list(range(int(row[0]), int(row[0]) + 6))
        rows.setdefault((task.data["user"], right), []).append(frozenset(task.data["options"]))
    assert {len(others) for others in rows.values()} == {3}
    assert sum(len(set(others)) > 1 for others in rows.values()) > len(rows) / 2  # others stand beside it each time


def test_letters_stand_before_the_films_that_they_name(tmp_path):
    titles, letters = found(tmp_path).held_out, found(tmp_path, letters=True).held_out
    for title, letter in zip(titles, letters, strict=True):
        place = title.data["options"].index(title.answer)
        assert letter.answer == f" {'ABCD'[place]}"
        assert f"\n{'ABCD'[place]}. {title.answer.strip()}: " in letter.prompt[1]["content"]


def test_another_seed_deals_other_people(tmp_path):
    first, same, other = found(tmp_path).held_out, found(tmp_path).held_out, found(tmp_path, seed=1).held_out
    assert first == same
    assert {task.data["user"] for task in first} != {task.data["user"] for task in other}


def test_a_file_says_what_it_lacks(tmp_path):
    def refused(text, match):
        file = tmp_path / "bad.csv"
        file.write_text(text)
        with pytest.raises(ValueError, match=match):
            ratings(str(file), print)

    refused("user,film,genres,stars\na,f,,4\n", "has no genres")
    refused("user,film,genres,stars,time\na,f,Drama,many,1\n", "stars and time are numbers")
    with pytest.raises(ValueError, match="by name there is movielens"):
        ratings("movielense", print)
    file = tmp_path / "few.csv"
    file.write_text("user,film,genres,stars,time\na,f,Drama,4,1\n")
    with pytest.raises(ValueError, match="too few to ask"):
        recommended(str(file))
    assert ratings(str(file), print) == [Rating("a", Film("f", ("Drama",)), 4.0, 1.0)]
