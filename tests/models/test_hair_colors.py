from __future__ import annotations

import pytest
import torch

from aniface.models.hair_colors import HairColors

from .tester import ModelTester


class TestHairColors(ModelTester):
    model_class = HairColors
    config = {"latent_dim": 6}
    bad_configs = [({"latent_dim": 2}, "latent_dim is 2; expected at least 3")]

    def make(self):
        generator = torch.Generator().manual_seed(0)
        model = HairColors(6)
        model.fit(torch.rand(50, 3, generator=generator), torch.randn(50, 6, generator=generator))
        return model

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2, 6, generator=generator), torch.rand(2, 3, generator=generator)

    def test_every_parameter_gets_a_gradient(self):
        assert not any(p.requires_grad for p in self.make().parameters())  # fitted, not trained


def test_it_finds_a_linear_relation_and_moves_along_it_alone():
    generator = torch.Generator().manual_seed(0)
    directions, rest = torch.randn(3, 8, generator=generator), torch.randn(200, 8, generator=generator)
    colours = torch.rand(200, 3, generator=generator) * 2 - 1
    model = HairColors(8)
    assert model.fit(colours, colours @ directions + 0.5) > 0.999
    wanted = torch.tensor([[0.9, 0.1, -0.3]])
    moved = model(rest[:1], wanted)
    assert torch.allclose(model(moved, wanted), moved, atol=1e-5)  # it is there
    outside = torch.linalg.qr(directions.T, mode="complete").Q[:, 3:]
    assert torch.allclose(moved @ outside, rest[:1] @ outside, atol=1e-5)  # all else stays
    assert torch.allclose(model(rest[:1], wanted, strength=0.5), (rest[:1] + moved) / 2, atol=1e-5)
    assert model(rest[:1], wanted, strength=0) == pytest.approx(rest[:1])
