"""A running server changes to another version: no request is dropped, and the old model is let go."""

import faulthandler
import gc
import json
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

import served
from strop.assistant.canary import Canary, write_canary
from strop.assistant.gate import decide
from strop.assistant.home import create
from strop.assistant.overview import overview_of
from strop.assistant.settings import Settings
from strop.assistant.versions import MODEL, Manifest
from strop.web.app import app
from strop.web.follower import Follower
from strop.web.guard import Limits

CHAT = {"model": "mine", "messages": [{"role": "user", "content": "hello"}], "store": True}
WORDS = {0: ["hello", "old"], 1: ["hello", "new"], 2: ["hello", "newest"]}
SECONDS = 60.0


class Gated:
    """A policy that writes its second token once its gate is open."""

    def __init__(self, policy, gate):
        self.policy, self.gate = policy, gate

    def __getattr__(self, name):
        return getattr(self.policy, name)

    def decode(self, state, tokens_B):
        assert self.gate.wait(SECONDS), "nobody has opened the gate"
        return self.policy.decode(state, tokens_B)


@pytest.fixture
def gate():
    """Of version 0."""
    opened = threading.Event()
    opened.set()
    return opened


@pytest.fixture
def assistant(tmp_path, monkeypatch, gate):
    """An assistant whose every version is a table with words of its own; their files are empty but for a mark."""

    def loaded(model):
        number = int(model.split("/")[-2]) if "/" in model else 0
        actor = served.actor(WORDS[number], has_end=False)
        return actor if number else replace(actor, policy=Gated(actor.policy, gate))

    monkeypatch.setattr("strop.assistant.home.load", loaded)
    return create(tmp_path / "mine", "tiny", settings=Settings(max_tokens=4), questions=["hello"] * 50, skills={})


def add(assistant, number, parent=0, promote=True):
    """A version; promoted it serves."""
    versions = assistant.versions
    with versions.adding(Manifest(number=number, parent=parent, model=MODEL, origin="a test", when=0.0)) as folder:
        (folder / MODEL).mkdir()
        (folder / MODEL / "weights").write_text(f"{number}")
        (folder / "diff.jsonl").write_text("")
    if promote:
        versions.judged(number, decide([1.0] * 60))
        versions.promote(number)


@pytest.fixture
def following(assistant, monkeypatch):
    """What is served, its follower, which looks only when it is told to, and what it said."""
    monkeypatch.setattr("strop.web.follower.LOOK_SECONDS", 3600.0)
    said = []
    with assistant.feedback() as store, assistant.memory() as memory:
        follower = Follower(assistant, store, memory, Limits(stop_seconds=1.0), said.append)
        with follower as what:
            yield what, follower, said


def web_of(what):
    return TestClient(app(what), base_url="http://localhost", raise_server_exceptions=False)


def version_of(what, name="mine"):
    return web_of(what).post("/v1/chat/completions", json=CHAT | {"model": name}).json()["version"]


def until(holds, what):
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            faulthandler.dump_traceback(sys.__stderr__, all_threads=True)  # what each thread waits for
            pytest.fail(f"waited {SECONDS:g} s until {what}")
        time.sleep(0.01)


def test_another_version_serves_without_a_restart_and_so_does_the_way_back(assistant, following):
    what, follower, said = following
    assert version_of(what) == "mine v0"
    add(assistant, 1)
    assert version_of(what) == "mine v0"
    follower.look()
    assert (version_of(what), web_of(what).get("/health").json()["version"]) == ("mine v1", "mine v1")
    assert "mine v1" in web_of(what).get("/").text
    assistant.versions.rollback(0)
    follower.look()
    assert version_of(what) == "mine v0"
    assert [line.partition(";")[0] for line in said] == ["version 1 serves", "version 0 serves"]
    assert [kept.version for kept in what.store.answers()] == [0, 0, 1, 0]


