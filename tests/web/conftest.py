"""Every test of this folder is marked `browser` and opens pages in Chromium; without one none of them starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import served
from strop.assistant.home import Assistant
from strop.privacy import Masker
from strop.serving.actor import Actor
from strop.web.served import Served, Version

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 15_000
PHONE, DESKTOP = (390, 844), (1440, 900)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def pytest_collection_finish(session: pytest.Session) -> None:
    if not any(item.get_closest_marker("browser") for item in session.items):
        return
    if CHROMIUM is None:
        pytest.exit("there is no Chromium here, which tests/web needs: apt-get install chromium.", returncode=1)
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        pytest.exit('tests/web needs two packages: pip install "strop[browser]".', returncode=1)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    Masker().masked("Ann Lee, 王小明")  # loads lists of words, for which no page waits then
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Site:
    """A server, and a page that has been opened there. `said` are the errors of its console."""

    what: Served
    url: str
    page: Page
    said: list[str]

    def ask(self, text: str, agrees: bool = True) -> str:
        """Send a message with the keyboard, and wait for the whole answer; agree first that it is kept, where asked."""
        if self.page.locator("#consent-ask").is_visible():
            self.page.click("#agree" if agrees else "#decline")
        number = self.page.locator("#messages article").count()
        self.page.click("#text")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        return self.answer(number + 1)

    def answer(self, index: int) -> str:
        """The text of the whole answer at this place."""
        article = self.page.locator("#messages article").nth(index)
        article.and_(self.page.locator('[data-state="stop"], [data-state="length"]')).wait_for()
        return article.locator(".text").text_content() or ""


@pytest.fixture
def site(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Open a page of a server of its own. Afterwards no script may have failed."""
    with ExitStack() as opened:
        sites: list[Site] = []

        def visit(
            path: str = "/",
            actor: Actor | None = None,
            keeps: bool = True,
            candidate: Actor | None = None,
            folder: Path | None = None,
            size: tuple[int, int] = DESKTOP,
            language: str = "en",
            scheme: Any = "light",
        ) -> Site:
            kept = folder or (tmp_path / "assistant" if keeps else None)
            assistant = None if folder is None else Assistant(folder)
            what = opened.enter_context(served.served(actor, kept, assistant=assistant))
            if candidate is not None:
                beside = opened.enter_context(served.served(candidate))
                what.change([Version("tiny", what.engine, 0), Version("tiny", beside.engine, 1)])
            url = opened.enter_context(served.listened(what))
            view = {"width": size[0], "height": size[1]}
            context = chromium.new_context(
                viewport=view, locale=language, color_scheme=scheme, is_mobile=size == PHONE, has_touch=size == PHONE
            )
            opened.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            page, said = context.new_page(), list[str]()
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
            page.goto(url + path)
            sites.append(Site(what, url, page, said))
            return sites[-1]

        yield visit
        for one in sites:
            assert one.said == []
