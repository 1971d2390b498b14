"""The pages attacked: what people and models write stays text, and a page elsewhere does nothing in somebody's name."""

from contextlib import contextmanager

import pytest

import served
from feedback_people import answer
from strop.assistant.keys import Keys
from strop.codec import ByteCodec
from strop.serving.actor import Actor
from strop.web.door import Door
from web.conftest import PHONE
from web.test_foreign_pages import elsewhere
from web.test_memory_page import remember, shown

SCRIPTS = (
    "<script>window.ran=1</script>",
    "<img/src=x/onerror=window.ran=1>",
    "</textarea><svg/onload=window.ran=1>",
    "{{constructor.constructor('window.ran=1')()}}",
    "javascript:window.ran=1",
)


def nothing_ran(page):
    page.wait_for_function("() => document.readyState === 'complete'")
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main svg[onload], main script").count() == 0


def test_a_script_that_the_model_writes_is_text(site):
    """And one that a person asks, whose title stands in the list of conversations."""
    one = site(actor=served.actor(words=SCRIPTS, has_end=False, max_tokens=12))
    text = one.ask(SCRIPTS[1])
    assert "<" in text
    nothing_ran(one.page)
    one.page.reload()
    assert one.page.locator("#conversations .open").text_content() == SCRIPTS[1]
    nothing_ran(one.page)


def test_a_script_in_feedback_and_in_answers_to_compare_is_text(site):
    one = site(actor=served.actor(words=SCRIPTS, has_end=False, max_tokens=3))
    one.ask(SCRIPTS[0])
    one.page.click(".better")
    one.page.fill(".better-form textarea", SCRIPTS[2])
    one.page.click(".better-form .main")
    one.page.locator(".said", has_text="Saved").wait_for()
    two = [answer(name, text, question=SCRIPTS[0], rater="") for name, text in zip("xy", SCRIPTS, strict=False)]
    one.what.store.prepared(two, is_fixed=True)
    one.what.store.pairs.add("x", "y", seldom=0.5)
    one.page.goto(one.url + "/compare")
    one.page.locator("#judge:visible").wait_for()
    assert SCRIPTS[0] in (one.page.locator("main").text_content() or "")
    nothing_ran(one.page)


def test_a_script_in_the_memory_is_text(site):
    one = site("/memory")
    for text in SCRIPTS:
        one.page.fill("#fact", text)
        one.page.check("#agree")
        one.page.click("#add .main")
        one.page.locator("#facts .text", has_text=text).wait_for()
    nothing_ran(one.page)
    one.page.reload()
    one.page.locator("#facts .text").nth(len(SCRIPTS) - 1).wait_for()
    nothing_ran(one.page)


@pytest.mark.parametrize("path", ["/?language=<script>window.ran=1</script>", "/assistant?version=<img/src=x>", "/<b>"])
def test_a_script_in_an_address_is_text(site, path):
    one = site()
    answered = one.page.goto(one.url + path)
    assert answered.status in (400, 404)
    assert answered.headers["content-type"] == "application/json"
    assert one.page.evaluate("window.ran") is None
    one.said.clear()  # Chromium notes the status


@contextmanager
def guarded(one):
    """The site with keys, of ann and of bob."""
    keys = Keys(one.what.store.path.parent)
    found = {name: keys.add(name) for name in ("ann", "bob")}
    one.what.door.keys, one.what.door.sessions = keys, Door().sessions
    yield found


def sign_in(page, url, secret):
    page.goto(url + "/")
    page.fill("#key", secret)
    page.click("#sign-in .main")
    page.locator("#text").wait_for()


def sign_out(page, url):
    page.goto(url + "/sign-in")
    page.click("#sign-out")
    page.locator("#key").wait_for()