def test_a_version_that_learnt_from_a_forgotten_person_answers_no_more(assistant, following):
    what, follower, said = following
    add(assistant, 1)
    follower.look()
    assert version_of(what) == "mine v1"
    assistant.versions.retire([1], "it learnt from a person who is forgotten", set())
    follower.look()
    assert version_of(what) == "mine v0"
    assert [one.number for one in what.versions] == [0]
    assert what.refused == ""
    assert said[-1].startswith("version 0 serves")


def test_what_was_asked_before_ends_on_the_old_version_running_or_waiting(assistant, following, gate):
    """The old engine has one row: of three answers one runs and two wait when the versions change."""
    what, follower, _ = following
    what.engine.batch = 1
    gate.clear()

    def ask():
        asked = CHAT | {"max_tokens": 20, "stream": True}
        return web_of(what).post("/v1/chat/completions", json=asked)

    old = what.engine
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask) for _ in range(3)]
        over = [one.done for one in asked]
        until(lambda: (old.health.running, old.health.waiting) == (1, 2) or any(done() for done in over), "two wait")
        assert [one.result().text for one in asked if one.done()] == []
        add(assistant, 1)
        follower.look()
        assert version_of(what) == "mine v1"
        gate.set()
        answers = [one.result(SECONDS) for one in asked]
    for answer in answers:
        lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        chunks = [json.loads(line) for line in lines[:-1]]
        assert {chunk["version"] for chunk in chunks} == {"mine v0"}
        words = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks).split()
        assert (len(words), set(words) <= set(WORDS[0])) == (20, True)
    assert sorted(kept.version for kept in what.store.answers()) == [0, 0, 0, 1]


def test_no_request_is_refused_while_versions_change(assistant, following):
    what, follower, _ = following
    web, statuses, done = web_of(what), [], threading.Event()

    def ask():
        while not done.is_set():
            statuses.append(web.post("/v1/chat/completions", json=CHAT | {"max_tokens": 1}).status_code)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        add(assistant, 1)
        for number in (0, 1, 0):
            assistant.versions.rollback(number)
            seen = len(statuses)
            follower.look()
            until(lambda seen=seen: len(statuses) >= seen + 4, "four more answers")
    finally:
        done.set()
        for asker in askers:
            asker.join(SECONDS)
    assert set(statuses) == {200}


def test_a_request_on_its_way_to_a_version_keeps_it_from_being_let_go(following):
    what, _, _ = following
    changing = threading.Thread(target=what.change, args=(what.versions,))
    with what.asked("mine"):
        changing.start()
        changing.join(0.3)
        assert changing.is_alive()
    changing.join(SECONDS)
    assert not changing.is_alive()


def test_the_old_model_is_freed(assistant, following):
    what, follower, _ = following
    version_of(what)
    engine, policy = weakref.ref(what.engine), weakref.ref(what.serves.actor.policy)
    add(assistant, 1)
    follower.look()
    version_of(what)
    until(lambda: engine().has_ended, "the old version has answered")
    follower.look()
    gc.collect()
    assert (engine(), policy()) == (None, None)


def test_a_damaged_version_is_refused_once_and_the_old_one_goes_on(assistant, following):
    what, follower, said = following
    add(assistant, 1)
    (assistant.versions.folder(1) / MODEL / "weights").write_text("other bytes")
    follower.look()
    follower.look()
    assert version_of(what) == "mine v0"
    [line] = said
    assert line.startswith("mine v0 goes on: ")
    assert "weights is damaged" in line
    health = web_of(what).get("/health")
    assert (health.status_code, health.json()["refused"]) == (200, line.removeprefix("mine v0 goes on: "))
    assistant.versions.rollback(0)
    follower.look()
    assert web_of(what).get("/health").json()["refused"] == ""


def test_a_version_that_cannot_be_loaded_is_refused_too(assistant, following, monkeypatch):
    what, follower, said = following
    add(assistant, 1)

    def full(model):
        raise RuntimeError("no memory left")

    monkeypatch.setattr("strop.assistant.home.load", full)
    follower.look()
    assert version_of(what) == "mine v0"
    assert said == ["mine v0 goes on: RuntimeError: no memory left"]


