"""What holds of every text: pieces with and without personal data, and any characters, in any order."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.privacy import Masker
from strop.privacy.folded import folded
from strop.privacy.masker import PLACEHOLDER

PERSONAL = (
    "13812345678",
    "１３８１２３４５６７８",
    "138-1234-5678",
    "+86 138\u200b1234\u200b5678",
    "138\n1234\n5678",
    "(212) 555-0187",
    "ann.lee@example.com",
    "аnn@example.com",
    "4111 1111 1111 1111",
    "11010519491231002X",
    "GB29 NWBK 6016 1331 9268 19",
    "我叫王小明",
    "李建国说",
    "王先生",
    "My name is Ann Lee",
    "Dr. Smith",
    "Zhang Wei",
    "Emma",
    "12 Baker Street, London NW1 6XE",
    "北京市朝阳区建国路88号3号楼501室",
    "passport E12345678",
    "微信号：wang_li88",
    "<NAME 3>",
    "<PHONE 1>",
)
NEUTRAL = (
    "How many days are there between 2024-01-15 and 2024-03-01?",
    "从2024年1月15日起一共有多少天？",
    "It costs $1,234.50.",
    "Version 10.4.138 does not start.",
    "订单20240115123456已发出。",
    "ISBN 978-7-302-51234-5",
    "请写一个有幽默感的短故事。",
    "黄山的日出很美，周末高兴的话一起去看看。",
    "Will it rain in May?",
    "The walk is 5 miles down the road.",
    "3号线2号口见。",
)
pieces = st.lists(
    st.one_of(
        st.sampled_from(PERSONAL),
        st.sampled_from(NEUTRAL),
        st.text(max_size=8),
        st.text("1386 -王伟明A.@<>\n", max_size=12),
    ),
    max_size=8,
)
texts = st.builds(lambda parts, gap: gap.join(parts), pieces, st.sampled_from(["", " ", "，", "\n", ". "]))
often = settings(max_examples=80, deadline=None, derandomize=True, database=None)


@often
@given(texts)
def test_masking_what_is_masked_changes_nothing(text):
    once = Masker().masked(text)
    again = Masker().masked(once.text)
    assert (again.text, again.found) == (once.text, ())


@often
@given(texts)
def test_what_was_found_is_nowhere_in_the_masked_text(text):
    masked = Masker().masked(text)
    rest = folded(PLACEHOLDER.sub("\ue000", masked.text)).text
    for one in masked.found:
        said = re.escape(folded(text[one.start : one.end]).text)
        before, after = (r"(?<![A-Za-z0-9])" if said[0].isalnum() else ""), r"(?![A-Za-z0-9])"
        edges = (before, after) if said.isascii() else ("", "")
        assert not re.search(edges[0] + said + edges[1], rest)


@often
@given(texts)
def test_nothing_but_what_was_found_is_changed(text):
    masked = Masker().masked(text)
    kept, position = "", 0
    for one in masked.found:
        assert position <= one.start < one.end <= len(text)
        kept += re.escape(text[position : one.start]) + rf"<{one.kind.upper()} [0-9]+>"
        position = one.end
    assert re.fullmatch(kept + re.escape(text[position:]), masked.text)


@often
@given(st.lists(st.sampled_from(NEUTRAL)), st.sampled_from([" ", "\n", "\n\n"]))
def test_a_text_without_personal_data_comes_back_unchanged(parts, gap):
    text = gap.join(parts)
    masked = Masker().masked(text)
    assert (masked.text, masked.found) == (text, ())


HOSTILE = """
import resource, sys
from strop.privacy import Masker
size, seconds = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
for unit in ("1", "1 ", "a.", "a@", "a@a.", "Aa ", "A'", "王", "王伟", "路1号1", "1 Aa ", "a dot ", "a at ",
             "1\\n", "(",
             "13812345678 ", "010-1234 ", "4111 ", "GB29 NWBK ", "Aa-", "<NAME ", "1\\u200b", "Ann Lee ", "passport "):
    Masker().masked((unit * size)[:size])
usual = "我叫王小明，电话13812345678。 My name is Ann Lee, 12 High Street. The rest is mere words. "
Masker().masked((usual * size)[: 20 * size])
"""


@pytest.mark.parametrize("size", [2_000, pytest.param(50_000, marks=pytest.mark.matrix)])
def test_long_and_hostile_texts_are_masked_in_bounded_time(size):
    """Of the processor. Linear work is seconds (half a minute of a megabyte and 24 texts of 50,000 characters); where a
    pattern goes back over all that it has read, 120 are not enough."""
    done = subprocess.run([sys.executable, "-c", HOSTILE, str(size), "120"], capture_output=True, text=True)
    assert done.returncode == 0, (
        f"masking hostile texts took more than 120 s of the processor, or failed: {done.stderr}"
    )
