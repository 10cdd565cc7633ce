from __future__ import annotations

import pytest
import torch

from aniface.models.painter import CONFIGURATIONS, FacePainter
from aniface.models.spade import RegionNorm, scatter_regions
from aniface.processing import one_hot

from .tester import ModelTester


class TestFacePainter(ModelTester):
    model_class = FacePainter
    config = {
        "channels": (8, 8, 8, 8),
        "spade_size": 16,
        "spade_hidden": 4,
        "latent_dim": 4,
        "style_channels": 8,
        "rgb_size": 32,
        "head_channels": 4,
    }
    bad_configs = [
        ({"channels": (8,)}, "channels is .8,.; expected at least two"),
        ({"rgb_size": 48}, "rgb_size is 48; expected a power of two"),
    ]

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        coarse = torch.randint(0, 7, (2, 8, 8), generator=generator)
        layout = one_hot(coarse.repeat_interleave(16, 1).repeat_interleave(16, 2))
        codes, colours = torch.randn(2, 5, 4, generator=generator), torch.rand(2, 5, 3, generator=generator) * 2 - 1
        return layout, codes, colours, torch.ones(2, 5, 1)

    def test_it_paints_at_each_of_its_sizes(self):
        painter = self.make().eval()
        assert painter.sizes == (32, 64, 128)
        for size in painter.sizes:
            assert painter(*self.inputs(), size=size).shape == (2, 3, size, size)
        with pytest.raises(ValueError, match="paints at 32, 64, 128 pixels, not at 50"):
            painter(*self.inputs(), size=50)
        with pytest.raises(ValueError, match="mask of 64 pixels; expected at least 128"):
            painter(self.inputs()[0][..., ::2, ::2], *self.inputs()[1:])

    def test_an_unknown_colour_is_ignored(self):
        painter = self.make().eval()
        layout, codes, colours, known = self.inputs()
        with torch.no_grad():
            assert torch.equal(painter(layout, codes, colours, known * 0), painter(layout, codes, -colours, known * 0))
            assert not torch.equal(painter(layout, codes, colours, known), painter(layout, codes, -colours, known))


class TestGauganAsPublished(TestFacePainter):
    config = {"channels": (8, 8, 8, 4), "spade_hidden": 4, "latent_dim": 4, "style_channels": 8, "rgb_size": 64, "head_channels": 0}
    config |= {"as_published": True}
    bad_configs = []

    def test_it_paints_at_each_of_its_sizes(self):
        painter = self.make().eval()
        assert painter.sizes == (64,)
        assert painter(*self.inputs()).shape == (2, 3, 64, 64)

    def test_each_block_is_spades_own(self):
        """Figure 4: both convolutions at the finer resolution, the skip normalised where the width changes; one block more at 8 px."""
        painter = self.make().eval()
        sides = []
        for block in (painter.first, *painter.blocks):
            block.conv1.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1]))
        painter(*self.inputs())
        assert sides == [8, 16, 32, 64]
        assert [block.norm_skip is None for block in painter.blocks] == [True, True, False]


def test_a_regions_style_reaches_no_other_region():
    """Class-adaptive normalisation alone: another hair style changes the hair's features only."""
    norm = RegionNorm(4, 8, spade_hidden=0).eval()
    layout = one_hot(torch.tensor([[[5] * 4 + [2] * 4] * 8]))
    x, styles = torch.randn(1, 4, 8, 8), torch.randn(1, 7, 8)
    other = styles.clone()
    other[:, 5] += 1
    with torch.no_grad():
        changed = (norm(x, layout, styles) != norm(x, layout, other)).any(1)[0]
    assert changed[:, :4].all() and not changed[:, 4:].any()


def test_scatter_gives_each_pixel_its_classes_row():
    ids = torch.randint(0, 7, (2, 5, 6))
    table = torch.randn(2, 7, 3)
    maps = scatter_regions(table, one_hot(ids))
    for b in range(2):
        assert torch.allclose(maps[b].movedim(0, -1), table[b][ids[b]])


def test_the_shipping_configuration_and_gaugan():
    with torch.device("meta"):
        sizes = {name: sum(p.numel() for p in FacePainter(**config).parameters()) for name, config in CONFIGURATIONS.items()}
    assert sizes["aniface-512"] < 7e6 < 85e6 < sizes["gaugan"] < 95e6


def test_batch_norm_in_the_table_changes_nothing():
    """Eval mode folds the batch norm into the regions' scale and shift; the plain order of operations gives the same."""
    torch.manual_seed(0)
    norm = RegionNorm(6, 5, 0)
    norm.of_label.data.normal_()
    norm.norm.running_mean.normal_()
    norm.norm.running_var.uniform_(0.5, 2)
    norm.eval()
    x, styles = torch.randn(2, 6, 8, 8), torch.randn(2, 7, 5)
    layout = torch.randn(2, 7, 8, 8).softmax(1)
    scale, shift = scatter_regions(norm.from_style(styles) + norm.of_label, layout).chunk(2, 1)
    assert torch.allclose(norm(x, layout, styles), norm.norm(x) * (1 + scale) + shift, atol=1e-5)
