"""Two answers side by side in a real browser: blind, in random order, judged by buttons or keys."""

import pytest

import served


def ask(one, question="hello"):
    one.page.fill("#question", "")
    one.page.keyboard.type(question)
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
    one.page.get_by_role("button", name="Next question").click()
    assert one.page.input_value("#question") == ""
    assert one.page.evaluate("document.activeElement.id") == "question"
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
