"""Receipts changed by other hands: every edit's mask is the box of the changed text with two pixels of paper."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from PIL import Image

from ..document import Box, Word, words_of
from ..forgery import Edit, Forgery, Unforgeable, Workbench, several
from ..pool import Window
from .lettering import draw_font, edge_width, figure, lettered, made_up_word, softened

KINDS = {
    "text_replace": 0.34,
    "text_copy": 0.20,
    "text_splice": 0.14,
    "text_erase": 0.13,
    "text_insert": 0.13,
    "mark_insert": 0.06,
}
LEAST_CHANGE = {"text_erase": 2.5}  # grey levels; 6 elsewhere
COUNTS = (1, 2, 3, 4, 5, 6)
LEAST_HEIGHT = 9  # px of a word worth changing
MARKS = ((150, 20, 60), (20, 40, 140), (15, 15, 60))


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str) -> Forgery:
    """One to six edits of one kind."""
    words = [word for word in words_of(window, rng) if word.height >= LEAST_HEIGHT and word.box[2] - word.box[0] > 12]
    if len(words) < 3:
        raise Unforgeable("hardly any text")
    count = int(rng.choice(COUNTS)) if kind != "mark_insert" else 1

    def edit(frame: np.ndarray) -> Edit:
        return _EDITS[kind](frame, words, bench, rng)

    return several(window.pixels, kind, itertools.repeat(edit, 5 * count), count, LEAST_CHANGE.get(kind, 6.0))


def _part(rng: np.random.Generator, words: list[Word]) -> tuple[Box, Word]:
    """A word, or its end."""
    word = words[rng.integers(len(words))]
    if rng.random() < 0.3 and len(word.characters) > 3:
        return (word.characters[-3][0], *word.box[1:]), word
    return word.box, word


def _mask(shape: tuple[int, ...], box: Box) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[max(0, box[1] - 2) : box[3] + 2, max(0, box[0] - 2) : box[2] + 2] = True
    return mask


def _papered(frame: np.ndarray, box: Box, rng: np.random.Generator) -> np.ndarray:
    """The frame without the box's ink: closed over dark strokes, painted in the paper's colour, or paper from afar."""
    x0, y0, x1, y1 = max(0, box[0] - 2), max(0, box[1] - 2), box[2] + 2, box[3] + 2
    result, part = frame.copy(), frame[y0:y1, x0:x1]
    style = rng.random()
    if style < 0.4:
        closed = cv2.morphologyEx(part, cv2.MORPH_CLOSE, np.ones((part.shape[0] | 1, 9), np.uint8))
        result[y0:y1, x0:x1] = cv2.blur(closed, (5, 5))
    elif style < 0.75:
        result[y0:y1, x0:x1] = np.percentile(part.reshape(-1, 3), 75, axis=0).astype(np.uint8)
    else:
        result[y0:y1, x0:x1] = _blank(frame, (y1 - y0, x1 - x0), np.percentile(part.reshape(-1, 3), 70, axis=0), rng)
    return result


def _blank(frame: np.ndarray, shape: tuple[int, int], paper: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An empty piece of the page, brought to the colour `paper`."""
    height, width = shape
    for _ in range(60):
        y, x = int(rng.integers(0, frame.shape[0] - height)), int(rng.integers(0, frame.shape[1] - width))
        piece = frame[y : y + height, x : x + width]
        if piece.std(axis=(0, 1)).max() < 12:
            return np.clip(piece + (paper - piece.mean(axis=(0, 1))), 0, 255).astype(np.uint8)
    raise Unforgeable("no empty paper")


