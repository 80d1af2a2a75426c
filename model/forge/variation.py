"""What differs from place to place in an untouched photograph, and is no manipulation.

Shallow depth of field, light that falls off, a filter over the whole picture, a frame around it. Authentic and forged
photographs get these alike, before their first save.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

VARIATIONS = {
    "depth of field": 0.32,
    "vignette": 0.1,
    "light falloff": 0.12,
    "sharpened": 0.13,
    "tone curve": 0.13,
    "grey": 0.03,
    "local contrast": 0.11,
    "border": 0.06,
}
OVEREXPOSED = "overexposed scan"  # of documents alone


@dataclass(frozen=True)
class Variation:
    """One of VARIATIONS, or OVEREXPOSED, and the seed of its parameters."""

    name: str
    seed: int

    def vary(self, pixels: np.ndarray) -> np.ndarray:
        """The frame uint8 [h,w,3] under this variation."""
        return _varied(np.random.default_rng(self.seed), pixels, self.name)


def draw_variation(rng: np.random.Generator) -> Variation:
    """Any of them by its share."""
    return Variation(str(rng.choice(list(VARIATIONS), p=list(VARIATIONS.values()))), int(rng.integers(1 << 31)))


def _varied(rng: np.random.Generator, pixels: np.ndarray, name: str) -> np.ndarray:
    height, width = pixels.shape[:2]
    if name == "depth of field":
        return _defocused(rng, pixels)
    if name == OVEREXPOSED:
        return _overexposed(rng, pixels)
    if name == "border":
        thick = max(2, int(min(height, width) * rng.uniform(0.01, 0.08)))
        inner = pixels[thick:-thick, thick:-thick]
        colour = [int(rng.choice([0, 255, 255, 230]))] * 3
        return cv2.copyMakeBorder(inner, thick, thick, thick, thick, cv2.BORDER_CONSTANT, value=colour)
    if name == "sharpened":
        amount, radius = float(rng.uniform(0.5, 2.0)), float(rng.uniform(0.7, 2.0))
        return cv2.addWeighted(pixels, 1 + amount, cv2.GaussianBlur(pixels, (0, 0), radius), -amount, 0)
    if name == "grey":
        return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if name == "tone curve":
        gamma, contrast = np.exp(rng.normal(0, 0.25, 3) * 0.4 + rng.normal(0, 0.2)), float(rng.uniform(0, 0.5))
        level = np.arange(256)[:, None] / 255.0
        curve = level**gamma
        curve = (1 - contrast) * curve + contrast * (3 * curve**2 - 2 * curve**3)
        return cv2.LUT(pixels, np.round(255 * curve).astype(np.uint8).reshape(1, 256, 3))
    if name == "local contrast":
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
        side = int(rng.integers(3, 9))
        lab[..., 0] = cv2.createCLAHE(float(rng.uniform(1.0, 3.0)), (side, side)).apply(lab[..., 0])
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    if name == "vignette":
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
        gain = 1 - np.float32(rng.uniform(0.15, 0.5)) * (x[None] ** 2 + y[:, None] ** 2) / 2
    else:
        gain = 1 + (_ramp(rng, height, width) - 0.5) * np.float32(rng.uniform(0.2, 0.8))
    return np.clip(pixels * gain[..., None] + 0.5, 0, 255).astype(np.uint8)


def _ramp(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth float32 [h,w] in 0…1: a slope in some direction or a soft spot."""
    x, y = np.linspace(-1, 1, width, dtype=np.float32)[None], np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        distance = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) - np.float32(rng.uniform(-0.5, 0.5))
    else:
        spot_x, spot_y, radius = (np.float32(value) for value in rng.uniform((-0.7, -0.7, 0.2), (0.7, 0.7, 0.8)))
        distance = np.sqrt((x - spot_x) ** 2 + (y - spot_y) ** 2) - radius
    return 1 / (1 + np.exp(-distance * np.float32(rng.uniform(2.5, 9.0))))


def _defocused(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Blur that grows away from the plane of focus: a stack of two blurs blended by the distance."""
    height, width = pixels.shape[:2]
    distance, strength = _ramp(rng, height, width)[..., None], float(rng.uniform(1.0, 5.0))
    near, far = cv2.GaussianBlur(pixels, (0, 0), strength / 2.5), cv2.GaussianBlur(pixels, (0, 0), strength)
    first, second = np.clip(2 * distance, 0, 1), np.clip(2 * distance - 1, 0, 1)
    blurred = pixels * (1 - first) + near.astype(np.float32) * first
    return np.clip(blurred * (1 - second) + far * second + 0.5, 0, 255).astype(np.uint8)


def _overexposed(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """A scan whose light paper was stretched to white: part of it is clipped, the rest may have few tones left."""
    height, width = pixels.shape[:2]
    paper = max(64.0, float(np.percentile(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), rng.uniform(30, 80))))
    light = 1 + (_ramp(rng, height, width) - 0.5) * np.float32(rng.uniform(0.0, 0.12))
    bright = np.clip(pixels * (light * np.float32(255 / paper))[..., None] + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        return bright
    step = int(rng.integers(5, 18))
    return (255 - (255 - bright.astype(np.int16)) // step * step).clip(0).astype(np.uint8)
