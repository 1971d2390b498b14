"""Preferences from a file, and as episodes: pairs in one group, the end token as an action, nothing cut to fit."""

import json

import pytest

from strop.batch import scored_rewards
from strop.codec import WordCodec
from strop.data.preferences import check, preferences
from strop.data.tasks import from_file
from strop.data.written import demonstrations
from strop.types import End, Part, Source, Task

CODEC = WordCodec(["say", "a", "b", "c"])
END = CODEC.end


def file_of(tmp_path, *records):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def test_a_pair_is_one_group_of_two_finished_episodes(tmp_path):
    path = file_of(
        tmp_path,
        {"prompt": "say a", "chosen": "a", "rejected": "b c", "source": "people"},
        {"prompt": "say b", "chosen": [{"role": "assistant", "content": "b"}], "rejected": "a"},
    )
    tasks = from_file(path, check=check)
    assert tasks[0].data["source"] == "people"
    one, two, three, four = preferences(tasks, CODEC)
    assert [e.group for e in (one, two, three, four)] == [0, 0, 1, 1]
    assert one.turns[0].prompt == CODEC.encode("say a")
    assert one.turns[0].completion.tokens == (*CODEC.encode("a"), END)
    assert two.turns[0].completion.tokens == (*CODEC.encode("b c"), END)
    assert one.turns[0].completion.logprobs is None
    assert [e.reward for e in (one, two, three, four)] == [1.0, 0.0, 1.0, 0.0]
    assert one.parts == {"preference": Part(1.0, 1.0)}
    assert {e.source for e in (one, two)} == {Source.DATA}
    assert {e.end for e in (one, two)} == {End.TERMINATED}
    assert len({e.id for e in (one, two, three, four)}) == 4


def test_a_labelled_answer_is_a_group_of_its_own(tmp_path):
    path = file_of(
        tmp_path,
        {"prompt": "say a", "completion": "a", "label": True},
        {"prompt": "say a", "completion": "c", "label": False},
    )
    episodes = preferences(from_file(path, check=check), CODEC)
    assert [(e.group, e.reward, e.text) for e in episodes] == [(0, 1.0, "a"), (1, 0.0, "c")]


def test_steps_carry_their_labels_on_their_last_tokens_and_the_last_one_on_the_end(tmp_path):
    path = file_of(tmp_path, {"prompt": "say", "steps": ["a b", " c"], "labels": [True, False]})
    (one,) = preferences(from_file(path, check=check), CODEC)
    assert one.turns[0].completion.tokens == (*CODEC.encode("a b c"), END)
    assert one.text == "a b c"
    assert one.parts["steps"].tokens == (0.0, 1.0, 0.0, -1.0)
    assert scored_rewards(one) == [0.0, 1.0, 0.0, -1.0]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"prompt": "say", "chosen": "a"}, r"line 2: .*found chosen"),
        ({"prompt": "say", "chosen": "a", "rejected": "b", "label": True}, "found chosen, rejected, label"),
        ({"prompt": "say", "answer": "a"}, "found none of them"),
        ({"prompt": "say", "chosen": "a", "rejected": "a"}, "the same text"),
        ({"prompt": "say", "chosen": 3, "rejected": "a"}, '"chosen" is a text'),
        ({"prompt": "say", "chosen": [{"role": "user", "content": "a"}], "rejected": "a"}, '"chosen" is a text'),
        ({"prompt": "say", "completion": "a", "label": "yes"}, 'not "yes"'),
        ({"prompt": "say", "completion": "a", "label": 1}, "not 1"),
        ({"prompt": "say", "steps": ["a"], "labels": [True, False]}, "one for each step"),
        ({"prompt": "say", "steps": "a", "labels": [True]}, "list of texts"),
        ({"chosen": "a", "rejected": "b"}, 'either a "prompt" or "messages"'),
    ],
)
def test_an_error_names_its_line(tmp_path, record, words):
    path = file_of(tmp_path, {"prompt": "say", "chosen": "a", "rejected": "b"}, record)
    with pytest.raises(ValueError, match=words):
        from_file(path, check=check)


def test_a_csv_says_true_and_false_in_words(tmp_path):
    path = tmp_path / "thumbs.csv"
    path.write_text("prompt,completion,label\nsay,a,true\nsay,b,False\n")
    episodes = preferences(from_file(path), CODEC)
    assert [episode.parts["preference"].total for episode in episodes] == [1.0, 0.0]


def test_tasks_made_in_python_are_checked_as_well():
    with pytest.raises(ValueError, match="task one: a preference has the fields"):
        preferences([Task("one", "say", data={"chosen": "a"})], CODEC)


@pytest.mark.parametrize("make", [preferences, demonstrations])
def test_answers_that_exceed_the_context_are_refused_and_never_cut(make):
    task = Task("one", "say", answer="a b c", data={"chosen": "a b c", "rejected": "b"})
    make([task], CODEC, 5)  # say a b c <end>
    with pytest.raises(ValueError, match="task one: its prompt and answer have 5 tokens, and the policy reads 4"):
        make([task], CODEC, 4)
