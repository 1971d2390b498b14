"""What is remembered, in a real browser: written, changed, deleted, told to the model, and another browser's own."""

import hashlib

import served
from strop.codec import ByteCodec
from strop.serving.actor import Actor
from web.conftest import PATIENCE_MS


def remember(page, text):
    page.fill("#fact", text)
    page.check("#agree")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#facts .text", has_text=text).wait_for()


def shown(page):
    return page.locator("#facts .text").all_text_contents()


def test_a_fact_is_written_changed_and_deleted(site):
    page = site("/memory").page
    page.locator("#none:visible").wait_for()
    remember(page, "<b>my dog is Spot</b>")
    remember(page, "我对花生过敏")
    assert page.input_value("#fact") == ""
    page.reload()
    page.locator("#facts li").nth(1).wait_for()
    assert shown(page) == ["<b>my dog is Spot</b>", "我对花生过敏"]
    page.locator("#facts .edit").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("my dog is Max")
    page.locator("#facts form:visible .main").click()
    page.locator("#facts .text", has_text="Max").wait_for()
    page.locator("#facts .delete").nth(1).click()
    page.locator("#said", has_text="Deleted.").wait_for()
    assert shown(page) == ["my dog is Max"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#delete-all")
    page.locator("#none:visible").wait_for()


def test_the_chats_of_this_browser_are_told_and_no_other_browser_sees_it(site):
    read = []

    class Reading(ByteCodec):
        def start(self, prompt):
            read.append(prompt)
            return super().start(prompt)

    one = served.actor(words=[str(i) for i in range(256)])
    mine = site("/memory", Actor(one.policy, Reading(), one.sampling, "tiny"))
    remember(mine.page, "my dog is Spot")
    other = mine.page.context.browser.new_context().new_page()
    other.goto(mine.url + "/memory", timeout=PATIENCE_MS)
    other.locator("#none:visible").wait_for()
    for page in (other, mine.page):
        page.goto(mine.url)
        page.click("#decline")
        page.fill("#text", "hello")
        page.keyboard.press("Enter")
        page.locator('[data-state="stop"], [data-state="length"]').first.wait_for()
    other.context.close()
    assert read[0] == "hello"
    assert read[1][0]["content"].endswith(':\n- "my dog is Spot"')


def test_what_is_wrong_is_told(site):
    one = site("/memory")
    remember(one.page, "one")
    key = one.page.evaluate("localStorage['strop.session']")
    for i in range(99):
        one.what.memory.add(hashlib.sha256(key.encode()).hexdigest(), str(i))
    one.page.fill("#fact", "one too many")
    one.page.keyboard.press("Tab")
    one.page.keyboard.press("Tab")
    one.page.keyboard.press("Enter")
    one.page.locator("#notice", has_text="100 facts are kept, and that is the most").wait_for()
    assert one.page.input_value("#fact") == "one too many"
    one.said.clear()  # the browser's own word of the status 400


def test_the_key_opens_the_memory_in_another_browser(site):
    one = site("/memory")
    one.page.click("#your-key summary")
    assert one.page.locator("#no-key").is_visible()
    remember(one.page, "my dog is Spot")
    key = one.page.input_value("#own-key")
    assert key == one.page.evaluate("localStorage['strop.session']")
    one.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.page.click("#copy")
    one.page.locator("#key-said", has_text="Copied.").wait_for()
    assert one.page.evaluate("navigator.clipboard.readText()") == key
    other = one.page.context.browser.new_context().new_page()
    other.goto(one.url + "/memory")
    other.click("#your-key summary")
    other.fill("#other-key", "too short")
    other.click("#use-key button")
    assert other.evaluate("document.querySelector('#other-key').validity.patternMismatch")
    assert other.evaluate("localStorage['strop.session']") is None
    other.fill("#other-key", key)
    other.keyboard.press("Enter")
    other.locator("#key-said", has_text="This browser uses that key now.").wait_for()
    assert shown(other) == ["my dog is Spot"]
    other.locator("#facts .delete").click()
    other.locator("#said", has_text="Deleted.").wait_for()
    other.context.close()
    one.page.reload()
    one.page.locator("#none:visible").wait_for()


def test_a_key_is_not_replaced_without_being_asked(site):
    one = site("/memory")
    remember(one.page, "mine")
    key = one.page.evaluate("localStorage['strop.session']")
    one.page.click("#your-key summary")
    for act, expected in (("dismiss", key), ("accept", "x" * 40)):
        one.page.once("dialog", lambda dialog, act=act: getattr(dialog, act)())
        one.page.fill("#other-key", "x" * 40)
        one.page.click("#use-key button")
        one.page.wait_for_function("(key) => localStorage['strop.session'] === key", arg=expected)
    one.page.locator("#none:visible").wait_for()


def test_nothing_is_remembered_without_consent_and_the_page_says_who_one_is(site):
    one = site("/memory")
    one.page.fill("#fact", "my dog is Spot")
    one.page.click("#add .main")
    assert one.page.evaluate("document.querySelector('#agree').validity.valueMissing")
    assert one.page.locator("#facts li").count() == 0
    one.page.click("#forget summary")
    assert one.page.input_value("#own-name") == one.page.evaluate("localStorage['strop.rater']")
