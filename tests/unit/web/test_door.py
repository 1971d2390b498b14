"""Who comes in: nobody without a key beyond loopback, and a page only with the token that its session was told."""

import sqlite3

import pytest
from fastapi.testclient import TestClient

import served
from feedback_people import answer
from strop.assistant.keys import Keys
from strop.web.app import app
from strop.web.door import Door
from strop.web.guard import Limits
from strop.web.server import door_of, serving

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "store": True}
HOME = "http://mine.example"


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


@pytest.fixture
def secrets(keys):
    return {name: keys.add(name) for name in ("ann", "bob")}


@pytest.fixture
def what(tmp_path, keys, secrets):
    with served.served(folder=tmp_path, number=0) as found:
        found.door = Door(keys, ["mine.example"])
        yield found


def client(what, secret=None, base_url=HOME):
    return TestClient(
        app(what), base_url=base_url, headers={} if secret is None else {"Authorization": f"Bearer {secret}"}
    )


def signed_in(what, secret, base_url=HOME):
    """A browser that has signed in, and the token of its pages."""
    web = client(what, base_url=base_url)
    assert web.post("/session", json={"key": secret}, headers={"Origin": base_url}).status_code == 200
    return web, web.get("/").text.partition('name="csrf" content="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/feedback"),
        ("GET", "/memory/facts"), ("POST", "/pairs/next"), ("POST", "/pairs/skip"), ("GET", "/health"),
        ("GET", "/openapi.json"), ("GET", "/nowhere"), ("GET", "/"), ("GET", "/assistant"),
    ],
)  # fmt: skip
def test_without_a_key_nothing_is_served(what, method, path):
    for secret in (None, "strop-wrong", ""):
        answered = client(what, secret).request(method, path, json=CHAT if method == "POST" else None)
        assert answered.status_code == 401
        assert answered.headers["WWW-Authenticate"] == "Bearer"
        assert answered.json()["error"]["code"] == "invalid_api_key"


def test_every_route_but_signing_in_is_behind_the_door(what):
    """Also those that are added later."""
    paths = client(what, "x").get("/sign-in").status_code, [*what_routes(what)]
    assert paths[0] == 200
    for path in paths[1]:
        assert client(what).get(path).status_code in (401, 405), path


def what_routes(what):
    found = app(what).app.openapi()["paths"]
    return [path.replace("{name}", "x").replace("{id}", "x") for path in found if path != "/session"]


def test_with_a_key_it_answers_whom_the_key_names(what, secrets):
    web = client(what, secrets["ann"])
    asked = CHAT | {"user": "bob", "metadata": {"conversation": "talk"}}
    one = web.post("/v1/chat/completions", json=asked).json()["choices"][0]["inference_id"]
    thumb = {"kind": "thumb", "value": True, "inference_id": one, "rater": "bob"}
    assert web.post("/feedback", json=thumb).status_code == 200
    assert [kept.rater for kept in what.store.answers()] == [kept_as(what, "ann")]
    assert [kept.rater for kept in what.store.feedback()] == [kept_as(what, "ann")]


def test_somebody_elses_conversation_is_as_if_it_were_not_there(what, secrets):
    ann, bob = (client(what, secrets[name]) for name in ("ann", "bob"))
    asked = CHAT | {"metadata": {"conversation": "hers"}}
    one = ann.post("/v1/chat/completions", json=asked).json()["choices"][0]["inference_id"]
    refused = [
        bob.post("/v1/chat/completions", json=asked),
        bob.post("/feedback", json={"kind": "thumb", "value": False, "conversation_id": "hers"}),
        bob.post("/feedback", json={"kind": "thumb", "value": False, "inference_id": one}),
        bob.post("/feedback", json=comparison(one, one + "x")),
    ]
    nobodys = [
        bob.post("/feedback", json={"kind": "thumb", "value": False, "conversation_id": "none"}),
        bob.post("/feedback", json={"kind": "thumb", "value": False, "inference_id": "none"}),
    ]
    assert [one.status_code for one in [*refused, *nobodys]] == [404] * 6
    assert refused[1].text.replace("hers", "none") == nobodys[0].text
    assert refused[2].text.replace(one, "none") == nobodys[1].text
    assert what.store.feedback() == []
    assert len(what.store.answers()) == 1
    assert ann.post("/v1/chat/completions", json=asked).status_code == 200


