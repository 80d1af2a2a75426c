"""Manipulations of faces: swaps, self-blends, swapped features, retouching.

Landmarks were found once by landmarks.py and lie in face_landmarks.csv: a pool image and 76 points (x, y in its
pixels) in the order below. Forging itself needs no face detector.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import natural
from .forgery import Forgery, Unforgeable, Workbench, visible_change
from .histories import Habits, camera_noise
from .natural import blended, colour_transfer, edited_frame, seamless_clone
from .pool import Photo, Window, resize

OVAL, EYE_A, BROW_A = slice(0, 36), slice(36, 42), slice(42, 47)
EYE_B, BROW_B, MOUTH, NOSE = slice(47, 53), slice(53, 58), slice(58, 70), slice(70, 76)
FEATURES = {
    "eyes": ((EYE_A, BROW_A), (EYE_B, BROW_B)),
    "eye": ((EYE_A, BROW_A),),
    "mouth": ((MOUTH,),),
    "nose": ((NOSE,),),
    "nose and mouth": ((NOSE, MOUTH),),
}
KINDS = {
    "face_swap": 0.34,
    "self_blend": 0.18,
    "feature_swap": 0.16,
    "retouch": 0.20,
    "splice": 0.04,
    "copy_move": 0.03,
    "removal": 0.03,
    "local_edit": 0.01,
    "generated": 0.01,
}
# A face fills a portrait; a swap survives a good save, seldom a chat program.
HABITS = Habits(
    saves_before=(0.12, 0.68, 0.20),
    quality_before=(60, 95),
    resized=0.08,
    finished=0.08,
    saves_after=(0.72, 0.20, 0.06, 0.02),
    quality_after=(70, 98),
    final_quality=(70, 100),
    grid_kept=0.85,
    smallest_scale=0.5,
    views=0.15,
)
SHARP_ENOUGH = 1.5  # a donor face is enlarged by no more than this
LEAST_CHANGE = {"face_swap": 5.0, "self_blend": 2.0, "feature_swap": 5.0, "retouch": 1.6}


def photo(bench: Workbench, rng: np.random.Generator, size: int) -> Photo:
    """A portrait at least `size` pixels wide and high."""
    return bench.photo(rng, "face", size)


def largest_scale(rng: np.random.Generator, photo: Photo, size: int) -> float:
    """A scale at which the face mostly fits the crop; one time in eight it need not."""
    if not len(photo.landmarks) or rng.random() < 0.125:
        return 1.0
    return min(1.0, float(rng.uniform(0.45, 0.9)) * size / _face_height(photo.landmarks))


def _face_height(landmarks: np.ndarray) -> float:
    return float(max(1.0, np.ptp(landmarks[OVAL, 1])))


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str | None = None) -> Forgery:
    """One manipulation of the face in the window."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind not in _FORGERS:
        return natural.forge(window, bench, rng, kind)
    height, width = window.pixels.shape[:2]
    if len(window.landmarks) < 76:
        raise Unforgeable("no landmarks")
    oval = window.landmarks[OVAL]
    inside = ((oval > 0) & (oval < [width, height])).all(axis=1).mean()
    if inside < 0.6 or _face_height(window.landmarks) < 40:
        raise Unforgeable("no whole face in the window")
    forgery = _FORGERS[kind](window, bench, rng)
    if visible_change(window.pixels, forgery.pixels, forgery.mask) < LEAST_CHANGE[kind]:
        raise Unforgeable(f"{kind} hardly shows")
    return forgery


