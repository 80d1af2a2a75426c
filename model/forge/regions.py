"""Shapes to forge with: random outlines, cut-outs of real objects, and placing both in a frame.

A shape is a float32 alpha map in 0…1; a mask is bool. Areas are fractions of the frame.
"""

from __future__ import annotations

import zlib

import cv2
import numpy as np

from .pool import Photo, resize

SEGMENT_AREA = (0.006, 0.35)  # of the photo: smaller pieces are noise, larger ones are the background
GRABCUT_SIDE = 112
FOREGROUND_VARIANTS = 2  # found once a photo: GrabCut costs as much as a whole sample
COLOUR_SIDE = 144
COLOURS = 9


def draw_area(rng: np.random.Generator) -> float:
    """Area of one manipulated region as a fraction of the frame: median 4 %, four in five 0.9–19 %, a tail to 45 %.

    Forged photographs of the development set have 0.9, 2.8, 5.4, 13 and 30 % at 10, 25, 50, 75 and 90 of a hundred;
    a crop shows less of its surroundings than the frame it is cut from.
    """
    return float(np.clip(np.exp(rng.normal(np.log(0.04), 1.2)), 0.003, 0.45))


def blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A closed outline with random radial harmonics; bool [height,width], touching most of the frame."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones_like(angles)
    for order in range(2, 8):
        radius += rng.normal(0, 0.28 / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.25, None)
    radius /= radius.max()
    points = np.stack([np.cos(angles) * radius * width / 2, np.sin(angles) * radius * height / 2], axis=1)
    return _filled(points + np.array([width, height]) / 2, height, width)


def polygon(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """What a lasso with straight segments gives: 4–9 corners around the centre."""
    corners = int(rng.integers(4, 10))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.55, 1.0, corners)
    points = np.stack([np.cos(angles) * radius * width / 2, np.sin(angles) * radius * height / 2], axis=1)
    return _filled(points + np.array([width, height]) / 2, height, width)