def test_a_folder_that_cannot_be_read_for_a_moment_is_said_once(assistant, following):
    what, follower, said = following
    file = assistant.path / "serving.json"
    kept = file.read_text()
    file.unlink()
    follower.look()
    follower.look()
    assert (version_of(what), len(said)) == ("mine v0", 1)
    file.write_text(kept)
    follower.look()
    assert (version_of(what), what.refused) == ("mine v0", "")


def test_a_version_that_waits_is_there_to_be_compared_and_serves_without_being_loaded_again(assistant, following):
    what, follower, _ = following
    add(assistant, 1, promote=False)
    follower.look()
    waits = what.versions[1]
    assert (version_of(what), version_of(what, "mine-v0"), version_of(what, "mine-v1")) == (
        "mine v0",
        "mine v0",
        "mine v1",
    )
    assert web_of(what).get("/health").json()["waits"] == "mine v1"
    assistant.versions.judged(1, decide([1.0] * 60))
    assistant.versions.promote(1)
    follower.look()
    assert [one.engine for one in what.versions] == [waits.engine]
    assert (version_of(what), version_of(what, "mine-v1")) == ("mine v1", "mine v1")
    assert web_of(what).post("/v1/chat/completions", json=CHAT | {"model": "mine-v0"}).status_code == 404


def test_a_newer_version_that_waits_replaces_the_older(assistant, following):
    what, follower, _ = following
    add(assistant, 1, promote=False)
    follower.look()
    old = what.versions[1]
    assistant.versions.judged(1, decide([0.0] * 60))
    add(assistant, 2, promote=False)
    follower.look()
    assert [one.number for one in what.versions] == [0, 2]
    until(lambda: old.engine.has_ended, "the older one is let go")


def test_a_thread_looks_by_itself(assistant, monkeypatch):
    monkeypatch.setattr("strop.web.follower.LOOK_SECONDS", 0.01)
    with (
        assistant.feedback() as store,
        assistant.memory() as memory,
        Follower(assistant, store, memory, Limits(), print) as what,
    ):
        add(assistant, 1)
        until(lambda: what.serves.number == 1, "version 1 serves")
        engine = what.engine
    assert engine.has_ended


def test_an_assistant_whose_version_is_damaged_does_not_start(assistant):
    add(assistant, 1)
    (assistant.versions.folder(1) / MODEL / "weights").unlink()
    with (
        assistant.feedback() as store,
        assistant.memory() as memory,
        pytest.raises(ValueError, match="weights is damaged"),
    ):
        Follower(assistant, store, memory, Limits(), print)


def test_every_change_changes_the_stamp(assistant):
    versions, seen = assistant.versions, set()
    for act in (
        lambda: add(assistant, 1, promote=False),
        lambda: versions.judged(1, decide([1.0] * 60)),
        lambda: versions.promote(1),
        lambda: versions.rollback(0),
    ):
        seen.add(versions.stamp)
        act()
    assert len(seen | {versions.stamp}) == 5


# ---------------------------------------------------------------- a canary


@pytest.fixture
def canary(assistant, monkeypatch):
    """The same with a canary: version 1 waits, and answers half of the conversations."""
    monkeypatch.setattr("strop.web.follower.LOOK_SECONDS", 3600.0)
    add(assistant, 1, promote=False)
    said = []
    with assistant.feedback() as store, assistant.memory() as memory:
        follower = Follower(assistant, store, memory, Limits(stop_seconds=1.0), said.append, share=0.5)
        with follower as what:
            yield what, follower, said


def talk(web, conversation, name="mine"):
    return web.post("/v1/chat/completions", json=CHAT | {"model": name, "metadata": {"conversation": conversation}})


def thumb(web, answer, value, rater="ann"):
    inference = answer.json()["choices"][0]["inference_id"]
    said = {"kind": "thumb", "value": value, "inference_id": inference, "rater": rater}
    assert web.post("/feedback", json=said).status_code == 200


