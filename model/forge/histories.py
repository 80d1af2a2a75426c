"""What happens to pixels between a camera and us: noise, saves with many tables, shifted grids, resizing.

Forged and authentic samples draw from the same distributions here; only the composite in between differs.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from .pool import resize

# Annex K of ITU-T T.81, natural order: what libjpeg scales by quality.
STANDARD_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).reshape(64)
STANDARD_CHROMA = np.full((8, 8), 99)
STANDARD_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
STANDARD_CHROMA = STANDARD_CHROMA.reshape(64)
NOISE_SIDE = 1300
FULL_COLOUR, HALF_COLOUR = 0, 2  # Pillow's names of 4:4:4 and 4:2:0


@dataclass(frozen=True)
class Save:
    """One file written: format "JPEG", "PNG" or "WEBP"; tables None means libjpeg's own at `quality`."""

    format: str
    quality: int = 0
    subsampling: int = HALF_COLOUR
    luma: tuple[int, ...] | None = None
    chroma: tuple[int, ...] | None = None

    def describe(self) -> str:
        """In words, for annotations."""
        if self.format == "PNG":
            return "PNG"
        tables = "" if self.luma is None else " own tables"
        colour = "" if self.format == "WEBP" else (" 4:4:4" if self.subsampling == FULL_COLOUR else " 4:2:0")
        return f"{self.format} {self.quality}{colour}{tables}"


def encode(pixels: np.ndarray, save: Save) -> bytes:
    """The bytes of the file that `save` describes; pixels uint8 [h,w,3]."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    if save.format == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    elif save.format == "WEBP":
        image.save(buffer, "WEBP", quality=save.quality, method=1)
    elif save.luma is not None:
        image.save(buffer, "JPEG", qtables=[list(save.luma), list(save.chroma)], subsampling=save.subsampling)
    else:
        image.save(buffer, "JPEG", quality=save.quality, subsampling=save.subsampling)
    return buffer.getvalue()


def decode(data: bytes) -> tuple[np.ndarray, np.ndarray, bool]:
    """Pixels uint8 [h,w,3], luma table int32 [64] in natural order (ones unless JPEG), and whether it is a JPEG."""
    image = Image.open(io.BytesIO(data))
    is_jpeg = image.format == "JPEG"
    table = np.array(image.quantization[0], np.int32) if is_jpeg else np.ones(64, np.int32)
    return np.asarray(image.convert("RGB")), table, is_jpeg


def saved(pixels: np.ndarray, save: Save) -> np.ndarray:
    """The pixels that come back from a file; a lossless file is not written at all."""
    return pixels if save.format == "PNG" else decode(encode(pixels, save))[0]


def scaled_tables(quality: float) -> tuple[np.ndarray, np.ndarray]:
    """libjpeg's tables at a (possibly fractional) quality of 1…100."""
    scale = 5000.0 / quality if quality < 50 else 200.0 - 2.0 * quality
    return tuple(
        np.clip(np.floor((table * scale + 50) / 100), 1, 255).astype(int) for table in (STANDARD_LUMA, STANDARD_CHROMA)
    )


@dataclass(frozen=True)
class Habits:
    """How images of a domain are usually treated; forged and authentic ones alike.

    Shares are probabilities. saves_before[n], saves_after[n]: of n saves before the forgery, and of n between the
    forgery and the final file; qualities as (lowest, highest); grid_kept: of the first cut after the forgery being a
    multiple of 8; rescaled: of the window being shrunk before everything, by smallest_scale at most; views: of samples
    that are whole images squeezed to the size of a crop; varied: of untouched pictures that differ from place to place
    (variation.py); overexposed: of the others, scans whose white is clipped; shared: of images that went through a
    network which shrinks, sharpens and saves them its own way.
    """

    saves_before: tuple[float, float, float] = (0.22, 0.55, 0.23)
    quality_before: tuple[int, int] = (50, 98)
    noisy: float = 0.3
    resized: float = 0.35
    finishes: tuple[str, ...] = ("blur", "sharpen", "tone")
    finished: float = 0.16
    saves_after: tuple[float, float, float, float] = (0.62, 0.25, 0.09, 0.04)
    quality_after: tuple[int, int] = (55, 98)
    final_quality: tuple[int, int] = (50, 100)
    final_jpeg: float = 0.66
    final_png: float = 0.26
    grid_kept: float = 0.75
    rescaled: float = 0.5
    smallest_scale: float = 0.4
    views: float = 0.25
    varied: float = 0.2
    overexposed: float = 0.0
    shared: float = 0.12