def kept_as(what, name):
    """What the store keeps of a name."""
    return what.store.people.hashed(name)


def comparison(a, b):
    return {"kind": "comparison", "value": {"a": a, "b": b, "choice": "A", "shown_first": "A"}}


def test_a_pair_is_judged_by_whom_it_was_shown_to(what, secrets):
    what.store.prepared([answer("x", "hello", rater=""), answer("y", "good", rater="")], is_fixed=True)
    what.store.pairs.add("x", "y", seldom=0.5)
    ann, bob = (client(what, secrets[name]) for name in ("ann", "bob"))
    assert bob.post("/feedback", json=comparison("x", "y")).status_code == 404
    number = ann.post("/pairs/next", json={"rater": "bob"}).json()["pair"]["number"]
    assert bob.post("/feedback", json=comparison("x", "y")).status_code == 404
    assert ann.post("/feedback", json=comparison("y", "x")).status_code == 200
    assert bob.post("/pairs/skip", json={"pair": number, "rater": "ann"}).status_code == 200
    assert bob.post("/feedback", json=comparison("x", "y")).status_code == 404  # a pair that he never saw
    assert [one.rater for one in what.store.feedback()] == [kept_as(what, "ann")]


def test_what_is_remembered_is_of_the_person_of_the_key(what, secrets, tmp_path):
    """Whatever session a browser had before: so that it is theirs in any browser, counted once, and forgotten."""
    ann, bob = (client(what, secrets[name]) for name in ("ann", "bob"))
    page, token = signed_in(what, secrets["ann"])
    for web, fact in ((ann, "my locker is ZEBRA-7731"), (page, "my dog is Spot"), (bob, "mine")):
        headers = {"X-Strop-CSRF": token} if web is page else {}
        assert web.post("/memory/facts", json={"text": fact, "store": True}, headers=headers).status_code == 200
    told = [[fact["text"] for fact in web.get("/memory/facts").json()["facts"]] for web in (ann, page, bob)]
    assert told == [["my locker is ZEBRA-7731", "my dog is Spot"]] * 2 + [["mine"]]
    for i in range(98):
        what.memory.add("ann", str(i))
    full = ann.post("/memory/facts", json={"text": "one more", "store": True})
    assert "100 facts are kept, and that is the most" in full.json()["error"]["message"]
    assert len(what.memory.texts_of([kept_as(what, "ann")])) == 100
    assert b"ann" not in (tmp_path / "memory.sqlite").read_bytes() + (tmp_path / "memory.sqlite-wal").read_bytes()


@pytest.mark.parametrize("path", ["/memory/facts", "/v1/chat/completions"])
def test_a_session_beside_a_key_is_refused(what, secrets, path):
    """A front end that serves several people with one key would else give all of them one memory."""
    body = CHAT if "chat" in path else {"text": "one", "store": True}
    refused = client(what, secrets["ann"]).post(path, json=body, headers={"X-Strop-Session": "s" * 40})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "X-Strop-Session")
    assert "is that of the key's person" in refused.json()["error"]["message"]


def test_a_page_tells_its_scripts_who_is_signed_in(what, secrets):
    web, _ = signed_in(what, secrets["ann"])
    for path in ("/", "/memory"):
        page = web.get(path).text
        assert '<meta name="person" content="ann">' in page
        assert "your-key" not in page  # the key of a session opens nothing here
    what.door = Door()
    page = client(what, base_url="http://localhost").get("/memory").text
    assert 'name="person"' not in page
    assert "your-key" in page


