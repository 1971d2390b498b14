"""Nobody has more than a share of what is learnt from, or of a gate's comparisons."""

from hypothesis import given
from hypothesis import strategies as some

from strop.assistant.lessons import Lesson, Lessons
from strop.assistant.shares import capped, first_of_each, most_each
from strop.types import Task


def by_trial(counts, share):
    """The largest cap that holds, by trying all."""
    fits = [c for c in range(max(counts) + 1) if c <= share * sum(min(n, c) for n in counts) + 1e-9]
    return max(fits)


@given(some.lists(some.integers(1, 60), min_size=1, max_size=12), some.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_nobody_has_more_than_the_share_where_there_are_people_enough(counts, share):
    most = most_each(dict(enumerate(counts)), share)
    if len(counts) * share < 1.0:
        assert most == max(counts)
    else:
        assert most == by_trial(counts, share)
        assert max(min(n, most) for n in counts) <= share * sum(min(n, most) for n in counts) + 1e-9


def test_by_hand():
    assert most_each({"a": 100, "b": 10, "c": 10, "d": 10, "e": 10}, 0.25) == 13  # 13 of 53 is .245; 14 of 54 is .259
    assert most_each({"a": 100, "b": 10}, 0.25) == 100
    assert most_each({}, 0.25) == 0


def lesson(rater, feedback):
    return Lesson(Task(feedback, "q"), feedback, rater)


def test_lessons_of_a_loud_person_wait_and_ratings_have_a_share_of_their_own():
    loud = [lesson("loud", f"l{i}") for i in range(50)]
    others = [lesson(name, f"{name}{i}") for name in "abcd" for i in range(3)]
    found = capped(Lessons(thumbs=[*loud, *others], ratings=loud[:3]), 0.25, ())
    assert [one.feedback for one in found.thumbs if one.rater == "loud"] == ["l0", "l1", "l2", "l3"]  # 4 of 16
    assert len(found.thumbs) == 16
    assert len(found.ratings) == 3  # of the only person with ratings
    assert len(capped(Lessons(thumbs=[*loud, *others]), 0.25, ["loud"]).thumbs) == 62
    assert len(capped(Lessons(thumbs=[*loud, *others]), 1.0, ()).thumbs) == 62


def test_a_piece_that_teaches_much_counts_as_much():
    """One thumb for a conversation of ten answers."""
    talk = [lesson("loud", "talk")] * 10
    others = [lesson(name, f"{name}{i}") for name in "abcd" for i in range(3)]
    assert [one.rater for one in capped(Lessons(thumbs=[*talk, *others]), 0.25, ()).thumbs] == [*"aaabbbcccddd"]


def test_the_first_of_each_count_at_a_gate():
    said = [("loud", i) for i in range(20)] + [(name, name) for name in "abc"]
    assert first_of_each(said, 0.25) == [0, "a", "b", "c"]
    assert first_of_each(said, 0.25, ["loud"]) == [*range(20), "a", "b", "c"]
    assert first_of_each(said[:20], 0.25) == [*range(20)]
