"""What is in quarantine and why; what is decided by hand; what a round and a gate then see."""

import pytest

from feedback_people import answer, compared, said
from learnt import learnt
from strop.assistant import Assistant, Settings
from strop.assistant.believed import Believing, believing
from strop.assistant.feedback import FeedbackStore
from strop.assistant.quarantine import ByHand, read_by_hand, write_by_hand
from strop.types import shown


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as found:
        yield found


def held(store, decided=None, **settings):
    found = Believing(store, Settings(**settings), decided or ByHand()).held()
    return {id: one.reason for id, one in found.items()}


def thumbs(store, rater, number, value, version=0):
    """Thumbs of a person for answers of their own, which others were given too: the same texts."""
    answers = [
        answer(f"{rater} {i}", f"text {i}", question=f"q {i}", rater=rater, version=version) for i in range(number)
    ]
    feedback = [said("thumb", value(i), f"{rater} {i}", rater=rater) for i in range(number)]
    store.write(answers, feedback)
    return [one.id for one in feedback]


def test_who_contradicts_the_others_is_in_quarantine_and_nobody_else(store):
    """6 of 6 the other way round: the upper limit of the share is .459; 5 of 5 could be chance: .522 or so."""
    for name in ("ann", "bob", "cem"):
        thumbs(store, name, 8, lambda i: i % 2 == 0)
    lies = thumbs(store, "mallory", 6, lambda i: i % 2 == 1)
    thumbs(store, "few", 3, lambda i: i % 2 == 1)
    thumbs(store, "coin", 8, lambda i: i < 4)
    assert held(store) == dict.fromkeys(lies, "outlier")


def test_trusted_raters_outweigh_a_crowd(store):
    crowd = [thumbs(store, f"m{k}", 8, lambda i: False) for k in range(3)]
    honest = thumbs(store, "ann", 8, lambda i: True)
    assert held(store) == dict.fromkeys(honest, "outlier")  # as far as anybody knows
    thumbs(store, "boss", 8, lambda i: True)
    assert held(store, trusted=["boss"]) == dict.fromkeys([id for some in crowd for id in some], "disagrees")


def test_comparisons_of_equal_pairs_count_whichever_stood_first(store):
    for name in ("boss", "mallory"):
        for i in range(8):
            two = [answer(f"{name} {i} {text}", text, question=f"q {i}", rater=name) for text in ("good", "bad")]
            ids = [one.inference for one in (two if name == "boss" else two[::-1])]
            store.write(two, [compared(*ids, "A", rater=name)])
    assert set(held(store, trusted=["boss"]).values()) == {"disagrees"}
    assert len(held(store, trusted=["boss"])) == 8


def test_one_text_for_three_questions_answers_none_of_them(store):
    written = {"ann": ("one", "two", "two"), "mallory": ("Buy it!", "buy  IT!", "Buy it!")}
    for name, texts in written.items():
        for i, text in enumerate(texts):
            store.write(
                [answer(f"{name} {i}", question=f"q {i}")], [said("demonstration", text, f"{name} {i}", rater=name)]
            )
    assert held(store) == {f"mallory demonstration mallory {i}": "repeats" for i in range(3)}


def test_one_question_again_and_again(store):
    for i in range(7):
        store.write([answer(f"{i}", f"text {i}", question="q")], [said("thumb", True, f"{i}", rater="mallory")])
        store.write([answer(f"a{i}", f"text {i}", question=f"q {i}")], [said("thumb", True, f"a{i}", rater="ann")])
    assert held(store) == {f"mallory thumb {i}": "same question" for i in (4, 5, 6)}


def test_faster_than_a_person_reads(store):
    for i in range(6):
        store.write([answer(f"{name} {i}", question=f"{name} {i}") for name in ("ann", "mallory")], [])
        store.add("thumb", True, rater="ann", inference=f"ann {i}", when=i * 30.0)
        store.add("thumb", True, rater="mallory", inference=f"mallory {i}", when=i * 10.0)
    found = Believing(store, Settings(most_a_minute=3), ByHand()).held()
    assert [(one.feedback.inference, one.reason) for one in found.values()] == [
        (f"mallory {i}", "hurried") for i in (3, 4, 5)
    ]


def test_what_was_imported_or_is_trusted_is_not_suspected(store):
    for name, version in (("import", None), ("boss", 0), ("mallory", 0)):
        thumbs(store, name, 5, lambda i: True, version)
    found = held(store, most_a_minute=2, trusted=["boss"])
    assert set(found) == {f"mallory thumb mallory {i}" for i in (2, 3, 4)}


def test_by_hand_goes_before_everything_and_an_id_before_a_name(store):
    ids, mallory = thumbs(store, "mallory", 5, lambda i: True), store.people.hashed("mallory")
    assert list(held(store, most_a_minute=2)) == ids[2:]
    assert held(store, ByHand().release([mallory]), most_a_minute=2) == {}
    assert held(store, ByHand().release(ids[2:3]), most_a_minute=2) == dict.fromkeys(ids[3:], "hurried")
    both = ByHand().withhold([mallory]).release(ids[:1])
    assert held(store, both, trusted=["mallory"]) == dict.fromkeys(ids[1:], "withheld")
    assert held(store, both.reset([mallory]).withhold(ids[:1])) == {ids[0]: "withheld"}


def test_what_was_decided_is_kept_beside_and_a_broken_file_is_told(tmp_path):
    assert read_by_hand(tmp_path) == ByHand()
    decided = ByHand().release(["ann"]).withhold(["bob"])
    write_by_hand(tmp_path, decided)
    assert read_by_hand(tmp_path) == ByHand(["ann"], ["bob"])
    for text in ("{", "[]", '{"format": 2}', '{"format": 1, "x": []}'):
        (tmp_path / "quarantine.json").write_text(text)
        with pytest.raises(ValueError, match=r"quarantine\.json cannot be read"):
            read_by_hand(tmp_path)


def test_a_gate_leaves_out_liars_whom_other_things_showed_and_counts_nobody_for_disagreeing_there(tmp_path):
    """Eight honest people and one who lies compare versions 1 and 0. That the liar disagrees at the gate alone, which
    is what the gate is to find out, leaves nothing out."""
    assistant = Assistant(learnt(tmp_path / "mine"))
    with assistant.feedback() as store:
        for name in [*(f"p{k}" for k in range(8)), "liar"]:
            for i in range(8):
                two = [
                    answer(f"{name} {i} {version}", f"{version}", question=f"g {i}", version=version, rater=name)
                    for version in (3, 1)
                ]
                choice = "B" if name == "liar" else "A"
                store.write(two, [compared(*(one.inference for one in two), choice, rater=name)])
        found = believing(assistant, store)
        assert found.by_people(3, 1).outcomes.count(0.0) == 8
        assert set(held(store).values()) == {"outlier"}  # nothing is learnt from them, all the same
        thumbs(store, "liar", 8, lambda i: False)
        for k in range(3):
            thumbs(store, f"p{k}", 8, lambda i: True)
        assert found.by_people(3, 1).outcomes == [1.0] * 64


def test_the_words_for_it_name_the_person_and_the_numbers(store):
    thumbs(store, "ann", 8, lambda i: True)
    thumbs(store, "mallory", 8, lambda i: False)
    [one, *_] = Believing(store, Settings(trusted=["ann"]), ByHand()).held().values()
    mallory = store.people.hashed("mallory")
    assert one.why == f"{mallory} agrees with the trusted raters in 0 of 8 judgements that both made", shown(one.why)
