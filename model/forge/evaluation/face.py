"""Faces changed by other hands: warped triangle by triangle, blended by pyramids or OpenCV's cloning."""

from __future__ import annotations

import cv2
import numpy as np

from ..face import BROW_A, BROW_B, EYE_A, EYE_B, MOUTH, NOSE, OVAL
from ..forgery import Forgery, Unforgeable, Workbench, visible_change
from ..pool import Photo, Window
from ..regions import bounds
from ..whole import File, resized

KINDS = {"face_swap": 0.45, "feature_swap": 0.2, "retouch": 0.2, "generated": 0.15}
LEAST_CHANGE = {"face_swap": 5.0, "feature_swap": 5.0, "retouch": 1.8, "generated": 1.8}
LEVELS = 4
FEATURES = ((EYE_A, EYE_B, BROW_A, BROW_B), (MOUTH,), (NOSE,))


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str) -> Forgery:
    """One manipulation of the window's face."""
    points = window.landmarks
    if len(points) < 76 or np.ptp(points[OVAL, 1]) < 60:
        raise Unforgeable("no face")
    pixels, mask, operation, donor = _EDITS[kind](window, bench, rng)
    if visible_change(window.pixels, pixels, mask) < LEAST_CHANGE[kind]:
        raise Unforgeable("hardly shows")
    return Forgery(pixels, mask, kind, (operation,), donor)