def test_a_conversation_stays_with_its_version_and_an_exact_name_is_that_version(canary):
    what, _, said = canary
    web = web_of(what)
    versions = {name: {talk(web, name).json()["version"] for _ in range(2)} for name in "abcdefgh"}
    assert {len(seen) for seen in versions.values()} == {1}
    assert set.union(*versions.values()) == {"mine v0", "mine v1"}
    assert all((seen == {"mine v1"}) == what.canary.takes(name) for name, seen in versions.items())
    assert {talk(web, name, "mine-v0").json()["version"] for name in "abcdefgh"} == {"mine v0"}
    assert said == ["version 1 waits for people to compare it with version 0, and answers 0.5 of all"]
    kept = {(one.conversation, one.version) for one in what.store.answers()}
    assert ("a", int(versions["a"].pop()[-1])) in kept


def test_who_says_the_same_of_one_question_in_many_conversations_ends_no_canary(canary):
    what, follower, said = canary
    web = web_of(what)
    for name in map(str, range(60)):
        thumb(web, talk(web, name), not what.canary.takes(name))
    follower.look()
    assert not what.canary.ended
    assert said == ["version 1 waits for people to compare it with version 0, and answers 0.5 of all"]


def test_a_canary_that_people_like_less_answers_no_more(assistant, canary):
    what, follower, said = canary
    web = web_of(what)
    dealt = {True: [], False: []}
    for name in map(str, range(60)):
        dealt[what.canary.takes(name)].append(name)
    for one, other in zip(dealt[True][:8], dealt[False][:8], strict=True):
        thumb(web, talk(web, one), False, rater=one)
        thumb(web, talk(web, other), True, rater=other)
    follower.look()
    assert {talk(web, name).json()["version"] for name in dealt[True][:3]} == {"mine v0"}
    assert talk(web, "x", "mine-v1").json()["version"] == "mine v1"  # people may still compare it
    assert said[-1].startswith("version 1 answers no more conversations: it is worse than version 0: liked 0.0")
    health = web.get("/health").json()
    assert (health["version"], health["canary"]["ended"]) == ("mine v0", what.canary.ended)
    overview = overview_of(assistant)
    assert (overview.canary, overview.standing.is_worse, overview.serving) == (what.canary, True, 0)
    number = len(said)
    follower.look()
    assert len(said) == number


def test_a_canary_that_people_like_as_well_goes_on(assistant, canary):
    what, follower, said = canary
    web = web_of(what)
    for name in map(str, range(12)):
        thumb(web, talk(web, name), True)
    follower.look()
    assert (len(said), what.canary.ended) == (1, "")
    assert overview_of(assistant).standing.new.mean == 1.0


def test_a_canary_that_is_promoted_answers_all_and_one_that_is_refused_none(assistant, canary):
    what, follower, _ = canary
    assistant.versions.judged(1, decide([1.0] * 60))
    assistant.versions.promote(1)
    follower.look()
    assert (what.canary, overview_of(assistant).canary) == (None, None)
    assert {talk(web_of(what), name).json()["version"] for name in "abcd"} == {"mine v1"}
    add(assistant, 2, parent=1, promote=False)
    follower.look()
    assert (what.canary.version, what.canary.beside) == (2, 1)
    assistant.versions.judged(2, decide([0.0] * 60))
    follower.look()
    assert {talk(web_of(what), name).json()["version"] for name in "abcd"} == {"mine v1"}


def test_a_canary_that_ended_stays_so_when_the_server_begins_again(assistant, following):
    what, follower, said = following
    write_canary(assistant.path, Canary(version=1, beside=0, share=0.9, since=0.0, ended="it is worse"))
    follower._share = 0.9
    add(assistant, 1, promote=False)
    follower.look()
    assert {talk(web_of(what), name).json()["version"] for name in "abcdef"} == {"mine v0"}
    assert said[-1].endswith("; it is no canary: it is worse")


def test_without_a_share_a_version_that_waits_answers_nobody(assistant, following):
    what, follower, _ = following
    add(assistant, 1, promote=False)
    follower.look()
    assert (what.canary, (assistant.path / "canary.json").exists()) == (None, False)
    assert {talk(web_of(what), name).json()["version"] for name in "abcdef"} == {"mine v0"}
