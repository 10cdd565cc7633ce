from __future__ import annotations

import torch

from aniface import losses


def test_segmentation_loss_falls_to_nothing_on_the_truth():
    ids = torch.randint(0, 7, (2, 16, 16))
    right = torch.nn.functional.one_hot(ids, 7).movedim(-1, 1) * 20.0
    assert losses.segmentation_loss(right, ids) < 0.01 < 1 < losses.segmentation_loss(-right, ids)
    assert losses.segmentation_loss(right, ids, torch.rand(7) + 0.5) < 0.01


def test_borders_weigh_more():
    ids = torch.zeros(1, 12, 12, dtype=torch.long)
    ids[:, :, 6:] = 3
    weights = losses.border_weights(ids, width=2, extra=1.0)
    assert weights[0, 0].tolist() == [1] * 4 + [2] * 4 + [1] * 4


def test_divergence_of_a_standard_normal_is_zero():
    zero = torch.zeros(2, 5, 4)
    assert losses.vae_divergence(zero, zero) == 0
    assert torch.isclose(losses.vae_divergence(zero + 1, zero), torch.tensor(2.0))


def test_hinge_losses():
    high, low = [torch.full((2, 1, 3, 3), 2.0)], [torch.full((2, 1, 3, 3), -2.0)]
    assert losses.hinge_discriminator_loss(high, low) == 0 and losses.hinge_discriminator_loss(low, high) == 6
    assert losses.hinge_generator_loss(high) == -2


def test_colour_loss_counts_known_regions_only():
    painted, asked = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    asked[:, 1] = 9
    known = torch.tensor([[[1.0], [0.0]]])
    assert losses.colour_loss(painted, asked, known) == 1
    assert losses.colour_loss(painted, asked, known * 0) == 0


def test_texture_loss_sees_noise_and_halos_but_not_colour():
    flat = torch.zeros(1, 3, 32, 32)
    noisy = flat + 0.3 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    halo = flat.clone()
    halo[..., 8:16, :] = 0.3  # wide: a matter of the coarse resolution
    assert losses.texture_loss(flat + 0.5, flat) < 1e-4
    assert losses.texture_loss(noisy, flat, factors=(1,)) > 0.1
    assert losses.texture_loss(halo, flat, factors=(4,)) > losses.texture_loss(halo, flat, factors=(1,)) > 0.01
    assert losses.texture_loss(noisy, noisy) == 0


def test_feature_and_low_pass_losses_are_zero_on_equals():
    x = [torch.randn(2, 3, 8, 8)]
    assert losses.feature_loss(x, x) == 0 and losses.low_pass_loss(x[0], x[0]) == 0


def test_edges_count_but_not_the_light_they_lie_in():
    real = torch.rand(2, 3, 16, 16)
    assert float(losses.edge_loss(real + 0.5, real)) < 1e-6
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 1.0  # one of three steps along a row, none along a column
    assert abs(float(losses.edge_loss(step, torch.zeros_like(step))) - 1 / 3) < 1e-6


def test_self_training_listens_to_a_sure_teacher_only():
    logits = torch.zeros(1, 7, 4, 4, requires_grad=True)
    teacher = torch.full((1, 7, 4, 4), 0.1 / 6)
    teacher[:, 2] = 0.9
    teacher[..., :2] = 1 / 7  # not sure in the left half
    losses.self_training_loss(logits, teacher).backward()
    assert not logits.grad[..., :2].any()
    assert (logits.grad[:, 2, :, 2:] < 0).all() and (logits.grad[:, 3, :, 2:] > 0).all()


def test_detail_counts_strokes_wherever_they_lie():
    inside = torch.zeros(1, 1, 32, 32)
    inside[..., :24] = 1
    flat, left, right, outside = (torch.zeros(1, 3, 32, 32) for _ in range(4))
    left[..., 6], right[..., 15], outside[..., 28] = 1, 1, 1
    assert losses.detail_loss(left, right, inside) < 1e-5 and losses.detail_loss(flat, outside, inside) < 1e-5
    assert losses.detail_loss(flat, left, inside) > 0.3 > losses.detail_loss(left * 0.7, left, inside) > 0.05


def test_stray_hue_is_another_hue_not_another_shade():
    red = torch.tensor([0.6, -0.4, -0.4])[None, :, None, None].expand(1, 3, 8, 8).clone()
    inside = torch.ones(1, 8, 8)
    assert losses.stray_hue_loss(red, inside) == 0
    shaded = red.clone()
    shaded[..., :4] = torch.tensor([0.0, -0.5, -0.5])[:, None, None]  # paler and darker
    assert losses.stray_hue_loss(shaded, inside) < 1e-3
    green = red.clone()
    green[..., :2, :2] = torch.tensor([-0.4, 0.6, -0.4])[:, None, None]
    assert losses.stray_hue_loss(green, inside) > 0.02
    outside = inside.clone()
    outside[:, :2, :2] = 0
    assert losses.stray_hue_loss(green, outside) == 0
    assert losses.stray_hue_loss(green[1:], inside[1:]) == 0  # no picture at all