USUAL = Habits()
# Text is edited in files that lie about as JPEGs and is saved well enough to be read: DocTamper's have 1-3 saves of
# 75-100. One region is a word, so whole-page views and strong shrinking leave nothing of it to see.
TEXT = Habits(
    saves_before=(0.06, 0.80, 0.14),
    quality_before=(55, 92),
    noisy=0.15,
    resized=0.05,
    finishes=("blur", "sharpen", "tone", "print and scan", "print and scan"),
    finished=0.08,
    saves_after=(0.80, 0.15, 0.04, 0.01),
    quality_after=(75, 98),
    final_quality=(75, 100),
    final_jpeg=0.84,
    final_png=0.12,
    grid_kept=0.90,
    rescaled=0.35,
    smallest_scale=0.6,
    views=0.08,
    varied=0.04,
    shared=0.02,
)


class SaveBook:
    """Draws saves: libjpeg's tables, real camera tables, and tables of makers we have never seen."""

    def __init__(self, camera_tables: list[tuple[np.ndarray, np.ndarray]]):
        self._camera_tables = camera_tables

    def jpeg(self, rng: np.random.Generator, low: int, high: int) -> Save:
        """A JPEG of a quality in low…high."""
        quality = int(rng.integers(low, high + 1))
        if rng.random() < 0.35:  # the qualities that programs and sites use by default
            usual = [q for q in (70, 75, 80, 85, 90, 92, 95, 98) if low <= q <= high]
            quality = int(rng.choice(usual)) if usual else quality
        subsampling = FULL_COLOUR if rng.random() < (0.5 if quality >= 92 else 0.25) else HALF_COLOUR
        style = rng.random()
        if style < 0.65:
            return Save("JPEG", quality, subsampling)
        if style < 0.8 and self._camera_tables:
            luma, chroma = self._camera_tables[rng.integers(len(self._camera_tables))]
            return Save("JPEG", quality, subsampling, tuple(map(int, luma)), tuple(map(int, chroma)))
        return Save("JPEG", quality, subsampling, *_unseen_tables(rng, quality))

    def final(self, rng: np.random.Generator, habits: Habits = USUAL) -> Save:
        """The file that reaches us: JPEG, PNG, else WebP."""
        kind = rng.random()
        if kind < habits.final_jpeg:
            return self.jpeg(rng, *habits.final_quality)
        if kind < habits.final_jpeg + habits.final_png:
            return Save("PNG")
        return Save("WEBP", int(rng.integers(60, 96)))

    def intermediate(self, rng: np.random.Generator, low: int = 50, high: int = 98) -> Save:
        """A save on the way, lossy in any case."""
        return Save("WEBP", int(rng.integers(60, 96))) if rng.random() < 0.06 else self.jpeg(rng, low, high)


