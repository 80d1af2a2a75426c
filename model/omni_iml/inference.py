"""Whole images through the served graph: tiles, the view, the blend, the score. What gpu-runner/ does, for measuring.

The two implementations share the manifest and nothing else; `parity.py` holds the graph's own numbers together and
the evaluation through the public API those of the pipeline.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime
from PIL import Image

UNIT = 32
# The network finds places that look alike in quarters of an image's rows, of 16 px each: fewer rows cannot be had.
LEAST_SIDE = 64
BLOCK = 8
# A quarter of a level of 8 bits: what 0 and 255 stand for where maps are mixed by their logits.
LEAST = 1 / 1020


@dataclass(frozen=True)
class Decoded:
    """An image as the graph reads it."""

    pixels: np.ndarray  # uint8 [H, W, 3], the stored grid
    qtable: np.ndarray  # int32 [64], natural order
    jpeg: bool


def decode(path: str) -> Decoded:
    """Reads an image without touching its grid: no orientation, no colour profile; alpha is composed on white."""
    with Image.open(path) as image:
        table = np.ones(64, np.int32)
        # Adobe's marker says transform 0 where the file stores RGB itself: there is no luma table then.
        stored_rgb = image.mode == "RGB" and image.info.get("adobe_transform") == 0
        jpeg = image.format == "JPEG" and image.mode in ("RGB", "L") and not stored_rgb
        if jpeg:
            # Pillow hands tables out in natural order, keyed by id; the first component's id comes first in `layer`.
            table = np.array(image.quantization[image.layer[0][3]], np.int32)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return Decoded(np.asarray(image.convert("RGB")), table, jpeg)


def up(value: int, unit: int = UNIT) -> int:
    """Rounds up to a multiple of `unit`."""
    return -(-value // unit) * unit


def padded(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Edge replication to the right and below."""
    h, w = pixels.shape[:2]
    return np.pad(pixels, ((0, height - h), (0, width - w), (0, 0)), mode="edge")


