"""Measurements of what a region looks like against its surroundings, for annotations: a trace that the final file no
longer shows is not described. Only numpy and OpenCV; pixels uint8 [H,W,3], masks bool [H,W]."""

from dataclasses import dataclass

import cv2
import numpy as np

LEAST = 40  # pixels that a measurement needs on either side


@dataclass(frozen=True)
class Traces:
    """Region against surroundings. Ratios are log2, inside over outside; None where there was too little to measure.

    brightness: difference of median luma, grey levels (of what lies behind letters, where there are any); colour:
    distance of the median chroma, grey levels;
    noise: of the noise level; sharpness: of fine detail over coarse detail; structure: of the contrast of what is
    drawn there, noise aside; seam: how much steeper the border is than lines beside it; stroke: of the pen's width;
    letter: of the letters' height; baseline: by how many pixels letters stand off the line of their neighbours;
    repeated: how well the region's middle is found elsewhere in the image, correlation; ghost: how much deeper the
    dip of the error is, on saving again at a quality that only one side has been through, log2.
    """

    brightness: float | None
    colour: float | None
    noise: float | None
    sharpness: float | None
    structure: float | None
    seam: float | None
    stroke: float | None
    letter: float | None
    baseline: float | None
    repeated: float | None
    ghost: float | None


def measure(
    pixels: np.ndarray, region: np.ndarray, others: np.ndarray, text: bool, copied: bool, quality: int | None = None
) -> Traces:
    """Traces of one region; `others` are manipulated pixels that count to no surroundings. Letters are looked at only
    where `text`, a source only where `copied`, a ghost only of `quality`: they cost more than the rest."""
    y, x = np.nonzero(region)
    reach = int(np.clip(0.4 * np.sqrt(len(y)), 10, 48))
    rows = slice(max(0, y.min() - reach - 2) // 8 * 8, y.max() + reach + 3)  # on the grid of the file's blocks
    columns = slice(max(0, x.min() - reach - 2) // 8 * 8, x.max() + reach + 3)
    part, inside = np.ascontiguousarray(pixels[rows, columns]), region[rows, columns]
    taken = cv2.dilate((others | region)[rows, columns].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    near = cv2.dilate(inside.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)).astype(bool)
    ring = near & ~taken
    core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1).astype(bool)
    core = core if core.sum() >= LEAST else inside
    if core.sum() < LEAST or ring.sum() < LEAST:
        return Traces(*[None] * 11)
    lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB).astype(np.float32)
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    ground = np.median(lab[ring], axis=0)
    tone = np.median(lab[core], axis=0) - ground
    if text:  # ink fills more of a word than of its surroundings: compare paper with paper
        ends = np.percentile(lab[core][:, 0], [15, 50, 85]) - ground[0]
        tone[0] = ends[np.abs(ends).argmin()]
    stroke, letter, baseline = _letters(grey, inside, ring) if text else (None, None, None)
    return Traces(
        float(tone[0]),
        float(np.hypot(tone[1], tone[2])),
        _ratio(_noise(grey), core, ring, 0.25),
        _sharpness(grey, core, ring),
        _ratio(_structure(grey), core, ring, 1.0),
        _seam(grey, inside),
        stroke,
        letter,
        baseline,
        _repeated(pixels, region) if copied else None,
        _ghost(grey, core, ring, quality) if quality else None,
    )


def _ratio(values: np.ndarray, core: np.ndarray, ring: np.ndarray, floor: float) -> float:
    """log2 of the means' ratio; `floor` keeps flat paper from counting as infinitely quiet."""
    return float(np.log2((values[core].mean() + floor) / (values[ring].mean() + floor)))


