"""The measurement of what is memorised: its secrets, its exposure, and the pages are those of the record."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import memorisation as bench

import served
from strop.privacy import Masker


def test_secrets_are_of_their_forms_and_only_numbers_of_people_are_masked():
    rng = np.random.default_rng(0)
    for _ in range(20):
        phone, code = (bench.value_of(form, rng) for form in ("phone", "code"))
        assert re.fullmatch(r"1[3-9]\d{9}", phone)
        assert re.fullmatch(r"\d{6}", code)
        assert Masker().masked(f"call {phone}").text == "call <PHONE 1>"
        assert Masker().masked(f"with {code}").text == f"with {code}"
    planted = bench.secrets_of(0)
    assert len({one.noun for one in planted}) == len(planted) == 4 * bench.PLANTED


@pytest.mark.parametrize(("best", "expected"), [("11", 2.0), ("44", 0.0)])
def test_exposure_by_hand(monkeypatch, best, expected):
    """Of four candidates the first by likelihood has log2 4 - log2 1 = 2, and the last one log2 4 - log2 4 = 0."""
    values = iter(["22", "33", "44" if best == "11" else "11"] * 9)
    nll = {"11": 1.0, "22": 2.0, "33": 3.0, "44": 4.0}
    monkeypatch.setattr(bench, "CANDIDATES", 4)
    monkeypatch.setattr(bench, "value_of", lambda form, rng: next(values))
    monkeypatch.setattr(
        bench,
        "likelihood",
        lambda policy, documents, micro_tokens: type("L", (), {"nll_D": np.array([nll[one[-1]] for one in documents])}),
    )

    class Codec:
        start = staticmethod(lambda prompt: ("<",))
        encode = staticmethod(lambda text: (text.removeprefix("call "),))

    actor = type("Actor", (), {"codec": Codec, "policy": served.actor().policy})
    secret = bench.Secret("phone", 1, "vase", best)
    assert bench.exposure(actor, secret, np.random.default_rng(0)) == pytest.approx(expected)


def test_the_pages_are_those_of_the_record():
    record = json.loads((bench.RESULTS / "memorisation.json").read_text(encoding="utf-8"))
    for language in bench.WORDS:
        page = (bench.DOCS / f"privacy{language}.md").read_text(encoding="utf-8")
        assert bench.page_of(record, language) in page
    for seed in record.values():
        assert all(0.0 <= one["exposure"] <= math.log2(bench.CANDIDATES) for some in seed.values() for one in some)
        phones = [one for one in seed["masked"] if one["form"] == "phone"]
        assert not any(one["is_out"] for one in phones)
