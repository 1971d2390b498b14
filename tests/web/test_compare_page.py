"""Two answers side by side in a real browser: blind, in random order, judged by buttons or keys."""

import pytest

import served
from feedback_people import answer


def ask(one, question="hello"):
    one.page.fill("#question", "")
    one.page.keyboard.type(question)
    one.page.check("#agree")
    one.page.click("#both")
    one.page.locator("#judge:visible").wait_for()
    return [one.page.locator(f"#answer-{place} .text").text_content() for place in "AB"]


@pytest.mark.parametrize(("key", "choice"), [("a", "A"), ("B", "B"), ("s", "same"), ("x", "both bad")])
def test_a_key_judges_what_is_shown(site, key, choice):
    one = site("/compare", served.actor(has_end=False))
    left, right = ask(one)
    one.page.keyboard.press(key)
    one.page.locator("#recorded:visible").wait_for()
    one.page.keyboard.press(key)  # once is enough
    [said] = one.what.store.feedback()
    texts = {kept.inference: kept.text for kept in one.what.store.answers()}
    assert (texts[said.value.a], texts[said.value.b]) == (left, right)
    assert (said.value.choice, said.value.shown_first) == (choice, "A")


def test_a_button_judges_and_the_next_question_begins(site):
    one = site("/compare", served.actor(has_end=False))
    ask(one)
    one.page.get_by_role("button", name="The same").click()
    one.page.get_by_role("button", name="Next").click()
    one.page.locator("#question:focus").wait_for()
    assert one.page.locator("#none").is_visible()
    assert one.page.input_value("#question") == ""
    one.page.keyboard.type("a")  # in a text field a key is a letter
    assert len(one.what.store.feedback()) == 1


def test_the_order_is_random_and_the_page_does_not_tell_it(site):
    one = site("/compare", served.actor(has_end=False))
    orders = set()
    for _ in range(20):  # all the same with probability 2 ** -19
        left, _ = ask(one)
        first, second = one.what.store.answers()[-2:]
        orders.add(left == first.text)
        html = one.page.content()
        assert first.inference not in html
        assert second.inference not in html
    assert orders == {True, False}


def test_two_answers_can_be_stopped(site):
    one = site("/compare", served.slow(served.actor(has_end=False, max_tokens=100_000)))
    one.page.fill("#question", "hello")
    one.page.check("#agree")
    one.page.click("#both")
    one.page.locator("#answer-A .text:not(:empty)").wait_for()
    one.page.click("#stop")
    one.page.locator("#answers").wait_for(state="hidden")
    assert one.page.locator("#notice").is_hidden()
    assert one.page.locator("#both").is_enabled()


def test_a_version_that_waits_gives_one_of_the_answers(site):
    one = site(
        "/compare", served.actor(["good"], has_end=False), candidate=served.actor(["good", "bad"], has_end=False)
    )
    versions = set()
    for _ in range(20):  # all the same with probability 2 ** -19
        shown = ask(one, "good")
        one.page.keyboard.press("a")
        one.page.locator("#recorded:visible").wait_for()
        said = one.what.store.feedback()[-1].value
        kept = {answer.inference: answer for answer in one.what.store.answers()}
        assert [kept[said.a].text, kept[said.b].text] == shown
        assert {kept[said.a].version, kept[said.b].version} == {0, 1}
        versions.add(kept[said.a].version)
    assert versions == {0, 1}


def queue(one, *names):
    """Pairs for people to compare; the page was opened before there were any."""
    for name in names:
        asked = [
            {"role": "user", "content": f"<i>ask</i> {name}"},
            {"role": "assistant", "content": "what?"},
            {"role": "user", "content": "that"},
        ]
        both = [answer(f"{name} {place}", f"{place} to {name}", messages=asked) for place in "xy"]
        one.what.store.write(both, [])
        one.what.store.pairs.add(*(each.inference for each in both), seldom=0.0)
    one.page.reload()
    one.page.locator("#judge:visible").wait_for()


def texts(one):
    return [one.page.locator(f"#answer-{place} .text").text_content() for place in "AB"]


def test_what_waits_is_judged_one_after_another(site):
    one = site("/compare")
    queue(one, "one", "two")
    assert one.page.locator("#conversation .text").all_text_contents() == ["<i>ask</i> one", "what?", "that"]
    assert one.page.locator("#ask").is_hidden()
    left, right = texts(one)
    assert {left, right} == {"x to one", "y to one"}
    assert "one x" not in one.page.content()
    one.page.locator("#answers").focus()
    one.page.keyboard.press("b")
    one.page.locator("#recorded:visible").wait_for()
    one.page.keyboard.press("Enter")  # the next one has the focus
    one.page.locator("#answers:focus").wait_for()
    assert set(texts(one)) == {"x to two", "y to two"}
    one.page.keyboard.press("a")
    one.page.locator("#recorded:visible").wait_for()
    one.page.keyboard.press("Enter")
    one.page.locator("#none:visible").wait_for()
    [first, _] = one.what.store.feedback()
    kept = {each.inference: each.text for each in one.what.store.answers()}
    assert (kept[first.value.a], kept[first.value.b], first.value.choice) == (left, right, "B")
    assert first.value.shown_first == "A"


def test_a_pair_can_be_skipped_or_left_for_a_question_of_ones_own(site):
    one = site("/compare", served.actor(has_end=False))
    queue(one, "one", "two")
    one.page.click("#skip")
    one.page.get_by_text("<i>ask</i> two").wait_for()
    one.page.click("#own")
    one.page.locator("#question:focus").wait_for()
    assert one.page.locator("#asked").is_hidden()
    ask(one)
    assert one.page.locator("#skip").is_hidden()
    one.page.keyboard.press("s")
    one.page.locator("#recorded:visible").wait_for()
    one.page.click("#next")
    one.page.get_by_text("<i>ask</i> two").wait_for()  # it was held
    assert [said.value.choice for said in one.what.store.feedback()] == ["same"]


def test_another_browser_is_shown_another_pair(site):
    one = site("/compare")
    queue(one, "one", "two")
    other = one.page.context.browser.new_context().new_page()
    other.goto(one.url + "/compare")
    other.locator("#judge:visible").wait_for()
    assert other.locator("#conversation .text").first.text_content() == "<i>ask</i> two"
    other.context.close()


def test_a_server_that_is_gone_is_told_and_the_form_is_there(site):
    one = site("/compare")
    one.page.route("**/pairs/next", lambda route: route.abort())
    one.page.reload()
    one.page.get_by_text("The server cannot be reached.").wait_for()
    assert one.page.locator("#question").is_visible()
    one.said.clear()


def test_a_question_of_ones_own_needs_consent_and_can_be_taken_back(site):
    one = site("/compare", served.actor(has_end=False))
    one.page.fill("#question", "hello")
    one.page.click("#both")
    assert one.page.evaluate("document.querySelector('#agree').validity.valueMissing")
    assert one.what.store.answers() == []
    ask(one)
    one.page.keyboard.press("a")
    one.page.click("#take-back")
    one.page.get_by_text("Deleted from the server. Another one?").wait_for()
    assert one.what.store.counts() == {"answers": 0}
    one.page.click("#next")
    one.page.locator("#question:focus").wait_for()
