"""No text gets into a store in which personal data was found: answers, what people say of them, facts, imports."""

import json
import threading

import pytest

from feedback_people import answer, said
from strop.assistant import FeedbackStore, MemoryStore, export_feedback, import_feedback

RAW = "I am Ann Lee, 138-1234-5678. 我叫王小明。"
MASKED = "I am <NAME 1>, <PHONE 1>. 我叫<NAME 2>。"
TRACES = [text.encode() for text in ("Ann Lee", "1234", "王小明", "lee@example")]


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as made:
        yield made


def traces(folder):
    kept = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return [trace for trace in TRACES if trace in kept]


def test_every_text_is_masked_and_so_is_who_said_it(store, tmp_path):
    messages = [{"role": "system", "content": f"Of {RAW}"}, {"role": "user", "content": RAW}]
    store.answered(
        answer("one", RAW, messages=messages, tokens=[1, 2], logprobs=[-1.0, -2.0], seed=3, rater="lee@example.org")
    )
    comment = store.add("comment", RAW, rater="lee@example.org", inference="one")
    store.add("demonstration", RAW, rater="lee@example.org", conversation="talk of one")
    kept = store.answer("one")
    assert [kept.text, *(one["content"] for one in kept.messages)] == [MASKED, f"Of {MASKED}", MASKED]
    assert (kept.tokens, kept.logprobs, kept.seed) == ((), (), None)  # they would spell it
    assert [one.value for one in store.feedback()] == [MASKED, MASKED]
    assert comment == store.feedback()[0]
    assert {one.rater for one in store.feedback()} == {kept.rater} == {store.people.hashed("lee@example.org")}
    store.pairs.add("one", "one", seldom=0.0)
    store.pairs.next("lee@example.org", None)
    assert traces(tmp_path) == []


def test_tokens_of_what_holds_nothing_personal_stay(store):
    store.answered(answer("one", "hello", tokens=[1], logprobs=[-1.0], seed=3))
    kept = store.answer("one")
    assert (kept.tokens, kept.logprobs, kept.seed) == ((1,), (-1.0,), 3)


def test_a_question_that_was_masked_takes_the_log_probs_of_its_answer(store):
    store.answered(answer("one", "hello", question=RAW, tokens=[1], logprobs=[-1.0], seed=3))
    assert (store.answer("one").logprobs, store.answer("one").seed) == ((), None)


def test_people_keep_their_numbers_in_a_conversation_and_after_it_is_opened_again(store, tmp_path):
    store.answered(answer("one", "Ann Lee it is", question="Who is Ann Lee?", conversation="talk"))
    store.answered(answer("two", "Bob Smith", question="And Ann Lee or Bob Smith?", conversation="talk"))
    assert [store.answer(id).text for id in ("one", "two")] == ["<NAME 1> it is", "<NAME 2>"]
    store.answered(answer("three", "Bob Smith", conversation="another"))
    assert store.answer("three").text == "<NAME 1>"
    with FeedbackStore(store.path) as again:
        again.write([], [said("comment", "Carol Jones said so", "two")])
        assert again.feedback()[0].value == "<NAME 3> said so"  # not somebody who has a number


def test_imports_are_masked_and_exports_hold_nothing_else(store, tmp_path):
    rows = [
        {"prompt": RAW, "completion": RAW, "label": True},
        {"messages": [{"role": "user", "content": RAW}, {"role": "assistant", "content": RAW}]},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_feedback(store, tmp_path / "in.jsonl", "lee@example.org")
    (tmp_path / "in.jsonl").unlink()
    export_feedback(store, tmp_path / "out.jsonl", "kto")
    assert json.loads((tmp_path / "out.jsonl").read_text())["completion"][0]["content"] == MASKED
    assert traces(tmp_path) == []


def test_facts_are_masked_and_a_person_is_a_hash(tmp_path):
    with MemoryStore(tmp_path / "memory.sqlite") as memory:
        fact = memory.add("lee@example.org", RAW)
        assert memory.edit("lee@example.org", fact.id, f"still {RAW}").text == f"still {MASKED}"
        assert [one.user for one in memory.facts("lee@example.org")] == ["lee@example.org"]
        assert traces(tmp_path) == []


def test_threads_of_one_conversation_agree_on_the_numbers(store):
    names = ["Ann Lee", "Bob Smith", "Carol Jones", "David Brown"]

    def tell(place):
        for i, name in enumerate(names[place:] + names[:place]):
            store.answered(
                answer(f"{place} {i}", f"It was {name}, I know.", question=f"Who is {name}?", conversation="talk")
            )

    threads = [threading.Thread(target=tell, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    for one in store.answers():
        number = one.messages[0]["content"].removeprefix("Who is ").removesuffix("?")
        assert one.text == f"It was {number}, I know."
    assert len({one.text for one in store.answers()}) == 4


def test_the_same_name_has_the_same_hash_in_this_folder_alone(tmp_path):
    stores = [FeedbackStore(tmp_path / name / "feedback.sqlite") for name in ("a", "a", "b")]
    one, same, other = (store.people.hashed("ann") for store in stores)
    assert one == same != other
    assert stores[0].people.hashed(one) == one
    assert (tmp_path / "a" / "people.key").stat().st_mode & 0o077 == 0
    (tmp_path / "a" / "people.key").write_text("short")
    with pytest.raises(ValueError, match=r"people\.key is damaged"):
        stores[0].people.hashed("ann")
    for store in stores:
        store.close()
