"""`engine=http` in configs, on the command line and in plans; and what it cannot do, refused before anything starts."""

import pytest

import fleet
import strop
from strop.cli.errors import Usage
from strop.cli.main import main
from strop.reports.plan import make_plan

HTTP = strop.scale.Http(weights="weights")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "host:8000"}, r"engine\.url='host:8000': it is http:// or https://"),
        ({"url": "http://me:secret@host/v1"}, r"engine\.url='http://\*\*\*@host/v1'"),
        ({"request_seconds": 0.0}, r"engine\.request_seconds=0\.0"),
        ({"total_seconds": float("inf")}, r"engine\.total_seconds=inf"),
        ({"attempts": 0}, r"engine\.attempts=0"),
        ({"at_once": 0}, r"engine\.at_once=0"),
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
    assert main([*words.split(), "engine.weights=w", "engine.url=http://host/v1"]) == 0
    assert "sampled by the server at http://host/v1" in " ".join(capsys.readouterr().out.split())
    assert main([*words.split(), "--staleness", "1"]) == Usage.code
    assert "--staleness is for --engine ray, or for a recipe" in capsys.readouterr().err
