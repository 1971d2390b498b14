"""`engine=http` in configs, on the command line and in plans; and what it cannot do, refused before anything starts."""

import inspect

import pytest

import fleet
import strop
from strop.cli.errors import Usage
from strop.cli.main import main
from strop.reports import preflight
from strop.reports.plan import make_plan
from strop.serving.engine import Engine
from strop.types import End, Step

HTTP = strop.scale.Http(weights="weights")


class Bump:
    """Off but at step 4, between the first and the last."""

    def __call__(self, step):
        return 0.1 if step == 4 else 0.0


class Offers:
    """Begins with choices."""

    def __init__(self, task, rng):
        pass

    def start(self):
        return Step("red", choices=("red", "blue"))

    def step(self, text):
        return Step("", reward=1.0, end=End.TERMINATED)

    def close(self):
        pass


@pytest.mark.parametrize("engine", [HTTP, strop.scale.Ray(vllm="vllm")])
def test_choices_of_an_environment_are_refused_before_anything_is_asked(engine):
    config = fleet.config(engine=engine, environment=Offers, rewards=()).resolve()
    with pytest.raises(ValueError, match="an engine over HTTP cannot be told the choices of an action"):
        preflight.warnings(config, config.build())
    embedded = fleet.config(environment=Offers, rewards=()).resolve()
    assert not any("choices" in one for one in preflight.warnings(embedded, embedded.build()))


def test_as_many_requests_may_be_open_as_may_wait_at_the_server():
    """Those that come together all wait, until the engine's thread looks: no more than may, or it refuses them."""
    assert inspect.signature(Engine).parameters["waiting"].default == strop.scale.engines.MOST_AT_ONCE


def test_this_machine_has_several_names():
    for host in ("127.0.0.1:8000", "localhost:9", "[::1]:8000"):
        assert strop.scale.Http(url=f"http://{host}/v1").url == f"http://{host}/v1"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "host:8000"}, r"engine\.url='host:8000': it is http:// or https://"),
        ({"url": "http://me:secret@host/v1"}, r"engine\.url='http://\*\*\*@host/v1'"),
        ({"request_seconds": 0.0}, r"engine\.request_seconds=0\.0"),
        ({"total_seconds": float("inf")}, r"engine\.total_seconds=inf"),
        ({"attempts": 0}, r"engine\.attempts=0"),
        ({"at_once": 0}, r"engine\.at_once=0"),
        ({"at_once": 65}, r"engine\.at_once=65: it is 1 to 64, since no more requests may wait"),
        ({"url": "http://example.org/v1"}, r"engine\.url='http://example\.org/v1': the server is on this machine"),
        ({"url": "http://192.168.0.2:8000/v1"}, r"on this machine .* open a tunnel"),
    ],
)
def test_a_field_out_of_range_says_what_is_allowed(fields, why):
    with pytest.raises(ValueError, match=why):
        strop.scale.Http(**fields)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"engine": strop.scale.Http()}, r"engine\.weights is empty: name the folder of strop serve RUN --weights"),
        ({"sampling": strop.Sampling(choices=["red", "blue"])}, r"sampling\.choices: an engine over HTTP"),
        ({"sampling": strop.Sampling(epsilon=0.1)}, r"sampling\.epsilon=0\.1.*has neither"),
        ({"sampling": strop.Sampling(temperature=2.5)}, r"sampling\.temperature=2\.5: .* takes at most 2"),
        ({"sampling": strop.Sampling(epsilon=Bump()), "steps": 9}, r"sampling\.epsilon=0\.1"),
        ({"algorithm": strop.algorithms.SFT.Config(), "rewards": ()}, r"engine=Http: SFT learns from demonstrations"),
    ],
)
def test_what_it_cannot_do_is_refused(changed, why):
    with pytest.raises(ValueError, match=why):
        fleet.config(**{"engine": HTTP, **changed}).resolve()


def test_its_gap_is_corrected_and_measured():
    config = fleet.config(engine=HTTP).resolve()
    assert not config.acts_with_newest
    assert config.algorithm.correction is not None
    assert fleet.config().resolve().algorithm.correction is None
    said = make_plan(config, config.build()).engine
    assert said.startswith("sampled by the server at http://127.0.0.1:8000/v1, which loads each step's weights")


def test_it_is_set_on_the_command_line(capsys):
    words = "train copy_word --dry-run --engine http"
    assert main([*words.split(), "engine.weights=w", "engine.url=http://127.0.0.1:9/v1"]) == 0
    assert "sampled by the server at http://127.0.0.1:9/v1" in " ".join(capsys.readouterr().out.split())
    assert main([*words.split(), "--staleness", "1"]) == Usage.code
    assert "--staleness is for --engine ray, or for a recipe" in capsys.readouterr().err
