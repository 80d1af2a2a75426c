"""Annotations after the schema of Omni-273k, written from what the forge truly did (see causes.py, traces.py)."""

from __future__ import annotations

import re

import cv2
import numpy as np

from .causes import TEXT_KINDS, Deeds, causes, saved_apart
from .traces import Traces, measure
from .vocabulary import KIND_OF, TITLES

SCHEMA = "omni-273k/1.0.0"
MOST = 5  # instances described, largest first
LEAST_AREA = 40  # px of an instance
# Grey levels from which a difference to the surroundings counts, by domain: paper is even, scenes are not.
BRIGHTER = {"natural": 30.0, "document": 6.0, "face": 25.0, "scene_text": 14.0}
TINTED = {"natural": 12.0, "document": 3.0, "face": 9.0, "scene_text": 5.0}
SEAM, NOISE, SHARPNESS, STRUCTURE = 0.4, 0.8, 0.8, 0.6  # log2
GHOST = 0.25  # log2
STROKE, LETTER, BASELINE, REPEATED = 0.35, 0.6, 2.0, 0.85


def instances_of(mask: np.ndarray) -> list[np.ndarray]:
    """Connected parts of a mask bool [H,W] as masks, largest first, at most MOST, none below LEAST_AREA."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda index: -int(stats[index, cv2.CC_STAT_AREA]))
    return [labels == index for index in order[:MOST] if stats[index, cv2.CC_STAT_AREA] >= LEAST_AREA]


def traced(deeds: Deeds, pixels: np.ndarray, region: np.ndarray, mask: np.ndarray) -> tuple[dict[str, str], Traces]:
    """What gave cause for artifacts (title to words), and what is measured of one region."""
    given = causes(deeds)
    levels = saved_apart(deeds)
    quality = levels[1] if levels else None
    return given, measure(pixels, region, mask, deeds.kind in TEXT_KINDS, "repetition" in given, quality)


def artifacts(domain: str, kind: str, given: dict[str, str], traces: Traces) -> dict[str, str]:
    """The titles that have both a cause and a trace, in the order of TITLES, each with its description."""
    shown = _shown(domain, kind, traces)
    found = {}
    for title in TITLES:
        words = shown.get(title)
        if title in given and words is not None:
            found[title] = f"{given[title]}{words}".capitalize()
    return found


def _shown(domain: str, kind: str, traces: Traces) -> dict[str, str | None]:
    """For each title the words for its trace, empty where the cause says it all, None where there is no trace."""

    def ratio(value: float | None, least: float, more: str, less: str) -> str | None:
        if value is None or abs(value) < least:
            return None
        return f": {2 ** abs(value):.1f} times {more if value > 0 else less} its surroundings"

    brightness, colour = traces.brightness, traces.colour
    lettered = kind in TEXT_KINDS
    texture = ratio(traces.structure, STRUCTURE, "the contrast of", "less contrast than")
    if lettered and (traces.structure or 0) > 0:
        texture = None  # letters have more contrast than paper, forged or not
    font = ratio(traces.stroke, STROKE, "the stroke width of", "thinner strokes than")
    return {
        "edge": ": the border stands out" if traces.seam is not None and traces.seam >= SEAM else None,
        "lighting": None
        if brightness is None or abs(brightness) < BRIGHTER[domain]
        else f": {abs(brightness):.0f} grey levels {'brighter' if brightness > 0 else 'darker'} than its surroundings",
        "noise": ratio(traces.noise, NOISE, "the noise of", "less noise than"),
        "resolution": ratio(traces.sharpness, SHARPNESS, "the fine detail of", "less fine detail than"),
        "compression": None
        if traces.ghost is None or abs(traces.ghost) < GHOST
        else ": saved again at that quality, one side changes less than the other",
        "texture": texture,
        "alignment": None
        if domain != "document" or traces.baseline is None or traces.baseline < BASELINE
        else f": {traces.baseline:.0f} pixels off the line of its neighbours",
        "font": font or ratio(traces.letter, LETTER, "the letter height of", "smaller letters than"),
        "colour": None
        if colour is None or colour < TINTED[domain]
        else f": its hue is {colour:.0f} grey levels away from its surroundings",
        "repetition": None
        if traces.repeated is None or traces.repeated < REPEATED
        else f": the same is found elsewhere in the image (correlation {traces.repeated:.2f})",
        "geometry": "",
        "semantics": "",
    }


def annotate(made: dict, pixels: np.ndarray, mask: np.ndarray, name: str | None = None) -> dict:
    """A record of Omni-273k for one forged or authentic sample.

    `made`: the annotation of forge/sample.py; pixels uint8 [H,W,3] as decoded from the final file; mask bool [H,W].
    """
    deeds = Deeds.of(made)
    height, width = mask.shape
    regions = instances_of(mask)
    boxes = [_box(region) for region in regions]
    instances = []
    for number, region in enumerate(regions):
        artifact = artifacts(made["domain"], deeds.kind, *traced(deeds, pixels, region, mask))
        instances.append(
            {
                "id": f"i{number + 1}",
                "content": content(deeds),
                "position": {
                    "absolute": {"bbox": boxes[number], "place": place(boxes[number], width, height)},
                    "relative": relative(number, boxes, width, height),
                },
                "area_fraction": round(float(region.mean()), 6),
                "artifacts": [{"title": title, "description": words} for title, words in artifact.items()],
            }
        )
    return {
        "schema": SCHEMA,
        "image": {"name": name or made["source"], "width": width, "height": height},
        "domain": made["domain"],
        "manipulation": KIND_OF.get(deeds.kind),
        "instances": instances,
        "annotator": {"type": "forge", "name": "omni-iml forge"},
    }


def _box(region: np.ndarray) -> list[int]:
    columns, rows = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def place(box: list[int], width: int, height: int) -> str:
    """One of nine places by thirds of the image, from the box's middle: "top left", "centre", "bottom", …"""
    row = ("top", "", "bottom")[min(2, int(1.5 * (box[1] + box[3]) / height))]
    column = ("left", "", "right")[min(2, int(1.5 * (box[0] + box[2]) / width))]
    return f"{row} {column}".strip() or "centre"


