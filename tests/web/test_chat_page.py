"""The chat in a real browser: what a person does, and what is then shown and kept."""

import pytest

import served

HOSTILE = ("<img/src=x/onerror=document.title=1>", "<script>document.title=2</script>", "&amp;")


def endless():
    return served.slow(served.actor(has_end=False, max_tokens=100_000))


def test_an_answer_is_streamed_and_kept(site):
    one = site(actor=served.slow(served.actor(has_end=False)))
    one.page.click("#agree")
    one.page.fill("#text", "hello 床前")
    one.page.click("#send")
    writing = one.page.locator('article.assistant[data-state="writing"] .text:not(:empty)')
    writing.wait_for()  # a part of it is there before it is whole
    text = one.answer(1)
    [kept] = one.what.store.answers()
    assert (kept.text, kept.messages[0]["content"], len(text.split())) == (text, "hello 床前", 6)
    one.ask("good day")
    second = one.what.store.answers()[1]
    assert [message["content"] for message in second.messages] == ["hello 床前", text, "good day"]
    assert second.conversation == kept.conversation
    assert second.rater == kept.rater != "anonymous"


def test_an_answer_can_be_stopped_by_button_and_by_key(site):
    one = site(actor=endless())
    one.page.click("#agree")
    for stop in (lambda: one.page.click("#stop"), lambda: one.page.keyboard.press("Escape")):
        one.page.fill("#text", "hello")
        one.page.keyboard.press("Enter")
        one.page.locator('[data-state="writing"] .text:not(:empty)').wait_for()
        stop()
        one.page.locator('#messages article:last-child[data-state="stopped"]').wait_for()
        last = one.page.locator("#messages article").last
        assert last.locator(".stopped").is_visible()
        assert not last.locator(".good").is_visible()  # what broke off is not kept, so nothing can be said of it
        assert one.page.locator("#send").is_visible()
    for _ in range(200):
        if one.what.engine.health.running == 0:
            break
        one.page.wait_for_timeout(20)
    assert one.what.engine.health.running == 0
    assert one.what.store.answers() == []


def test_retry_and_edit_replace_what_came_after(site):
    one = site(actor=served.actor(has_end=False, max_tokens=8))
    first, second = one.ask("hello"), one.ask("good")
    assert one.page.locator(".retry:visible").count() == 1
    one.page.click(".retry:visible")
    one.page.wait_for_function(
        "(was) => document.querySelector('article:last-child .text').textContent !== was", arg=second
    )
    one.answer(3)
    assert one.page.locator("#messages article").count() == 4
    one.page.locator("article.user").first.hover()
    one.page.locator(".edit").first.click()
    one.page.fill(".edit-form textarea", "bad day")
    one.page.click(".edit-form .main")
    one.page.wait_for_function("() => document.querySelectorAll('#messages article').length === 2")
    assert one.answer(1) != first
    assert one.page.locator("article.user .text").text_content() == "bad day"
    assert [len(kept.messages) for kept in one.what.store.answers()] == [1, 3, 3, 1]


def test_conversations_stay_in_this_browser(site):
    one = site()
    text = one.ask("hello day")
    one.page.click("#new")
    assert one.page.locator("#hello").is_visible()
    one.ask("good day")
    assert one.page.locator("#conversations .open").all_text_contents() == ["good day", "hello day"]
    one.page.reload()
    assert one.page.locator("article.user .text").all_text_contents() == ["good day"]
    one.page.get_by_text("hello day").click()
    one.page.wait_for_function("() => document.querySelector('article.user .text').textContent === 'hello day'")
    assert one.page.locator("article.assistant .text").text_content() == text
    one.page.click(".open-now .delete")
    one.page.wait_for_function("() => document.querySelectorAll('#conversations li').length === 1")
    assert one.page.locator("#conversations .open").all_text_contents() == ["good day"]
    one.page.on("dialog", lambda dialog: dialog.accept())
    one.page.click("#delete-all")
    one.page.wait_for_function("() => document.querySelectorAll('#conversations li').length === 0")
    assert one.page.evaluate("localStorage.getItem('strop.conversations')") is None