def _hull(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask.astype(bool)


def _face_alpha(window: Window, rng: np.random.Generator) -> np.ndarray:
    """A soft mask of the face: the whole oval, only its lower part, or the inner features' hull; deformed a little."""
    points = window.landmarks
    style = rng.random()
    if style < 0.5:
        hull_points = points[OVAL]
    elif style < 0.8:  # brows to chin, as most swappers have it
        lower = points[OVAL][8:28]
        hull_points = np.concatenate([lower, points[BROW_A], points[BROW_B]])
    else:
        hull_points = np.concatenate([points[BROW_A], points[BROW_B], points[MOUTH], points[NOSE], points[EYE_A]])
    centre = hull_points.mean(axis=0)
    face = _face_height(points)
    hull_points = centre + (hull_points - centre) * rng.uniform(0.88, 1.06)
    hull_points = hull_points + rng.normal(0, 0.012 * face, hull_points.shape)
    hull = _hull(hull_points, window.pixels.shape)
    sigma = float(rng.uniform(0.003, 0.05)) * face
    alpha = cv2.GaussianBlur(hull.astype(np.float32), (0, 0), max(0.4, sigma))
    if rng.random() < 0.3:  # blending ratios below one, as self-blending has them
        alpha *= float(rng.uniform(0.7, 0.95))
    return alpha


def _aligned(
    donor: Photo,
    target: np.ndarray,
    shape: tuple[int, ...],
    bench: Workbench,
    rng: np.random.Generator,
    points: slice | list,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The donor's face laid over the target's landmarks (float32 [76,2]), the frame's size; and the donor's history."""
    source = donor.landmarks
    if len(source) < 76:
        raise Unforgeable("donor without landmarks")
    ratio = _face_height(target) / _face_height(source)
    if ratio > SHARP_ENOUGH:
        raise Unforgeable("donor face too small")
    reach = int(0.25 * _face_height(source))
    low = np.maximum(source.min(axis=0).astype(int) - reach, 0)
    high = np.minimum(source.max(axis=0).astype(int) + reach, [donor.width, donor.height])
    crop = np.ascontiguousarray(donor.pixels[low[1] : high[1], low[0] : high[0]])
    moved = source - low
    before = min(1.0, ratio * float(rng.uniform(1.0, 1.7)))
    if before < 0.9:
        new_w, new_h = max(16, round(crop.shape[1] * before)), max(16, round(crop.shape[0] * before))
        moved = moved * np.array([new_w / crop.shape[1], new_h / crop.shape[0]])
        crop = resize(crop, new_w, new_h)
    life = bench.life(rng)
    crop = life.live(crop)
    if rng.random() < 0.6:
        matrix, _ = cv2.estimateAffinePartial2D(moved[points].astype(np.float32), target[points].astype(np.float32))
    else:
        ones = np.concatenate([moved[points], np.ones((len(moved[points]), 1))], axis=1)
        matrix = np.linalg.lstsq(ones, target[points], rcond=None)[0].T
    if matrix is None:
        raise Unforgeable("faces do not align")
    laid = cv2.warpAffine(
        crop, matrix.astype(np.float64), (shape[1], shape[0]), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return laid, tuple(life.describe())


def _matched(laid: np.ndarray, frame: np.ndarray, area: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The laid face in the frame's colours over the area, most of the time."""
    if rng.random() < 0.2 or area.sum() < 50:
        return laid
    rows, columns = np.nonzero(area)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    result = laid.copy()
    result[box] = colour_transfer(laid[box], area[box], frame[box], float(rng.uniform(0.6, 1.0)))
    return result


def _blend(frame: np.ndarray, laid: np.ndarray, alpha: np.ndarray, rng: np.random.Generator, seamless: float):
    """Soft or seamless composite; pixels, mask, and what was done."""
    solid = alpha > 0.5 * max(1e-3, float(alpha.max()))
    rows, columns = np.nonzero(solid)
    if len(rows) < 100:
        raise Unforgeable("face outside the frame")
    y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    if rng.random() < seamless:
        clone = seamless_clone(frame, laid[y0:y1, x0:x1], solid[y0:y1, x0:x1], int(x0), int(y0))
        return clone, solid, "seamless blending"
    return blended(frame, laid, alpha), alpha > 0.25, "soft blending"


def _swap(window: Window, bench: Workbench, rng: np.random.Generator) -> Forgery:
    donor = bench.donor(rng, "face", window.photo)
    laid, history = _aligned(donor, window.landmarks, window.pixels.shape, bench, rng, slice(0, 76))
    alpha = _face_alpha(window, rng)
    laid = _matched(laid, window.pixels, alpha > 0.5, rng)
    if rng.random() < 0.3:
        laid = natural.resynthesised(laid, rng)[0]  # swappers' networks, not cameras, make the pixels
    pixels, mask, how = _blend(window.pixels, laid, alpha, rng, 0.25)
    return Forgery(pixels, mask, "face_swap", ("face of another person", how), donor.key, history)


def _self_blend(window: Window, bench: Workbench, rng: np.random.Generator) -> Forgery:
    """The face over itself after slight changes, after Shiohara & Yamasaki 2022 (self-blended images)."""
    frame, operations = window.pixels, []
    laid = frame
    if rng.random() < 0.8:
        jitter = np.clip(rng.normal(0, 9, 3), -22, 22)
        laid = np.clip(laid * rng.uniform(0.88, 1.12) + jitter, 0, 255).astype(np.uint8)
        operations.append("colour")
    if rng.random() < 0.6:
        laid, words = edited_frame(laid, str(rng.choice(["sharpen", "resample", "blur", "jpeg"])), rng)
        operations.append(words)
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D(
        tuple(map(float, window.landmarks.mean(axis=0))), float(rng.normal(0, 1.5)), float(rng.uniform(0.96, 1.05))
    )
    matrix[:, 2] += rng.normal(0, 0.012 * _face_height(window.landmarks), 2)
    laid = cv2.warpAffine(laid, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    pixels, mask, how = _blend(frame, laid, _face_alpha(window, rng), rng, 0.1)
    return Forgery(pixels, mask, "self_blend", ("own face moved", *operations, how))


def _feature_alpha(window: Window, parts: tuple[slice, ...], rng: np.random.Generator) -> np.ndarray:
    points = np.concatenate([window.landmarks[part] for part in parts])
    centre = points.mean(axis=0)
    hull = _hull(centre + (points - centre) * rng.uniform(1.3, 1.8), window.pixels.shape)
    return cv2.GaussianBlur(
        hull.astype(np.float32), (0, 0), max(0.5, float(rng.uniform(0.004, 0.02)) * _face_height(window.landmarks))
    )


def _feature_swap(window: Window, bench: Workbench, rng: np.random.Generator) -> Forgery:
    donor = bench.donor(rng, "face", window.photo)
    name = str(rng.choice(list(FEATURES)))
    frame, mask = window.pixels, np.zeros(window.pixels.shape[:2], bool)
    history: tuple[str, ...] = ()
    for parts in FEATURES[name]:
        indices = [index for part in parts for index in range(part.start, part.stop)]
        laid, history = _aligned(donor, window.landmarks, frame.shape, bench, rng, indices)
        alpha = _feature_alpha(window, parts, rng)
        laid = _matched(laid, frame, alpha > 0.5, rng)
        frame, changed, how = _blend(frame, laid, alpha, rng, 0.25)
        mask |= changed
    return Forgery(frame, mask, "feature_swap", (f"{name} of another person", how), donor.key, history)


def _retouch(window: Window, bench: Workbench, rng: np.random.Generator) -> Forgery:
    if rng.random() < 0.5:
        return _smoothed_skin(window, rng)
    return _warped_feature(window, rng)


def _smoothed_skin(window: Window, rng: np.random.Generator) -> Forgery:
    frame, points = window.pixels, window.landmarks
    skin = _hull(points[OVAL], frame.shape)
    keep = np.zeros_like(skin)
    for part in (EYE_A, EYE_B, MOUTH, BROW_A, BROW_B):
        keep |= _hull(points[part], frame.shape)
    keep = cv2.dilate(keep.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    alpha = cv2.GaussianBlur((skin & ~keep).astype(np.float32), (0, 0), max(0.6, 0.012 * _face_height(points)))
    if rng.random() < 0.6:
        edited = cv2.bilateralFilter(frame, 9, float(rng.uniform(35, 80)), float(rng.uniform(3, 7)))
        words = "skin smoothed"
    else:
        edited = cv2.GaussianBlur(frame, (0, 0), float(rng.uniform(1.2, 2.5)))
        words = "skin blurred"
    if rng.random() < 0.5:
        edited = np.clip(edited + rng.normal(0, 7, 3), 0, 255).astype(np.uint8)
        words += ", tone changed"
    if rng.random() < 0.3:
        edited = camera_noise(rng, edited, float(rng.uniform(0.5, 2.0)), 0.7)
    return Forgery(blended(frame, edited, alpha), alpha > 0.35, "retouch", (words,))


def _warped_feature(window: Window, rng: np.random.Generator) -> Forgery:
    """Liquify: enlarge or shrink eyes, mouth, nose, or pull the jaw in, by a smooth displacement."""
    frame, points = window.pixels, window.landmarks
    face = _face_height(points)
    height, width = frame.shape[:2]
    grid_y, grid_x = np.mgrid[0:height, 0:width].astype(np.float32)
    shift_x, shift_y = np.zeros_like(grid_x), np.zeros_like(grid_x)
    name = str(rng.choice(["eyes", "mouth", "nose", "jaw"]))
    if name == "jaw":
        middle = points[OVAL].mean(axis=0)
        anchors = [points[OVAL][index] for index in (11, 13, 25, 23)]
        for anchor in anchors:
            radius = 0.22 * face
            weight = np.exp(-((grid_x - anchor[0]) ** 2 + (grid_y - anchor[1]) ** 2) / (2 * (radius * 0.6) ** 2))
            pull = (anchor - middle) / max(1.0, float(np.hypot(*(anchor - middle)))) * 0.04 * face
            shift_x, shift_y = shift_x + weight * pull[0], shift_y + weight * pull[1]
    else:
        factor = float(rng.uniform(0.12, 0.3)) * (1 if rng.random() < 0.65 else -1)
        parts = {"eyes": (EYE_A, EYE_B), "mouth": (MOUTH,), "nose": (NOSE,)}[name]
        for part in parts:
            centre = points[part].mean(axis=0)
            radius = max(6.0, float(np.ptp(points[part], axis=0).max()) * 0.75)
            distance = ((grid_x - centre[0]) ** 2 + (grid_y - centre[1]) ** 2) / radius**2
            weight = np.clip(1 - distance, 0, 1) ** 2
            stretch_y = float(rng.uniform(0.5, 1.0))
            shift_x -= weight * factor * (grid_x - centre[0])
            shift_y -= weight * factor * (grid_y - centre[1]) * stretch_y
    warped = cv2.remap(frame, grid_x + shift_x, grid_y + shift_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    moved = np.hypot(shift_x, shift_y)
    soft = cv2.dilate((moved > 0.25).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    pixels = blended(frame, warped, cv2.GaussianBlur(soft, (0, 0), 1.0))
    mask = cv2.morphologyEx((moved > 0.4).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8)).astype(bool)
    return Forgery(pixels, mask, "retouch", (f"{name} reshaped",))


_FORGERS = {"face_swap": _swap, "self_blend": _self_blend, "feature_swap": _feature_swap, "retouch": _retouch}