def test_a_page_without_the_token_of_its_session_changes_nothing(what, secrets):
    """As a page at another port of the same name would, to which the browser sends the cookie."""
    web, token = signed_in(what, secrets["ann"])
    for wrong in ({}, {"X-Strop-CSRF": "x"}, {"X-Strop-CSRF": signed_in(what, secrets["bob"])[1]}):
        for method, path in (("POST", "/v1/chat/completions"), ("DELETE", "/session"), ("DELETE", "/memory/facts")):
            answered = web.request(method, path, json=CHAT if method == "POST" else None, headers=wrong)
            assert (answered.status_code, answered.json()["error"]["code"]) == (403, "wrong_token")
    assert what.store.answers() == []
    assert web.post("/v1/chat/completions", json=CHAT, headers={"X-Strop-CSRF": token}).status_code == 200
    assert [one.rater for one in what.store.answers()] == [kept_as(what, "ann")]


def test_the_cookie_is_for_this_server_alone_and_no_script(what, secrets):
    what.door.names = ["mine.example"]
    for scheme in ("http", "https"):
        web = client(what)
        answered = web.post("/session", json={"key": secrets["ann"]}, headers={"Origin": f"{scheme}://mine.example"})
        parts = {part.strip().split("=")[0].lower() for part in answered.headers["set-cookie"].split(";")}
        assert {"httponly", "samesite", "path"} <= parts
        assert "samesite=strict" in answered.headers["set-cookie"].lower()
        assert ("secure" in parts) == (scheme == "https")
        assert secrets["ann"] not in answered.headers["set-cookie"]


def test_signing_out_or_a_removed_key_ends_the_session(what, secrets, keys):
    web, token = signed_in(what, secrets["ann"])
    cookie = dict(web.cookies)
    assert web.get("/session").json() == {"name": "ann"}
    assert web.delete("/session", headers={"X-Strop-CSRF": token}).status_code == 200
    web.cookies.update(cookie)
    assert web.get("/session").json() == {"name": None}
    web, token = signed_in(what, secrets["bob"])
    keys.remove("bob")
    assert web.get("/v1/models").status_code == 401
    assert client(what, secrets["bob"]).get("/v1/models").status_code == 401
    keys.add("bob")  # a new key of the same name opens no session of the old one
    assert web.get("/v1/models").status_code == 401


def test_a_browser_is_sent_to_where_it_signs_in(what):
    web = client(what)
    sent = web.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in")
    assert web.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert web.post("/session", json={"key": "strop-wrong"}).status_code == 401


def test_names_and_origins(what, secrets):
    ann = client(what, secrets["ann"])
    told = {"127.0.0.1": 200, "mine.example": 200, "MINE.example:8000": 200, "evil.example": 421, "10.0.0.1": 421}
    assert {host: ann.get("/health", headers={"Host": host}).status_code for host in told} == told
    origins = {"http://mine.example": 200, "https://mine.example": 200, "https://evil.example": 403, "null": 403}
    assert {one: ann.get("/health", headers={"Origin": one}).status_code for one in origins} == origins
    what.door.names, what.door.is_public = [], True  # 0.0.0.0: an address cannot be rebound, a name could
    told = {"10.0.0.1:8000": 200, "[fe80::1]": 200, "mine.example": 421, "127.0.0.1.evil.example": 421}
    assert {host: ann.get("/health", headers={"Host": host}).status_code for host in told} == told
    assert client(what).get("/health", headers={"Host": "10.0.0.1"}).status_code == 401


def test_keys_that_cannot_be_read_let_nobody_in(what, secrets, keys):
    (keys.path / "keys.json").write_text("{")
    assert client(what, secrets["ann"]).get("/v1/models").status_code == 503
    (keys.path / "keys.json").unlink()
    assert client(what, secrets["ann"]).get("/v1/models").status_code == 401
    what.door = Door(keys)
    assert client(what, base_url="http://localhost").get("/v1/models").status_code == 200


def test_the_first_key_closes_a_server_on_loopback(tmp_path):
    with served.served(folder=tmp_path) as what:
        what.door = Door(Keys(tmp_path))
        web = client(what, base_url="http://localhost")
        assert web.get("/v1/models").status_code == 200
        secret = Keys(tmp_path).add("ann")
        assert web.get("/v1/models").status_code == 401
        assert client(what, secret, "http://localhost").get("/v1/models").status_code == 200


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database is locked"), sqlite3.DatabaseError("malformed")])
def test_a_store_that_is_locked_or_damaged_is_said_in_the_form_of_errors(what, secrets, error):
    def moment():
        raise error

    what.moment = moment
    refused = client(what, secrets["ann"]).post("/v1/chat/completions", json=CHAT)
    assert (refused.status_code, "cannot be read now" in refused.json()["error"]["message"]) == (503, True)