def test_feedback_is_kept_and_shown_again(site):
    one = site()
    text = one.ask("hello")
    one.page.click(".bad")
    one.page.locator('.bad[aria-pressed="true"]').wait_for()
    one.page.click(".good")
    one.page.locator('.good[aria-pressed="true"]').wait_for()
    assert one.page.locator(".bad").get_attribute("aria-pressed") == "false"
    one.page.click(".comment")
    one.page.keyboard.type("too short, 太短")
    one.page.click(".comment-form .main")
    one.page.locator(".comment-form").wait_for(state="detached")
    one.page.click(".better")
    assert one.page.input_value(".better-form textarea") == text
    one.page.fill(".better-form textarea", "hello to you")
    one.page.click(".better-form .main")
    one.page.locator(".better-form").wait_for(state="detached")
    found = one.what.store.feedback()
    assert [(said.kind, said.value) for said in found] == [
        ("thumb", False),
        ("thumb", True),
        ("comment", "too short, 太短"),
        ("demonstration", "hello to you"),
    ]
    [kept] = one.what.store.answers()
    assert {(said.inference, said.rater) for said in found} == {(kept.inference, kept.rater)}
    one.page.reload()
    assert one.page.locator(".good").get_attribute("aria-pressed") == "true"


def test_a_conversation_is_rated_by_stars_with_the_keyboard(site):
    one = site()
    assert one.page.locator("#rating").is_hidden()
    one.ask("hello")
    one.page.locator("#rating input").first.focus()
    one.page.keyboard.press("Space")
    one.page.locator("#rated", has_text="Saved").wait_for()
    one.page.get_by_label("4 of 5 stars").check(force=True)
    one.page.wait_for_function("() => JSON.parse(localStorage['strop.conversations'])[0].stars === 4")
    found = one.what.store.feedback()
    [kept] = one.what.store.answers()
    assert [(said.kind, said.value) for said in found] == [("rating", 0.0), ("rating", 0.75)]
    assert {(said.conversation, said.inference, said.rater) for said in found} == {
        (kept.conversation, None, kept.rater)
    }
    one.page.reload()
    assert one.page.get_by_label("4 of 5 stars").is_checked()
    one.page.click("#new")
    assert one.page.locator("#rating").is_hidden()


def test_a_conversation_of_which_nothing_is_kept_cannot_be_rated(site):
    one = site(actor=endless())
    one.page.fill("#text", "hello")
    one.page.keyboard.press("Enter")
    one.page.locator('[data-state="writing"] .text:not(:empty)').wait_for()
    one.page.keyboard.press("Escape")
    one.page.locator('#messages article:last-child[data-state="stopped"]').wait_for()
    assert one.page.locator("#rating").is_hidden()


def test_without_an_assistant_nothing_asks_for_feedback(site):
    one = site(keeps=False)
    one.ask("hello")
    assert one.page.locator(".retry").is_visible()
    assert one.page.locator(".feedback, nav, #rating").count() == 0


def test_what_the_model_and_people_write_is_text(site):
    one = site(actor=served.actor(words=HOSTILE, has_end=False, max_tokens=12))
    text = one.ask(HOSTILE[0])
    assert all(word in HOSTILE for word in text.split())
    assert one.page.locator("#messages img, #messages script, #conversations img").count() == 0
    assert one.page.title() == "Chat · strop"
    one.page.reload()
    assert one.page.locator("article.assistant .text").text_content() == text
    assert one.page.locator("#messages img, #messages script, #conversations img").count() == 0


def test_enter_while_a_chinese_word_is_composed_takes_the_word(site):
    one = site()
    one.page.fill("#text", "床前")
    press = (
        "(isComposing) => document.querySelector('#text').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', isComposing, bubbles: true, cancelable: true}))"
    )
    one.page.evaluate(press, True)
    assert one.page.locator("#messages article").count() == 0
    one.page.keyboard.press("Shift+Enter")
    assert one.page.locator("#messages article").count() == 0
    one.page.fill("#text", "床前")
    one.page.evaluate(press, False)
    one.answer(1)


