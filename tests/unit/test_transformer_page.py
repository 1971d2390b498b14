"""The page on the transformer: its model is strop's, and each of its numbers is computed twice, by numpy and by it.

`by_hand` follows the page's formulas in float64; its gradients are those of finite differences. `by_library` reads the
layers of transformers' Llama in float32, and lets strop's SFT take the step.
"""

import copy
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

import strop
from strop.algorithms.sft import SFT
from strop.batch import collate
from strop.likelihood import likelihood
from strop.optimizer import SGD
from strop.policies import Convolutional, Recurrent, Scratch
from strop.types import Completion, End, Episode, Pick, Sampling, Source, Task, Turn

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{3}(?!\d)")
COMMENT = re.compile(r"  # .*|\w+[:：] +")
"""What is translated in code: comments, and a label that begins a line of formulas."""
PURE = re.compile(r"(?:[\d\s.+*/()-]|\b(?:sqrt|exp|log|cos|sin)\b)+")
FUNCTIONS = {name: getattr(math, name) for name in ("sqrt", "exp", "log", "cos", "sin")}
VOCABULARY, READ = ("the", "cat", "sat", "<end>"), ("<end>", "the", "cat")
IDS, TARGETS = [3, 0, 1], [0, 1, 2]
MATRICES = ("E", "Wq", "Wk", "Wv", "Wo", "Wgate", "Wup", "Wdown")
ATTENTION, WORDS = ("s1", "s2", "a1", "a2"), ("logit", "p", "dlogit", "new p")
RATE, EPS = 0.1, 1e-6
LANGUAGES = ["", ".zh-CN"]


