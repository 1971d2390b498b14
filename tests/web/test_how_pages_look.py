"""The pages in both languages, on a phone and a desktop, light and dark: nothing sticks out, and axe finds nothing."""

import pytest

import served
from learnt import learnt
from web.conftest import DESKTOP, PHONE

EVERY = [
    (size, language, scheme)
    for size in (PHONE, DESKTOP)
    for language in ("en", "zh-CN")
    for scheme in ("light", "dark")
]


def check(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]


@pytest.mark.parametrize(("size", "language", "scheme"), EVERY)
def test_a_chat(site, size, language, scheme):
    one = site(actor=served.actor(has_end=False, max_tokens=40), size=size, language=language, scheme=scheme)
    check(one.page)
    one.ask("hello " * 30)
    one.page.click(".good")
    one.page.click(".better")
    check(one.page)
    if size == PHONE:
        assert one.page.locator("#history").is_hidden()
        one.page.click("#menu")
        assert one.page.locator("#conversations .open").is_visible()
        check(one.page)
        small = one.page.evaluate(
            "[...document.querySelectorAll('button, .top a')].filter(e => e.checkVisibility())"
            ".filter(e => e.getBoundingClientRect().height < 36).map(e => e.outerHTML)"
        )
        assert small == []


@pytest.mark.parametrize(("size", "language", "scheme"), EVERY)
def test_a_comparison(site, size, language, scheme):
    one = site("/compare", served.actor(has_end=False, max_tokens=40), size=size, language=language, scheme=scheme)
    check(one.page)
    one.page.fill("#question", "hello")
    one.page.check("#agree")
    one.page.click("#both")
    one.page.locator("#judge:visible").wait_for()
    check(one.page)
    one.page.keyboard.press("s")
    one.page.locator("#recorded:visible").wait_for()
    check(one.page)


@pytest.mark.parametrize(("size", "language", "scheme"), EVERY)
def test_a_memory(site, size, language, scheme):
    one = site("/memory", size=size, language=language, scheme=scheme)
    check(one.page)
    for text in ("My dog is called Spot.", "我对花生过敏。", "w" * 500):
        one.page.fill("#fact", text)
        one.page.check("#agree")
        one.page.click("#add .main")
        one.page.locator("#facts .text", has_text=text).wait_for()
    one.page.locator("#facts .edit").nth(1).click()
    one.page.click("#your-key summary")
    one.page.click("#forget summary")
    check(one.page)


@pytest.mark.parametrize(("size", "language", "scheme"), EVERY)
def test_an_assistant_and_a_pair_that_waits(site, tmp_path, size, language, scheme):
    one = site("/assistant", folder=learnt(tmp_path / "mine"), size=size, language=language, scheme=scheme)
    check(one.page)
    one.page.goto(one.url + "/assistant?version=3&beside=0")
    one.page.click("#beside summary")
    check(one.page)
    one.page.goto(one.url + "/compare")
    one.page.locator("#judge:visible").wait_for()
    check(one.page)