def test_removing_the_last_key_opens_the_door_to_nobody(tmp_path):
    """As forgetting its person does."""
    with served.served(folder=tmp_path) as what:
        what.door = Door(Keys(tmp_path))
        secret = Keys(tmp_path).add("ann")
        Keys(tmp_path).remove("ann")
        for key in (None, secret):
            refused = client(what, key, "http://localhost").post("/v1/chat/completions", json=CHAT | {"user": "bob"})
            assert refused.status_code == 401
            told = "nobody has one now. strop assistant DIR key add NAME makes one."
            assert told in refused.json()["error"]["message"]
        assert client(what, Keys(tmp_path).add("ann"), "http://localhost").get("/v1/models").status_code == 200


def test_other_addresses_take_keys(tmp_path, keys):
    for host, names in (("0.0.0.0", ()), ("192.168.1.4", ()), ("127.0.0.1", ("mine.example",))):
        for folder in (None, tmp_path):
            with pytest.raises(ValueError, match="only this machine may ask"):
                door_of(folder, host, names)
    keys.add("ann")
    for wrong in ("https://mine.example", "mine.example:80", "", "-x", "a b"):
        with pytest.raises(ValueError, match="a host's name alone"):
            door_of(tmp_path, "127.0.0.1", [wrong])
    door = door_of(tmp_path, "0.0.0.0", ())
    assert (door.needs_key, door.is_public) == (True, True)
    keys.remove("ann")
    assert door.needs_key
    assert door_of(tmp_path, "::1", ()).needs_key
    (tmp_path / "keys.json").unlink()
    assert not door_of(tmp_path, "::1", ()).needs_key


def test_who_asks_too_often_waits_and_others_do_not(what, secrets):
    what.limits = Limits(rate=0.001, burst=3)
    web = app(what)
    ann, bob, nobody = (
        TestClient(web, base_url=HOME, headers={"Authorization": f"Bearer {key}"})
        for key in (secrets["ann"], secrets["bob"], "wrong")
    )
    assert [ann.get("/health").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert [nobody.get("/health").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    refused = ann.get("/health")
    assert (refused.headers["Retry-After"], refused.json()["error"]["type"]) == ("1000", "rate_limit_error")
    assert bob.get("/health").status_code == 200


def test_secrets_are_in_no_file_and_no_log(what, secrets, tmp_path, capfd, logged):
    web, token = signed_in(what, secrets["ann"])
    cookie = web.cookies["strop_session"]
    web.post("/v1/chat/completions", json=CHAT | {"model": secrets["ann"]}, headers={"X-Strop-CSRF": token})
    web.post("/v1/chat/completions", json=CHAT, headers={"X-Strop-CSRF": token})
    client(what, secrets["bob"]).post("/v1/chat/completions", json=CHAT)
    client(what).post("/session", json={"key": secrets["ann"], "x": secrets["bob"]})
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    said = "".join([*capfd.readouterr(), *logged])
    for secret in (*secrets.values(), cookie, token):
        assert not [1 for data in files if secret.encode() in data]
        assert secret not in said
    assert not [1 for one in what.door.sessions.found if cookie in one]


def test_an_assistants_keys_are_those_of_its_folder(tmp_path, monkeypatch):
    from strop.assistant.home import create
    from strop.assistant.settings import Settings

    monkeypatch.setattr("strop.assistant.home.load", lambda model: served.actor())
    create(tmp_path / "mine", "tiny", settings=Settings(max_tokens=4), questions=["hello"] * 50, skills={})
    with serving(None, tmp_path / "mine", print) as what:
        assert client(what, base_url="http://localhost").get("/health").status_code == 200
        Keys(tmp_path / "mine").add("ann")
        assert client(what, base_url="http://localhost").get("/health").status_code == 401
