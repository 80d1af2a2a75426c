"""Words of street scenes changed by other hands: in the picture's own plane, nothing is straightened and laid back.

The mask of an edit is the word's quad, a little grown.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..forgery import Edit, Forgery, Unforgeable, Workbench, several
from ..histories import camera_noise
from ..pool import Window
from ..regions import bounds
from ..whole import harmonised, shift_completed
from .lettering import draw_font, edge_width, figure, lettered, made_up_word, softened

KINDS = {"text_replace": 0.5, "text_erase": 0.25, "text_swap": 0.25}
LEAST_CHANGE = {"text_replace": 5.0, "text_erase": 2.5, "text_swap": 6.0}
LEAST_SIDES = (15.0, 30.0)  # px, of a word's height and width
MOST = 3
BOARD = 64  # px: height of the board that letters are drawn on before they are laid into the picture


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str) -> Forgery:
    """One to three words, the larger ones sooner."""
    quads = large_words(window.quads, window.pixels.shape)
    if not quads:
        raise Unforgeable("no word large enough")
    areas = np.array([cv2.contourArea(quad) for quad in quads])
    order = rng.choice(len(quads), len(quads), replace=False, p=areas / areas.sum())
    count = min(len(quads), int(rng.integers(1, MOST + 1)))

    def edit_of(quad: np.ndarray):
        return lambda frame: _EDITS[kind](frame, quad, bench, rng)

    return several(window.pixels, kind, [edit_of(quads[index]) for index in order], count, LEAST_CHANGE[kind])


def large_words(quads: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The quads float32 [4,2] that can be forged in a picture of this shape, grown a little."""
    return [quad for quad in map(_grown, quads) if _fits(quad, shape)]


def _grown(quad: np.ndarray) -> np.ndarray:
    centre = quad.mean(axis=0)
    return (centre + (quad - centre) * np.float32(1.08)).astype(np.float32)


def _sides(quad: np.ndarray) -> tuple[float, float]:
    """Height and width in px."""
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    return float(lengths[1] + lengths[3]) / 2, float(lengths[0] + lengths[2]) / 2


def _fits(quad: np.ndarray, shape: tuple[int, ...]) -> bool:
    height, width = _sides(quad)
    inside = (quad > 3).all() and (quad < [shape[1] - 3, shape[0] - 3]).all()
    return bool(inside and height > LEAST_SIDES[0] and width > LEAST_SIDES[1])


def _quad_mask(shape: tuple[int, ...], quad: np.ndarray) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1)
    return mask.astype(bool)


def _ink(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strokes bool [h,w], their colour and the ground's float32 [3], by two means over the quad's pixels."""
    inside = frame[mask].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 1.0)
    cv2.setRNGSeed(1)
    _, labels, centres = cv2.kmeans(inside, 2, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    if np.abs(centres[0] - centres[1]).mean() < 18:
        raise Unforgeable("no contrast between ink and ground")
    rim = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    outer = frame[rim].astype(np.float32).mean(axis=0)
    ground = int(np.linalg.norm(centres - outer, axis=1).argmin())
    strokes = np.zeros(mask.shape, bool)
    strokes[mask] = labels[:, 0] != ground
    return strokes, centres[1 - ground], centres[ground]


def _cleaned(frame: np.ndarray, quad: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame without the word: strokes inpainted, or the quad as a smooth surface between its border's colours."""
    x0, y0, x1, y1 = bounds(mask)
    part = slice(max(0, y0 - 16), y1 + 16), slice(max(0, x0 - 16), x1 + 16)
    result = frame.copy()
    if rng.random() < 0.5:
        strokes, _, _ = _ink(frame, mask)
        hole = cv2.dilate(strokes.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))[part]
        result[part] = cv2.inpaint(np.ascontiguousarray(frame[part]), hole, 5, cv2.INPAINT_NS)
        return result
    region, hole = frame[part].astype(np.float32), mask[part]
    weight = (~hole).astype(np.float32)
    surface = np.zeros_like(region)
    for sigma in (24.0, 12.0, 6.0, 3.0):  # coarse to fine, the finer where the border is near
        near = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
        value = cv2.GaussianBlur(region * weight[..., None], (0, 0), sigma) / np.maximum(near, 1e-4)
        surface = np.where(near > 0.02, value, surface)
    grained = camera_noise(rng, np.clip(surface, 0, 255).astype(np.uint8), float(rng.uniform(0, 2)), 0.4)
    result[part] = np.where(hole[..., None], grained, frame[part])
    return result


