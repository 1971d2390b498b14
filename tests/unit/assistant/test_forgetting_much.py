"""Large files: all needles at once, piece by piece, and bombs count as unread."""

import gzip
import random
import time
import zipfile
from urllib.parse import quote

import pytest

from strop.assistant.copies import are_in, searched
from strop.assistant.grams import Grams
from strop.assistant.needles import Needles, needles_of
from strop.assistant.packed import whole_lines

HERS = "where is the ZEBRA & its friends?"


def letters(many, seed):
    return bytes(random.Random(seed).choices(b"abcdefgh ijkl", k=many))


def test_all_places_of_all_needles_are_found():
    """As by comparing each at each place; also at the ends, and what is shorter than what is looked up."""
    needles = [letters(1 + n % 30, n) for n in range(60)]
    data = needles[59] + letters(1000, -1) + needles[31] + needles[5] + needles[50]
    wanted = {(at, one) for one in needles for at in range(len(data)) if data.startswith(one, at)}
    assert len({len(one) for _, one in wanted}) > 5, "the test would find nothing"
    assert set(Grams.of(needles).places(data)) == wanted


def test_a_thousand_lines_take_hardly_longer_than_one():
    data = letters(1 << 16, 0)

    def seconds(number):
        needles = Needles(tuple(f"{n} {letters(40, n).decode()}" for n in range(number)))
        assert not needles.are_in_bytes(data)
        starts = []
        for _ in range(3):
            start = time.process_time()
            needles.are_in_bytes(data)
            starts.append(time.process_time() - start)
        return min(starts)

    assert seconds(1000) < 30 * seconds(1)


def test_a_bomb_is_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("strop.assistant.packed.MOST", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"x" * 1001))
    (tmp_path / "small.gz").write_bytes(gzip.compress(b"x" * 1000))
    found = searched(sorted(tmp_path.iterdir()), lambda file: are_in(needles_of([HERS], (), ()), file))
    assert (found.holding, found.unread) == ((), (tmp_path / "bomb.gz",))


def test_a_zip_with_a_password_is_unread_and_errors_of_our_own_are_not_hidden(tmp_path):
    file = tmp_path / "old.zip"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a", "x")
    data = bytearray(file.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1  # a member is encrypted
    file.write_bytes(data)
    assert searched([file], lambda file: are_in(needles_of([HERS], (), ()), file)).unread == (file,)

    def wrong(file):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        searched([file], wrong)


def test_a_long_line_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("strop.assistant.packed.CHUNK", 100)
    needles = needles_of([HERS], (), ())
    for at in range(150, 260, 7):
        (tmp_path / "long").write_text("x" * at + quote(HERS) + "x" * 500)
        assert are_in(needles, tmp_path / "long")
    assert not are_in(needles_of(["what others wrote"], (), ()), tmp_path / "long")
    pieces = list(whole_lines([b"a\nb", b"c\n", *[b"x" * 100] * 9]))
    assert pieces[:2] == [b"a\n", b"bc\n"]
    assert max(map(len, pieces)) <= 200


def test_a_file_of_bytes_is_not_read_as_lines(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"\0" + quote(HERS).encode())
    assert not are_in(needles_of([HERS], (), ()), tmp_path / "a.bin")
    (tmp_path / "a.bin").write_bytes(b"\0" + HERS.encode())
    assert are_in(needles_of([HERS], (), ()), tmp_path / "a.bin")
