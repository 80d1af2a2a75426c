"""Manipulations of text in photographs: words replaced, erased, swapped, characters copied, in perspective.

A word's quad is rectified, changed upright, and laid back; the mask is the quad or the changed ink's surroundings.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from . import natural
from .forgery import Edit, Forgery, Unforgeable, Workbench, several
from .histories import TEXT, camera_noise
from .lettering import (
    altered_text,
    blurred_to,
    coverage,
    draw_font,
    fitted,
    grain,
    ink_and_ground,
    ink_mask,
    inked,
    steepness,
)
from .natural import blended, colour_transfer, filled
from .page import WORDS
from .pool import Photo, Window, resize

KINDS = {
    "text_replace": 0.44,
    "text_erase": 0.18,
    "text_swap": 0.19,
    "text_copy": 0.07,
    "splice": 0.05,
    "copy_move": 0.03,
    "removal": 0.03,
    "local_edit": 0.01,
}
HABITS = TEXT
LEAST_HEIGHT, LEAST_WIDTH = 11, 20  # px of a word that can still be rewritten so that a map at stride 4 shows it
LEAST_CHANGE = {"text_replace": 5.0, "text_erase": 2.5, "text_swap": 6.0, "text_copy": 5.0}


@dataclass(frozen=True)
class Upright:
    """A word seen straight on. matrix: frame → patch; patch uint8 [h,w,3]; quad float32 [4,2] in the frame."""

    quad: np.ndarray
    matrix: np.ndarray
    patch: np.ndarray
    text: str

    def laid_back(self, patch: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """The frame with `patch` everywhere it covers (its border repeated outside)."""
        height, width = frame.shape[:2]
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(patch, self.matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def area(self, inside: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """A mask float32 of the patch as the frame sees it, in 0…1."""
        height, width = frame.shape[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(inside.astype(np.float32), self.matrix, (width, height), flags=flags)


def photo(bench: Workbench, rng: np.random.Generator, size: int) -> Photo:
    """A street scene or a car with its plate."""
    return bench.photo(rng, "scene_text", size)


def largest_scale(rng: np.random.Generator, photo: Photo, size: int) -> float:
    """Words must stay legible when shrunk, which is seen to by choosing among those large enough."""
    return 1.0


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str | None = None) -> Forgery:
    """One to three words."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind not in _EDITS:
        return natural.forge(window, bench, rng, kind)
    words = [
        word
        for word in (upright(window.pixels, q, t, rng) for q, t in zip(window.quads, window.words, strict=True))
        if word
    ]
    if not words:
        raise Unforgeable("no word large enough")
    count = min(len(words), int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])))
    sizes = np.array([np.sqrt(word.patch.shape[0] * word.patch.shape[1]) for word in words])
    order = rng.choice(len(words), len(words), replace=False, p=sizes / sizes.sum())  # a forger goes for what is read
    edits = [functools.partial(_EDITS[kind], word=words[index], words=words, bench=bench, rng=rng) for index in order]
    edits = [functools.partial(edit, window) for edit in edits]
    return several(window.pixels, kind, edits[: count + 2], count, LEAST_CHANGE[kind])


