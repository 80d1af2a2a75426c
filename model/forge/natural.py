"""Manipulations of photographs: splice, copy-move, removal, local edits, regenerated content.

Every function takes a frame (uint8 [h,w,3]) and returns a Forgery, or raises Unforgeable when this frame and this
draw would give a sample without a trace to learn from.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .forgery import Forgery, Unforgeable, Workbench, visible_change
from .histories import USUAL, Save, camera_noise, saved
from .lettering import font_files
from .pool import Photo, Window, resize
from .regions import (
    bounds,
    draw_area,
    feathered,
    horizon,
    matte,
    object_mask,
    outline,
    shape_in_frame,
)

KINDS = {"splice": 0.42, "copy_move": 0.23, "removal": 0.16, "local_edit": 0.11, "generated": 0.08}
HABITS = USUAL
BACKDROP_SHARE = 0.16
OBJECT_SHARE = 0.65  # of regions inside one photo: forgers copy and remove things, not blobs
LEAST_CHANGE = {"splice": 5.0, "copy_move": 5.0, "removal": 2.5, "local_edit": 1.6, "generated": 1.2}


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str | None = None) -> Forgery:
    """One to three regions of one kind."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "splice" and rng.random() < BACKDROP_SHARE:
        return backdrop(window, bench, rng)
    regions = int(rng.choice([1, 2, 3], p=[0.78, 0.16, 0.06]))
    frame, mask = window.pixels, np.zeros(window.pixels.shape[:2], bool)
    operations: list[str] = []
    donor, donor_history, origin = "", (), None
    for _ in range(regions):
        try:
            piece = _FORGERS[kind](window, frame, mask, bench, rng)
        except Unforgeable:
            if not operations:
                raise
            break
        change = visible_change(frame, piece.pixels, piece.mask)
        if change < LEAST_CHANGE[kind]:
            if not operations:
                raise Unforgeable(f"{kind} changed {change:.1f} grey levels")
            break
        frame, mask = piece.pixels, mask | piece.mask
        operations += piece.operations
        donor, donor_history = piece.donor or donor, piece.donor_history or donor_history
        if piece.origin is not None:
            origin = piece.origin if origin is None else origin | piece.origin
    return Forgery(frame, mask, kind, tuple(operations), donor, donor_history, origin)


def photo(bench: Workbench, rng: np.random.Generator, size: int) -> Photo:
    """A background at least `size` pixels wide and high."""
    return bench.photo(rng, "natural", size)


def largest_scale(rng: np.random.Generator, photo: Photo, size: int) -> float:
    """Photographs may be cropped at their own resolution."""
    return 1.0


# --- splice ---------------------------------------------------------------------------------------------------------


def splice(window: Window, frame: np.ndarray, taken: np.ndarray, bench: Workbench, rng: np.random.Generator) -> Forgery:
    """Paste a piece of another photo that had its own life."""
    photo = bench.donor(rng, _donor_domain(rng, window.photo.domain), window.photo)
    patch, alpha, operations, history = donor_piece(photo, frame.shape[:2], bench, rng)
    if rng.random() < 0.35:
        patch, words = noise_matched(frame, patch, rng)
        operations.append(words)
    pixels, mask, done = paste(frame, patch, alpha, rng, seamless_share=0.1)
    return Forgery(pixels, mask, "splice", tuple(operations + done), photo.key, tuple(history))


def backdrop(window: Window, bench: Workbench, rng: np.random.Generator) -> Forgery:
    """Another sky, another ground, or another place behind the same object: the edge is the background's own."""
    frame = window.pixels
    height, width = frame.shape[:2]
    if rng.random() < 0.65:
        mask = horizon(frame)
        if mask is not None and rng.random() < 0.25:
            mask = ~mask
    else:
        whole = object_mask(rng, window.photo.reduced())
        mask = None if whole is None else ~window.part_of(whole)
    if mask is None or not 0.04 < mask.mean() < 0.68:
        raise Unforgeable("no backdrop to replace")
    photo = bench.donor(rng, "natural", window.photo)
    share = float(rng.uniform(0.6, 1.0))
    cut_w = min(photo.width, photo.height * width / height) * share
    cut_h = min(cut_w * height / width, photo.height)
    if cut_w < width * 0.6:
        raise Unforgeable("the donor would have to be enlarged")
    x, y = int(rng.integers(0, photo.width - int(cut_w) + 1)), int(rng.integers(0, photo.height - int(cut_h) + 1))
    scene = resize(np.ascontiguousarray(photo.pixels[y : y + int(cut_h), x : x + int(cut_w)]), width, height)
    life = bench.life(rng)
    scene = life.live(scene)
    if rng.random() < 0.5:
        scene = colour_transfer(scene, mask, frame, float(rng.uniform(0.1, 0.5)))
    alpha = matte(frame, mask, int(rng.integers(2, 8)), 10 ** float(rng.uniform(-4, -2.5)))
    pixels = blended(frame, scene, alpha)
    mask = alpha > 0.4
    if visible_change(frame, pixels, mask) < LEAST_CHANGE["splice"]:
        raise Unforgeable("backdrops alike")
    return Forgery(pixels, mask, "splice", ("backdrop replaced",), photo.key, tuple(life.describe()))


