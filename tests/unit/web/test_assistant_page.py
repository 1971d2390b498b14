"""The page that shows an assistant: versions, verdicts, the queue, what is known of people, and two versions beside."""

import html
import re

import pytest
from fastapi.testclient import TestClient

import served
from learnt import learnt
from strop.assistant.home import Assistant
from strop.web.app import app


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = learnt(tmp_path_factory.mktemp("assistant") / "mine")
    with served.served(folder=folder, number=1, assistant=Assistant(folder)) as what:
        yield TestClient(app(what), base_url="http://localhost")


def text_of(answer):
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def test_it_shows_versions_and_what_people_say(web):
    page = text_of(web.get("/assistant"))
    for part in (
        "Version 1 answers now.",
        "Version 3 waits to be judged Goes on from Version 1",
        "2 pieces of feedback, and 0 of earlier rounds again",
        "1 of 3 answers to the fixed questions",
        "Not promoted: it is preferred in 0.500 [0.460, 0.540] of 60 comparisons",
        "sums +0.000 [-0.025, +0.025]",
        "Verdict Not promoted: people are not shown to prefer it: the lower limit is not above .5.",
        "Verdict Promoted: people are shown to prefer it",
        "Canary Version 3 answers 10 % of the conversations. Liked 0.500 [0.000, 1.000] in 0, against",
        "answers: 6 · thumbs: 4 · comparisons: 2",
        "6 of the 20 that learning takes",
        "0 of the 50 that the gate takes",
        "2: 1 of two versions, 1 in doubt, 0 others",
        "chosen in a share of 0.500 [0.025, 0.975]",
        "1.00 by Krippendorff’s alpha (1 all agree, 0 as by chance), of 2 people; judged by two or more: 2",
    ):
        assert part in page, part
    assert page.index("Version 3 waits") < page.index("Version 2 refused") < page.index("Version 0 answered before")


def test_it_speaks_chinese(web):
    page = text_of(web.get("/assistant", headers={"Accept-Language": "zh"}))
    for part in (
        "现在由版本 1 回答。",
        "版本 3 等待评判",
        "2 对：两个版本之间 1 对，有疑问的 1 对，其他 0 对",
        "裁决 未通过：尚未证明人们更喜欢它：下限不高于 .5。",
        "金丝雀 版本 3 回答 10% 的对话。",
    ):
        assert part in page, part


def test_two_versions_stand_side_by_side_changed_answers_first(web):
    raw = web.get("/assistant?version=3&beside=0").text
    page = text_of(web.get("/assistant?version=3&beside=0"))
    assert "Version 3 beside version 0 2 of 3 answers to the fixed questions differ." in page
    assert "Why is the sky blue? Version 0 No idea. Version 3 Because of the air." in page
    assert "The same: 1 Name a colour. Version 0 Red. Version 3 Red." in page
    assert "&lt;b&gt;天空&lt;/b&gt;" in raw
    assert "<b>天空" not in raw
    assert "Version 2 beside version 1 2 of 3" in text_of(web.get("/assistant?version=2"))  # its parent


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("version=9", 404, "has no version 9"),
        ("version=3&beside=9", 404, "has no version 9"),
        ("version=0", 404, "version 0 has no parent"),
        ("version=x", 400, "valid integer"),
    ],
)
def test_a_version_that_is_not_there_is_told(web, query, status, says):
    answer = web.get(f"/assistant?{query}")
    assert (answer.status_code, says in answer.json()["error"]["message"]) == (status, True), answer.text


def test_it_has_no_script_and_links_only_to_pages_here(web):
    raw = web.get("/assistant?version=3&beside=0").text
    assert re.findall(r"<script|<style|\sstyle=|\son\w+=|javascript:", raw) == []
    for link in set(re.findall(r'(?:src|href)="([^"#]+)"', raw)):
        assert web.get(link.replace("&amp;", "&")).status_code == 200, link
    assert '<a href="/compare">' in raw


def test_without_an_assistant_there_is_no_such_page():
    with served.served() as bare:
        web = TestClient(app(bare), base_url="http://localhost")
        assert web.get("/assistant").status_code == 404
        assert "/assistant" not in web.get("/").text