def ellipse(height: int, width: int) -> np.ndarray:
    """The inscribed ellipse."""
    mask = np.zeros((height, width), np.uint8)
    centre, axes = (width // 2, height // 2), (max(1, width // 2 - 1), max(1, height // 2 - 1))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask.astype(bool)


def outline(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random shape filling most of `height`×`width`."""
    style = rng.random()
    if style < 0.74:
        return blob(rng, height, width)
    if style < 0.88:
        shape = polygon(rng, height, width)
        return shape if shape.mean() > 0.3 else ellipse(height, width)  # no slivers
    if style < 0.96:
        return ellipse(height, width)
    return np.ones((height, width), bool)


def shape_in_frame(rng: np.random.Generator, height: int, width: int, area: float) -> np.ndarray:
    """A mask of about `area` of the frame at a random place, wholly inside it."""
    aspect = float(np.exp(rng.normal(0, 0.35)))
    pixels = area * height * width / 0.62  # shapes fill about 62 % of their box
    box_w = int(np.clip(np.sqrt(pixels * aspect), 10, width * 0.92))
    box_h = int(np.clip(pixels / box_w, 10, height * 0.92))
    mask = np.zeros((height, width), bool)
    y, x = int(rng.integers(0, height - box_h + 1)), int(rng.integers(0, width - box_w + 1))
    mask[y : y + box_h, x : x + box_w] = outline(rng, box_h, box_w)
    return mask


def feathered(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Alpha float32 of a mask whose edge is softened over about `pixels`."""
    alpha = mask.astype(np.float32)
    return cv2.GaussianBlur(alpha, (0, 0), pixels / 1.5) if pixels > 0.2 else alpha


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (exclusive) of the set pixels; zeros when there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def object_mask(rng: np.random.Generator, photo: Photo) -> np.ndarray | None:
    """Something worth cutting out of the photo, bool [h,w]: an annotated segment, a GrabCut foreground, or a patch of
    one colour with its natural outline."""
    if photo.segments is not None and rng.random() < 0.9:
        mask = _annotated_object(rng, photo.segments, whole=photo.set != "bsds500")
        if mask is not None:
            return mask
    if rng.random() < 0.4:
        return _patch_of_colour(rng, photo)
    variant = int(rng.integers(FOREGROUND_VARIANTS))
    if variant not in photo.foregrounds:
        own = np.random.default_rng([zlib.crc32(photo.key.encode()), variant])  # the same whoever asks first
        photo.foregrounds[variant] = _grabcut(own, photo)
    return photo.foregrounds[variant]


def _annotated_object(rng: np.random.Generator, segments: np.ndarray, whole: bool) -> np.ndarray | None:
    if whole and rng.random() < 0.6:
        mask = segments > 0
    else:
        labels, counts = np.unique(segments, return_counts=True)
        share = counts / segments.size
        fit = labels[(labels > 0) & (share > SEGMENT_AREA[0]) & (share < SEGMENT_AREA[1])]
        if not len(fit):
            return None
        mask = segments == rng.choice(fit)
    mask = largest_component(mask)
    return mask if SEGMENT_AREA[0] < mask.mean() < 0.6 else None


def _grabcut(rng: np.random.Generator, photo: Photo) -> np.ndarray | None:
    """Foreground by GrabCut at low resolution, its edge snapped back to full resolution by a soft upsampling."""
    scale = GRABCUT_SIDE / max(photo.height, photo.width)
    small = resize(photo.pixels, max(16, round(photo.width * scale)), max(16, round(photo.height * scale)))
    height, width = small.shape[:2]
    if len(photo.object_boxes):
        x0, y0, x1, y1 = photo.object_boxes[rng.integers(len(photo.object_boxes))] * scale
    else:
        box_w, box_h = width * rng.uniform(0.35, 0.75), height * rng.uniform(0.35, 0.75)
        x0, y0 = (width - box_w) * rng.uniform(0.15, 0.85), (height - box_h) * rng.uniform(0.15, 0.85)
        x1, y1 = x0 + box_w, y0 + box_h
    x0, y0, x1, y1 = max(1, int(x0)), max(1, int(y0)), min(width - 2, int(x1)), min(height - 2, int(y1))
    if min(x1 - x0, y1 - y0) < 8:
        return None
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    # A sure core: with the box alone the mixture often settles on "all background".
    centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 5, (y1 - y0) // 5)
    cv2.ellipse(labels, centre, axes, 0, 0, 360, cv2.GC_FGD, -1)
    try:
        cv2.setRNGSeed(int(rng.integers(1 << 30)))
        cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # one colour has no mixture to fit
        return None
    mask = largest_component((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    if not 0.01 < mask.mean() < 0.6:
        return None
    soft = cv2.resize(mask.astype(np.float32), (photo.width, photo.height), interpolation=cv2.INTER_CUBIC)
    return soft > 0.5


def _patch_of_colour(rng: np.random.Generator, photo: Photo) -> np.ndarray | None:
    """A connected patch of one of the photo's main colours: clouds, walls, fruit, whatever has an outline."""
    if photo.patches is None:
        photo.patches = _colour_patches(photo)
    labels, counts = np.unique(photo.patches, return_counts=True)
    share = counts / photo.patches.size
    fit = labels[(labels > 0) & (share > SEGMENT_AREA[0]) & (share < SEGMENT_AREA[1])]
    if not len(fit):
        return None
    mask = largest_component(photo.patches == rng.choice(fit))
    soft = cv2.resize(mask.astype(np.float32), (photo.width, photo.height), interpolation=cv2.INTER_CUBIC)
    return soft > 0.5


def _colour_patches(photo: Photo) -> np.ndarray:
    """Label map uint16 at COLOUR_SIDE: connected patches of k-means clusters over Lab and place; 0 is no patch."""
    scale = COLOUR_SIDE / max(photo.height, photo.width)
    small = resize(photo.pixels, max(16, round(photo.width * scale)), max(16, round(photo.height * scale)))
    height, width = small.shape[:2]
    lab = cv2.cvtColor(cv2.bilateralFilter(small, 5, 40, 3), cv2.COLOR_RGB2LAB).astype(np.float32)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) * np.float32(60 / COLOUR_SIDE)
    features = np.dstack([lab[..., :1] * 0.6, lab[..., 1:], columns, rows]).reshape(-1, 5)
    cv2.setRNGSeed(zlib.crc32(photo.key.encode()) % (1 << 30))
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0.5)
    _, clusters, _ = cv2.kmeans(features, COLOURS, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    clusters = cv2.medianBlur(clusters.reshape(height, width).astype(np.uint8), 5)
    patches, used = np.zeros((height, width), np.uint16), 0
    for cluster in range(COLOURS):
        count, labels = cv2.connectedComponents((clusters == cluster).astype(np.uint8), connectivity=4)
        patches[labels > 0] = labels[labels > 0] + used
        used += count - 1
    return patches


def horizon(pixels: np.ndarray) -> np.ndarray | None:
    """What lies above the strongest edge that runs from the left border to the right one: bool [h,w], None if none.

    Seam search (Avidan and Shamir 2007) for the largest vertical gradient, at low resolution.
    """
    height, width = pixels.shape[:2]
    small_w, small_h = 96, int(np.clip(96 * height / width, 24, 192))
    grey = cv2.GaussianBlur(cv2.cvtColor(resize(pixels, small_w, small_h), cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    gain = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    gain = np.minimum(gain, np.percentile(gain, 98))
    gain[: small_h // 7], gain[-small_h // 6 :] = -1e4, -1e4
    best, came = gain[:, 0].copy(), np.zeros((small_h, small_w), np.int16)
    for column in range(1, small_w):
        steps = np.stack([np.roll(best, 2), np.roll(best, 1), best, np.roll(best, -1), np.roll(best, -2)])
        came[:, column] = np.argmax(steps, axis=0) - 2
        best = steps.max(axis=0) + gain[:, column]
    row = int(np.argmax(best))
    path = np.zeros(small_w, np.float32)
    for column in range(small_w - 1, -1, -1):
        path[column] = row
        row = int(np.clip(row + came[row, column], 0, small_h - 1))
    along = gain[np.clip(path.astype(int), 0, small_h - 1), np.arange(small_w)]
    if along.mean() < 2.5 * max(float(gain[gain >= 0].mean()), 1.0):
        return None
    border = cv2.resize(path[None], (width, 1), interpolation=cv2.INTER_LINEAR)[0] * (height / small_h)
    return np.arange(height, dtype=np.float32)[:, None] < border[None]


def matte(pixels: np.ndarray, mask: np.ndarray, radius: int, smoothness: float) -> np.ndarray:
    """Alpha float32 [h,w] of a coarse mask, following the edges of `pixels`: guided filter (He et al. 2013).

    `smoothness` is the filter's ε for grey levels in 0…1: 1e-4 follows every hair, 1e-2 hardly looks at the picture.
    """
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    alpha, window = mask.astype(np.float32), (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_a = cv2.blur(guide, window), cv2.blur(alpha, window)
    slope = (cv2.blur(guide * alpha, window) - mean_g * mean_a) / (
        cv2.blur(guide * guide, window) - mean_g**2 + np.float32(smoothness)
    )
    offset = mean_a - slope * mean_g
    filtered = cv2.blur(slope, window) * guide + cv2.blur(offset, window)
    return np.clip((filtered - 0.5) * 2.2 + 0.5, 0, 1)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected component of a mask, holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 1:
        return mask
    piece = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(piece, contours, -1, 1, -1)
    return piece.astype(bool)


def component_boxes(mask: np.ndarray, smallest: int = 12) -> list[list[int]]:
    """x0, y0, x1, y1 (exclusive) of the connected components of at least `smallest` pixels, largest first."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda index: -int(stats[index, cv2.CC_STAT_AREA]))
    boxes = []
    for index in order:
        x, y, w, h, area = (int(value) for value in stats[index])
        if area >= smallest:
            boxes.append([x, y, x + w, y + h])
    return boxes


def _filled(points: np.ndarray, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask.astype(bool)
