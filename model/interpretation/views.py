"""What the network is shown of a region: the image as a whole, a close-up, and a detail at native resolution.

The runner makes the same views with other code (see README.md for the rules in words), so every rule here uses only
boxes and one row of the region; all arithmetic on pixels happens in the graph.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

SIDE = 192
MARGIN = 1.5  # of the close-up: its side over the longer side of the region's box
SMALLEST = 64  # px: side of a close-up at least
FITS = 160  # px: boxes up to it are shown whole in the detail
UNIT = 8  # the detail starts on the JPEG grid
VIEWS = ("whole", "close_up", "detail")
FACTS = (
    "area_fraction",
    "box_width_fraction",
    "box_height_fraction",
    "mean_probability",
    "image_width",
    "image_height",
    "jpeg",
    "natural",
    "document",
    "face",
    "scene_text",
)


@dataclass(frozen=True)
class Shown:
    """One region as the network takes it: views uint8 [3,S,S,3], masks uint8 [3,S,S] (255 inside), facts float32."""

    views: np.ndarray
    masks: np.ndarray
    facts: np.ndarray


Box = tuple[int, int, int, int]


def box_of(region: np.ndarray) -> Box:
    """x0, y0, x1, y1 (exclusive) of a mask that is not empty."""
    columns, rows = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def close_up_box(box: Box, width: int, height: int) -> Box:
    """A square of MARGIN times the region's longer side around its box, pushed back into the image, cut if larger."""
    x0, y0, x1, y1 = box
    side = max(SMALLEST, int(MARGIN * max(x1 - x0, y1 - y0) + 0.5))
    w, h = min(side, width), min(side, height)
    left = min(max(0, (x0 + x1 - w) // 2), width - w)
    top = min(max(0, (y0 + y1 - h) // 2), height - h)
    return left, top, left + w, top + h


def detail_origin(region: np.ndarray, box: Box) -> tuple[int, int]:
    """Left and top of the detail: around the box's middle where it fits, else around the region's left border there."""
    height, width = region.shape
    x0, y0, x1, y1 = box
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    if max(x1 - x0, y1 - y0) > FITS:
        x = x0 + int(np.argmax(region[y, x0:x1]))
    left = min(max(0, x - SIDE // 2), max(0, width - SIDE))
    top = min(max(0, y - SIDE // 2), max(0, height - SIDE))
    return left // UNIT * UNIT, top // UNIT * UNIT


def _squeezed(pixels: np.ndarray) -> np.ndarray:
    """To SIDE×SIDE whatever the aspect, by Lanczos with antialiasing as sharp does it."""
    if pixels.shape[:2] == (SIDE, SIDE):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _squeezed_mask(mask: np.ndarray) -> np.ndarray:
    """The same for masks, by area: as a share of each pixel."""
    shrunk = mask.shape[0] * mask.shape[1] > SIDE * SIDE
    return cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)


def show(pixels: np.ndarray, region: np.ndarray, mean_probability: float, jpeg: bool, domain: np.ndarray) -> Shown:
    """pixels uint8 [H,W,3] on the stored grid; region bool [H,W], not empty; domain float [4], probabilities."""
    height, width = region.shape
    box = box_of(region)
    x0, y0, x1, y1 = box
    white = region.astype(np.uint8) * 255
    left, top, right, bottom = close_up_box(box, width, height)
    origin_x, origin_y = detail_origin(region, box)
    detail = pixels[origin_y : origin_y + SIDE, origin_x : origin_x + SIDE]
    detail_mask = white[origin_y : origin_y + SIDE, origin_x : origin_x + SIDE]
    below, beside = SIDE - detail.shape[0], SIDE - detail.shape[1]
    views = [
        _squeezed(pixels),
        _squeezed(np.ascontiguousarray(pixels[top:bottom, left:right])),
        cv2.copyMakeBorder(np.ascontiguousarray(detail), 0, below, 0, beside, cv2.BORDER_REPLICATE),
    ]
    masks = [
        _squeezed_mask(white),
        _squeezed_mask(np.ascontiguousarray(white[top:bottom, left:right])),
        cv2.copyMakeBorder(np.ascontiguousarray(detail_mask), 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0),
    ]
    facts = [region.mean(), (x1 - x0) / width, (y1 - y0) / height, mean_probability, width, height, float(jpeg)]
    return Shown(np.stack(views), np.stack(masks), np.array([*facts, *domain], np.float32))
