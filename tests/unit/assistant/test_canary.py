"""A canary: which conversations it answers, what of them counts, and when it is shown to be worse."""

import pytest

from feedback_people import answer, said
from strop.assistant import Settings
from strop.assistant.believed import Believing
from strop.assistant.canary import Canary, begun, read_canary, standing, write_canary
from strop.assistant.feedback import FeedbackStore
from strop.assistant.quarantine import ByHand

CANARY = Canary(version=1, beside=0, share=0.25, since=1.0)
TALKS = [f"talk {i}" for i in range(2000)]
NEW = [talk for talk in TALKS if CANARY.takes(talk)]
OLD = [talk for talk in TALKS if not CANARY.takes(talk)]


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as made:
        yield made


def score(store, talk, value, version, kind="thumb", when=1.5, name=""):
    """A score of an answer of this conversation, whose inference is named after it."""
    inference = f"{talk} {name}"
    one = answer(inference, conversation=talk, version=version, when=when)
    store.write([one], [said(kind, value, inference, id=f"of {inference}")])


def test_a_conversation_is_always_dealt_alike_and_the_share_is_kept():
    assert Canary(version=1, beside=0, share=0.25, since=7.0).takes("talk 7") == CANARY.takes("talk 7")
    assert len(NEW) / len(TALKS) == pytest.approx(0.25, abs=0.03)  # three standard errors of 2000 draws
    more = Canary(version=1, beside=0, share=0.5, since=1.0)
    assert set(NEW) < {talk for talk in TALKS if more.takes(talk)}
    next_one = Canary(version=2, beside=0, share=0.25, since=1.0)
    assert set(NEW) != {talk for talk in TALKS if next_one.takes(talk)}


def test_one_that_has_ended_takes_none():
    ended = Canary(version=1, beside=0, share=0.25, since=1.0, ended="it is worse")
    assert not any(ended.takes(talk) for talk in TALKS)
    assert [talk for talk in TALKS if ended.picks(talk)] == NEW


def test_the_first_score_of_each_conversation_counts(store):
    score(store, NEW[0], True, 1)
    score(store, NEW[0], False, 1, name="again")
    score(store, NEW[1], 0.5, 1, kind="rating")
    score(store, NEW[2], "well", 1, kind="comment")
    score(store, OLD[0], False, 0)
    found = standing(store, CANARY)
    assert (found.new.mean, found.new_conversations) == (0.75, 2)
    assert (found.old.mean, found.old_conversations) == (0.0, 1)
    assert not found.is_worse


def test_what_was_not_dealt_or_was_before_does_not_count(store):
    score(store, NEW[0], True, 0)  # before the canary had a share, or asked by its exact name
    score(store, OLD[0], True, 1)
    score(store, NEW[1], True, 1, when=0.5)
    score(store, OLD[1], True, None)
    score(store, OLD[2], True, 7)
    found = standing(store, CANARY)
    assert (found.new_conversations, found.old_conversations) == (0, 0)
    assert (found.new.low, found.new.high) == (0.0, 1.0)


def test_a_score_of_a_conversation_counts_where_one_version_answered_it(store):
    for name, version in (("a", 1), ("b", 1)):
        store.answered(answer(f"x{name}", conversation=NEW[0], version=version, when=1.5))
    for name, version in (("a", 1), ("b", 0)):
        store.answered(answer(f"y{name}", conversation=NEW[1], version=version, when=1.5))
    for talk in NEW[:2]:
        store.write([], [said("thumb", True, None, conversation=talk, id=talk)])
    assert standing(store, CANARY).new_conversations == 1


def test_it_is_worse_once_all_that_may_be_true_of_it_is_below(store):
    """Nobody likes it, everybody likes the other one. With alpha/2 = .025 the wealth that is needed is 40; after n
    equal numbers the limit m solves mean of (1 - g + g / m)^n = 40 over the shares g, so both limits meet at .5
    where the mean of (1 + g)^n is 40. By the moments of the arcsine law, E[g^k] = C(2k, k) / 4^k, it is 39.8 for n = 7
    and 74.1 for n = 8."""
    for n in range(8):
        score(store, NEW[n], False, 1)
        score(store, OLD[n], True, 0)
        assert standing(store, CANARY).is_worse == (n + 1 == 8)
    assert str(standing(store, CANARY)).startswith("liked 0.00")


def test_it_is_kept_and_begins_again_with_the_share_that_is_given(tmp_path):
    assert begun(tmp_path, 1, 0, 0.0, now=5.0) is None
    assert read_canary(tmp_path) is None
    first = begun(tmp_path, 1, 0, 0.1, now=5.0)
    assert (first, read_canary(tmp_path)) == (Canary(version=1, beside=0, share=0.1, since=5.0), first)
    assert begun(tmp_path, 1, 0, 0.3, now=9.0) == Canary(version=1, beside=0, share=0.3, since=5.0)
    assert begun(tmp_path, 1, 0, 0.0, now=9.0).share == 0.0
    assert begun(tmp_path, 2, 0, 0.2, now=9.0) == Canary(version=2, beside=0, share=0.2, since=9.0)


def test_one_that_was_worse_does_not_begin_again(tmp_path):
    write_canary(tmp_path, Canary(version=1, beside=0, share=0.1, since=5.0, ended="it is worse"))
    again = begun(tmp_path, 1, 0, 0.5, now=9.0)
    assert (again.ended, again.share) == ("it is worse", 0.1)


def test_a_broken_file_is_said(tmp_path):
    (tmp_path / "canary.json").write_text("{")
    with pytest.raises(ValueError, match=r"canary\.json cannot be read.*Delete it"):
        read_canary(tmp_path)


def test_what_is_in_quarantine_does_not_count_and_a_canary_s_own_scores_put_nobody_there(store):
    score(store, NEW[0], True, 1)
    score(store, NEW[1], False, 1)
    score(store, OLD[0], True, 0)
    [of_new] = [one.id for one in store.feedback() if one.inference == f"{NEW[1]} "]
    withheld = Believing(store, Settings(), ByHand(withheld=[of_new])).standing(CANARY)
    assert (withheld.new.mean, withheld.new_conversations) == (1.0, 1)
    for name, up in (("bob", True), ("cem", True), ("mallory", False)):  # the canary's answers are the same for all
        talks = NEW[20:28] if name == "mallory" else NEW[10:18]
        for i, talk in enumerate(talks):
            one = answer(f"{name} {talk}", conversation=talk, version=1, question=f"q {i}", rater=name)
            store.write([one], [said("thumb", up, one.inference, rater=name)])
    believed = Believing(store, Settings(), ByHand())
    assert {one.feedback.rater for one in believed.held().values()} == {store.people.hashed("mallory")}
    found = believed.standing(CANARY)
    assert (found.new_conversations, found.new.mean) == (18, 9 / 18)  # 8 up of bob and cem, 8 down, and the two above
    assert standing(store, CANARY, believed.held()).new_conversations == 10