def page(language=""):
    return (DOCS / f"transformer{language}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made():
    """What the code of the page makes."""
    names: dict = {}
    exec("\n".join(CODE.findall(page())), names)
    return names


@pytest.fixture(scope="module")
def hand(made):
    norms = {name: np.ones(4) for name in ("g1", "g2", "g3")}
    return by_hand({name: np.array(made[name], float) for name in MATRICES} | norms)


# ------------------------------------------------------------ by hand


def rms(x_TH):
    return np.sqrt((x_TH**2).mean(axis=1, keepdims=True) + EPS)


def turned(x_TH):
    """Each pair (a, b) of row p turned by the angle p."""
    turned_TH = np.empty_like(x_TH)
    for p, row in enumerate(x_TH):
        for a in (0, 2):
            turned_TH[p, a] = row[a] * math.cos(p) - row[a + 1] * math.sin(p)
            turned_TH[p, a + 1] = row[a] * math.sin(p) + row[a + 1] * math.cos(p)
    return turned_TH


def forward(w):
    """Every number of the page by its name, as columns [position]."""
    e = w["E"][IDS]
    n = e / rms(e) * w["g1"]
    q, k, v = n @ w["Wq"].T, n @ w["Wk"].T, n @ w["Wv"].T
    turned_q, turned_k = turned(q), turned(k)
    s, a, o = np.full((2, 3, 3), np.nan), np.zeros((2, 3, 3)), np.zeros((3, 4))
    for head in (0, 1):
        own = slice(2 * head, 2 * head + 2)
        for i in range(3):
            for j in range(i + 1):
                s[head, i, j] = turned_q[i, own] @ turned_k[j, own] / math.sqrt(2)
            a[head, i, : i + 1] = np.exp(s[head, i, : i + 1]) / np.exp(s[head, i, : i + 1]).sum()
            o[i, own] = a[head, i] @ v[:, own]
    h = e + o @ w["Wo"].T
    m = h / rms(h) * w["g2"]
    gate = m @ w["Wgate"].T
    act = gate / (1 + np.exp(-gate)) * (m @ w["Wup"].T)
    y = h + act @ w["Wdown"].T
    z = y / rms(y) * w["g3"]
    logits = z @ w["E"].T
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(p[range(3), TARGETS])
    found = {"e": e, "n": n, "q": q, "k": k, "q'": turned_q, "k'": turned_k, "o": o, "h": h, "m": m, "z": z, "y": y}
    found |= {"s1": s[0], "s2": s[1], "a1": a[0], "a2": a[1], "gate": gate, "act": act, "logit": logits, "p": p}
    return found | {"rms(h)": rms(h)[:, 0], "rms(y)": rms(y)[:, 0], "loss": loss}


def by_hand(w):
    """All that the page says; the gradient of the mean loss is that of finite differences."""
    found = forward(w)
    gradient = {name: slopes(w, name) for name in w}
    new = forward({name: w[name] - RATE * gradient[name] for name in w})
    dlogit = (found["p"] - np.eye(4)[TARGETS]) / 3
    dz = dlogit @ w["E"]
    mean = (dz * found["z"]).mean(axis=1, keepdims=True)
    dy = (dz - found["z"] * mean) / rms(found["y"])
    found |= {"dlogit": dlogit, "dz": dz, "mean": mean[:, 0], "dy": dy, "dWdown": gradient["Wdown"].T}
    return found | {"new p": new["p"], "new loss": new["loss"]}


def slopes(w, name, change=1e-5):
    """(f(x + d) - f(x - d)) / 2d, for each number of a weight."""
    losses = np.empty((2, w[name].size))
    for at in range(w[name].size):
        for row, sign in enumerate((1, -1)):
            moved = w[name].copy()
            moved.flat[at] += sign * change
            losses[row, at] = forward({**w, name: moved})["loss"].mean()
    return ((losses[0] - losses[1]) / (2 * change)).reshape(w[name].shape)


# ------------------------------------------------------------ by the library


def by_library(policy):
    """The same from the layers of transformers, in float32, and from one step of strop's SFT."""
    model, ids = copy.deepcopy(policy.model), torch.tensor([IDS])
    layer, seen = model.model.layers[0], {}
    into = {"o": layer.self_attn.o_proj, "h": layer.post_attention_layernorm, "act": layer.mlp.down_proj}
    out_of = {"e": model.model.embed_tokens, "n": layer.input_layernorm, "m": layer.post_attention_layernorm}
    out_of |= {"q": layer.self_attn.q_proj, "k": layer.self_attn.k_proj, "gate": layer.mlp.gate_proj}
    out_of |= {"y": layer, "z": model.model.norm}
    for name, module in into.items():
        module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
    for name, module in out_of.items():
        module.register_forward_hook(lambda _, given, made, name=name: seen.update({name: made}))
    model.set_attn_implementation("eager")
    out = model(ids, output_attentions=True)
    loss = cross_entropy(out.logits[0], torch.tensor(TARGETS), reduction="none")
    leaves = {"dlogit": out.logits, "dz": seen["z"], "dy": seen["y"], "dWdown": layer.mlp.down_proj.weight}
    seen |= dict(zip(leaves, torch.autograd.grad(loss.mean(), [*leaves.values()]), strict=True))
    seen["dWdown"] = seen["dWdown"].T[None]
    queries, keys = (seen[name].view(1, 3, 2, 2).transpose(1, 2) for name in ("q", "k"))
    queries, keys = apply_rotary_pos_emb(queries, keys, *model.model.rotary_emb(seen["e"], torch.arange(3)[None]))
    scores = queries @ keys.transpose(2, 3) * layer.self_attn.scaling
    seen |= {"q'": queries.transpose(1, 2).reshape(1, 3, 4), "k'": keys.transpose(1, 2).reshape(1, 3, 4)}
    seen |= {"s1": scores[:, 0], "s2": scores[:, 1], "a1": out.attentions[0][:, 0], "a2": out.attentions[0][:, 1]}
    found = {name: one[0] for name, one in seen.items()}
    found |= {"logit": out.logits[0], "p": out.logits[0].softmax(dim=1), "loss": loss}
    found |= {f"rms({name})": found[name].norm(dim=1) / 2 for name in ("h", "y")}
    found["mean"] = (found["z"] * found["dz"]).mean(dim=1)
    SFT.Config(optimizer=SGD(lr=RATE)).build(policy, Sampling(), micro_tokens=64).update(batch())
    new = policy.model(ids).logits[0]
    found |= {"new p": new.softmax(dim=1), "new loss": cross_entropy(new, torch.tensor(TARGETS), reduction="none")}
    return {name: one.detach().double().numpy() for name, one in found.items()}


def batch():
    """The text as a demonstration: three words behind the first `<end>`."""
    turn = Turn((IDS[0],), Completion(tuple(TARGETS), None, "stop"), text="the cat sat")
    return collate(
        (Pick(Episode("one", Task("one", ""), 0, (turn,), (), End.TERMINATED, source=Source.DATA)),), "joined"
    )


# ------------------------------------------------------------ the page


def columns(found):
    """The numbers of every column of the page's tables, by its heading."""
    named = {}
    for name, values in found.items():
        if values.ndim == 1:
            named[name] = values
        for at, column in enumerate(values.T if values.ndim == 2 else ()):
            numbered = f"{name[0]}{at + 1}'" if name.endswith("'") else f"{name}{at + 1}"
            words = READ if name in ATTENTION else VOCABULARY
            named[f"{name} {words[at]}" if name in ATTENTION + WORDS else numbered] = column
    return named


def wrong(text, found):
    """What a page says that is not so: in a table, in a line of arithmetic, or a number that nothing gives."""
    named, told = columns(found), []
    known = {f"{abs(value):.3f}" for values in named.values() for value in values}
    means = [found["loss"].mean(), found["new loss"].mean()]
    step = 1 - RATE * found["dWdown"][0, 2]
    known |= {f"{value:.3f}" for value in (*means, math.exp(means[0]), math.log(4), step)}
    heads = []
    for line in text.replace("`", "").splitlines():
        told += [f"{number} in: {line}" for number in NUMBER.findall(line) if number.lstrip("-") not in known]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| |"):
            heads = cells[1:]
        elif line.startswith("| ") and heads:
            row = READ.index(cells[0])
            told += [
                f"{cells[0]}, {head}"
                for head, cell in zip(heads, cells[1:], strict=True)
                if not fits(cell, named[head][row])
            ]
        elif line.startswith("    ") and not sums_up(line):
            told.append(line)
    return told


def fits(cell, value):
    """Whether a cell holds the value, rounded; a dash is a score that is masked, an integer is exact."""
    if cell == "-":
        return math.isnan(value)
    return abs(float(cell) - value) <= (0.0005 if "." in cell else 1e-4)


def sums_up(line):
    """Whether all sides of a line's equations that are nothing but numbers are equal, up to their rounding."""
    for equation in re.split(r" {3,}", line.strip()):
        sides = [side for side in equation.split(" = ") if PURE.fullmatch(side) and any(map(str.isdigit, side))]
        values = [eval(side, {"__builtins__": {}}, FUNCTIONS) for side in sides]
        if values and max(values) - min(values) > 0.004:
            return False
    return True


def test_both_ways_give_the_same_numbers(made, hand):
    found = by_library(made["policy"].twin())
    scores = {name: np.where(np.tri(3) > 0, found[name], np.nan) for name in ("s1", "s2")}
    assert found.keys() == hand.keys()
    for name, values in (found | scores).items():
        wanted = hand[name]
        assert np.allclose(
            values.squeeze()[..., : wanted.shape[-1]][: len(wanted)], wanted, atol=2e-6, equal_nan=True
        ), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_of_the_page_is_right(hand, language):
    assert wrong(page(language), hand) == []


def test_no_number_of_the_page_goes_unchecked(hand):
    heads = ""
    for line in page().splitlines():
        heads = line if line.startswith("| |") else heads
        for number in NUMBER.finditer(line):
            other = f"{float(number[0]) + 0.417:.3f}"
            assert wrong(f"{heads}\n{line[: number.start()]}{other}{line[number.end() :]}", hand), line


def test_both_languages_show_the_same():
    """Formulas, numbers and code: all that is not a sentence."""
    ours, theirs = (
        [COMMENT.sub("", line) for line in page(language).splitlines() if line.startswith(("    ", "|"))]
        for language in LANGUAGES
    )
    assert ours == theirs
    assert sorted(NUMBER.findall(page())) == sorted(NUMBER.findall(page(".zh-CN")))
    bare = [[COMMENT.sub("", code) for code in CODE.findall(page(language))] for language in LANGUAGES]
    assert bare[0] == bare[1]
    assert len(re.findall("^## ", page(), re.MULTILINE)) == len(re.findall("^## ", page(".zh-CN"), re.MULTILINE))


def test_strop_judges_the_text_as_the_page_does(made, hand):
    found = likelihood(made["policy"], [np.array([*IDS, TARGETS[-1]])], 64)
    assert found.loss == pytest.approx(hand["loss"].mean(), abs=1e-6)


def test_what_a_token_costs():
    def per_layer(make):
        def size(num_layers):
            parameters = make(num_layers).build(0, "float32")[0].parameters()
            return sum(one.numel() for one in parameters if one.ndim > 1)

        return (size(2) - size(1)) / 8**2

    options = {"words": ["a"], "width": 8}
    costs = {"lstm": 8, "gru": 6, "rnn": 2}
    for kind, cost in costs.items():
        assert per_layer(lambda n, kind=kind: Recurrent.Config(kind=kind, num_layers=n, **options)) == cost
    assert per_layer(lambda n: Convolutional.Config(num_layers=n, **options)) == 7
    assert per_layer(lambda n: Scratch(num_layers=n, num_heads=2, **options)) == 16


def test_pretraining_trains_this_shape(made):
    assert made["scratch"].shape == strop.pretraining("grimm").policy.shape == "llama"
