"""How far an exported model may be off: a share of its largest logit."""

import pytest
import torch

from strop.hub.export import TOLERANCE, relative_gap


def test_the_gap_is_a_share_of_the_largest_logit_and_absolute_below_one() -> None:
    assert relative_gap(torch.tensor([30.0, -60.0]), torch.tensor([30.006, -60.0])) == pytest.approx(1e-4, rel=1e-3)
    assert relative_gap(torch.tensor([0.5, -0.25]), torch.tensor([0.5, -0.251])) == pytest.approx(1e-3, rel=1e-3)


def test_rounding_passes_and_another_weight_does_not() -> None:
    # a merged adapter of SmolLM2, whose logits reach 30, is off by 4e-4
    ours = torch.linspace(-30.0, 30.0, 100)
    assert relative_gap(ours, ours + 4e-4) < TOLERANCE
    assert relative_gap(ours, ours * 1.001) > TOLERANCE
    assert not relative_gap(ours, torch.full_like(ours, torch.nan)) <= TOLERANCE
