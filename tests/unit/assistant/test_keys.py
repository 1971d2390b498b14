"""Keys: only a hash is kept, a removed one opens nothing, and names can be nothing but names."""

import hashlib
import json

import pytest

from strop.assistant.keys import Keys, opened


def test_a_key_opens_until_it_is_removed(tmp_path):
    keys = Keys(tmp_path)
    secret = keys.add("ann")
    assert opened(keys.all(), secret).name == "ann"
    assert opened(keys.all(), secret + "x") is None
    before = keys.stamp
    keys.remove("ann")
    assert keys.stamp != before
    assert (keys.all(), opened(keys.all(), secret)) == ([], None)


def test_the_file_has_the_hash_and_not_the_key(tmp_path):
    secret = Keys(tmp_path).add("ann")
    assert len(secret) == len("strop-") + 43  # 32 bytes in base 64
    text = (tmp_path / "keys.json").read_text()
    assert secret not in text
    assert secret.removeprefix("strop-") not in text
    [kept] = json.loads(text)["keys"]
    assert kept["sha256"] == hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "a\r\nSet-Cookie: x", "<b>", "-a", "x" * 65, "a\n"])
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="up to 64 letters"):
        Keys(tmp_path).add(name)
    assert not (tmp_path / "keys.json").exists()


def test_names_may_be_chinese_and_have_one_key(tmp_path):
    keys = Keys(tmp_path)
    keys.add("小明")
    with pytest.raises(ValueError, match="小明 has a key: remove it first"):
        keys.add("小明")
    with pytest.raises(ValueError, match="'bob' has no key; there: 小明"):
        keys.remove("bob")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2, "keys": []}', '{"format": 1, "keys": [{}]}'])
def test_a_broken_file_is_told_and_is_not_an_empty_one(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ValueError, match=r"keys\.json cannot be read"):
        Keys(tmp_path).all()


def test_a_text_that_is_no_key_opens_nothing(tmp_path):
    keys = Keys(tmp_path)
    keys.add("ann")
    for text in ("", "strop-", "\ud800", "é" * 300, "x" * 10_000):
        assert opened(keys.all(), text) is None
