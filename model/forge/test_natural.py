from __future__ import annotations

import cv2
import numpy as np
import pytest

from .conftest import texture
from .histories import resize_mask
from .natural import _membrane, filled, paste, seamless_clone, transformed
from .regions import bounds, component_boxes, draw_area, shape_in_frame


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


def test_areas_are_mostly_between_half_a_percent_and_a_quarter() -> None:
    rng = np.random.default_rng(5)
    areas = np.array([draw_area(rng) for _ in range(2000)])
    assert ((areas > 0.005) & (areas < 0.25)).mean() > 0.9
    assert areas.max() > 0.3


def test_boxes_of_components_are_half_open_and_largest_first() -> None:
    mask = np.zeros((50, 60), bool)
    mask[5:10, 6:12] = True
    mask[20:40, 30:50] = True
    assert component_boxes(mask) == [[30, 20, 50, 40], [6, 5, 12, 10]]
    assert resize_mask(mask, 30, 25)[12:18, 17:23].all()