def _unseen_tables(rng: np.random.Generator, quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Standard tables tilted along frequency and jittered, as other encoders' psychovisual tunings are."""
    frequency = np.add.outer(np.arange(8), np.arange(8)).reshape(64) / 14.0
    tilt = np.exp(rng.normal(0, 0.35) * (frequency - 0.3))
    jitter = np.exp(rng.normal(0, 0.08, 64)) if rng.random() < 0.6 else 1.0
    luma, chroma = scaled_tables(quality)
    if rng.random() < 0.2:
        chroma = luma
    return tuple(tuple(int(v) for v in np.clip(np.round(t * tilt * jitter), 1, 255)) for t in (luma, chroma))


@functools.cache
def _noise_bank() -> np.ndarray:
    """Normal deviates float32 [NOISE_SIDE,NOISE_SIDE,3]: drawing fresh ones took an eighth of all forging time."""
    return np.random.default_rng(0).standard_normal((NOISE_SIDE, NOISE_SIDE, 3), dtype=np.float32)


def _white_noise(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Float32 [height,width,channels]: a random, randomly mirrored piece of the bank; fresh when it is too small."""
    if height > NOISE_SIDE or width > NOISE_SIDE:
        return rng.standard_normal((height, width, channels), dtype=np.float32)
    y, x = int(rng.integers(NOISE_SIDE - height + 1)), int(rng.integers(NOISE_SIDE - width + 1))
    first = int(rng.integers(3)) if channels == 1 else 0
    piece = _noise_bank()[y : y + height, x : x + width, first : first + channels]
    return piece[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))] * np.float32(rng.choice([-1, 1]))


def camera_noise(rng: np.random.Generator, pixels: np.ndarray, strength: float, grain: float = 0.0) -> np.ndarray:
    """Signal-dependent noise of standard deviation `strength` at mid grey; `grain` px of blur correlates it."""
    height, width = pixels.shape[:2]
    noise = _white_noise(rng, height, width, 1 if rng.random() < 0.4 else 3)
    if grain > 0:
        noise = cv2.GaussianBlur(noise, (0, 0), grain).reshape(height, width, -1)
        noise /= max(float(noise.std()), 1e-3)
    level = strength * np.sqrt(0.3 + 1.4 * pixels.mean(axis=2, keepdims=True, dtype=np.float32) / 255.0)
    return np.clip(pixels + noise * level + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Life:
    """What an image went through before it was edited. `steps` are (columns cut off, rows cut off, save)."""

    noise: float
    grain: float
    noise_seed: int
    steps: tuple[tuple[int, int, Save], ...]

    def describe(self) -> list[str]:
        """In words, for annotations."""
        noise = [f"noise {self.noise:.1f}"] if self.noise else []
        return noise + [(f"crop {dx},{dy} " if dx or dy else "") + save.describe() for dx, dy, save in self.steps]

    @property
    def margin(self) -> tuple[int, int]:
        """Columns and rows cut off on the way."""
        return sum(dx for dx, _, _ in self.steps), sum(dy for _, dy, _ in self.steps)

    def live(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels after this life; smaller by `margin` columns and rows, cut off at the left and top."""
        if self.noise:
            pixels = camera_noise(np.random.default_rng(self.noise_seed), pixels, self.noise, self.grain)
        for dx, dy, save in self.steps:
            pixels = saved(pixels[dy:, dx:], save)
        return pixels


def draw_life(rng: np.random.Generator, book: SaveBook, shift_allowed: bool = True, habits: Habits = USUAL) -> Life:
    """Most images have been saved once; some twice, a third of those on a shifted grid; some never."""
    count = int(rng.choice(3, p=habits.saves_before))
    steps = []
    for index in range(count):
        shifted = shift_allowed and index > 0 and rng.random() < 0.3
        dx, dy = (int(rng.integers(0, 8)), int(rng.integers(0, 8))) if shifted else (0, 0)
        steps.append((dx, dy, book.intermediate(rng, *habits.quality_before)))
    noisy = rng.random() < habits.noisy
    noise = float(rng.uniform(0.6, 4.0)) if noisy else 0.0
    grain = float(rng.choice([0.0, 0.5, 0.8])) if noisy else 0.0
    return Life(noise, grain, int(rng.integers(1 << 31)), tuple(steps))


@dataclass(frozen=True)
class Afterlife:
    """What happens to the composite: resize by `factor` (1 none), a global finish, then saves, the last final.

    Every save may first cut columns and rows off at the left and top. The first cut decides whether the grid of the
    background's last save survives: multiples of 8 keep it (aligned double compression).
    """

    factor: float
    interpolation: int
    finish: str
    amount: float
    steps: tuple[tuple[int, int, Save], ...]

    def describe(self) -> list[str]:
        """In words, for annotations."""
        words = [f"resize {self.factor:.2f}"] if self.factor != 1 else []
        words += [f"{self.finish} {self.amount:.2f}"] if self.finish else []
        return words + [(f"crop {dx},{dy} " if dx or dy else "") + save.describe() for dx, dy, save in self.steps]

    @property
    def margin(self) -> tuple[int, int]:
        """Columns and rows cut off before the final cut to size."""
        return sum(dx for dx, _, _ in self.steps), sum(dy for _, dy, _ in self.steps)

    @property
    def final(self) -> Save:
        """The save that makes the sample's file."""
        return self.steps[-1][2]

    def finish_off(self, pixels: np.ndarray) -> np.ndarray:
        """The global finish that authentic and forged images get alike."""
        if self.finish == "blur":
            return cv2.GaussianBlur(pixels, (0, 0), 0.3 + 0.7 * self.amount)
        if self.finish == "sharpen":
            soft = cv2.GaussianBlur(pixels, (0, 0), 1.2)
            return cv2.addWeighted(pixels, 1 + self.amount, soft, -self.amount, 0)
        if self.finish == "tone":
            curve = 255.0 * (np.arange(256) / 255.0) ** (0.75 + 0.5 * self.amount)
            return cv2.LUT(pixels, np.round(curve).astype(np.uint8))
        if self.finish == "print and scan":  # flat bed, well aligned: geometry would need the mask to follow
            toner = cv2.GaussianBlur(pixels, (0, 0), 0.5 + 0.4 * self.amount).astype(np.float32)
            contrasted = np.clip((toner - 128) * (1.1 - 0.2 * self.amount) + 128, 0, 255).astype(np.uint8)
            return camera_noise(np.random.default_rng(int(self.amount * 1e9)), contrasted, 0.8 + 2 * self.amount, 0.6)
        return pixels

    def live(self, pixels: np.ndarray, mask: np.ndarray, height: int, width: int) -> tuple[bytes, np.ndarray]:
        """The final file, exactly `height`×`width`, and the mask bool [height,width] that goes with it."""
        if self.factor != 1:
            new_w, new_h = round(pixels.shape[1] * self.factor), round(pixels.shape[0] * self.factor)
            pixels = resize(pixels, new_w, new_h, self.interpolation)
            mask = resize_mask(mask, new_w, new_h)
        pixels = self.finish_off(pixels)
        for dx, dy, save in self.steps[:-1]:
            pixels, mask = saved(pixels[dy:, dx:], save), mask[dy:, dx:]
        dx, dy, save = self.steps[-1]
        rows, columns = slice(dy, dy + height), slice(dx, dx + width)
        return encode(pixels[rows, columns], save), mask[rows, columns]


History = TypeVar("History", Life, Afterlife)


def unshifted(history: History) -> History:
    """The same history without any cuts, for frames that have no room for them."""
    return replace(history, steps=tuple((0, 0, save) for _, _, save in history.steps))


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bool mask resized by area; a pixel counts when half of it does."""
    if mask.shape == (height, width):
        return mask
    return resize(mask.astype(np.uint8) * 255, width, height, cv2.INTER_AREA) >= 128


SHIFT_LIMIT = 24  # columns or rows that an afterlife cuts off at most


def draw_afterlife(
    rng: np.random.Generator, book: SaveBook, room_x: int, room_y: int, habits: Habits = USUAL
) -> Afterlife:
    """`room_x`, `room_y`: columns and rows that may be cut off (≤ SHIFT_LIMIT is used)."""
    room_x, room_y = min(room_x, SHIFT_LIMIT), min(room_y, SHIFT_LIMIT)
    if rng.random() < habits.shared:
        return _shared(rng, book)
    resized = rng.random() < habits.resized
    factor = float(rng.uniform(0.4, 0.95)) if resized else 1.0
    interpolation = int(rng.choice([cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4]))
    finish, amount = "", 0.0
    if rng.random() < habits.finished:
        finish, amount = str(rng.choice(habits.finishes)), float(rng.uniform(0.1, 1.0))
    count = int(rng.choice(4, p=habits.saves_after))
    steps = []
    for index in range(count + 1):
        if index == 0:
            if rng.random() < habits.grid_kept:
                dx, dy = 8 * int(rng.integers(0, room_x // 8 + 1)), 8 * int(rng.integers(0, room_y // 8 + 1))
            else:
                dx, dy = int(rng.integers(0, room_x + 1)), int(rng.integers(0, room_y + 1))
        elif rng.random() < 0.25:
            dx, dy = int(rng.integers(0, min(room_x, 7) + 1)), int(rng.integers(0, min(room_y, 7) + 1))
        else:
            dx, dy = 0, 0
        room_x, room_y = room_x - dx, room_y - dy
        save = book.final(rng, habits) if index == count else book.intermediate(rng, *habits.quality_after)
        steps.append((dx, dy, save))
    return Afterlife(factor, interpolation, finish, amount, tuple(steps))


def _shared(rng: np.random.Generator, book: SaveBook) -> Afterlife:
    """Sent through one or two networks: each saves at its own middling quality, the first shrinks and sharpens."""
    factor = float(rng.uniform(0.45, 0.9)) if rng.random() < 0.7 else 1.0
    finish, amount = ("sharpen", float(rng.uniform(0.15, 0.5))) if rng.random() < 0.5 else ("", 0.0)
    saves = [book.jpeg(rng, 68, 88) for _ in range(1 if rng.random() < 0.7 else 2)]
    saves = [replace(save, subsampling=HALF_COLOUR) for save in saves]
    if rng.random() < 0.12:
        saves.append(Save("PNG"))  # a screenshot of it
    return Afterlife(factor, cv2.INTER_AREA, finish, amount, tuple((0, 0, save) for save in saves))


def resized(pixels: np.ndarray, width: int, height: int, filter: int) -> np.ndarray:
    """Pillow's resize: its filters widen when they shrink, OpenCV's do not."""
    return np.asarray(Image.fromarray(pixels).resize((max(1, width), max(1, height)), filter))


SHRINKING = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)


def passed_on(
    rng: np.random.Generator, book: SaveBook, pixels: np.ndarray, mask: np.ndarray, side: int
) -> tuple[bytes, np.ndarray]:
    """What a site makes of a picture: shrunk as a whole to `side`×`side`, saved at its own quality, or a screenshot.

    The file, and the mask bool [side,side].
    """
    small = resized(pixels, side, side, SHRINKING[rng.integers(len(SHRINKING))])
    save = Save("PNG") if rng.random() < 0.2 else book.jpeg(rng, 66, 96)
    return encode(small, save), resize_mask(mask, side, side)