def test_everything_can_be_reached_by_keyboard_and_the_focus_is_seen(site):
    one = site()
    one.ask("hello")
    seen = set()
    for key in ["Tab", *["Shift+Tab"] * 25]:  # from the text to its button, and back to the top
        one.page.keyboard.press(key)
        name, width = one.page.evaluate(
            "() => { const e = document.activeElement; const box = e.id === 'text' ? e.parentElement : e;"
            " return [e.id || e.className, getComputedStyle(box).outlineWidth] }"
        )
        if name != "chat":  # the body, beyond the first
            assert width == "3px", name
        seen.add(name)
    wanted = ["skip", "language", "new", "open", "plain delete", "plain edit", "plain retry", "plain good", "plain bad"]
    assert [name for name in (*wanted, "plain comment", "plain better", "text", "send") if name not in seen] == []


def test_what_goes_wrong_is_said(site):
    one = site()
    one.page.fill("#text", "unheard")
    one.page.keyboard.press("Enter")
    one.page.locator("#notice:visible").wait_for()
    assert "not in the vocabulary" in one.page.locator("#notice").text_content()
    one.said.clear()  # Chromium itself notes the 400
    one.page.click("#new")
    one.page.route("**/v1/chat/completions", lambda route: route.abort())
    one.page.fill("#text", "hello")
    one.page.keyboard.press("Enter")
    one.page.get_by_text("The server cannot be reached.").wait_for()
    assert one.page.locator("article.user .text").text_content() == "hello"
    one.page.unroute("**/v1/chat/completions")
    one.said.clear()
    busy = {"status": 429, "headers": {"Retry-After": "7"}, "json": {"error": {"message": "full"}}}
    one.page.route("**/v1/chat/completions", lambda route: route.fulfill(**busy))
    one.page.fill("#text", "good")
    one.page.keyboard.press("Enter")
    one.page.get_by_text("Try again in 7 s.").wait_for()
    one.said.clear()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_language_follows_the_browser_and_the_switch(site, language):
    one = site(language=language)
    other = {"en": "zh-CN", "zh-CN": "en"}[language]
    assert one.page.locator("html").get_attribute("lang") == language
    one.page.click(".language")
    one.page.locator(f'html[lang="{other}"]').wait_for()
    one.page.reload()
    assert one.page.locator("html").get_attribute("lang") == other


def test_without_consent_nothing_is_kept_and_nothing_can_be_said(site):
    one = site()
    assert one.page.locator("#consent-ask h2").text_content() == "May this conversation be kept?"
    one.page.fill("#text", "hello")
    one.page.keyboard.press("Enter")
    one.answer(1)  # also while nothing is decided
    assert one.page.locator("#consent-ask").is_visible()
    one.page.click("#decline")
    one.ask("good day")
    assert one.page.locator(".feedback:visible").count() == 0
    assert one.page.locator("#rating").is_hidden()
    assert (one.what.store.answers(), one.what.store.not_kept()) == ([], 2)
    one.page.reload()
    assert one.page.locator("#consent-refused").is_visible()  # it is not asked again
    one.page.click("#agree-later")
    one.ask("hello to you")
    assert one.page.locator(".feedback:visible").count() == 1
    [kept] = one.what.store.answers()
    assert len(kept.messages) == 5


def test_consent_is_taken_back_and_what_was_kept_is_deleted(site):
    one = site()
    one.ask("hello")
    one.page.click(".good")
    one.page.locator('.good[aria-pressed="true"]').wait_for()
    one.page.click("#withdraw")
    one.page.locator("#consent-refused:visible").wait_for()
    assert one.page.locator("#consent-said").text_content() == "Deleted from the server."
    assert one.what.store.counts() == {"answers": 0}
    assert one.page.locator(".feedback:visible").count() == 0
    one.page.click("#new")
    assert one.page.locator("#consent-ask").is_visible()  # each conversation is asked about


def test_deleting_a_conversation_deletes_what_the_server_keeps_of_it(site):
    one = site()
    one.ask("hello")
    one.page.click("#new")
    one.ask("good day")
    one.page.click(".open-now .delete")
    one.page.wait_for_function("() => document.querySelectorAll('#conversations li').length === 1")
    [kept] = one.what.store.answers()
    assert kept.messages[0]["content"] == "hello"
    one.page.on("dialog", lambda dialog: dialog.accept())
    one.page.click("#delete-all")
    one.page.wait_for_function("() => document.querySelectorAll('#conversations li').length === 0")
    assert one.what.store.answers() == []
