"""Text set in fonts that training never saw, drawn four times too large and averaged down.

Debian packages: fonts-crosextra-carlito fonts-crosextra-caladea fonts-open-sans fonts-courier-prime
fonts-inconsolata.
"""

from __future__ import annotations

import functools
import subprocess

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FAMILIES = ("Carlito", "Caladea", "Open Sans", "Courier Prime", "Inconsolata")
PACKAGES = "fonts-crosextra-carlito fonts-crosextra-caladea fonts-open-sans fonts-courier-prime fonts-inconsolata"
OVERSIZE = 4
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


@functools.cache
def font_files() -> tuple[str, ...]:
    """Files of the families, sorted; fails with the packages' names where a family is missing."""
    found: list[str] = []
    for family in FAMILIES:
        listing = subprocess.run(["fc-list", f":family={family}", "file"], capture_output=True, text=True, check=True)
        files = sorted(line.rstrip(": \n") for line in listing.stdout.splitlines())
        files = [name for name in files if name.endswith((".ttf", ".otf"))]
        if not files:
            raise FileNotFoundError(f"no font of the family {family}: install {PACKAGES}")
        found += files
    return tuple(found)


def draw_font(rng: np.random.Generator) -> str:
    """A font file, families alike."""
    files = font_files()
    return files[rng.integers(len(files))]


def lettered(text: str, font: str, height: int, width: int | None = None) -> np.ndarray:
    """Coverage float32 [height, w] of the text's ink; `width` stretches it to that many pixels."""
    face = ImageFont.truetype(font, max(8, height * OVERSIZE))
    x0, y0, x1, y1 = face.getbbox(text)
    canvas = Image.new("L", (max(1, x1 - x0), max(1, y1 - y0)), 0)
    ImageDraw.Draw(canvas).text((-x0, -y0), text, fill=255, font=face)
    if width is None:
        width = max(2, round(canvas.width * height / canvas.height))
    return np.asarray(canvas.resize((width, height), Image.BOX), np.float32) / 255.0


def figure(rng: np.random.Generator) -> str:
    """A sum, a date, a time, or a number."""
    style = int(rng.integers(4))
    if style == 0:
        return f"{float(np.exp(rng.uniform(0, 9))):.2f}"
    if style == 1:
        return f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/{rng.integers(2001, 2030)}"
    if style == 2:
        return f"{rng.integers(24):02d}:{rng.integers(60):02d}"
    return str(rng.integers(10, 10 ** int(rng.integers(2, 8))))


def made_up_word(rng: np.random.Generator, length: int) -> str:
    """Something one can pronounce, of about this many letters."""
    letters = [str(rng.choice(list(VOWELS if index % 2 else CONSONANTS))) for index in range(max(2, length))]
    return "".join(letters)


def softened(coverage: np.ndarray, sigma: float) -> np.ndarray:
    """Coverage as a lens or a print would leave it; room for the blur is added on all sides."""
    pad = int(np.ceil(2 * sigma))
    return cv2.GaussianBlur(np.pad(coverage, pad), (0, 0), sigma) if sigma > 0.2 else coverage


def edge_width(grey: np.ndarray) -> float:
    """The blur of the sharpest edges in px, from contrast over steepest slope (a Gaussian edge's slope is c/σ√2π)."""
    values = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.5)
    contrast = float(np.percentile(values, 97) - np.percentile(values, 3))
    slope = float(np.percentile(np.abs(np.diff(values, axis=1)), 98)) if values.shape[1] > 2 else 0.0
    return float(np.clip(contrast / (2.507 * max(slope, 1e-3)) - 0.5, 0.0, 2.5))
