"""The pages as they leave the server; tests/web looks at them in a browser."""

import dataclasses
import re

import pytest
from fastapi.testclient import TestClient

import served
from strop.web._chinese import CHINESE
from strop.web._english import ENGLISH
from strop.web.app import app
from strop.web.languages import chosen
from strop.web.pages import HERE
from strop.web.served import Version


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with served.served(folder=tmp_path_factory.mktemp("assistant")) as what:
        yield TestClient(app(what), base_url="http://localhost")


@pytest.mark.parametrize(
    ("cookie", "accepted", "words"),
    [
        (None, "", ENGLISH),
        (None, "zh-TW,zh;q=0.9,en;q=0.8", CHINESE),
        (None, "en;q=0.8,zh-CN;q=0.9", CHINESE),
        (None, "de,en-GB;q=0.7,zh;q=0.3", ENGLISH),
        (None, "zh;q=0,de", ENGLISH),
        (None, "zh;q=x,;;,=", ENGLISH),
        ("zh-CN", "en", CHINESE),
        ("fr", "zh", CHINESE),
    ],
)
def test_the_language_is_the_readers_choice_or_what_the_browser_asks_for(cookie, accepted, words):
    assert chosen(cookie, accepted) is words


def test_both_languages_say_everything_and_keep_the_places_for_numbers():
    for field in dataclasses.fields(ENGLISH):
        english, chinese = getattr(ENGLISH, field.name), getattr(CHINESE, field.name)
        assert english.strip(), field.name
        assert chinese.strip(), field.name
        assert re.findall(r"\{\w+\}", english) == re.findall(r"\{\w+\}", chinese)


def test_every_word_is_used():
    templates = "".join(path.read_text() for path in (HERE / "templates").iterdir())
    unused = [field.name for field in dataclasses.fields(ENGLISH) if f"words.{field.name}" not in templates]
    assert unused == []


def test_the_switch_is_remembered_and_goes_nowhere_else(web):
    chinese = web.get("/compare?language=zh-CN", follow_redirects=False)
    assert (chinese.status_code, chinese.headers["Location"]) == (303, "/compare")
    assert "HttpOnly" in chinese.headers["Set-Cookie"]
    assert "samesite=strict" in chinese.headers["Set-Cookie"].lower()
    assert '<html lang="zh-CN">' in web.get("/").text
    assert '<html lang="en">' in web.get("/?language=en").text
    assert web.get("/?language=%0d%0aSet-Cookie:x").status_code == 400


@pytest.mark.parametrize("path", ["/", "/compare", "/memory"])
def test_no_script_and_no_style_stands_in_a_page_and_nothing_comes_from_elsewhere(web, path):
    html = web.get(path).text
    assert re.findall(r"<script[^>]*>[^<]", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []
    used = re.findall(r'(?:src|href)="([^"#]*)', html)
    assert all(link.startswith("/") for link in used if link)
    for link in {link for link in used if link.startswith("/static/")}:
        assert web.get(link).status_code == 200


def test_scripts_never_write_html():
    for script in (HERE / "static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script.read_text()
        )


def test_what_scripts_look_for_stands_in_the_pages(web):
    page = {"chat.js": web.get("/").text, "compare.js": web.get("/compare").text, "memory.js": web.get("/memory").text}
    for script, html in page.items():
        text = (HERE / "static" / script).read_text()
        for name in re.findall(r'\bat\("([\w-]+)"\)', text):
            assert f'id="{name}"' in html, (script, name)
        for name in re.findall(r'querySelector(?:All)?\("\.([\w-]+)"\)', text):
            assert re.search(rf'class="[^"]*\b{name}\b', html), (script, name)


def test_without_an_assistant_nothing_asks_for_feedback():
    with served.served() as what:
        bare = TestClient(app(what), base_url="http://localhost")
        html = bare.get("/").text
        assert "feedback" not in html
        assert "/compare" not in html
        assert ENGLISH.kept_here in html
        assert bare.get("/compare").status_code == 404
        assert "/memory" not in html
        assert bare.get("/memory").status_code == 404


def test_a_name_is_text():
    with served.served() as what:
        what.change([Version("<script>alert(1)</script>", what.engine)])
        html = TestClient(app(what), base_url="http://localhost").get("/").text
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html


def test_no_path_leads_out_of_the_static_files(web):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert web.get(path).status_code == 404