def _noise(grey: np.ndarray) -> np.ndarray:
    """Noise where nothing is drawn: second differences (Immerkær 1996), large ones, which are edges, cut off."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    return np.minimum(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)), 6.0)


def _sharpness(grey: np.ndarray, core: np.ndarray, ring: np.ndarray) -> float | None:
    """Fine against coarse detail: blurring and enlarging take the fine away, sharpening adds to it."""
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 0.8))
    soft = cv2.GaussianBlur(grey, (0, 0), 1.6)
    coarse = np.abs(soft - cv2.GaussianBlur(soft, (0, 0), 3.2))
    if min(coarse[core].mean(), coarse[ring].mean()) < 0.8:
        return None  # nothing is drawn on one side
    inside, outside = (fine[area].mean() / coarse[area].mean() for area in (core, ring))
    return float(np.log2((inside + 0.02) / (outside + 0.02)))


def _structure(grey: np.ndarray) -> np.ndarray:
    """Local contrast once noise is blurred away."""
    soft = cv2.GaussianBlur(grey, (0, 0), 1.5)
    mean = cv2.blur(soft, (7, 7))
    return np.sqrt(np.maximum(cv2.blur(soft * soft, (7, 7)) - mean * mean, 0))


def _seam(grey: np.ndarray, inside: np.ndarray) -> float | None:
    """log2 of the gradient along the border over that along lines 4 pixels to either side."""
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 4
    distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    beyond = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    signed = np.where(inside, distance - 0.5, 0.5 - beyond)
    signed[[0, -1]] = 99
    signed[:, [0, -1]] = 99
    on, within, without = np.abs(signed) < 1.2, (signed > 3) & (signed < 5.5), (signed < -3) & (signed > -5.5)
    if min(on.sum(), within.sum(), without.sum()) < LEAST // 2:
        return None
    return float(np.log2((gradient[on].mean() + 1) / (max(gradient[within].mean(), gradient[without].mean()) + 1)))


def _ink(grey: np.ndarray) -> np.ndarray | None:
    """Dark or light letters, whichever are fewer; None without contrast."""
    low, high = np.percentile(grey, [3, 97])
    if high - low < 30:
        return None
    _, dark = cv2.threshold(grey.astype(np.uint8), 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    return (dark if dark.mean() < 0.5 else 1 - dark).astype(bool)


def _letters(grey: np.ndarray, inside: np.ndarray, ring: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Stroke width and letter height against the neighbours', log2; distance of the baselines on the same line, px."""
    ink = _ink(grey)
    if ink is None or (ink & inside).sum() < 30:
        return None, None, None
    wide = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    ridge = wide >= cv2.dilate(wide, np.ones((3, 3), np.uint8)) - 1e-3
    ridge &= ink
    _, _, stats, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    rows, columns = np.clip(np.round(centres[1:]).astype(int).T[::-1], 0, np.array(grey.shape)[:, None] - 1)
    heights, bottoms = stats[1:, 3], stats[1:, 1] + stats[1:, 3]
    letters = (stats[1:, 4] >= 8) & (heights >= 5)
    own, other = letters & inside[rows, columns], letters & ring[rows, columns]
    if not own.any() or other.sum() < 2 or (ridge & ring).sum() < 10 or (ridge & inside).sum() < 5:
        return None, None, None
    stroke = float(np.log2(wide[ridge & inside].mean() / wide[ridge & ring].mean()))
    letter = float(np.log2(np.median(heights[own]) / np.median(heights[other])))
    line = np.median(bottoms[own])
    beside = other & (np.abs(bottoms - line) < 0.6 * np.median(heights[own]))
    baseline = float(abs(line - np.median(bottoms[beside]))) if beside.sum() >= 2 else None
    return stroke, letter, baseline


def _repeated(pixels: np.ndarray, region: np.ndarray) -> float | None:
    """Best normalised correlation of the region's middle with any other place, mirrored or not."""
    y, x = np.nonzero(region)
    y0, y1, x0, x1 = y.min(), y.max() + 1, x.min(), x.max() + 1
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    side_y, side_x = int(0.6 * (y1 - y0)), int(0.6 * (x1 - x0))
    top, left = (y0 + y1 - side_y) // 2, (x0 + x1 - side_x) // 2
    piece = grey[top : top + side_y, left : left + side_x]
    if side_y * side_x < 240 or piece.std() < 6:
        return None  # so little is found anywhere
    best = -1.0
    for one in (piece, piece[:, ::-1]):
        found = cv2.matchTemplate(grey, np.ascontiguousarray(one), cv2.TM_CCOEFF_NORMED)
        found[
            max(0, top - side_y // 2) : top + side_y // 2 + 1, max(0, left - side_x // 2) : left + side_x // 2 + 1
        ] = -1
        best = max(best, float(found.max()))
    return best


def _ghost(grey: np.ndarray, core: np.ndarray, ring: np.ndarray, quality: int) -> float:
    """The dip of the error at `quality` against qualities beside it, of the surroundings over the region's."""
    levels = (max(5, quality - 9), quality, min(98, quality + 7))
    squares = []
    for level in levels:
        _, data = cv2.imencode(".jpg", grey.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, level])
        squares.append((cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) - grey) ** 2)
    low, same, high = (np.array([one[core].mean(), one[ring].mean()]) + 0.05 for one in squares)
    inside, outside = np.log2(same / np.sqrt(low * high))
    return float(outside - inside)