def _laid(frame: np.ndarray, board: np.ndarray, coverage: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """A board uint8 [h,w,3] seen in the quad, where its coverage float32 [h,w] says."""
    height, width = frame.shape[:2]
    corners = np.array([[0, 0], [board.shape[1], 0], [board.shape[1], board.shape[0]], [0, board.shape[0]]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, quad)
    seen = cv2.warpPerspective(board, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.warpPerspective(coverage, matrix, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    return np.clip(frame + (seen.astype(np.float32) - frame) * weight + 0.5, 0, 255).astype(np.uint8)


def _replace(frame: np.ndarray, quad: np.ndarray, bench: Workbench, rng: np.random.Generator) -> Edit:
    mask = _quad_mask(frame.shape, quad)
    _, ink, _ = _ink(frame, mask)
    clean = _cleaned(frame, quad, mask, rng)
    tall, wide = _sides(quad)
    length = max(2, round(1.6 * wide / tall))
    text = figure(rng)[:length] if rng.random() < 0.3 else made_up_word(rng, length)
    text = text.upper() if rng.random() < 0.6 else text.capitalize()
    board_w = max(16, round(BOARD * wide / tall))
    coverage = np.zeros((BOARD, board_w), np.float32)
    letters = lettered(text, draw_font(rng), int(BOARD * 0.72), int(board_w * 0.9))
    top, left = (BOARD - letters.shape[0]) // 2, (board_w - letters.shape[1]) // 2
    coverage[top : top + letters.shape[0], left : left + letters.shape[1]] = letters
    x0, y0, x1, y1 = bounds(mask)
    blur = edge_width(cv2.cvtColor(np.ascontiguousarray(frame[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)) * BOARD / tall
    soft = softened(coverage, max(blur, 0.35 * BOARD / tall))  # at least as soft as the picture's own pixels
    pad = (soft.shape[0] - BOARD) // 2
    soft = soft[pad : pad + BOARD, pad : pad + board_w]
    board = np.broadcast_to(np.clip(ink, 0, 255).astype(np.uint8), (BOARD, board_w, 3)).copy()
    return Edit(_laid(clean, board, soft, quad), mask, f"a word replaced by “{text}”")


def _erase(frame: np.ndarray, quad: np.ndarray, bench: Workbench, rng: np.random.Generator) -> Edit:
    mask = _quad_mask(frame.shape, quad)
    if rng.random() < 0.4:
        return Edit(shift_completed(rng, frame, mask), mask, "a word erased by its surroundings")
    return Edit(_cleaned(frame, quad, mask, rng), mask, "a word erased")


def _swap(frame: np.ndarray, quad: np.ndarray, bench: Workbench, rng: np.random.Generator) -> Edit:
    donor = bench.photo(rng, "scene_text")
    large = large_words(donor.quads, donor.pixels.shape)
    if not large:
        raise Unforgeable("donor without words")
    other = large[rng.integers(len(large))]
    (tall, wide), (own_tall, own_wide) = _sides(quad), _sides(other)
    if not 0.6 < (wide / tall) / (own_wide / own_tall) < 1.7 or tall > 2.0 * own_tall:
        raise Unforgeable("words of another shape")
    low, high = np.maximum(other.min(axis=0).astype(int) - 8, 0), other.max(axis=0).astype(int) + 8
    crop = bench.life(rng).live(np.ascontiguousarray(donor.pixels[low[1] : high[1], low[0] : high[0]]))
    height, width = frame.shape[:2]
    matrix = cv2.getPerspectiveTransform((other - low).astype(np.float32), quad)
    laid = cv2.warpPerspective(crop, matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    mask = _quad_mask(frame.shape, quad)
    if rng.random() < 0.5:
        x0, y0, x1, y1 = bounds(mask)
        box = slice(y0, y1), slice(x0, x1)
        laid[box] = harmonised(rng, np.ascontiguousarray(laid[box]), mask[box], frame[box])
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.5, 1.5)))[..., None]
    pixels = np.clip(frame + (laid.astype(np.float32) - frame) * alpha + 0.5, 0, 255).astype(np.uint8)
    return Edit(pixels, mask, "a word of another picture laid over", donor.key)


_EDITS = {"text_replace": _replace, "text_erase": _erase, "text_swap": _swap}