def noise_matched(frame: np.ndarray, patch: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Grain added to a patch that is cleaner than the frame, or taken off one that is noisier."""
    wanted, found = noise_level(frame), noise_level(patch)
    if wanted > found + 0.3:
        strength = float(np.sqrt(wanted**2 - found**2)) * float(rng.uniform(0.7, 1.1))
        return camera_noise(rng, patch, strength, float(rng.choice([0.0, 0.5]))), f"noise {strength:.1f} added"
    if found > wanted + 0.5:
        return cv2.GaussianBlur(patch, (0, 0), float(rng.uniform(0.4, 0.7))), "noise smoothed"
    return patch, "noise alike"


def noise_level(pixels: np.ndarray) -> float:
    """Standard deviation of the noise in grey levels: the median of the second differences, after Immerkær 1996."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)))) / 0.6745 / 6


def _donor_domain(rng: np.random.Generator, domain: str) -> str:
    if domain not in ("natural", "document") and rng.random() < 0.4:
        return domain
    return "objects" if rng.random() < 0.6 else "natural"


def donor_piece(
    photo: Photo, frame_shape: tuple[int, int], bench: Workbench, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """A cut-out scaled to the frame: patch uint8 [h,w,3], alpha float32 [h,w], operations, the donor's history."""
    height, width = frame_shape
    photo = photo.reduced() if rng.random() < 0.9 else photo  # large originals are shrunk before they are cut from
    mask = object_mask(rng, photo) if rng.random() < 0.88 else None
    operations = ["object cut-out" if mask is not None else "shape cut-out"]
    target = np.sqrt(draw_area(rng) * height * width)
    if mask is None:
        side = float(np.clip(target * 1.25 * rng.uniform(0.8, 2.0), 16, min(photo.height, photo.width) * 0.8))
        aspect = float(np.exp(rng.normal(0, 0.3)))
        box_w, box_h = int(min(side * aspect, photo.width - 2)), int(min(side / aspect, photo.height - 2))
        x0, y0 = int(rng.integers(0, photo.width - box_w)), int(rng.integers(0, photo.height - box_h))
        x1, y1 = x0 + box_w, y0 + box_h
        shape = outline(rng, box_h, box_w)
    else:
        x0, y0, x1, y1 = bounds(mask)
        shape = mask[y0:y1, x0:x1]
    if min(shape.shape) < 10 or shape.sum() < 80:
        raise Unforgeable("cut-out too small")
    scale = float(np.clip(target / np.sqrt(shape.sum()), 0.08, 1.5))
    fits = max(shape.shape[0] / height, shape.shape[1] / width) < 0.85
    if fits and shape.mean() * shape.size / (height * width) < 0.4 and rng.random() < 0.35:
        scale = 1.0
    scale = min(scale, 0.95 * height / shape.shape[0], 0.95 * width / shape.shape[1])
    pad = 8
    top, left = max(0, y0 - pad), max(0, x0 - pad)
    bottom, right = min(photo.height, y1 + pad), min(photo.width, x1 + pad)
    crop = photo.pixels[top:bottom, left:right]
    alpha = np.zeros(crop.shape[:2], np.float32)
    alpha[y0 - top : y1 - top, x0 - left : x1 - left] = shape
    before = min(1.0, scale * float(rng.uniform(1.0, 1.8)))  # the donor was shrunk before its own last save
    if before < 0.9 and scale != 1.0:
        new_w, new_h = max(12, round(crop.shape[1] * before)), max(12, round(crop.shape[0] * before))
        crop, alpha = resize(crop, new_w, new_h), resize(alpha, new_w, new_h)
        scale /= before
    if mask is not None and rng.random() < 0.7:
        alpha = matte(
            np.ascontiguousarray(crop), alpha > 0.5, int(rng.integers(2, 7)), 10 ** float(rng.uniform(-4, -2))
        )
    life = bench.life(rng)
    crop = life.live(np.ascontiguousarray(crop))
    angle = float(rng.normal(0, 14)) if rng.random() < 0.3 else 0.0
    flip = rng.random() < 0.35
    patch, alpha = transformed(crop, alpha, scale, angle, flip)
    operations.append(f"scale {scale:.2f}, rotation {angle:.0f}°{', mirrored' if flip else ''}")
    return patch, alpha, operations, life.describe()


def transformed(
    patch: np.ndarray, alpha: np.ndarray, scale: float, angle: float, flip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Scale, rotate and mirror; untouched pixels when nothing is asked, so the donor's grid can survive."""
    if flip:
        patch, alpha = patch[:, ::-1], alpha[:, ::-1]
    if abs(scale - 1) < 0.02 and angle == 0:
        return np.ascontiguousarray(patch), np.ascontiguousarray(alpha)
    height, width = patch.shape[:2]
    cos, sin = abs(np.cos(np.radians(angle))) * scale, abs(np.sin(np.radians(angle))) * scale
    new_w, new_h = max(8, round(width * cos + height * sin)), max(8, round(width * sin + height * cos))
    if angle == 0:
        return resize(np.ascontiguousarray(patch), new_w, new_h), resize(np.ascontiguousarray(alpha), new_w, new_h)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += [(new_w - width) / 2, (new_h - height) / 2]
    flags = cv2.INTER_CUBIC if scale > 0.7 else cv2.INTER_AREA
    turned = cv2.warpAffine(patch, matrix, (new_w, new_h), flags=flags, borderMode=cv2.BORDER_REFLECT)
    turned_alpha = cv2.warpAffine(alpha, matrix, (new_w, new_h), flags=cv2.INTER_LINEAR)
    return turned, np.clip(turned_alpha, 0, 1)


def paste(
    frame: np.ndarray,
    patch: np.ndarray,
    alpha: np.ndarray,
    rng: np.random.Generator,
    seamless_share: float = 0.1,
    at: tuple[int, int] | None = None,
    colour_share: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Composite a patch: position (x, y of its corner; random when None), colour, edge. Pixels, mask, operations."""
    height, width = frame.shape[:2]
    patch_h, patch_w = patch.shape[:2]
    operations: list[str] = []
    if at is None:
        x, y = _position(rng, frame, patch, alpha)
    else:
        x, y = at
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + patch_w), min(height, y + patch_h)
    if x1 - x0 < 6 or y1 - y0 < 6:
        raise Unforgeable("patch outside the frame")
    patch, alpha = patch[y0 - y : y1 - y, x0 - x : x1 - x], alpha[y0 - y : y1 - y, x0 - x : x1 - x]
    below = frame[y0:y1, x0:x1]
    solid = alpha > 0.5
    if solid.sum() < 60:
        raise Unforgeable("nothing left of the patch")
    if rng.random() < colour_share:
        patch = colour_transfer(patch, solid, below, float(rng.uniform(0.3, 0.9)))
        operations.append("colour transfer")
    if rng.random() < seamless_share:
        pixels = seamless_clone(frame, patch, solid, x0, y0)
        mask = np.zeros((height, width), bool)
        mask[y0:y1, x0:x1] = solid
        return pixels, mask, [*operations, "seamless blending"]
    feather = 0.0 if rng.random() < 0.25 else float(rng.uniform(0.3, 3.0))
    soft = cv2.GaussianBlur(alpha, (0, 0), feather / 1.5) if feather else alpha
    if not feather:
        soft = solid.astype(np.float32) if rng.random() < 0.4 else alpha
    elif rng.random() < 0.4:  # choked: the rim still shows the old background, so it is taken off
        soft = np.clip(soft * 1.6 - 0.6, 0, 1)
        operations.append("choked")
    pixels = frame.copy()
    pixels[y0:y1, x0:x1] = blended(below, patch, soft)
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = soft > 0.4
    if mask.sum() < 60:
        raise Unforgeable("nothing left of the patch")
    operations.append(f"edge {feather:.1f} px")
    if rng.random() < 0.15:
        pixels = _seam_softened(pixels, mask, (x0, y0, x1, y1), float(rng.uniform(0.6, 1.3)))
        operations.append("seam softened")
    return pixels, mask, operations


def _seam_softened(pixels: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int], sigma: float) -> np.ndarray:
    """A blur brush drawn along the seam, two pixels to either side."""
    x0, y0, x1, y1 = box
    rows, columns = slice(max(0, y0 - 3), y1 + 3), slice(max(0, x0 - 3), x1 + 3)
    inside, kernel = mask[rows, columns].astype(np.uint8), np.ones((3, 3), np.uint8)
    seam = cv2.dilate(inside, kernel) - cv2.erode(inside, kernel)
    part = np.ascontiguousarray(pixels[rows, columns])
    brush = cv2.GaussianBlur(seam.astype(np.float32), (0, 0), 0.7)
    pixels[rows, columns] = blended(part, cv2.GaussianBlur(part, (0, 0), sigma), np.clip(brush, 0, 1))
    return pixels


def _position(rng: np.random.Generator, frame: np.ndarray, patch: np.ndarray, alpha: np.ndarray) -> tuple[int, int]:
    """The patch's corner (x, y). What a photo's border cut off goes to that border again; then where it fits best.

    Two thirds of the time the best of six places by the colours along the outline, else just any place.
    """
    height, width = frame.shape[:2]
    patch_h, patch_w = patch.shape[:2]
    solid = alpha > 0.5
    side = ""
    if rng.random() < 0.85:
        cut = {"bottom": solid[-2:], "left": solid[:, :2], "right": solid[:, -2:], "top": solid[:2]}
        side = next((name for name, line in cut.items() if line.mean() > 0.2), "")
    if not side and rng.random() < 0.22:  # else one in five leaves the frame
        side = str(rng.choice(["bottom", "left", "right", "top"], p=[0.4, 0.25, 0.25, 0.1]))
        over = float(rng.uniform(0.05, 0.35))
    else:
        over = 0.0
    ring = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    ring_y, ring_x = np.nonzero(ring)
    if not len(ring_y):
        raise Unforgeable("a patch without an outline")
    few = rng.permutation(len(ring_y))[:80]
    ring_y, ring_x = ring_y[few], ring_x[few]
    colours = patch[ring_y, ring_x].astype(np.int32)
    best, best_cost = (0, 0), np.inf
    for _ in range(6 if rng.random() < 0.66 else 1):
        x = int(rng.integers(0, width - patch_w + 1)) if width > patch_w else (width - patch_w) // 2
        y = int(rng.integers(0, height - patch_h + 1)) if height > patch_h else (height - patch_h) // 2
        if side in ("bottom", "top"):
            y = height - patch_h + int(over * patch_h) if side == "bottom" else -int(over * patch_h)
        elif side:
            x = width - patch_w + int(over * patch_w) if side == "right" else -int(over * patch_w)
        below = frame[np.clip(ring_y + y, 0, height - 1), np.clip(ring_x + x, 0, width - 1)]
        cost = float(np.abs(below - colours).mean())
        if cost < best_cost:
            best, best_cost = (x, y), cost
    return best


def seamless_clone(frame: np.ndarray, patch: np.ndarray, solid: np.ndarray, x: int, y: int) -> np.ndarray:
    """Poisson cloning of `patch`, whose corner lies at (x, y), where `solid` bool [h,w] is set, and nowhere else.

    As the membrane that takes up the difference along the seam (Pérez et al. 2003, eq. 2 written for the correction):
    cv2.seamlessClone solves for the whole rectangle and so changes pixels outside the mask, too.
    """
    height, width = solid.shape
    below = frame[y : y + height, x : x + width].astype(np.float32)
    seam = solid & ~cv2.erode(solid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    membrane = _membrane(below - patch, seam)
    pixels = frame.copy()
    cloned = np.clip(patch + membrane + 0.5, 0, 255).astype(np.uint8)
    pixels[y : y + height, x : x + width][solid] = cloned[solid]
    return pixels


def _membrane(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smooth float32 [h,w,3] through `values` where `known`: pull-push over a pyramid (Gortler et al. 1996)."""
    weight = known.astype(np.float32)
    return _pushed(values * weight[..., None], weight)


def _pushed(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    height, width = weight.shape
    own = weighted / np.maximum(weight, 1e-6)[..., None]
    if max(height, width) <= 2:
        total = max(float(weight.sum()), 1e-6)
        mean = weighted.sum(axis=(0, 1)) / total
        return np.where(weight[..., None] > 0, own, mean).astype(np.float32)
    half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    smaller = cv2.resize(weighted, half, interpolation=cv2.INTER_AREA)
    coarse = _pushed(smaller, cv2.resize(weight, half, interpolation=cv2.INTER_AREA))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    sure = np.minimum(weight * 2, 1)[..., None]  # a cell half known is known well enough
    return own * sure + coarse * (1 - sure)


def blended(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """alpha·above + (1−alpha)·below, uint8; alpha float [h,w]."""
    weight = alpha[..., None]
    return np.clip(below + (above.astype(np.float32) - below) * weight + 0.5, 0, 255).astype(np.uint8)


def colour_transfer(patch: np.ndarray, solid: np.ndarray, target: np.ndarray, strength: float) -> np.ndarray:
    """Move mean and deviation of the patch towards the target's, after Reinhard et al. 2001, in Lab."""
    source_lab = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2LAB).astype(np.float32)
    target_lab = cv2.cvtColor(np.ascontiguousarray(target), cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    chosen = source_lab[solid]
    mean, spread = chosen.mean(axis=0), chosen.std(axis=0) + 1.0
    gain = np.clip((target_lab.std(axis=0) + 1.0) / spread, 0.5, 1.6)
    moved = (source_lab - mean) * (1 + (gain - 1) * strength) + mean + (target_lab.mean(axis=0) - mean) * strength
    return cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


# --- copy-move ------------------------------------------------------------------------------------------------------


def copy_move(
    window: Window, frame: np.ndarray, taken: np.ndarray, bench: Workbench, rng: np.random.Generator
) -> Forgery:
    """Paste a piece of the frame elsewhere in the frame; the mask is the target only."""
    height, width = frame.shape[:2]
    for _ in range(6):
        mask = _own_region(window, rng, 0.12)
        x0, y0, x1, y1 = bounds(mask)
        shape = mask[y0:y1, x0:x1]
        if shape.sum() < 100 or (mask & taken).sum() > 0.3 * mask.sum():
            continue
        alpha = shape.astype(np.float32)
        if rng.random() < 0.6:
            part = np.ascontiguousarray(frame[y0:y1, x0:x1])
            alpha = matte(part, shape, int(rng.integers(2, 6)), 10 ** float(rng.uniform(-4, -2)))
        scale = float(rng.uniform(0.6, 1.45)) if rng.random() < 0.3 else 1.0
        angle = float(rng.uniform(-40, 40)) if rng.random() < 0.3 else 0.0
        flip = rng.random() < 0.25
        patch, alpha = transformed(frame[y0:y1, x0:x1], alpha, scale, angle, flip)
        if patch.shape[0] > height * 0.8 or patch.shape[1] > width * 0.8:
            continue
        if rng.random() < 0.25:
            gain, lift = float(rng.uniform(0.9, 1.1)), float(rng.uniform(-8, 8))
            patch = np.clip(patch * gain + lift + 0.5, 0, 255).astype(np.uint8)
        x, y = int(rng.integers(0, width - patch.shape[1] + 1)), int(rng.integers(0, height - patch.shape[0] + 1))
        where = rng.random()
        if where < 0.35:
            x, y = _position(rng, frame, patch, alpha)
        elif where < 0.65:  # within reach of the original, so that one crop can show both
            x = int(np.clip(x0 + rng.uniform(-0.4, 0.4) * width, 0, width - patch.shape[1]))
            y = int(np.clip(y0 + rng.uniform(-0.4, 0.4) * height, 0, height - patch.shape[0]))
        elif where < 0.8:  # cloning tools are mostly used close by and on the same height
            y = int(np.clip(y0 + rng.normal(0, 4), 0, height - patch.shape[0]))
        pixels, target, done = paste(frame, patch, alpha, rng, seamless_share=0.08, at=(x, y), colour_share=0.15)
        if (target & mask).sum() > 0.25 * mask.sum():
            continue
        if visible_change(frame, pixels, target) < LEAST_CHANGE["copy_move"]:
            continue
        moved = f"moved {x - x0:+d},{y - y0:+d}, scale {scale:.2f}, rotation {angle:.0f}°{', mirrored' if flip else ''}"
        return Forgery(pixels, target, "copy_move", (moved, *done), origin=mask)
    raise Unforgeable("no place for a copy")


def _own_region(window: Window, rng: np.random.Generator, largest: float) -> np.ndarray:
    """A region of the window itself: mostly an object, else a random shape."""
    height, width = window.pixels.shape[:2]
    if rng.random() < OBJECT_SHARE:
        whole = object_mask(rng, window.photo.reduced())
        if whole is not None:
            mask = window.part_of(whole)
            if 0.004 < mask.mean() < largest * 1.5:
                return mask
    return shape_in_frame(rng, height, width, min(draw_area(rng), largest))


# --- removal --------------------------------------------------------------------------------------------------------


def removal(
    window: Window, frame: np.ndarray, taken: np.ndarray, bench: Workbench, rng: np.random.Generator
) -> Forgery:
    """Cover something with what surrounds it."""
    for _ in range(5):
        mask = _own_region(window, rng, 0.15)
        if mask.sum() > 120 and frame[mask].std() > 7:
            break
    else:
        raise Unforgeable("nothing to remove")
    if rng.random() < 0.5:
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    method = str(
        rng.choice(["telea", "navier-stokes", "clone", "exemplar", "diffusion"], p=[0.17, 0.1, 0.25, 0.33, 0.15])
    )
    pixels = filled(frame, mask, method, rng)
    return Forgery(pixels, mask, "removal", (f"removed by {method}",))


def filled(frame: np.ndarray, mask: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
    """The frame with the masked region made up from the rest."""
    if method in ("telea", "navier-stokes"):
        flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
        return _in_box(frame, mask, lambda part, hole: cv2.inpaint(part, hole, float(rng.uniform(2, 6)), flag))
    if method == "clone":
        return _clone_fill(frame, mask, rng)
    if method == "exemplar":
        return _exemplar_fill(frame, mask, rng)
    smooth = _diffused(frame, mask)
    if rng.random() < 0.6:
        smooth = camera_noise(rng, smooth, float(rng.uniform(0.5, 4)), float(rng.choice([0.0, 0.7])))
    return blended(frame, smooth, feathered(mask, float(rng.uniform(0, 2))))


def _in_box(frame: np.ndarray, mask: np.ndarray, fill, margin: int = 12) -> np.ndarray:
    """Run `fill(part, hole uint8)` on the mask's surroundings only; inpainting cost grows with the image."""
    x0, y0, x1, y1 = bounds(mask)
    rows = slice(max(0, y0 - margin), y1 + margin)
    columns = slice(max(0, x0 - margin), x1 + margin)
    pixels = frame.copy()
    part = np.ascontiguousarray(frame[rows, columns])
    result = fill(part, mask[rows, columns].astype(np.uint8))
    pixels[rows, columns][mask[rows, columns]] = result[mask[rows, columns]]
    return pixels


def _diffused(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Smooth interpolation into the hole by normalised averaging over a pyramid of blurs."""
    known = (~mask).astype(np.float32)
    total = np.zeros(frame.shape, np.float32)
    filled_so_far = np.zeros(mask.shape, np.float32)
    for sigma in (2.0, 5.0, 12.0, 30.0, 80.0):
        weight = cv2.GaussianBlur(known, (0, 0), sigma)
        average = cv2.GaussianBlur(frame.astype(np.float32) * known[..., None], (0, 0), sigma)
        fresh = np.clip(weight * 4, 0, 1) * (1 - filled_so_far)
        total += average / np.maximum(weight, 1e-4)[..., None] * fresh[..., None]
        filled_so_far += fresh
    return np.clip(total / np.maximum(filled_so_far, 1e-3)[..., None], 0, 255).astype(np.uint8)


def _clone_fill(frame: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A healing brush: the shifted piece of the frame that fits the hole's rim best, soft edge or seamless."""
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = bounds(mask)
    kernel = np.ones((7, 7), np.uint8)
    rim = cv2.dilate(mask.astype(np.uint8), kernel).astype(bool) & ~mask
    rim_y, rim_x = np.nonzero(rim)
    hole_y, hole_x = np.nonzero(mask)
    if len(rim_y) < 8:
        raise Unforgeable("no rim")
    keep = rng.permutation(len(rim_y))[:200]
    rim_y, rim_x = rim_y[keep], rim_x[keep]
    wanted = frame[rim_y, rim_x].astype(np.int32)
    best, best_cost = None, np.inf
    for _ in range(60):
        dy = int(rng.integers(-y0, height - y1 + 1))
        dx = int(rng.integers(-x0, width - x1 + 1))
        if mask[hole_y[::7] + dy, hole_x[::7] + dx].mean() > 0.02:
            continue
        sy, sx = np.clip(rim_y + dy, 0, height - 1), np.clip(rim_x + dx, 0, width - 1)
        cost = float(((frame[sy, sx] - wanted) ** 2).mean())
        if cost < best_cost:
            best, best_cost = (dy, dx), cost
    if best is None:
        raise Unforgeable("no room for a clone source")
    dy, dx = best
    source = frame.copy()
    source[hole_y, hole_x] = frame[hole_y + dy, hole_x + dx]
    if rng.random() < 0.5:
        return seamless_clone(frame, frame[y0 + dy : y1 + dy, x0 + dx : x1 + dx], mask[y0:y1, x0:x1], x0, y0)
    return blended(frame, source, feathered(mask, float(rng.uniform(0, 2.5))))


def _exemplar_fill(frame: np.ndarray, mask: np.ndarray, rng: np.random.Generator, patch: int = 5) -> np.ndarray:
    """Patch-based completion: nearest patches at low resolution, then pixels copied at full resolution.

    After the idea of Wexler et al. 2007 (space-time completion): alternate nearest-neighbour search over patches and
    voting. The hole is small at the working resolution, so the search is exhaustive, one matrix product.
    """
    x0, y0, x1, y1 = bounds(mask)
    reach = int(1.2 * max(x1 - x0, y1 - y0)) + 16
    top, left = max(0, y0 - reach), max(0, x0 - reach)
    part, hole = frame[top : y1 + reach, left : x1 + reach], mask[top : y1 + reach, left : x1 + reach]
    step = max(1, int(np.ceil(np.sqrt(hole.sum() / 450))))
    height, width = part.shape[0] // step, part.shape[1] // step
    if min(height, width) < 12:
        raise Unforgeable("surroundings too small")
    part, hole = part[: height * step, : width * step], hole[: height * step, : width * step]
    small = resize(part, width, height)
    unknown = hole.reshape(height, step, width, step).any(axis=(1, 3))
    half = patch // 2
    centre_ok = ~cv2.dilate(unknown.astype(np.uint8), np.ones((patch, patch), np.uint8)).astype(bool)
    centre_ok[:half], centre_ok[-half:], centre_ok[:, :half], centre_ok[:, -half:] = False, False, False, False
    source_y, source_x = np.nonzero(centre_ok)
    if len(source_y) < 40:
        raise Unforgeable("nothing to copy from")
    chosen = rng.permutation(len(source_y))[:2500]
    source_y, source_x = source_y[chosen], source_x[chosen]
    target_y, target_x = np.nonzero(unknown)
    guess = cv2.inpaint(small, unknown.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
    offsets = np.arange(-half, half + 1)
    sources = _patches(np.pad(guess, ((half, half), (half, half), (0, 0)), "edge"), source_y, source_x, patch)
    source_norm = (sources**2).sum(axis=1)
    for _ in range(4):
        padded = np.pad(guess, ((half, half), (half, half), (0, 0)), "edge")
        targets = _patches(padded, target_y, target_x, patch)
        nearest = np.argmin(source_norm[None] - 2 * targets @ sources.T, axis=1)
        votes, weights = np.zeros_like(guess), np.zeros(guess.shape[:2], np.float32)
        for dy in offsets:
            for dx in offsets:
                ty, tx = target_y + dy, target_x + dx
                inside = (ty >= 0) & (ty < height) & (tx >= 0) & (tx < width)
                np.add.at(
                    votes, (ty[inside], tx[inside]), guess[source_y[nearest] + dy, source_x[nearest] + dx][inside]
                )
                np.add.at(weights, (ty[inside], tx[inside]), 1.0)
        guess[unknown] = (votes / np.maximum(weights, 1)[..., None])[unknown]
    result = part.copy()
    map_y, map_x = np.zeros((height, width), np.int32), np.zeros((height, width), np.int32)
    map_y[target_y, target_x] = (source_y[nearest] - target_y) * step
    map_x[target_y, target_x] = (source_x[nearest] - target_x) * step
    full_y, full_x = np.kron(map_y, np.ones((step, step), np.int32)), np.kron(map_x, np.ones((step, step), np.int32))
    rows, columns = np.nonzero(hole)
    from_y = np.clip(rows + full_y[rows, columns], 0, part.shape[0] - 1)
    from_x = np.clip(columns + full_x[rows, columns], 0, part.shape[1] - 1)
    result[rows, columns] = part[from_y, from_x]
    if rng.random() < 0.6:  # hide the seams between copied blocks as retouching tools do
        soft = cv2.bilateralFilter(result, 5, 30, 2)
        result[hole] = soft[hole]
    pixels = frame.copy()
    pixels[top : top + part.shape[0], left : left + part.shape[1]][hole] = result[hole]
    return pixels


def _patches(padded: np.ndarray, y: np.ndarray, x: np.ndarray, patch: int) -> np.ndarray:
    """Flattened patches float32 [n, patch²·3] whose centres are (y, x) of the unpadded image."""
    views = np.lib.stride_tricks.sliding_window_view(padded, (patch, patch), axis=(0, 1))
    return views[y, x].reshape(len(y), -1)


# --- local edits ----------------------------------------------------------------------------------------------------

EDITS = ("blur", "sharpen", "light", "colour", "resample", "noise", "denoise", "jpeg", "warp", "lettering")


def local_edit(
    window: Window, frame: np.ndarray, taken: np.ndarray, bench: Workbench, rng: np.random.Generator
) -> Forgery:
    """Change how a region looks without changing what it shows."""
    edit = str(rng.choice(EDITS))
    if edit == "lettering":
        return lettered(frame, rng)
    mask = _own_region(window, rng, 0.25)
    edited, words = edited_frame(frame, edit, rng)
    feather = float(rng.uniform(0, 3.0))
    return Forgery(
        blended(frame, edited, feathered(mask, feather)), mask, "local_edit", (words, f"edge {feather:.1f} px")
    )


def lettered(frame: np.ndarray, rng: np.random.Generator) -> Forgery:
    """A caption or logo laid over the picture: letters, sometimes on a plate or with an outline of their own."""
    height, width = frame.shape[:2]
    letters = "ABCDEFGHIJKLMNOPRSTUVWZabcdefghiklmnoprstuvwz0123456789"
    words = ["".join(rng.choice(list(letters), int(rng.integers(2, 9)))) for _ in range(int(rng.integers(1, 4)))]
    text = " ".join(words)
    fonts = font_files(str(rng.choice(["sans", "serif"])))
    size = int(np.clip(height * rng.uniform(0.05, 0.16), 14, width / max(4, 0.62 * len(text))))
    ink = Image.new("L", (width, height), 0)
    drawing, font = ImageDraw.Draw(ink), ImageFont.truetype(fonts[rng.integers(len(fonts))], size)
    left, top, right, bottom = drawing.textbbox((0, 0), text, font=font)
    x = int(rng.integers(0, max(1, width - (right - left)))) - left
    y = int(rng.integers(0, max(1, height - (bottom - top)))) - top
    drawing.text((x, y), text, fill=255, font=font)
    alpha = np.asarray(ink, np.float32) / 255
    style, opacity = rng.random(), float(rng.uniform(0.6, 1.0))
    colour = rng.choice([0, 255], 3) if rng.random() < 0.6 else rng.integers(0, 256, 3)
    layer = np.full_like(frame, 0) + np.asarray(colour, np.uint8)
    if style < 0.25:
        plate = np.zeros_like(alpha)
        plate[max(0, y + top - 5) : y + bottom + 5, max(0, x + left - 6) : x + right + 6] = 1
        layer = blended(np.full_like(frame, 255) - layer, layer, alpha)
        alpha = plate
    elif style < 0.5:
        inner, alpha = alpha, cv2.dilate(alpha, np.ones((3, 3), np.uint8), iterations=max(1, size // 20))
        layer = blended(np.full_like(frame, 255) - layer, layer, inner)
    pixels = blended(frame, layer, alpha * opacity)
    return Forgery(pixels, alpha > 0.4, "local_edit", (f"lettering {size} px",))


def edited_frame(frame: np.ndarray, edit: str, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """The whole frame under one edit, and its name with the parameter."""
    height, width = frame.shape[:2]
    if edit == "blur":
        sigma = float(rng.uniform(0.8, 3.0))
        return cv2.GaussianBlur(frame, (0, 0), sigma), f"blur {sigma:.1f} px"
    if edit == "sharpen":
        amount = float(rng.uniform(0.6, 2.0))
        soft = cv2.GaussianBlur(frame, (0, 0), 1.5)
        return cv2.addWeighted(frame, 1 + amount, soft, -amount, 0), f"sharpen {amount:.1f}"
    if edit == "light":
        gain, lift = float(rng.uniform(0.65, 1.4)), float(rng.uniform(-25, 25))
        return np.clip(frame * gain + lift, 0, 255).astype(np.uint8), f"contrast {gain:.2f}, brightness {lift:+.0f}"
    if edit == "colour":
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV).astype(np.int16)
        turn, gain = int(rng.integers(8, 173)), float(rng.uniform(0.5, 1.6))
        hsv[..., 0] = (hsv[..., 0] + turn) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * gain, 0, 255)
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), f"hue {2 * turn}°, saturation {gain:.2f}"
    if edit == "resample":
        factor = float(rng.uniform(0.3, 0.75))
        small = resize(frame, max(8, round(width * factor)), max(8, round(height * factor)))
        return resize(small, width, height, cv2.INTER_CUBIC), f"resampled at {factor:.2f}"
    if edit == "noise":
        strength = float(rng.uniform(3, 12))
        return camera_noise(rng, frame, strength, float(rng.choice([0.0, 0.6]))), f"noise {strength:.1f}"
    if edit == "denoise":
        if rng.random() < 0.5:
            return cv2.medianBlur(frame, int(rng.choice([3, 5]))), "median filter"
        return cv2.bilateralFilter(frame, 7, 45, 3), "bilateral filter"
    if edit == "jpeg":
        quality = int(rng.integers(20, 65))
        return saved(frame, Save("JPEG", quality)), f"region saved at {quality}"
    grid_y, grid_x = np.mgrid[0:height, 0:width].astype(np.float32)
    bend = [cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 12) for _ in range(2)]
    strength = float(rng.uniform(2, 6))
    bend = [field * strength / max(float(field.std()), 1e-4) for field in bend]
    warped = cv2.remap(frame, grid_x + bend[0], grid_y + bend[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return warped, f"warped {strength:.1f} px"


# --- regenerated content --------------------------------------------------------------------------------------------


def generated(
    window: Window, frame: np.ndarray, taken: np.ndarray, bench: Workbench, rng: np.random.Generator
) -> Forgery:
    """Pixels that came out of a synthesis: the frame's own content, a donor's, or a made-up fill, decoded anew."""
    source = rng.random()
    if source < 0.4:
        photo = bench.donor(rng, _donor_domain(rng, "natural"), window.photo)
        patch, alpha, operations, history = donor_piece(photo, frame.shape[:2], bench, rng)
        patch, words = resynthesised(patch, rng)
        pixels, mask, done = paste(frame, patch, alpha, rng, seamless_share=0.1)
        return Forgery(pixels, mask, "generated", (*operations, words, *done), photo.key, tuple(history))
    mask = _own_region(window, rng, 0.3)
    base = frame
    operations = []
    if source < 0.7 and mask.mean() < 0.15 and frame[mask].std() > 7:
        base = filled(frame, mask, "exemplar", rng)
        operations.append("filled by exemplar")
    made, words = resynthesised(base, rng)
    feather = float(rng.uniform(0, 2.5))
    return Forgery(blended(frame, made, feathered(mask, feather)), mask, "generated", (*operations, words))


def resynthesised(pixels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Image through a bottleneck and a decoder, as generative models leave it: no camera noise, periodic residue."""
    if rng.random() < 0.5 and min(pixels.shape[:2]) >= 24:
        components = int(rng.integers(10, 36))
        return _patch_autoencoded(pixels, components, rng), f"patch autoencoder, {components} components"
    factor = int(rng.choice([2, 4], p=[0.6, 0.4]))
    height, width = pixels.shape[:2]
    small = resize(pixels, max(6, -(-width // factor)), max(6, -(-height // factor)))
    small = cv2.bilateralFilter(small, 5, 25, 2)
    up = _transposed_convolution(small, factor, rng)[:height, :width]
    up = resize(up, width, height) if up.shape[:2] != (height, width) else up
    detail = cv2.bilateralFilter(pixels, 7, float(rng.uniform(20, 60)), 3)  # edges stay, grain goes
    share = float(rng.uniform(0.3, 0.9)) if factor == 4 else float(rng.uniform(0.0, 0.7))
    made = cv2.addWeighted(detail, share, up, 1 - share, 0)
    return camera_noise(rng, made, float(rng.uniform(0, 2.0)), 1.0), f"decoder ×{factor}"


def _transposed_convolution(small: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Zero-insertion upsampling with a kernel that is not quite even, hence the checkerboard of learned decoders."""
    height, width = small.shape[:2]
    sparse = np.zeros((height * factor, width * factor, 3), np.float32)
    sparse[factor // 2 :: factor, factor // 2 :: factor] = small
    size = 2 * factor + 1
    axis = 1 - np.abs(np.arange(size) - factor) / factor
    kernel = np.outer(axis, axis) * np.exp(rng.normal(0, 0.03, (size, size)))
    kernel *= factor**2 / kernel.sum()
    return np.clip(cv2.filter2D(sparse, -1, kernel, borderType=cv2.BORDER_REFLECT) + 0.5, 0, 255).astype(np.uint8)


def _patch_autoencoded(pixels: np.ndarray, components: int, rng: np.random.Generator, side: int = 8) -> np.ndarray:
    """A linear autoencoder of 8×8 colour patches fitted to the image itself, patches overlapping by half."""
    height, width = pixels.shape[:2]
    step = side // 2
    pad_h, pad_w = (-height) % step + side, (-width) % step + side
    padded = np.pad(pixels, ((step, pad_h), (step, pad_w), (0, 0)), "reflect" if min(height, width) > pad_h else "edge")
    padded = padded.astype(np.float32)
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))[::step, ::step]
    rows, columns = views.shape[:2]
    patches = views.reshape(rows * columns, -1)
    mean = patches.mean(axis=0)
    sample = patches[rng.permutation(len(patches))[:1500]] - mean
    _, vectors = np.linalg.eigh(sample.T @ sample)
    basis = vectors[:, -components:]
    code = (patches - mean) @ basis
    code += rng.normal(0, 1.0, code.shape).astype(np.float32) * code.std(axis=0) * 0.02
    decoded = (code @ basis.T + mean).reshape(rows, columns, 3, side, side)
    total, weight = np.zeros_like(padded), np.zeros(padded.shape[:2], np.float32)
    axis = np.bartlett(side + 2)[1:-1].astype(np.float32)
    window = np.outer(axis, axis)
    for dy in range(side):
        for dx in range(side):
            ys, xs = slice(dy, dy + rows * step, step), slice(dx, dx + columns * step, step)
            total[ys, xs] += decoded[..., dy, dx] * window[dy, dx]
            weight[ys, xs] += window[dy, dx]
    result = total / np.maximum(weight, 1e-3)[..., None]
    return np.clip(result[step : step + height, step : step + width] + 0.5, 0, 255).astype(np.uint8)


_FORGERS = {
    "splice": splice,
    "copy_move": copy_move,
    "removal": removal,
    "local_edit": local_edit,
    "generated": generated,
}