def relative(number: int, boxes: list[list[int]], width: int, height: int) -> str | None:
    """Where an instance lies against the nearest other one, or against the image's borders; None if neither."""
    x0, y0, x1, y1 = boxes[number]
    others = [
        (abs(x0 + x1 - box[0] - box[2]) + abs(y0 + y1 - box[1] - box[3]), index)
        for index, box in enumerate(boxes)
        if index != number
    ]
    if others:
        index = min(others)[1]
        dx, dy = x0 + x1 - boxes[index][0] - boxes[index][2], y0 + y1 - boxes[index][1] - boxes[index][3]
        side = ("right of" if dx > 0 else "left of") if abs(dx) > abs(dy) else ("below" if dy > 0 else "above")
        return f"{side} i{index + 1}"
    touched = [
        name
        for name, touches in (("left", x0 == 0), ("top", y0 == 0), ("right", x1 == width), ("bottom", y1 == height))
        if touches
    ]
    return f"touching the {' and '.join(touched)} border" if touched else None


def content(deeds: Deeds) -> str:
    """What the instance shows, as far as the forge knows."""
    texts = [text for operation in deeds.operations for text in _new_texts(operation)]
    quoted = " or ".join(f"“{text}”" for text in dict.fromkeys(texts[:4]) if text)
    if deeds.kind == "text_erase":
        return f"blank ground where {quoted} stood" if quoted else "blank ground where text stood"
    if deeds.kind in TEXT_KINDS:
        return f"the text {quoted}" if quoted else "text"
    if deeds.kind == "mark_insert":
        return "a stamp" if deeds.does("stamp") else "a signature"
    if deeds.kind in ("face_swap", "self_blend"):
        return "a face"
    if deeds.kind in ("feature_swap", "retouch"):
        found = re.match(r"(eyes?|nose and mouth|nose|mouth|jaw|skin)", deeds.operations[0])
        return f"the {found.group(1)} of a face" if found else "a face"
    if deeds.does("lettering"):
        return "a caption"
    if deeds.does("backdrop"):
        return "a background"
    if deeds.kind == "removal":
        return "filled-in background where something was removed"
    if deeds.kind == "copy_move":
        return "a copy of another part of the image"
    if deeds.does("object cut-out"):
        return "an object from another picture"
    return "a part of another picture" if deeds.donor else "a part of the picture that was changed in place"


def _new_texts(operation: str) -> list[str]:
    """The texts that an operation put there (or erased, where it put none)."""
    quoted = re.findall("“(.*?)”", operation)
    return quoted[1:] if "replaced by" in operation else quoted[:1]