def upright(pixels: np.ndarray, quad: np.ndarray, text: str, rng: np.random.Generator) -> Upright | None:
    """The word in a quad, with a little room around; None when too small or not wholly in the picture."""
    height, width = pixels.shape[:2]
    centre = quad.mean(axis=0)
    grown = centre + (quad - centre) * np.float32(rng.uniform(1.02, 1.12))
    if (grown < 1).any() or (grown > [width - 2, height - 2]).any():
        return None
    sides = np.linalg.norm(np.roll(grown, -1, axis=0) - grown, axis=1)
    patch_w, patch_h = round(float(sides[0] + sides[2]) / 2), round(float(sides[1] + sides[3]) / 2)
    if patch_h < LEAST_HEIGHT or patch_w < LEAST_WIDTH or patch_w * patch_h > 0.5 * width * height:
        return None
    corners = np.array([[0, 0], [patch_w, 0], [patch_w, patch_h], [0, patch_h]], np.float32)
    matrix = cv2.getPerspectiveTransform(grown.astype(np.float32), corners)
    patch = cv2.warpPerspective(
        pixels, matrix, (patch_w, patch_h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Upright(grown, matrix, patch, text)


def _ink(patch: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY)
    if np.percentile(grey, 97) - np.percentile(grey, 3) < 22:
        raise Unforgeable("no contrast between ink and ground")
    return ink_mask(grey)


def _without_ink(patch: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """The ground behind the letters."""
    hole = cv2.dilate(ink.astype(np.uint8), np.ones((5, 5), np.uint8))
    if hole.mean() > 0.93:
        hole = cv2.dilate(ink.astype(np.uint8), np.ones((3, 3), np.uint8))
    if rng.random() < 0.65:
        clean = cv2.inpaint(np.ascontiguousarray(patch), hole, 4, cv2.INPAINT_TELEA)
        name = "ground inpainted"
    else:
        clean = patch.copy()
        ground = patch[~hole.astype(bool)]
        clean[hole.astype(bool)] = np.median(ground, axis=0) if len(ground) else patch.mean(axis=(0, 1))
        name = "ground of one colour"
    clean = cv2.GaussianBlur(clean, (0, 0), 0.8)
    strength = grain(patch)
    if strength > 0.4 and rng.random() < 0.6:
        clean = camera_noise(rng, clean, min(strength, 6.0), 0.5)
    return clean, name


def _new_text(rng: np.random.Generator, word: Upright) -> str:
    """Another text of about this length and case."""
    if word.text and rng.random() < 0.55:
        return altered_text(rng, word.text)
    length = len(word.text) or max(2, round(word.patch.shape[1] / word.patch.shape[0] * 1.7))
    candidates = [w for w in WORDS if abs(len(w) - length) <= 1] or list(WORDS)
    text = candidates[rng.integers(len(candidates))]
    if word.text.isupper() or (not word.text and rng.random() < 0.5):
        return text.upper()
    return text.capitalize() if word.text[:1].isupper() else text


def _replace(
    window: Window, frame: np.ndarray, word: Upright, words: list[Upright], bench: Workbench, rng: np.random.Generator
) -> Edit:
    ink = _ink(word.patch)
    rows = np.flatnonzero(ink.sum(axis=1) > 0.04 * ink.shape[1])
    if len(rows) < 6:
        raise Unforgeable("no line of letters")
    clean, ground_words = _without_ink(word.patch, ink, rng)
    text = _new_text(rng, word)
    colour, _, contrast = ink_and_ground(word.patch)
    if contrast < 12:
        raise Unforgeable("no ink colour")
    height, width = ink.shape
    drawn = coverage(text, draw_font(rng, str(rng.choice(["sans", "serif", "mono"], p=[0.7, 0.2, 0.1]))), float(height))
    line = np.zeros((height, width), np.float32)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    side = max(1, round(0.03 * width))
    line[top:bottom, side : width - side] = fitted(drawn, bottom - top, width - 2 * side)
    line = blurred_to(line, steepness(cv2.cvtColor(word.patch, cv2.COLOR_RGB2GRAY)) * rng.uniform(0.85, 1.2))
    line = np.clip(line * 1.15, 0, 1)
    patch = inked(clean, line, np.clip(colour + rng.normal(0, 5, 3), 0, 255).astype(np.float32), rng)
    changed = cv2.dilate((ink | (line > 0.1)).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    pixels, mask = _lay(frame, word, patch, changed, rng)
    return Edit(pixels, mask, f"“{word.text}” replaced by “{text}”, {ground_words}")


def _lay(frame: np.ndarray, word: Upright, patch: np.ndarray, changed: np.ndarray, rng: np.random.Generator):
    """Composite the changed patch: its whole quad, or only where something changed; pixels and mask."""
    inside = np.ones(changed.shape, bool)
    if rng.random() < 0.35:  # annotators draw round a word's letters, not round each of them
        inside = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8)).astype(bool)
    alpha = word.area(inside, frame)
    feather = float(rng.uniform(0, 1.5))
    soft = cv2.GaussianBlur(alpha, (0, 0), feather) if feather > 0.4 else alpha
    return blended(frame, word.laid_back(patch, frame), soft), alpha > 0.4


def _erase(
    window: Window, frame: np.ndarray, word: Upright, words: list[Upright], bench: Workbench, rng: np.random.Generator
) -> Edit:
    if rng.random() < 0.5:
        ink = _ink(word.patch)
        clean, how = _without_ink(word.patch, ink, rng)
        changed = cv2.dilate(ink.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        pixels, mask = _lay(frame, word, clean, changed, rng)
        return Edit(pixels, mask, f"“{word.text}” erased, {how}")
    mask = word.area(np.ones(word.patch.shape[:2], np.float32), frame) > 0.5
    method = str(rng.choice(["telea", "navier-stokes", "exemplar", "diffusion", "clone"]))
    return Edit(filled(frame, mask, method, rng), mask, f"“{word.text}” erased by {method}")


def _swap(
    window: Window, frame: np.ndarray, word: Upright, words: list[Upright], bench: Workbench, rng: np.random.Generator
) -> Edit:
    donor_key = ""
    if len(words) > 1 and rng.random() < 0.5:
        other = words[rng.integers(len(words))]
    else:
        donor = bench.donor(rng, "scene_text", window.photo)
        if not len(donor.quads):
            raise Unforgeable("donor without text")
        pick = int(rng.integers(len(donor.quads)))
        low = np.maximum(donor.quads[pick].min(axis=0).astype(int) - 12, 0)
        high = np.minimum(donor.quads[pick].max(axis=0).astype(int) + 12, [donor.width, donor.height])
        crop = np.ascontiguousarray(donor.pixels[low[1] : high[1], low[0] : high[0]])
        if min(crop.shape[:2]) < 16:
            raise Unforgeable("donor word too small")
        other = upright(bench.life(rng).live(crop), donor.quads[pick] - low, donor.words[pick], rng)
        donor_key = donor.key
    if other is None or other is word:
        raise Unforgeable("no other word")
    ratio = (other.patch.shape[1] / other.patch.shape[0]) / (word.patch.shape[1] / word.patch.shape[0])
    if not 0.55 < ratio < 1.8 or word.patch.shape[0] / other.patch.shape[0] > 1.8:
        raise Unforgeable("words of another shape")
    patch = resize(other.patch, word.patch.shape[1], word.patch.shape[0])
    if rng.random() < 0.5:
        patch = colour_transfer(patch, np.ones(patch.shape[:2], bool), word.patch, float(rng.uniform(0.4, 1.0)))
    alpha = word.area(np.ones(patch.shape[:2], np.float32), frame)
    feather = float(rng.uniform(0, 1.5))
    soft = cv2.GaussianBlur(alpha, (0, 0), feather) if feather > 0.4 else alpha
    pixels = blended(frame, word.laid_back(patch, frame), soft)
    return Edit(pixels, alpha > 0.4, f"“{other.text}” laid over “{word.text}”", donor_key)


def _copy(
    window: Window, frame: np.ndarray, word: Upright, words: list[Upright], bench: Workbench, rng: np.random.Generator
) -> Edit:
    """One to three characters over others of the same word."""
    ink = _ink(word.patch)
    filled_columns = ink.sum(axis=0) > max(1, 0.06 * ink.shape[0])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled_columns.astype(np.int8), [0]])))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 4]
    if len(runs) < 2:
        raise Unforgeable("no separate characters")
    length = int(rng.integers(1, min(3, len(runs) // 2) + 1))
    first, second = rng.permutation(len(runs) - length + 1)[:2]
    if abs(first - second) < length:
        raise Unforgeable("characters overlap")
    source, target = ((runs[start][0], runs[start + length - 1][1]) for start in (first, second))
    if not 0.5 < (source[1] - source[0]) / (target[1] - target[0]) < 2.0:
        raise Unforgeable("characters of another width")
    patch = word.patch.copy()
    left, right = max(0, target[0] - 1), min(patch.shape[1], target[1] + 1)
    piece = np.ascontiguousarray(word.patch[:, max(0, source[0] - 1) : source[1] + 1])
    patch[:, left:right] = resize(piece, right - left, patch.shape[0])
    changed = np.zeros(ink.shape, bool)
    changed[:, left:right] = True
    alpha = word.area(changed, frame)
    pixels = blended(frame, word.laid_back(patch, frame), alpha)
    return Edit(pixels, alpha > 0.4, f"characters of “{word.text}” copied over others")


_EDITS = {"text_replace": _replace, "text_erase": _erase, "text_swap": _swap, "text_copy": _copy}
