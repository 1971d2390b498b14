"""The assistant of a folder: its version that serves answers, and one that waits is there to be compared."""

import pytest
from fastapi.testclient import TestClient

import served
from strop.assistant.home import Assistant, create
from strop.assistant.settings import Settings
from strop.assistant.versions import Manifest
from strop.web.app import app
from strop.web.server import serving

CHAT = {"messages": [{"role": "user", "content": "hello"}], "user": "ann", "store": True}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An assistant over a table; its files are not what is tested here."""
    monkeypatch.setattr("strop.assistant.home.load", lambda model: served.actor())
    create(tmp_path / "mine", "tiny", settings=Settings(max_tokens=4, pairs=0), questions=["hello"] * 50, skills={})
    return tmp_path / "mine"


def test_the_version_that_serves_answers_and_its_number_is_kept(folder):
    with serving("tiny", folder, print) as what:
        web = TestClient(app(what), base_url="http://localhost")
        answer = web.post("/v1/chat/completions", json=CHAT | {"model": "mine"}).json()
        assert (answer["version"], web.get("/health").json()["version"]) == ("mine v0", "mine v0")
        assert answer["usage"]["completion_tokens"] <= 4
        [kept] = what.store.answers(version=0)
        assert kept.rater == what.store.people.hashed("ann")
    with serving(None, folder, print) as again:
        assert len(again.store.answers()) == 1


def test_a_version_that_waits_is_compared_with_it(folder):
    versions = Assistant(folder).versions
    with versions.adding(Manifest(number=1, parent=0, model="tiny", origin="a round", when=0.0)):
        pass
    with serving(None, folder, print) as what:
        web = TestClient(app(what), base_url="http://localhost")
        assert [model["id"] for model in web.get("/v1/models").json()["data"]] == ["mine", "mine-v1"]
        ids = [
            web.post("/v1/chat/completions", json=CHAT | {"model": name}).json()["choices"][0]["inference_id"]
            for name in ("mine", "mine-v1")
        ]
        said = {"kind": "comparison", "value": {"a": ids[1], "b": ids[0], "choice": "A", "shown_first": "B"}}
        assert web.post("/feedback", json=said).status_code == 200
        assert [kept.version for kept in what.store.answers()] == [0, 1]
        [one] = what.store.feedback(version=1)
        assert (one.value.better, one.value.shown_first) == (ids[1], "B")
        missing = web.post("/v1/chat/completions", json=CHAT | {"model": "mine-v2"}).json()["error"]
        assert "'mine', 'mine-v1'" in missing["message"]


def test_a_folder_of_another_model_is_refused(folder):
    with pytest.raises(ValueError, match="was made from tiny, not from other"), serving("other", folder, print):
        pass
