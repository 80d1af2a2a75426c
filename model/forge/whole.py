"""Write a set of whole images to calibrate on: `python -m forge.whole --pool DIR --out DIR [--natural N --others N]`.

Laid out as the development set is (index.csv, tampered/, authentic/, mask/), so that everything that measures reads
it. Photographs are forged, resized and saved by other code and other parameters than training samples are: Pillow's
filters and affine transforms, mattes whose width varies along the outline, OpenCV's seamless cloning, completion by
dominant offsets, 4:2:2 and progressive files. The other domains are forged by their own modules on whole pages and
photos. All from the pool's validation split. A run that was stopped goes on where it was.

Two forged images and one untouched share a background (of every fourth background only one forged), and their names
say so: `_fake_1`, `_fake_2`, `_orig`.
"""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from .forgery import Forgery, Unforgeable, Workbench, visible_change
from .histories import SaveBook, camera_noise, resize_mask, resized
from .pool import Photo, Pool, Window, cut_window
from .regions import bounds, largest_component
from .sample import DOMAINS, FORGERS
from .variation import draw_variation

COLUMNS = (
    "dest,repo,path,op,label,mask,mask_path,mask_op,original_path,domain,set,kind,mask_source,width,height,licence,aux"
).split(",")
LONGER_SIDE = (300, 1600)
# Forgers work on larger pictures than they show: of the composite, before it is shrunk.
COMPOSITE_SIDE = (300, 2400)
USUAL_SIDE = {"natural": 1200, "document": 1250, "face": 600, "scene_text": 1000}
SHRUNK_SHARE = {"natural": 0.6, "document": 0.15, "face": 0.4, "scene_text": 0.25}
LEAST_AREA, LARGEST_AREA = 0.0015, 0.65
KINDS = {"splice": 0.44, "copy_move": 0.24, "removal": 0.16, "local_edit": 0.1, "generated": 0.06}
LEAST_CHANGE = {"splice": 5.0, "copy_move": 4.0, "removal": 2.0, "local_edit": 1.5, "generated": 1.0}
ATTEMPTS = 30
FILTERS = (Image.LANCZOS, Image.BICUBIC, Image.HAMMING, Image.BOX)


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """How an image is saved: format JPEG, PNG or WEBP, quality, chroma subsampling as Pillow counts, progressive."""

    format: str
    quality: int = 0
    subsampling: int = 2
    progressive: bool = False

    def written(self, pixels: np.ndarray) -> bytes:
        """The bytes of the file; pixels uint8 [h,w,3]."""
        buffer = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if self.format == "JPEG":
            image.save(
                buffer,
                "JPEG",
                quality=self.quality,
                subsampling=self.subsampling,
                progressive=self.progressive,
                optimize=True,
            )
        elif self.format == "WEBP":
            image.save(buffer, "WEBP", quality=self.quality, method=4)
        else:
            image.save(buffer, "PNG", compress_level=4)
        return buffer.getvalue()

    def reread(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels that come back from the file."""
        return np.asarray(Image.open(io.BytesIO(self.written(pixels))).convert("RGB"))


def draw_jpeg(rng: np.random.Generator, low: int = 55, high: int = 99) -> File:
    """Mostly around 90, a tail of low qualities; a fifth of the files 4:2:2, which training never sees."""
    quality = int(np.clip(rng.triangular(low, max(low, 91), high), low, high))
    return File("JPEG", quality, int(rng.choice([0, 1, 2], p=[0.2, 0.2, 0.6])), bool(rng.random() < 0.4))


def lived(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """A donor's or a background's life before: perhaps grain, then no save, one, or two; camera files are fine ones."""
    if rng.random() < 0.3:
        return File("JPEG", int(rng.integers(92, 99)), int(rng.choice([0, 1, 2]))).reread(pixels)
    if rng.random() < 0.25:
        pixels = camera_noise(rng, pixels, float(rng.uniform(0.8, 3.0)), 0.4)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.25, 0.55, 0.2]))):
        pixels = draw_jpeg(rng, 60).reread(pixels)
    return pixels


def finished(
    rng: np.random.Generator, pixels: np.ndarray, mask: np.ndarray, shrunk: float
) -> tuple[bytes, str, np.ndarray]:
    """After the forgery: graded, shrunk with probability `shrunk`, saved on the way; the final file, its suffix, and
    the mask of its size."""
    if rng.random() < 0.15:
        image = Image.fromarray(pixels)
        for enhance in (ImageEnhance.Contrast, ImageEnhance.Color, ImageEnhance.Brightness):
            image = enhance(image).enhance(float(rng.uniform(0.85, 1.2)))
        pixels = np.asarray(image)
    if rng.random() < 0.08:
        pixels = camera_noise(rng, pixels, float(rng.uniform(1.0, 3.0)), 0.6)
    longest = max(pixels.shape[:2])
    factor = float(rng.uniform(0.35, 0.95)) if rng.random() < shrunk else 1.0
    factor = min(max(factor, LONGER_SIDE[0] / longest), LONGER_SIDE[1] / longest, 1.0)
    if factor < 1:
        width, height = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
        pixels = resized(pixels, width, height, int(rng.choice(FILTERS)))
        mask = resize_mask(mask, width, height)
    style = rng.random()
    for _ in range(int(rng.choice([0, 1, 2], p=[0.7, 0.22, 0.08]))):
        pixels = draw_jpeg(rng).reread(pixels)
    if style < 0.07:
        return File("PNG").written(File("WEBP", int(rng.integers(65, 93))).reread(pixels)), ".png", mask
    if style < 0.42:
        return File("PNG").written(pixels), ".png", mask
    return draw_jpeg(rng).written(pixels), ".jpg", mask


# --- what is cut out, and how its edge runs -------------------------------------------------------------------------


def draw_area(rng: np.random.Generator) -> float:
    """Of the image: deciles as measured on real manipulations, 0.9, 5.4 and 30 % at 10, 50 and 90 of a hundred."""
    return float(np.clip(np.exp(rng.normal(np.log(0.052), 1.25)), 0.004, 0.45))


def silhouette(rng: np.random.Generator, photo: Photo) -> np.ndarray | None:
    """Something with an outline of its own, bool [h,w] of `photo.pixels`: a labelled object, else grown from a seed."""
    if photo.segments is not None and rng.random() < 0.8:
        labels, counts = np.unique(photo.segments[photo.segments > 0], return_counts=True)
        share = counts / photo.segments.size
        fit = labels[(share > 0.004) & (share < 0.5)]
        if photo.set != "bsds500" and rng.random() < 0.5:
            mask = photo.segments > 0
        elif len(fit):
            mask = photo.segments == rng.choice(fit)
        else:
            return None
        mask = largest_component(mask)
    else:
        mask = _grown(rng, photo.pixels)
    return mask if mask is not None and 0.004 < mask.mean() < 0.6 else None


def _grown(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray | None:
    """Watershed from a seed against what lies around it, at low resolution: training cuts by GrabCut and k-means."""
    height, width = pixels.shape[:2]
    scale = 240 / max(height, width)
    small = resized(pixels, round(width * scale), round(height * scale), Image.BOX)
    small = cv2.medianBlur(np.ascontiguousarray(small), 5)
    rows, columns = small.shape[:2]
    y, x = int(rng.uniform(0.2, 0.8) * rows), int(rng.uniform(0.15, 0.85) * columns)
    reach = rng.uniform(0.12, 0.36, 2) * (columns, rows)
    markers = np.full((rows, columns), 2, np.int32)
    cv2.ellipse(markers, (x, y), (int(reach[0]), int(reach[1])), 0, 0, 360, 0, -1)
    cv2.ellipse(markers, (x, y), (int(reach[0] / 2.5), int(reach[1] / 2.5)), 0, 0, 360, 1, -1)
    cv2.watershed(small, markers)
    mask = largest_component(markers == 1)
    if not 0.004 < mask.mean() < 0.5:
        return None
    grown = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(grown, (0, 0), 0.4 / scale) > 0.5


def uneven_alpha(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Alpha float32 of a mask: an edge 0.5–5 px wide, wider here than there, moved in or out by a pixel."""
    inside = mask.astype(np.uint8)
    signed = cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    signed = np.clip(signed, -1e4, 1e4)  # a mask without a border has no distance to one
    coarse = rng.standard_normal((max(2, mask.shape[0] // 24), max(2, mask.shape[1] // 24))).astype(np.float32)
    field = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    width = np.exp(np.float32(rng.uniform(-0.7, 1.3)) + 0.5 * field)
    return np.clip(0.5 + (signed - np.float32(rng.uniform(-0.5, 1.2))) / width, 0, 1)


# --- manipulations of photographs -----------------------------------------------------------------------------------


def composed(
    rng: np.random.Generator, frame: np.ndarray, patch: np.ndarray, mask: np.ndarray, corner: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A patch laid into a frame with its corner (x, y): pixels and mask. By alpha, now and then by OpenCV's cloning."""
    height, width = frame.shape[:2]
    x, y = corner
    left, top, right, bottom = max(0, x), max(0, y), min(width, x + mask.shape[1]), min(height, y + mask.shape[0])
    if right - left < 8 or bottom - top < 8:
        raise Unforgeable("outside the frame")
    rows, columns = slice(top - y, bottom - y), slice(left - x, right - x)
    patch, mask = np.ascontiguousarray(patch[rows, columns]), mask[rows, columns]
    if mask.sum() < 100:
        raise Unforgeable("nothing left of the patch")
    pixels, placed = frame.copy(), np.zeros((height, width), bool)
    inside = 0 < left and right < width and 0 < top and bottom < height
    if inside and rng.random() < 0.12:
        x0, y0, x1, y1 = bounds(mask)
        centre = (left + (x0 + x1) // 2, top + (y0 + y1) // 2)
        mode = cv2.NORMAL_CLONE if rng.random() < 0.7 else cv2.MIXED_CLONE
        full = np.zeros((height, width), np.uint8)
        full[top:bottom, left:right] = mask
        try:
            cloned = cv2.seamlessClone(patch, frame, mask.astype(np.uint8) * 255, centre, mode)
        except cv2.error as error:  # it wants a frame of its own around every patch
            raise Unforgeable("no room to clone") from error
        full = cv2.dilate(full, np.ones((3, 3), np.uint8)).astype(bool)
        pixels[full] = cloned[full]
        return pixels, full
    alpha = uneven_alpha(rng, mask)
    below = frame[top:bottom, left:right]
    mixed = below + (patch.astype(np.float32) - below) * alpha[..., None]
    pixels[top:bottom, left:right] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    placed[top:bottom, left:right] = alpha > 0.5
    return pixels, placed


def corner_for(rng: np.random.Generator, frame: np.ndarray, patch: np.ndarray, mask: np.ndarray) -> tuple[int, int]:
    """Where a patch goes: on the lower border when it was cut off below, else where mean colours agree best."""
    height, width = frame.shape[:2]
    patch_h, patch_w = mask.shape
    grounded = mask[-2:].mean() > 0.15
    mean, best, best_cost = patch[mask].mean(axis=0), (0, 0), np.inf
    for _ in range(5):
        x = int(rng.integers(-patch_w // 5, max(1, width - patch_w * 4 // 5)))
        y = height - patch_h if grounded else int(rng.integers(0, max(1, height - patch_h)))
        below = frame[max(0, y) : y + patch_h, max(0, x) : x + patch_w]
        cost = float(np.abs(below.reshape(-1, 3).mean(axis=0) - mean).sum()) if below.size else np.inf
        if cost < best_cost:
            best, best_cost = (x, y), cost
    return best


def turned(rng: np.random.Generator, patch: np.ndarray, mask: np.ndarray, scale: float) -> tuple[np.ndarray, ...]:
    """Scaled, at times rotated and mirrored by Pillow; mask bool."""
    image, outline = Image.fromarray(patch), Image.fromarray(mask.astype(np.uint8) * 255)
    if abs(scale - 1) > 0.03:
        size = (max(10, round(patch.shape[1] * scale)), max(10, round(patch.shape[0] * scale)))
        image, outline = image.resize(size, int(rng.choice(FILTERS[:2]))), outline.resize(size, Image.BILINEAR)
    if rng.random() < 0.25:
        angle = float(rng.normal(0, 12))
        image = image.rotate(angle, Image.BICUBIC, expand=True)
        outline = outline.rotate(angle, Image.BILINEAR, expand=True)
    if rng.random() < 0.3:
        image, outline = image.transpose(Image.FLIP_LEFT_RIGHT), outline.transpose(Image.FLIP_LEFT_RIGHT)
    return np.array(image), np.array(outline) > 127


def harmonised(rng: np.random.Generator, patch: np.ndarray, mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Channel histograms pulled part of the way to the frame's: quantile matching, where training matches moments."""
    strength, levels = float(rng.uniform(0.2, 0.8)), np.linspace(0, 100, 17)
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        own = np.percentile(patch[..., channel][mask], levels) + np.arange(17) * 1e-3
        wanted = np.percentile(frame[..., channel], levels)
        curve = np.interp(np.arange(256), own, wanted)
        table[0, :, channel] = np.clip((1 - strength) * np.arange(256) + strength * curve, 0, 255)
    return cv2.LUT(patch, table)


def splice(rng: np.random.Generator, frame: np.ndarray, photo: Photo, bench: Workbench) -> tuple[np.ndarray, ...]:
    """An object of another photo, with another life."""
    donor = bench.donor(rng, "objects" if rng.random() < 0.65 else "natural", photo).reduced()
    mask = silhouette(rng, donor)
    if mask is None:
        raise Unforgeable("no object")
    x0, y0, x1, y1 = bounds(mask)
    patch, mask = np.ascontiguousarray(donor.pixels[y0:y1, x0:x1]), mask[y0:y1, x0:x1]
    scale = float(np.sqrt(draw_area(rng) * frame[..., 0].size / mask.sum()))
    scale = min(scale, 1.6, 0.95 * frame.shape[0] / mask.shape[0], 0.95 * frame.shape[1] / mask.shape[1])
    patch, mask = turned(rng, lived(rng, patch), mask, scale)
    if mask.sum() < 150:
        raise Unforgeable("too small")
    if rng.random() < 0.55:
        patch = harmonised(rng, patch, mask, frame)
    return composed(rng, frame, patch, mask, corner_for(rng, frame, patch, mask))


def copy_move(rng: np.random.Generator, frame: np.ndarray, photo: Photo, bench: Workbench) -> tuple[np.ndarray, ...]:
    """An object of the frame once more."""
    mask = own_silhouette(rng, frame, 0.2)
    x0, y0, x1, y1 = bounds(mask)
    scale = float(rng.uniform(0.65, 1.3)) if rng.random() < 0.35 else 1.0
    patch, shape = turned(rng, np.ascontiguousarray(frame[y0:y1, x0:x1]), mask[y0:y1, x0:x1], scale)
    if rng.random() < 0.3:
        patch = np.asarray(ImageEnhance.Brightness(Image.fromarray(patch)).enhance(float(rng.uniform(0.88, 1.14))))
    x = int(x0 + rng.choice([-1, 1]) * (x1 - x0) * rng.uniform(0.7, 2.2))
    y = int(y0 + rng.normal(0, 0.3) * (y1 - y0))
    pixels, placed = composed(rng, frame, patch, shape, (x, y))
    if (placed & mask).sum() > 0.3 * placed.sum():
        raise Unforgeable("copy on its own source")
    return pixels, placed


def own_silhouette(rng: np.random.Generator, frame: np.ndarray, largest: float) -> np.ndarray:
    """A region of the frame with an outline, 0.3 % to `largest` of it."""
    for _ in range(6):
        mask = _grown(rng, frame)
        if mask is not None and 0.003 < mask.mean() < largest:
            return mask
    raise Unforgeable("nothing with an outline")


def removal(rng: np.random.Generator, frame: np.ndarray, photo: Photo, bench: Workbench) -> tuple[np.ndarray, ...]:
    """Something painted over with its surroundings."""
    mask = own_silhouette(rng, frame, 0.14)
    spread = int(rng.integers(3, 10))
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((spread, spread), np.uint8)).astype(bool)
    if mask.mean() < 0.03 and rng.random() < 0.3:
        flag = cv2.INPAINT_TELEA if rng.random() < 0.5 else cv2.INPAINT_NS
        x0, y0, x1, y1 = bounds(mask)
        part = (slice(max(0, y0 - 20), y1 + 20), slice(max(0, x0 - 20), x1 + 20))
        pixels = frame.copy()
        pixels[part] = cv2.inpaint(np.ascontiguousarray(frame[part]), mask[part].astype(np.uint8), 9.0, flag)
        return pixels, mask
    return shift_completed(rng, frame, mask), mask


def shift_completed(rng: np.random.Generator, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole filled by a few whole-image shifts, a patchwork of them smoothed by votes (after He and Sun 2012)."""
    x0, y0, x1, y1 = bounds(mask)
    height, width = mask.shape
    reach = max(24, int(1.5 * max(y1 - y0, x1 - x0)))
    rim = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool) & ~mask
    rim_y, rim_x = np.nonzero(rim)
    few = rng.permutation(len(rim_y))[:600]
    rim_y, rim_x = rim_y[few], rim_x[few]
    hole_y, hole_x = np.nonzero(mask)
    scored = []
    for _ in range(300):
        dy, dx = int(rng.integers(-reach, reach + 1)), int(rng.integers(-reach, reach + 1))
        inside = (rim_y + dy >= 0) & (rim_y + dy < height) & (rim_x + dx >= 0) & (rim_x + dx < width)
        if inside.mean() < 0.8:
            continue
        there_y, there_x = rim_y[inside] + dy, rim_x[inside] + dx
        known = ~mask[there_y, there_x]
        if known.mean() < 0.6:
            continue
        gap = frame[there_y, there_x].astype(np.int32) - frame[rim_y[inside], rim_x[inside]]
        scored.append((float(np.abs(gap[known]).mean()), dy, dx))
    if len(scored) < 6:
        raise Unforgeable("nothing to fill with")
    shifts = [(dy, dx) for _, dy, dx in sorted(scored)[:6]]
    guess = frame.copy()
    part = (slice(max(0, y0 - 8), y1 + 8), slice(max(0, x0 - 8), x1 + 8))
    guess[part] = cv2.inpaint(np.ascontiguousarray(frame[part]), mask[part].astype(np.uint8), 3.0, cv2.INPAINT_TELEA)
    guess = cv2.GaussianBlur(guess, (0, 0), 3.0)
    costs = np.full((len(shifts), height, width), 1e4, np.float32)
    for number, (dy, dx) in enumerate(shifts):
        from_y, from_x = hole_y + dy, hole_x + dx
        inside = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
        inside[inside] &= ~mask[from_y[inside], from_x[inside]]
        target = guess[hole_y[inside], hole_x[inside]].astype(np.int32)
        gap = np.abs(frame[from_y[inside], from_x[inside]] - target).sum(axis=1)
        costs[number, hole_y[inside], hole_x[inside]] = gap
    smooth = np.stack([cv2.blur(cost, (17, 17)) for cost in costs])
    chosen = np.argmin(smooth[:, hole_y, hole_x], axis=0)
    offsets = np.array(shifts)[chosen]
    from_y = np.clip(hole_y + offsets[:, 0], 0, height - 1)
    from_x = np.clip(hole_x + offsets[:, 1], 0, width - 1)
    if mask[from_y, from_x].mean() > 0.03:
        raise Unforgeable("filled with the hole itself")
    pixels = frame.copy()
    pixels[hole_y, hole_x] = frame[from_y, from_x]
    alpha = np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0) * 2 - 1, 0, 1)
    softened = cv2.GaussianBlur(pixels, (0, 0), 0.8)
    seam = (mask & (alpha < 1))[..., None]
    return np.where(seam, softened, pixels)


def local_edit(rng: np.random.Generator, frame: np.ndarray, photo: Photo, bench: Workbench) -> tuple[np.ndarray, ...]:
    """A thing blurred, pixelated, sharpened, recoloured, relit or smoothed."""
    mask = own_silhouette(rng, frame, 0.3)
    image = Image.fromarray(frame)
    amount = float(rng.uniform(0, 1))
    edit = str(rng.choice(["box", "pixels", "sharpen", "colour", "light", "hue", "denoise"]))
    if edit == "box":
        edited = np.asarray(image.filter(ImageFilter.BoxBlur(1.5 + 5 * amount)))
    elif edit == "pixels":
        side = int(4 + 10 * amount)
        small = image.resize((max(1, image.width // side), max(1, image.height // side)), Image.BOX)
        edited = np.asarray(small.resize(image.size, Image.NEAREST))
    elif edit == "sharpen":
        edited = np.asarray(image.filter(ImageFilter.UnsharpMask(1 + 2 * amount, 180, 1)))
    elif edit == "colour":
        edited = np.asarray(ImageEnhance.Color(image).enhance(0.1 if amount < 0.4 else 1.5 + amount))
    elif edit == "light":
        edited = np.asarray(ImageEnhance.Brightness(image).enhance(0.7 if amount < 0.5 else 1.3))
    elif edit == "hue":
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(level + int(20 + 200 * amount)) % 256 for level in range(256)])
        edited = np.asarray(Image.merge("HSV", (hue, saturation, value)).convert("RGB"))
    else:
        x0, y0, x1, y1 = bounds(mask)
        edited = frame.copy()
        part = np.ascontiguousarray(frame[y0:y1, x0:x1])
        edited[y0:y1, x0:x1] = cv2.fastNlMeansDenoisingColored(part, None, 4 + 8 * amount, 6, 5, 11)
    return composed(rng, frame, edited, mask, (0, 0))


def generated(rng: np.random.Generator, frame: np.ndarray, photo: Photo, bench: Workbench) -> tuple[np.ndarray, ...]:
    """A region decoded from few numbers: half the size through a coarse WebP, enlarged, given even grain."""
    mask = own_silhouette(rng, frame, 0.3)
    factor = float(rng.uniform(1.5, 3.0))
    small = resized(frame, round(frame.shape[1] / factor), round(frame.shape[0] / factor), Image.LANCZOS)
    small = File("WEBP", int(rng.integers(25, 60))).reread(small)
    made = resized(small, frame.shape[1], frame.shape[0], Image.LANCZOS)
    made = cv2.addWeighted(made, 1.35, cv2.GaussianBlur(made, (0, 0), 2.0), -0.35, 0)
    return composed(rng, frame, camera_noise(rng, made, float(rng.uniform(0, 1.5)), 0.0), mask, (0, 0))


_FORGERS = {
    "splice": splice,
    "copy_move": copy_move,
    "removal": removal,
    "local_edit": local_edit,
    "generated": generated,
}


# --- the set --------------------------------------------------------------------------------------------------------


class Studio:
    """Makes the images of one pool; the same seed, domain and number give the same ones."""

    def __init__(self, pool: Pool, seed: int):
        self.pool = pool
        self.seed = seed
        self.bench = Workbench(pool, SaveBook(pool.camera_tables()), (seed, 0))

    def background(self, rng: np.random.Generator, domain: str) -> Window:
        """Most of a photo, its longer side anything from 300 to 1600 px but never enlarged, with a life behind it."""
        for _ in range(ATTEMPTS):
            # Half of the pool's photographs have 500 px or less: half of the draws are among the others.
            least = 200 if domain != "natural" else int(rng.choice([300, 540]))
            photo = self.pool.load(self.pool.draw(rng, domain, least))
            share = float(rng.uniform(0.75, 1.0)) if rng.random() < 0.5 else 1.0
            cut_w, cut_h = int(photo.width * share), int(photo.height * share)
            longest = float(np.exp(rng.normal(np.log(USUAL_SIDE[domain]), 0.45)))
            scale = min(1.0, float(np.clip(longest, *COMPOSITE_SIDE)) / max(cut_w, cut_h))
            width, height = round(cut_w * scale), round(cut_h * scale)
            if max(width, height) < LONGER_SIDE[0] or min(width, height) < 180:
                continue
            x, y = int(rng.integers(0, photo.width - cut_w + 1)), int(rng.integers(0, photo.height - cut_h + 1))
            window = cut_window(photo, x, y, width, height, scale)
            pixels = window.pixels
            if domain != "document" and rng.random() < 0.2:
                pixels = draw_variation(rng).vary(pixels)
            return window.moved(lived(rng, pixels), 0, 0)
        raise LookupError(f"no {domain} photo fits")

    def forged(self, rng: np.random.Generator, window: Window, domain: str) -> Forgery:
        """The window with one manipulation (two of a kind in one photograph of six)."""
        for _ in range(ATTEMPTS):
            try:
                if domain != "natural":
                    forgery = FORGERS[domain].forge(window, self.bench, rng)
                else:
                    forgery = self.photograph(rng, window)
            except Unforgeable:
                continue
            if LEAST_AREA < forgery.mask.mean() < LARGEST_AREA and forgery.mask.sum() > 120:
                return forgery
        raise Unforgeable("nothing works on this photo")

    def photograph(self, rng: np.random.Generator, window: Window) -> Forgery:
        """One manipulation of a photograph, twice in one of six."""
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        pixels, mask = window.pixels, np.zeros(window.pixels.shape[:2], bool)
        for _ in range(1 + int(rng.random() < 1 / 6)):
            after, placed = _FORGERS[kind](rng, pixels, window.photo, self.bench)
            if visible_change(pixels, after, placed) < LEAST_CHANGE[kind]:
                raise Unforgeable("hardly changed")
            pixels, mask = after, mask | placed
        return Forgery(pixels, mask, kind)

    def images(self, domain: str, number: int) -> list[tuple[str, Window, Forgery, bytes, str, np.ndarray]]:
        """Name ending, background, forgery, file, suffix and mask of the images over background `number`."""
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, DOMAINS.index(domain), number, attempt])
            window = self.background(rng, domain)
            endings = ("_fake_1", "_orig") if number % 4 == 3 else ("_fake_1", "_fake_2", "_orig")
            made = []
            try:
                for ending in endings:
                    empty = np.zeros(window.pixels.shape[:2], bool)
                    forgery = Forgery(window.pixels, empty, "authentic")
                    if ending != "_orig":
                        forgery = self.forged(rng, window, domain)
                    made.append(
                        (ending, window, forgery, *finished(rng, forgery.pixels, forgery.mask, SHRUNK_SHARE[domain]))
                    )
            except Unforgeable:
                continue
            return made
        raise RuntimeError(f"{ATTEMPTS} backgrounds gave no {domain} image {number}")


def write_set(studio: Studio, folder: Path, counts: dict[str, int]) -> None:
    """At least `counts` images of every domain, the domains in turn, so that a set half written can be used."""
    for name in ("tampered", "authentic", "mask"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    index = folder / "index.csv"
    if not index.exists():
        index.write_text(",".join(COLUMNS) + "\n", "utf-8")
    with open(index, newline="", encoding="utf-8") as file:
        there = {row["dest"].split("/")[1].rsplit(".", 1)[0] for row in csv.DictReader(file)}
    backgrounds = {domain: -(-4 * count // 11) for domain, count in counts.items()}
    turns = [(number / total, domain, number) for domain, total in backgrounds.items() for number in range(total)]
    for _, domain, number in sorted(turns):
        stem = f"{domain}_{number:04d}"
        if f"{stem}_orig" in there:
            continue
        rows = []
        for ending, window, forgery, data, suffix, mask in studio.images(domain, number):
            label = int(ending != "_orig")
            row = dict.fromkeys(COLUMNS, "")
            row |= {"dest": f"{'tampered' if label else 'authentic'}/{stem}{ending}{suffix}", "label": label}
            row |= {"original_path": window.photo.key, "domain": domain, "set": "whole", "kind": forgery.kind}
            row |= {"height": mask.shape[0], "width": mask.shape[1], "licence": "research or unstated"}
            (folder / row["dest"]).write_bytes(data)
            if label:
                row |= {"mask": f"mask/{stem}{ending}.png", "mask_source": "forged"}
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / row["mask"])
            rows.append(row)
        with open(index, "a", newline="", encoding="utf-8") as file:  # the untouched one last: a group is whole or new
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--natural", type=int, default=700)
    parser.add_argument("--others", type=int, default=100, help="images of each other domain")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=("train", "val", "all"), default="val")
    options = parser.parse_args()
    counts = {domain: options.natural if domain == "natural" else options.others for domain in DOMAINS}
    studio = Studio(Pool(options.pool, options.split), options.seed)
    write_set(studio, options.out, {domain: count for domain, count in counts.items() if count})


if __name__ == "__main__":
    main()