def _printed(
    frame: np.ndarray, box: Box, text: str, like: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Box]:
    """Text at a box's left and height in the darkest colour of `like`, as soft as its edges; and the new text's box."""
    ink = np.percentile(like.reshape(-1, 3), 4, axis=0).astype(np.float32)
    paper = np.percentile(like.reshape(-1, 3), 80, axis=0)
    if (paper - ink).mean() < 25:
        raise Unforgeable("hardly any contrast")
    grey = cv2.cvtColor(np.ascontiguousarray(like), cv2.COLOR_RGB2GRAY)
    coverage = softened(lettered(text, draw_font(rng), box[3] - box[1]), edge_width(grey))
    height, width = coverage.shape
    y, x = (box[1] + box[3] - height) // 2, box[0]
    if y < 0 or x + width > frame.shape[1] - 2 or y + height > frame.shape[0] - 2 or width > 2.2 * (box[2] - box[0]):
        raise Unforgeable("no room for the text")
    result = frame.copy()
    below = result[y : y + height, x : x + width].astype(np.float32)
    result[y : y + height, x : x + width] = np.clip(below + (ink - below) * coverage[..., None], 0, 255)
    return result, (x, y, x + width, y + height)


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _replace(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    box, word = _part(rng, words)
    like = frame[word.box[1] : word.box[3], word.box[0] : word.box[2]]
    length = max(1, round((box[2] - box[0]) / (0.6 * (box[3] - box[1]))))
    text = figure(rng) if rng.random() < 0.6 else made_up_word(rng, length)
    text = text[:length] if rng.random() < 0.5 else text[: length + 2]
    text = text.upper() if rng.random() < 0.5 else text
    pixels, drawn = _printed(_papered(frame, box, rng), box, text, like, rng)
    return Edit(pixels, _mask(frame.shape, _union(box, drawn)), f"“{word.text}” replaced by “{text}”")


def _insert(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    word = words[rng.integers(len(words))]
    like = frame[word.box[1] : word.box[3], word.box[0] : word.box[2]]
    gap = int(rng.integers(4, 24))
    spot = (word.box[2] + gap, word.box[1], word.box[2] + gap + 90, word.box[3])
    text = figure(rng)
    pixels, drawn = _printed(frame, spot, text, like, rng)
    if frame[drawn[1] : drawn[3], drawn[0] : drawn[2]].std() > 20:
        raise Unforgeable("place taken")
    return Edit(pixels, _mask(frame.shape, drawn), f"“{text}” inserted")


def _erase(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    box, word = _part(rng, words)
    return Edit(_papered(frame, box, rng), _mask(frame.shape, box), f"“{word.text}” erased")


def _copy(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    source, _ = _part(rng, words)
    return _pasted(frame, frame, source, words, rng)


def _splice(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    donor = bench.photo(rng, "document")
    if not len(donor.quads):
        raise Unforgeable("donor without text")
    quad = donor.quads[rng.integers(len(donor.quads))]
    x0, y0 = (max(0, int(value)) for value in quad.min(axis=0))
    x1, y1 = (int(value) for value in quad.max(axis=0))
    wide = min(x1, x0 + int((y1 - y0) * float(rng.uniform(1.5, 5))))
    if y1 - y0 < 10 or wide - x0 < 12:
        raise Unforgeable("donor line too small")
    piece = bench.life(rng).live(np.ascontiguousarray(donor.pixels[y0:y1, x0:wide]))
    return _pasted(frame, piece, (0, 0, piece.shape[1], piece.shape[0]), words, rng, donor.key)


def _pasted(
    frame: np.ndarray, source: np.ndarray, box: Box, words: list[Word], rng: np.random.Generator, donor: str = ""
) -> Edit:
    """A rectangle of a page over a word, brought to its height (Lanczos) when that differs by more than a tenth."""
    target, word = _part(rng, words)
    patch = source[box[1] : box[3], box[0] : box[2]]
    height = target[3] - target[1]
    if not 0.6 < patch.shape[0] / height < 2.2:
        raise Unforgeable("another size of type")
    if abs(patch.shape[0] / height - 1) > 0.1:
        width = max(6, round(patch.shape[1] * height / patch.shape[0]))
        patch = np.asarray(Image.fromarray(np.ascontiguousarray(patch)).resize((width, height), Image.LANCZOS))
    y, x = target[3] - patch.shape[0], target[0]
    if y < 1 or x + patch.shape[1] > frame.shape[1] - 2 or patch.shape[1] > 1.8 * (target[2] - target[0]):
        raise Unforgeable("does not fit")
    pixels = _papered(frame, target, rng)
    paper = np.percentile(pixels[target[1] : target[3], target[0] : target[2]].reshape(-1, 3), 60, axis=0)
    if rng.random() < 0.5:
        own = np.percentile(patch.reshape(-1, 3), 75, axis=0)
        patch = np.clip(patch * (paper / np.maximum(own, 1)), 0, 255).astype(np.uint8)
    pixels[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    drawn = (x, y, x + patch.shape[1], y + patch.shape[0])
    return Edit(pixels, _mask(frame.shape, _union(target, drawn)), f"a piece laid over “{word.text}”", donor)


def _mark(frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    """A stamp (a text in two frames) or a pen's stroke along a spline, multiplied into the page."""
    height, width = int(rng.integers(50, 120)), int(rng.integers(140, 280))
    ink = np.zeros((height, width), np.float32)
    if rng.random() < 0.5:
        for inset in (2, 7):
            cv2.rectangle(ink, (inset, inset), (width - inset, height - inset), 1.0, 2, cv2.LINE_AA)
        label = made_up_word(rng, 6).upper() if rng.random() < 0.5 else figure(rng)
        text = lettered(label, draw_font(rng), height // 2, width * 2 // 3)
        ink[height // 4 : height // 4 + text.shape[0], width // 6 : width // 6 + text.shape[1]] = text
        name = "stamp"
    else:
        knots = rng.uniform(0.15, 0.85, (7, 2)) * (width, height)
        knots[:, 0] = np.sort(knots[:, 0]) + rng.normal(0, 8, 7)
        t = np.linspace(0, 6, 160)
        curve = np.stack([np.interp(t, np.arange(7), knots[:, axis]) for axis in (0, 1)], axis=1)
        curve = cv2.blur(curve.astype(np.float32), (1, 25))
        cv2.polylines(ink, [np.round(curve).astype(np.int32)], False, 1.0, 2, cv2.LINE_AA)
        name = "signature"
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 6)), 0.9)
    ink = cv2.warpAffine(ink, turn, (width, height)) * np.float32(rng.uniform(0.6, 0.95))
    if height >= frame.shape[0] or width >= frame.shape[1]:
        raise Unforgeable("no room for a mark")
    y, x = int(rng.integers(0, frame.shape[0] - height)), int(rng.integers(0, frame.shape[1] - width))
    colour = np.array(MARKS[rng.integers(len(MARKS))], np.float32) / 255
    pixels = frame.copy()
    below = pixels[y : y + height, x : x + width].astype(np.float32)
    pixels[y : y + height, x : x + width] = below * (1 - ink[..., None] * (1 - colour))
    mask = np.zeros(frame.shape[:2], np.uint8)
    mask[y : y + height, x : x + width] = ink > 0.12
    mask = cv2.morphologyEx(cv2.dilate(mask, np.ones((3, 3), np.uint8)), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return Edit(pixels, mask.astype(bool), f"{name} inserted")


_EDITS = {
    "text_replace": _replace,
    "text_copy": _copy,
    "text_splice": _splice,
    "text_erase": _erase,
    "text_insert": _insert,
    "mark_insert": _mark,
}
