from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from aniface.features import PictureFeatures
from aniface.metrics import blockiness, border_counts, f1_score, frechet_distance, hair_noise, kernel_distance, specks


def test_distances_of_equal_and_of_shifted_distributions():
    rng = np.random.default_rng(0)
    real, same, shifted = rng.normal(0, 3, (400, 6)), rng.normal(0, 3, (400, 6)), rng.normal(3, 3, (400, 6))
    assert abs(kernel_distance(real, same)) < 0.05 < 0.5 < kernel_distance(real, shifted)
    assert frechet_distance(real, same) < 0.3
    # Means one deviation apart in each of six dimensions, equal covariances: 6, up to the sample's error.
    assert frechet_distance(real, shifted) == pytest.approx(6, abs=1)


def test_frechet_distance_of_scaled_normals():
    rng = np.random.default_rng(1)
    real = rng.normal(0, 1, (20_000, 3))
    assert frechet_distance(real, 2 * real) == pytest.approx(3, rel=0.02)  # (2 - 1)^2 a dimension


def test_hair_noise_grows_with_noise_and_ignores_the_rest():
    rng = np.random.default_rng(0)
    flat = np.full((64, 64, 3), 120, np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[8:40, 8:56] = True
    noisy = np.repeat(np.where(inside, rng.integers(100, 140, (64, 64)), 120)[..., None], 3, -1).astype(np.uint8)
    blurred = np.asarray(Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(1)))
    assert hair_noise(flat, inside) == 0
    assert hair_noise(noisy, inside) > 3 * hair_noise(blurred, inside) > 0
    assert hair_noise(noisy, ~inside) == 0  # two pixels off the border
    assert np.isnan(hair_noise(flat, np.zeros((64, 64), bool)))


def test_perceptual_distance_orders_changes(bundled, toy_mask):
    features = PictureFeatures.choose(bundled)
    picture = bundled(toy_mask).images[0]
    blurred, other = picture.filter(ImageFilter.GaussianBlur(2)), bundled(toy_mask, seed=5).images[0]
    assert features.distance(picture, picture) == 0
    assert 0 < features.distance(picture, blurred) < features.distance(picture, Image.new("RGB", (512, 512)))
    assert features.distance(picture, other) > 0
    assert features.pooled([picture, other]).shape == (2, 448)


def disc(size: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    return (x**2 + y**2 < radius**2).astype(np.uint8)


def test_boundary_f1_falls_where_borders_part():
    truth = disc(128, 40)
    assert f1_score(border_counts(truth, truth)) == 1
    assert f1_score(border_counts(truth, disc(128, 42))) == 1  # within the tolerance of three pixels
    assert f1_score(border_counts(truth, disc(128, 50))) == 0
    half = truth.copy()
    half[:64] = disc(128, 50)[:64]
    assert f1_score(border_counts(truth, half)) == pytest.approx(0.5, abs=0.1)


def test_specks_and_blockiness_tell_noise_and_stairs():
    smooth = disc(256, 90)
    noisy = smooth.copy()
    noisy[10:250:40, 20:220:40] = 5
    assert specks(smooth) == 0 and specks(noisy) == noisy[noisy == 5].size
    stairs = np.kron(disc(64, 22), np.ones((4, 4), np.uint8))
    assert blockiness(stairs) == 4
    assert 1 <= blockiness(smooth) < 1.3
    assert np.isnan(blockiness(np.zeros((16, 16), np.uint8)))