def _hull(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask


def _triangulated(source: np.ndarray, points: np.ndarray, onto: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`source` with its landmarks moved from `points` onto `onto` (float32 [76,2]), a triangle at a time; 0 outside."""
    x0, y0, x1, y1 = *np.floor(onto.min(axis=0)).astype(int), *np.ceil(onto.max(axis=0)).astype(int)
    plane = cv2.Subdiv2D((int(x0) - 2, int(y0) - 2, int(x1 - x0) + 5, int(y1 - y0) + 5))
    known = {}
    for index, (x, y) in enumerate(onto):
        key = (round(float(x), 1), round(float(y), 1))
        if key not in known:
            known[key] = index
            plane.insert(key)
    result = np.zeros((*shape[:2], 3), np.uint8)
    for corners in plane.getTriangleList().reshape(-1, 3, 2):
        keys = [(round(float(x), 1), round(float(y), 1)) for x, y in corners]
        if not all(key in known for key in keys):
            continue
        indices = [known[key] for key in keys]
        matrix = cv2.getAffineTransform(points[indices].astype(np.float32), onto[indices].astype(np.float32))
        left, top = np.floor(onto[indices].min(axis=0)).astype(int) - 1
        right, bottom = np.ceil(onto[indices].max(axis=0)).astype(int) + 2
        left, top, right, bottom = max(0, left), max(0, top), min(shape[1], right), min(shape[0], bottom)
        if right - left < 2 or bottom - top < 2:
            continue
        matrix[:, 2] -= (left, top)
        piece = cv2.warpAffine(
            source,
            matrix,
            (int(right - left), int(bottom - top)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        inside = np.zeros(piece.shape[:2], np.uint8)
        cv2.fillConvexPoly(inside, np.round(onto[indices] - (left, top)).astype(np.int32), 1)
        result[top:bottom, left:right][inside > 0] = piece[inside > 0]
    return result


def _pyramid_blended(frame: np.ndarray, laid: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Burt and Adelson's blending over LEVELS octaves, inside the mask's box grown by a few pixels."""
    x0, y0, x1, y1 = bounds(mask > 0)
    margin = 12
    part = slice(max(0, y0 - margin), y1 + margin), slice(max(0, x0 - margin), x1 + margin)
    above = np.where(mask[part][..., None] > 0, laid[part], frame[part]).astype(np.float32)
    below, weight = frame[part].astype(np.float32), cv2.erode(mask[part], np.ones((7, 7), np.uint8)).astype(np.float32)
    bands = []
    for _ in range(LEVELS):
        sizes = (below.shape[1], below.shape[0])
        smaller = [cv2.pyrDown(one) for one in (above, below, weight)]
        details = [one - cv2.pyrUp(small, dstsize=sizes) for one, small in zip((above, below), smaller, strict=False)]
        bands.append(details[1] + (details[0] - details[1]) * weight[..., None])
        above, below, weight = smaller
    mixed = below + (above - below) * weight[..., None]
    for band in reversed(bands):
        mixed = cv2.pyrUp(mixed, dstsize=(band.shape[1], band.shape[0])) + band
    result = frame.copy()
    # Coarse levels reach beyond the face; what a mask leaves unmarked must be what it was.
    edge = cv2.GaussianBlur(cv2.dilate(mask[part], np.ones((3, 3), np.uint8)).astype(np.float32), (0, 0), 1.0)[
        ..., None
    ]
    inside = (edge > 0.4) * edge
    result[part] = np.clip(frame[part] + (mixed - frame[part]) * inside + 0.5, 0, 255).astype(np.uint8)
    return result


def _blended(
    frame: np.ndarray, laid: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and the bool mask of what is the donor's."""
    if mask.sum() < 150:
        raise Unforgeable("too small")
    if rng.random() < 0.3:
        x0, y0, x1, y1 = bounds(mask > 0)
        if x0 < 3 or y0 < 3 or x1 > frame.shape[1] - 3 or y1 > frame.shape[0] - 3:
            raise Unforgeable("no room to clone")
        centre = (x0 + (x1 - x0) // 2, y0 + (y1 - y0) // 2)
        cloned = cv2.seamlessClone(laid, frame, mask * 255, centre, cv2.NORMAL_CLONE)
        return np.where(mask[..., None] > 0, cloned, frame), mask > 0
    return _pyramid_blended(frame, laid, mask), mask > 0


def _donor(window: Window, bench: Workbench, rng: np.random.Generator) -> Photo:
    donor = bench.donor(rng, "face", window.photo)
    if len(donor.landmarks) < 76:
        raise Unforgeable("donor without landmarks")
    return donor


def _exposed(laid: np.ndarray, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The donor's channels scaled to the frame's medians under the mask."""
    inside = mask > 0
    gain = np.median(frame[inside], axis=0) / np.maximum(np.median(laid[inside], axis=0), 1)
    return np.clip(laid * np.clip(gain, 0.5, 2.0), 0, 255).astype(np.uint8)


def _swap(window: Window, bench: Workbench, rng: np.random.Generator):
    donor = _donor(window, bench, rng)
    source = bench.life(rng).live(donor.pixels)
    laid = _triangulated(source, donor.landmarks, window.landmarks, window.pixels.shape)
    mask = _hull(window.landmarks[OVAL], window.pixels.shape)
    shrink = max(3, int(np.ptp(window.landmarks[OVAL, 1]) * rng.uniform(0.02, 0.08)))
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (shrink, shrink)))
    laid = _exposed(laid, window.pixels, mask)
    pixels, changed = _blended(window.pixels, laid, mask, rng)
    return pixels, changed, "face of another person", donor.key


def _feature_swap(window: Window, bench: Workbench, rng: np.random.Generator):
    donor = _donor(window, bench, rng)
    source = bench.life(rng).live(donor.pixels)
    laid = _triangulated(source, donor.landmarks, window.landmarks, window.pixels.shape)
    parts = FEATURES[rng.integers(len(FEATURES))]
    points = np.concatenate([window.landmarks[part] for part in parts])
    reach = max(5, int(0.06 * np.ptp(window.landmarks[OVAL, 1]))) | 1
    mask = cv2.dilate(_hull(points, window.pixels.shape), np.ones((reach, reach), np.uint8))
    mask &= _hull(window.landmarks[OVAL], window.pixels.shape)
    pixels, changed = _blended(window.pixels, _exposed(laid, window.pixels, mask), mask, rng)
    return pixels, changed, "features of another person", donor.key


def _retouch(window: Window, bench: Workbench, rng: np.random.Generator):
    """Skin through a median and an edge-preserving smoothing, or landmarks pushed and the face warped with them."""
    frame, points = window.pixels, window.landmarks
    mask = _hull(points[OVAL], frame.shape)
    if rng.random() < 0.5:
        for part in (EYE_A, EYE_B, MOUTH):
            mask[cv2.dilate(_hull(points[part], frame.shape), np.ones((7, 7), np.uint8)) > 0] = 0
        soft = cv2.medianBlur(frame, int(rng.choice([5, 7])))
        soft = cv2.edgePreservingFilter(soft, flags=1, sigma_s=float(rng.uniform(8, 20)), sigma_r=0.25)
        laid = np.clip(soft * rng.uniform(1.0, 1.08), 0, 255).astype(np.uint8)
        operation = "skin smoothed"
    else:
        moved = points.copy()
        part = (EYE_A, EYE_B, MOUTH, NOSE)[rng.integers(4)]
        centre = points[part].mean(axis=0)
        moved[part] = centre + (points[part] - centre) * rng.uniform(1.2, 1.45)
        laid = _triangulated(frame, points, moved, frame.shape)
        shift = np.linalg.norm(moved - points, axis=1)
        near = points[np.argsort(np.linalg.norm(points - centre, axis=1))[: int((shift > 0.3).sum()) + 12]]
        mask &= _hull(near, frame.shape)
        operation = "features reshaped"
    mask &= (laid.sum(axis=2) > 0).astype(np.uint8)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)[..., None]
    pixels = np.clip(frame + (laid.astype(np.float32) - frame) * alpha + 0.5, 0, 255).astype(np.uint8)
    return pixels, mask > 0, operation, ""


def _generated(window: Window, bench: Workbench, rng: np.random.Generator):
    """The face as a network of low resolution would return it: through few pixels and a coarse save, sharpened."""
    frame = window.pixels
    factor = float(rng.uniform(1.6, 2.6))
    small = resized(frame, round(frame.shape[1] / factor), round(frame.shape[0] / factor), 1)
    small = File("WEBP", int(rng.integers(35, 70))).reread(small)
    made = resized(small, frame.shape[1], frame.shape[0], 3)
    made = cv2.addWeighted(made, 1.5, cv2.GaussianBlur(made, (0, 0), 1.5), -0.5, 0)
    mask = _hull(window.landmarks[OVAL], frame.shape)
    pixels, changed = _blended(frame, made, mask, rng)
    return pixels, changed, "face generated", ""


_EDITS = {"face_swap": _swap, "feature_swap": _feature_swap, "retouch": _retouch, "generated": _generated}