def tiles_along(length: int, pipeline: dict) -> tuple[int, list[int]]:
    """Side and origins in pixels of the tiles along a side of `length` pixels.

    As few tiles as ones of the largest side need, and those as small as that number allows, in multiples of
    `tile_step`: what tiles have in common is computed twice. Origins are multiples of 8, evenly spread, the last one as
    far as needed; neighbours have at least `overlap` pixels in common.
    """
    tile, overlap = pipeline["tile"], pipeline["overlap"]
    if length <= tile:
        return min(tile, up(length)), [0]
    count = -(-(length - overlap) // (tile - overlap))
    side = min(tile, up(-(-(length + (count - 1) * overlap) // count), pipeline["tile_step"]))
    last = -(-(length - side) // BLOCK)
    return side, [BLOCK * (i * last // (count - 1)) for i in range(count)]


def window(size: int, overlap: int, first: bool, last: bool) -> np.ndarray:
    """Blending weight along one side: 1, and a raised cosine over `overlap`; flat where the tile ends the image."""
    i = np.arange(size)
    ends = np.full(size, overlap)
    nearest = np.minimum(ends if first else i, ends if last else size - 1 - i)
    return np.where(nearest >= overlap, 1, 0.5 - 0.5 * np.cos(np.pi * (nearest + 0.5) / overlap)).astype(np.float32)


class Session:
    """The ONNX file on the CPU."""

    def __init__(self, path: str, threads: int = 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: np.ndarray, qtable: np.ndarray, jpeg: bool, override: int = -1) -> dict[str, np.ndarray]:
        """One crop uint8 [H, W, 3] (multiples of 32); the graph's outputs without the batch dimension."""
        feed = {
            "pixels": pixels[None],
            "qtable": qtable[None].astype(np.int32),
            "jpeg": np.array([jpeg], np.uint8),
            "modality_override": np.array([override], np.int8),
        }
        names = ("probability", "score", "gate", "domain")
        return {name: value[0] for name, value in zip(names, self.session.run(list(names), feed), strict=True)}


@dataclass
class Found:
    """What the graph says of one image before any threshold."""

    tiles: np.ndarray  # float32 [H, W] in 0…1: blended tiles
    view: np.ndarray | None  # float32 [H, W] in 0…1: the whole image at another scale; None where that has no weight
    scores: np.ndarray  # [tiles], logits of the network's own score
    view_score: float | None  # the same of the view
    gate: float
    domain: np.ndarray  # [4]
    weight: float = 0.0  # the view's
    relative_floor: float = 0.0
    least_prominence: float = 0.0

    def blended(self) -> np.ndarray:
        """Tiles and view mixed, as the 8-bit map that is delivered, in 0…1.

        Their logits are mixed: one that is sure outweighs one that is not, and what neither doubts stays as it is.
        """
        if self.view is None:
            mixed = self.tiles
        else:
            # In the maps' own precision: it is far finer than a level, and double takes four times as long.
            tiles, view = (logit(part, LEAST, np.float32) for part in (self.tiles, self.view))
            mixed = 1 / (1 + np.exp(tiles * -(1 - self.weight) - view * self.weight))
        floored = above_floor(np.round(mixed * 255).astype(np.uint8), self.relative_floor)
        return prominent(floored, self.least_prominence) / 255


def reacting(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected parts of a map uint8 [H, W] from one half on: labels [H, W], 0 elsewhere, and their mean logits."""
    reacts = levels >= 128
    count, parts = cv2.connectedComponents(reacts.astype(np.uint8), connectivity=8)
    sums = np.bincount(parts[reacts], logit(levels[reacts] / 255, LEAST), count)
    return parts, sums / np.maximum(np.bincount(parts[reacts], minlength=count), 1)


def above_floor(levels: np.ndarray, share: float) -> np.ndarray:
    """A map uint8 [H, W] judged by its own strength: around what is sure, less is believed than in a faint map.

    All logits are lowered by a share of the largest mean logit of a connected part; a map without any stays as it is.
    """
    strongest = reacting(levels)[1].max() if share > 0 else 0.0
    return shifted(levels, -share * strongest) if strongest > 0 else levels


def raised(levels: np.ndarray, copies: list[dict], policy: dict) -> np.ndarray:
    """A map uint8 [H, W] that reacts more where something was copied to.

    `copies` are pairs of places that show the same: `first` and `second`, polygons [[x, y], …] in pixels of the map,
    and the same of the `whole` places, with what agrees more loosely. Of each pair the one of the higher mean logit, by
    `least_difference` of the policy at least and no lower than `least_logit`, is raised as a whole by `raise` logits.
    """
    logits = logit(np.arange(256) / 255, LEAST)[levels]
    where = np.zeros(levels.shape, bool)
    for copy in copies:
        masks = [filled(copy[name], levels.shape) for name in ("first", "second")]
        if not all(mask.any() for mask in masks):
            continue
        one, other = (logits[mask > 0].mean() for mask in masks)
        if abs(one - other) < policy["least_difference"] or max(one, other) < policy["least_logit"]:
            continue
        where |= filled(copy["whole"]["second" if other > one else "first"], levels.shape) > 0
    return np.where(where, shifted(levels, policy["raise"]), levels)


def filled(polygon: list, shape: tuple[int, int]) -> np.ndarray:
    """1 inside a polygon [[x, y], …] and on its outline: uint8 [H, W]."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(polygon)).astype(np.int32)], 1)
    return mask


def shifted(levels: np.ndarray, shift: float) -> np.ndarray:
    """A map uint8 [H, W] with its logits moved."""
    return np.round(255 * moved_levels(shift)).astype(np.uint8)[levels]


def moved_levels(shift: float) -> np.ndarray:
    """What each of the 256 levels is with its logit moved: float64 [256] in 0…1."""
    return 1 / (1 + np.exp(-logit(np.arange(256) / 255, LEAST) - shift))


def prominent(levels: np.ndarray, least: float) -> np.ndarray:
    """A map uint8 [H, W] without echoes: what reacts far less than its most striking part is mostly that.

    Connected parts from one half on whose mean logit is below `least` of the largest such mean are lowered to 127.
    """
    if least <= 0:
        return levels
    parts, means = reacting(levels)
    return np.where((means < least * means.max())[parts] & (parts > 0), np.uint8(127), levels)


def logit(probability: np.ndarray | float, least: float = 1e-6, dtype: type = np.float64) -> np.ndarray:
    """Inverse of the logistic function, bounded to that of `least` and its complement."""
    p = np.clip(np.asarray(probability, dtype), least, 1 - least)
    return np.log(p / (1 - p))


def view_scale(height: int, width: int, view: dict) -> float:
    """By what factor the view resizes the image: small ones are enlarged, others shrunk."""
    longest, enlarged = max(height, width), view["enlarged"]
    if longest <= enlarged["up_to"]:
        return min(enlarged["factor"], enlarged["size"] / longest)
    return min(1.0, view["size"] / longest)


def analyse(session: Session, image: Decoded, pipeline: dict) -> Found:
    """Tiles at native resolution with one modality for the image, and one view of the whole."""
    h, w = image.pixels.shape[:2]
    overlap = pipeline["overlap"]
    (height, rows), (width, columns) = (tiles_along(side, pipeline) for side in (h, w))
    places = [(y, x) for y in rows for x in columns]
    canvas = padded(image.pixels, max(h, rows[-1] + height), max(w, columns[-1] + width))

    def run(place: tuple[int, int], override: int) -> dict[str, np.ndarray]:
        y, x = place
        return session(np.ascontiguousarray(canvas[y : y + height, x : x + width]), image.qtable, image.jpeg, override)

    count = min(pipeline["gate_tiles"], len(places))
    asked = [int((i + 0.5) * len(places) / count) for i in range(count)]
    first = {i: run(places[i], -1) for i in asked}
    gate = float(np.mean([out["gate"] for out in first.values()]))
    override = int(gate > 0.5)
    total, shares = np.zeros(canvas.shape[:2], np.float32), np.zeros(canvas.shape[:2], np.float32)
    scores, domains = [], []
    for i, (y, x) in enumerate(places):
        share = window(height, overlap, y == 0, y == rows[-1])[:, None] * window(
            width, overlap, x == 0, x == columns[-1]
        )
        out = first.get(i)
        if out is None or int(out["gate"] > 0.5) != override:
            out = run((y, x), override)
        total[y : y + height, x : x + width] += share * out["probability"] / 255
        shares[y : y + height, x : x + width] += share
        scores.append(logit(out["score"]))
        domains.append(out["domain"])
    tiles = (total / np.maximum(shares, 1e-9))[:h, :w]
    view, view_score = None, None
    weight = view_weight(np.mean([out["domain"] for out in first.values()], 0), pipeline["view"])
    if any(pipeline["view"]["weights"]):
        scale = view_scale(h, w, pipeline["view"])
        view, view_score = whole(session, image.pixels, scale, pipeline["view"].get("mirrored", False))
    floor, least = pipeline.get("relative_floor", 0.0), pipeline.get("least_prominence", 0.0)
    return Found(tiles, view, np.array(scores), view_score, gate, np.mean(domains, 0), weight, floor, least)


def view_weight(domain: np.ndarray, view: dict) -> float:
    """The view's weight from the domain [4] of the tiles that decide the modality, each with a weight of its own.

    Scenes and faces are understood from afar, letters are not.
    """
    return float(np.dot(domain, view["weights"]))


def whole(session: Session, pixels: np.ndarray, scale: float, mirrored: bool) -> tuple[np.ndarray, float]:
    """The view: uint8 [H, W, 3] resized by `scale`, to multiples of UNIT, LEAST_SIDE at least.

    `mirrored`, its left is shown on the right and the map turned back: its errors then are less those of the tiles.
    Probability float32 [H, W], and the logit of the network's own score.
    """
    h, w = pixels.shape[:2]
    size = tuple(max(LEAST_SIDE, int(side * scale / UNIT + 0.5) * UNIT) for side in (w, h))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    turn = slice(None, None, -1 if mirrored else 1)
    out = session(np.ascontiguousarray(small[:, turn]), np.ones(64, np.int32), False, 0)
    probability = cv2.resize(
        out["probability"][:, turn].astype(np.float32) / 255, (w, h), interpolation=cv2.INTER_LINEAR
    )
    return probability, float(logit(out["score"]))


FEATURES = ("q50", "q90", "q99", "q999", "max", "area", "log_megapixels", "network", "network_mean", "view")


def features(found: Found, probability: np.ndarray, threshold: float) -> dict[str, float]:
    """What the served score is a logistic of; `probability` is the final map, float [H, W]."""
    q50, q90, q99, q999 = np.quantile(probability, [0.5, 0.9, 0.99, 0.999])
    return {
        "q50": q50,
        "q90": q90,
        "q99": q99,
        "q999": q999,
        "max": probability.max(),
        "area": (probability >= threshold).mean(),
        "log_megapixels": np.log10(probability.size / 1e6),
        "network": found.scores.max(),
        "network_mean": logit(np.mean(1 / (1 + np.exp(-found.scores)))),
        "view": found.scores.max() if found.view_score is None else found.view_score,
    }