def test_who_signs_in_next_sees_nothing_of_who_did_before(site):
    """Neither conversations nor memories; and those of this browser before there were keys are nobody's."""
    table = served.actor(words=[str(i) for i in range(256)])
    one = site(actor=Actor(table.policy, ByteCodec(), table.sampling, "tiny"))
    one.ask("before there were keys")
    one.page.goto(one.url + "/memory")
    remember(one.page, "of this browser")
    with guarded(one) as secrets:
        for name, others in (("ann", []), ("bob", []), ("ann", ["ann"])):
            sign_in(one.page, one.url, secrets[name])
            one.page.locator("#consent-ask:visible").wait_for()
            assert one.page.locator("#conversations .open").all_text_contents() == [f"of {name}" for name in others]
            one.page.goto(one.url + "/memory")
            one.page.locator("#none:visible" if not others else "#facts .text").wait_for()
            assert shown(one.page) == [f"the dog of {name}" for name in others]
            assert one.page.locator("#your-key").count() == 0
            assert one.page.input_value("#own-name") == name
            if not others:
                remember(one.page, f"the dog of {name}")
                one.page.goto(one.url + "/")
                one.ask(f"of {name}")
            sign_out(one.page, one.url)
    one.said.clear()


def test_signing_in_asking_and_signing_out(site):
    one = site()
    with guarded(one) as secrets:
        one.page.goto(one.url + "/")
        assert one.page.url == one.url + "/sign-in"
        one.page.fill("#key", "strop-wrong")
        one.page.click("#sign-in .main")
        one.page.locator("#notice:visible", has_text="opens nothing").wait_for()
        one.said.clear()  # Chromium notes the refusal
        sign_in(one.page, one.url, secrets["ann"])
        one.page.locator("#consent-ask:visible").wait_for()
        one.ask("hello")
        one.page.click(".good")
        one.page.locator(".said", has_text="Saved").wait_for()
        assert [said.rater for said in one.what.store.feedback()] == [one.what.store.people.hashed("ann")]
        stored = one.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert secrets["ann"] not in stored
        assert "strop_session" not in stored
        one.page.click(".person")
        one.page.click("#sign-out")
        one.page.locator("#key").wait_for()
        one.page.goto(one.url + "/")
        assert one.page.url == one.url + "/sign-in"


def test_somebody_elses_conversation_is_not_theirs_to_go_on_with(site):
    one = site()
    with guarded(one) as secrets:
        sign_in(one.page, one.url, secrets["ann"])
        one.page.locator("#consent-ask:visible").wait_for()
        one.ask("hello")
        [hers] = one.what.store.answers()
        sign_out(one.page, one.url)
        sign_in(one.page, one.url, secrets["bob"])
        one.page.evaluate("localStorage['strop.conversations of bob'] = localStorage['strop.conversations of ann']")
        one.page.goto(f"{one.url}/#{hers.conversation}")
        one.page.reload()
        one.page.locator("#messages article").first.wait_for()
        one.page.fill("#text", "and?")
        one.page.keyboard.press("Enter")
        one.page.locator("#notice:visible", has_text="of yours").wait_for()
        assert len(one.what.store.answers()) == 1
        one.said.clear()


CROSS = """
async ([url, method, path]) => {
  const body = JSON.stringify({model: "tiny", messages: [{role: "user", content: "hello"}]});
  const tries = [];
  for (const mode of ["cors", "no-cors"])
    for (const kind of ["application/json", "text/plain"])
      tries.push(fetch(url + path, {method, mode, credentials: "include", headers: {"Content-Type": kind},
        body: method === "POST" ? body : undefined}).then((a) => a.status, () => "refused"));
  return Promise.all(tries);
}
"""


def test_a_page_elsewhere_does_nothing_in_the_name_of_who_is_signed_in(site):
    """A page at another port is of the same site, to which the browser sends the cookie."""
    one = site()
    with guarded(one) as secrets, elsewhere() as foreign:
        sign_in(one.page, one.url, secrets["ann"])
        one.page.goto(foreign)
        for method, path in (("POST", "/v1/chat/completions"), ("POST", "/feedback"), ("DELETE", "/session")):
            told = one.page.evaluate(CROSS, [one.url, method, path])
            assert set(told) <= {"refused", 0}  # 0: opaque, by no-cors
        assert one.what.store.answers() == []
        one.page.goto(one.url + "/")
        one.page.locator("#text").wait_for()  # still signed in
    one.said.clear()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_how_signing_in_looks(site, language):
    from web.test_how_pages_look import check

    for size in (PHONE, (1440, 900)):
        one = site(size=size, language=language)
        with guarded(one) as secrets:
            one.page.goto(one.url + "/sign-in")
            check(one.page)
            sign_in(one.page, one.url, secrets["ann"])
            check(one.page)
            one.page.goto(one.url + "/sign-in")
            check(one.page)
        Keys(one.what.store.path.parent).path.joinpath("keys.json").unlink()
