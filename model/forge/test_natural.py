from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from .histories import resize_mask
from .lettering import matching_font
from .natural import _membrane, filled, noise_level, noise_matched, paste, seamless_clone, transformed
from .regions import bounds, component_boxes, draw_area, horizon, matte, shape_in_frame
from .testing import texture
from .variation import OVEREXPOSED, VARIATIONS, Variation


@pytest.fixture
def frame() -> np.ndarray:
    return texture(np.random.default_rng(4), 160, 200)


def test_seamless_clone_changes_its_mask_only_and_leaves_no_seam(frame: np.ndarray) -> None:
    patch = np.clip(frame[:60, :80].astype(int) // 2 + 100, 0, 255).astype(np.uint8)
    solid = np.zeros((60, 80), bool)
    solid[5:30, 40:79] = True
    solid[10:50, 10:45] = True
    clone = seamless_clone(frame, patch, solid, 50, 70)
    inside = np.zeros(frame.shape[:2], bool)
    inside[70:130, 50:130] = solid
    assert np.array_equal(clone[~inside], frame[~inside])
    assert (clone[inside] != frame[inside]).mean() > 0.5
    seam = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert np.abs(clone[seam].astype(int) - frame[seam]).max() <= 1


def test_the_membrane_of_a_constant_is_that_constant() -> None:
    known = np.zeros((40, 61), bool)
    known[0], known[-1], known[:, 0], known[:, -1] = True, True, True, True
    values = np.full((40, 61, 3), 17.0, np.float32)
    assert np.allclose(_membrane(values, known), 17.0, atol=1e-3)


def test_paste_puts_a_patch_at_its_place(frame: np.ndarray) -> None:
    patch, alpha = np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), np.float32)
    pixels, mask, _ = paste(
        frame, patch, alpha, np.random.default_rng(1), seamless_share=0, at=(30, 20), colour_share=0
    )
    assert bounds(mask) == (30, 20, 80, 60)
    assert pixels[25:55, 35:75].max() == 0
    assert np.array_equal(pixels[:, 90:], frame[:, 90:])


def test_an_untransformed_patch_keeps_its_pixels(frame: np.ndarray) -> None:
    patch, alpha = transformed(frame, np.ones(frame.shape[:2], np.float32), 1.0, 0.0, False)
    assert np.array_equal(patch, frame) and alpha.all()


@pytest.mark.parametrize("method", ["telea", "navier-stokes", "clone", "exemplar"])
def test_a_fill_leaves_the_rest_alone(frame: np.ndarray, method: str) -> None:
    rng = np.random.default_rng(2)
    mask = np.zeros(frame.shape[:2], bool)
    mask[60:90, 80:120] = True
    result = filled(frame, mask, method, rng)
    near = np.zeros_like(mask)
    near[54:96, 74:126] = True
    assert np.abs(result[~near].astype(int) - frame[~near]).max() <= 1
    assert (result[mask] != frame[mask]).mean() > 0.5


def test_shapes_have_about_the_area_asked_for() -> None:
    rng = np.random.default_rng(3)
    ratios = [shape_in_frame(rng, 256, 256, 0.05).mean() / 0.05 for _ in range(60)]
    assert 0.6 < np.median(ratios) < 1.5


def test_areas_are_those_of_forged_photographs() -> None:
    """Deciles 1, 5 and 9 near what was measured on real manipulations, the median lower: see draw_area."""
    rng = np.random.default_rng(5)
    low, middle, high = np.percentile([draw_area(rng) for _ in range(2000)], [10, 50, 90])
    assert 0.006 < low < 0.012 and 0.03 < middle < 0.055 and 0.15 < high < 0.3


def test_a_matte_follows_the_edge_of_the_picture(frame: np.ndarray) -> None:
    """A mask three pixels off a hard edge is pulled to the edge."""
    picture = frame // 8
    picture[:, 100:] += 180
    coarse = np.zeros(frame.shape[:2], bool)
    coarse[:, 103:] = True
    alpha = matte(picture, coarse, 6, 1e-3)
    assert alpha[20:140, 101].mean() > alpha[20:140, 98].mean() + 0.25
    assert alpha[:, 115:].min() > 0.95 and alpha[:, :85].max() < 0.05


def test_the_horizon_is_found() -> None:
    landscape = texture(np.random.default_rng(8), 160, 200) // 6
    border = (70 + 12 * np.sin(np.arange(200) / 30)).astype(int)
    sky = np.arange(160)[:, None] < border[None]
    landscape[sky] += 170
    found = horizon(landscape)
    assert found is not None and (found == sky).mean() > 0.96


def test_a_low_horizon_of_a_tall_picture_is_found() -> None:
    landscape = texture(np.random.default_rng(8), 400, 160) // 6
    sky = np.arange(400)[:, None] < np.full(160, 300)[None]
    landscape[sky] += 170
    found = horizon(landscape)
    assert found is not None and (found == sky).mean() > 0.96


def test_some_font_matches_whatever_the_shape_of_the_text() -> None:
    stripes = np.tile(np.repeat(np.array([20, 230], np.uint8), 8), 250)
    part = np.repeat(np.tile(stripes, (4, 1))[:, :, None], 3, 2)
    assert Path(matching_font(np.random.default_rng(1), "i", part)).is_file()


@pytest.mark.parametrize("name", [*VARIATIONS, OVEREXPOSED])
def test_a_variation_changes_the_picture_smoothly_and_the_same_way_again(frame: np.ndarray, name: str) -> None:
    varied = Variation(name, 3).vary(frame)
    assert varied.shape == frame.shape and varied.dtype == np.uint8
    assert not np.array_equal(varied, frame)
    assert np.array_equal(varied, Variation(name, 3).vary(frame))


def test_grain_is_added_to_a_patch_that_is_too_clean(frame: np.ndarray) -> None:
    rng = np.random.default_rng(9)
    smooth = cv2.GaussianBlur(frame, (0, 0), 4)
    noisy = np.clip(smooth + rng.normal(0, 6, frame.shape), 0, 255).astype(np.uint8)
    matched, _ = noise_matched(noisy, smooth, rng)
    assert abs(noise_level(matched) - noise_level(noisy)) < 0.6 * abs(noise_level(smooth) - noise_level(noisy))


def test_boxes_of_components_are_half_open_and_largest_first() -> None:
    mask = np.zeros((50, 60), bool)
    mask[5:10, 6:12] = True
    mask[20:40, 30:50] = True
    assert component_boxes(mask) == [[30, 20, 50, 40], [6, 5, 12, 10]]
    assert resize_mask(mask, 30, 25)[12:18, 17:23].all()
