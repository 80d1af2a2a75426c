"""Manipulations of documents: change, copy, erase and insert characters, words, stamps and signatures.

Masks are the boxes of the text that was changed with MARGIN pixels of paper, as annotators of document sets draw
them and as a map with one value for 4×4 pixels can render them; of stamps and signatures, their ink with its
surroundings.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

import cv2
import numpy as np

from . import natural
from .forgery import Edit, Forgery, Unforgeable, Workbench, several
from .histories import TEXT
from .lettering import (
    ERASERS,
    altered_text,
    blurred_to,
    coverage,
    erased,
    font_for,
    ink_and_ground,
    ink_mask,
    inked,
    is_chinese,
    matching_font,
    steepness,
)
from .page import NAMES, PEN_INKS, STAMP_INKS, amount, chinese_value, date, render_page, signature, stamp, value
from .pool import Photo, Window, resize

KINDS = {
    "text_replace": 0.30,
    "text_copy": 0.21,
    "text_splice": 0.13,
    "text_erase": 0.12,
    "text_insert": 0.12,
    "mark_insert": 0.07,
    "splice": 0.02,
    "copy_move": 0.015,
    "removal": 0.015,
}
HABITS = replace(TEXT, overexposed=0.2)
RENDERED_SHARE = 0.5
LINE_HEIGHT = 46  # px: a text line in a window is not higher than this, or a crop would hold a few letters
LEAST_CHANGE = {"text_erase": 2.5}  # grey levels; a flat ground under thin ink changes little
LEAST_CHANGE_ELSE = 6.0
LINES = 16
MIRRORED = 0.04  # of copied text
MARGIN = 2  # px of paper around changed text that the mask takes in
LEAST_AREA = 170  # px of one edit: less is a few values of a map at stride 4, and held no trace a model could find

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Word:
    """A word on the page: its box and its characters' boxes (x0, y0, x1, y1), and its text where known."""

    box: Box
    characters: tuple[Box, ...]
    text: str
    line: int = 0

    @property
    def height(self) -> int:
        """Of its ink, in pixels."""
        return self.box[3] - self.box[1]


def photo(bench: Workbench, rng: np.random.Generator, size: int) -> Photo:
    """A receipt of the pool or a page rendered here."""
    if rng.random() < RENDERED_SHARE:
        return bench.made(rng, "pages", render_page)
    return bench.photo(rng, "document", size)


def largest_scale(rng: np.random.Generator, photo: Photo, size: int) -> float:
    """Lines no higher than LINE_HEIGHT."""
    if not len(photo.quads):
        return 1.0
    heights = photo.quads[:, 3, 1] - photo.quads[:, 0, 1]
    return float(min(1.0, LINE_HEIGHT / max(1.0, float(np.median(heights)))))


def words_of(window: Window, rng: np.random.Generator) -> list[Word]:
    """Words of up to LINES lines in the window: lines are cut where their ink leaves gaps."""
    height, width = window.pixels.shape[:2]
    grey = cv2.cvtColor(window.pixels, cv2.COLOR_RGB2GRAY)
    words = []
    for line in rng.permutation(len(window.quads))[:LINES]:
        quad, text = window.quads[line], window.words[line]
        (x0, y0), (x1, y1) = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
        if x0 < 2 or y0 < 2 or x1 > width - 2 or y1 > height - 2:
            x0, y0, x1, y1 = max(2, x0), max(2, y0), min(width - 2, x1), min(height - 2, y1)
            text = ""
        if x1 - x0 < 8 or y1 - y0 < 6:
            continue
        found = _split_line(grey, (int(x0), int(y0), int(x1), int(y1)), text)
        words += [replace(word, line=int(line)) for word in found]
    return words


def _split_line(grey: np.ndarray, box: Box, text: str) -> list[Word]:
    x0, y0, x1, y1 = box
    part = grey[y0:y1, x0:x1]
    if np.percentile(part, 98) - np.percentile(part, 2) < 30:
        return []
    ink = ink_mask(part)
    rows = np.flatnonzero(ink.sum(axis=1) > 0)
    if len(rows) < 4:
        return []
    top, bottom = y0 + int(rows[0]), y0 + int(rows[-1]) + 1
    if text and all(map(is_chinese, text)):  # of one width, and many of two parts that a gap divides
        edges = np.linspace(x0, x1, len(text) + 1).round().astype(int).tolist()
        characters = tuple((a, top, b, bottom) for a, b in itertools.pairwise(edges))
        return [Word((x0, top, x1, bottom), characters, text)]
    runs = _runs(ink.any(axis=0))
    gap = max(2.0, 0.28 * (bottom - top))
    groups: list[list[tuple[int, int]]] = []
    for run in runs:
        if groups and run[0] - groups[-1][-1][1] <= gap:
            groups[-1].append(run)
        else:
            groups.append([run])
    texts = text.split() if len(text.split()) == len(groups) else [""] * len(groups)
    words = []
    for group, label in zip(groups, texts, strict=True):
        characters = tuple((x0 + a, top, x0 + b, bottom) for a, b in group)
        words.append(Word((characters[0][0], top, characters[-1][2], bottom), characters, label))
    return [word for word in words if word.box[2] - word.box[0] >= 4 and word.height >= 5]


def _runs(filled: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def forge(window: Window, bench: Workbench, rng: np.random.Generator, kind: str | None = None) -> Forgery:
    """One to four edits of one kind."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind not in _EDITS:
        return natural.forge(window, bench, rng, kind)
    words = words_of(window, rng)
    if not words:
        raise Unforgeable("no text in the window")
    count = 1 if kind == "mark_insert" else int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))

    def edit(frame: np.ndarray) -> Edit:
        return _EDITS[kind](window, frame, words, bench, rng)

    tries = itertools.repeat(edit, count * 4)
    return several(window.pixels, kind, tries, count, LEAST_CHANGE.get(kind, LEAST_CHANGE_ELSE))


def _grown(box: Box, shape: tuple[int, ...], by: int = MARGIN) -> Box:
    return max(0, box[0] - by), max(0, box[1] - by), min(shape[1], box[2] + by), min(shape[0], box[3] + by)


def _box_mask(shape: tuple[int, ...], box: Box) -> np.ndarray:
    """A box with its margin."""
    x0, y0, x1, y1 = _grown(box, shape)
    if (x1 - x0) * (y1 - y0) < LEAST_AREA:
        raise Unforgeable("too small an edit")
    mask = np.zeros(shape[:2], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _unit(rng: np.random.Generator, words: list[Word]) -> tuple[Box, str, Word]:
    """A word, two or three that follow one another, or some characters of one, with its text where known."""
    word = words[rng.integers(len(words))]
    style = rng.random()
    if (style < 0.3 and len(word.characters) >= 3) or (is_chinese(word.text) and len(word.characters) > 6):
        count = int(rng.integers(2, min(5, len(word.characters)) + 1))
        if word.height > 16 and rng.random() < 0.4:
            count = 1
        first = int(rng.integers(0, len(word.characters) - count + 1))
        chosen = word.characters[first : first + count]
        matching = len(word.text) == len(word.characters)
        text = word.text[first : first + count] if matching else ""
        return (chosen[0][0], chosen[0][1], chosen[-1][2], chosen[0][3]), text, word
    box, texts = word.box, [word.text]
    if style > 0.75:
        row = sorted((other for other in words if other.line == word.line), key=lambda other: other.box[0])
        place = row.index(word)
        for other in row[place + 1 : place + int(rng.integers(2, 4))]:
            if other.box[0] - box[2] < 1.5 * word.height:
                box, texts = _union(box, other.box), [*texts, other.text]
    return box, " ".join(texts) if all(texts) else "", word


AMOUNT = re.compile(r"[^0-9]{0,3}[0-9][0-9,]*\.[0-9]{2}")
DATE = re.compile(r"[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{2,4}")


def _other_text(rng: np.random.Generator, text: str) -> str:
    """What a forger would put there: another amount, date or name; else other digits and letters."""
    style = rng.random()
    if style < 0.25 and AMOUNT.fullmatch(text):
        return amount(rng).split()[-1]
    if style < 0.25 and DATE.fullmatch(text):
        return date(rng)
    if style < 0.3 and text.isascii() and text.isalpha() and len(text) > 3:
        name = str(rng.choice(NAMES[rng.integers(len(NAMES))].split()))
        return name.upper() if text.isupper() else name
    return altered_text(rng, text)


def _lettered(
    frame: np.ndarray, box: Box, text: str, like: np.ndarray, ink_height: float, rng: np.random.Generator, font: str
) -> tuple[np.ndarray, Box]:
    """The frame with text in a box's place, its left and its middle kept, ink and sharpness like those of `like`."""
    colour, _, contrast = ink_and_ground(like)
    if contrast < 15:
        raise Unforgeable("no ink to match")
    ink = coverage(text, font, ink_height)
    height, width = frame.shape[:2]
    pad = 2
    ink = np.pad(ink, pad)
    ink = blurred_to(
        ink, steepness(cv2.cvtColor(np.ascontiguousarray(like), cv2.COLOR_RGB2GRAY)) * rng.uniform(0.85, 1.15)
    )
    ink = np.clip(ink * (1 + 0.25 * (rng.random() < 0.5)), 0, 1)  # print spreads: thin strokes come out full
    x = box[0] - pad
    y = round((box[1] + box[3]) / 2 - ink.shape[0] / 2)
    if x < 0 or y < 0 or x + ink.shape[1] > width or y + ink.shape[0] > height:
        raise Unforgeable("text does not fit")
    off = rng.normal(0, 4, 3).astype(np.float32)
    result = frame.copy()
    region = result[y : y + ink.shape[0], x : x + ink.shape[1]]
    result[y : y + ink.shape[0], x : x + ink.shape[1]] = inked(region, ink, np.clip(colour + off, 0, 255), rng)
    return result, (x + pad, y + pad, x + ink.shape[1] - pad, y + ink.shape[0] - pad)


def _replace(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    box, text, word = _unit(rng, words)
    area = _grown(box, frame.shape, 1)
    like = frame[word.box[1] : word.box[3], word.box[0] : word.box[2]]
    new = _other_text(rng, text) if text else value(rng)
    if not text:  # length unknown: as many characters as the box holds
        new = new.replace(" ", "")[: max(1, round((box[2] - box[0]) / (0.55 * (box[3] - box[1]))))] or "0"
    method = str(rng.choice(ERASERS))
    blank = erased(frame, area, method, rng)
    matched = text and rng.random() < 0.75
    font = matching_font(rng, text, frame[box[1] : box[3], box[0] : box[2]]) if matched else font_for(rng, new)
    result, drawn = _lettered(blank, box, new, like, word.height * float(rng.uniform(0.92, 1.06)), rng, font)
    if drawn[2] - drawn[0] > 1.8 * (box[2] - box[0]) + 12:
        raise Unforgeable("new text too long")
    mask = _box_mask(frame.shape, _union(area, drawn))
    return Edit(result, mask, f"“{text}” replaced by “{new}”, ground {method}")


def _copy(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    box, text, _ = _unit(rng, words)
    source = _grown(box, frame.shape, int(rng.integers(0, 4)))  # with the paper around it, on its old grid
    patch = window.pixels[source[1] : source[3], source[0] : source[2]]
    if rng.random() < MIRRORED:
        patch = np.ascontiguousarray(patch[:, ::-1])
    return _put_over(frame, words, patch, source, text, rng, "")


def _splice(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    other = photo(bench, rng, 200)
    if not len(other.quads):
        raise Unforgeable("donor without text")
    quad = other.quads[rng.integers(len(other.quads))]
    (x0, y0), (x1, y1) = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(other.width, x1), min(other.height, y1)
    if x1 - x0 < 10 or y1 - y0 < 8:
        raise Unforgeable("donor line too small")
    line = np.ascontiguousarray(other.pixels[y0:y1, x0:x1])
    line = bench.life(rng).live(line)
    found = _split_line(cv2.cvtColor(line, cv2.COLOR_RGB2GRAY), (0, 0, line.shape[1], line.shape[0]), "")
    if not found:
        raise Unforgeable("donor line without words")
    box, _, word = _unit(rng, found)
    scale = float(np.median([w.height for w in words])) / word.height * float(rng.uniform(0.92, 1.08))
    x0, y0, x1, y1 = _grown(box, line.shape, int(rng.integers(0, 3)))
    patch = line[y0:y1, x0:x1]
    new_h, new_w = max(5, round(patch.shape[0] * scale)), max(3, round(patch.shape[1] * scale))
    patch = resize(np.ascontiguousarray(patch), new_w, new_h)
    return _put_over(frame, words, patch, None, "", rng, other.key)


def _put_over(
    frame: np.ndarray,
    words: list[Word],
    patch: np.ndarray,
    source: Box | None,
    text: str,
    rng: np.random.Generator,
    donor: str,
) -> Edit:
    """Lay a patch of text over a word of about its height, or on blank paper beside one."""
    height, width = patch.shape[:2]
    if height < 5 or width < 3:
        raise Unforgeable("patch too small")
    target, _, word = _unit(rng, words)
    if not 0.7 < height / max(1, target[3] - target[1]) < 1.4:
        raise Unforgeable("another size of type")
    replaced = rng.random() < 0.75
    if replaced:
        x, y = target[0] + int(rng.integers(-1, 2)), target[3] - height + int(rng.integers(-1, 2))
        if width > 1.6 * (target[2] - target[0]) + 8:
            raise Unforgeable("patch too wide")
    else:
        side = rng.random() < 0.5
        x = word.box[2] + int(rng.integers(2, 12)) if side else word.box[0] - width - int(rng.integers(2, 12))
        y = word.box[3] - height
    box = (x, y, x + width, y + height)
    if x < 1 or y < 1 or box[2] > frame.shape[1] - 1 or box[3] > frame.shape[0] - 1:
        raise Unforgeable("no room")
    if source and box[0] < source[2] and source[0] < box[2] and box[1] < source[3] and source[1] < box[3]:
        raise Unforgeable("copy over its own source")
    area = _grown(target, frame.shape, 1)
    method = str(rng.choice(ERASERS))
    result = erased(frame, area, method, rng) if replaced else frame.copy()
    below = result[y : y + height, x : x + width]
    way = str(rng.choice(["as is", "darkest", "ground matched"], p=[0.6, 0.1, 0.3]))
    if way == "darkest":
        laid = np.minimum(below, patch)
    else:
        laid = patch
        if way == "ground matched":
            _, ground, _ = ink_and_ground(patch)
            shift = np.median(below.reshape(-1, 3), axis=0) - ground
            laid = np.clip(patch + shift, 0, 255).astype(np.uint8)
    result[y : y + height, x : x + width] = laid
    mask = _box_mask(frame.shape, _union(box, area) if replaced else box)
    return Edit(result, mask, f"“{text}” laid {'over a word' if replaced else 'beside a word'}, {way}", donor)


def _erase(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    box, text, _ = _unit(rng, words)
    area = _grown(box, frame.shape, int(rng.integers(1, 4)))
    method = str(rng.choice(ERASERS))
    return Edit(erased(frame, area, method, rng), _box_mask(frame.shape, area), f"“{text}” erased, ground {method}")


def _insert(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    word = words[rng.integers(len(words))]
    like = frame[word.box[1] : word.box[3], word.box[0] : word.box[2]]
    new = chinese_value(rng) if is_chinese(word.text) else value(rng)
    if rng.random() < 0.5:
        new = new[: int(rng.integers(1, 5))].strip() or "7"
    place = rng.random()
    step = int(word.height * rng.uniform(1.5, 2.2))
    if place < 0.5:
        spot = (word.box[2] + int(rng.integers(2, 14)), word.box[1], word.box[2] + 30, word.box[3])
    else:
        shift = step if place < 0.75 else -step
        spot = (word.box[0], word.box[1] + shift, word.box[2], word.box[3] + shift)
    font = matching_font(rng, word.text, like) if rng.random() < 0.75 else font_for(rng, new)
    result, drawn = _lettered(frame, spot, new, like, word.height * float(rng.uniform(0.9, 1.05)), rng, font)
    under = frame[drawn[1] : drawn[3], drawn[0] : drawn[2]]
    if under.size == 0 or under.std() > 22:
        raise Unforgeable("place taken")
    return Edit(result, _box_mask(frame.shape, drawn), f"“{new}” inserted")


def _mark(window: Window, frame: np.ndarray, words: list[Word], bench: Workbench, rng: np.random.Generator) -> Edit:
    height, width = frame.shape[:2]
    side = int(min(height, width) * rng.uniform(0.22, 0.5))
    if rng.random() < 0.5:
        ink, inks, name = stamp(rng, side), STAMP_INKS, "stamp"
    else:
        ink, inks, name = signature(rng, int(side * 1.3), int(side * 0.5)), PEN_INKS, "signature"
    ink = cv2.GaussianBlur(ink, (0, 0), float(rng.uniform(0.3, 0.9)))
    y, x = int(rng.integers(0, height - ink.shape[0])), int(rng.integers(0, width - ink.shape[1]))
    colour = np.array(inks[rng.integers(len(inks))], np.float32)
    result = frame.copy()
    area = result[y : y + ink.shape[0], x : x + ink.shape[1]]
    shade = area.mean(dtype=np.float32) / 255.0
    result[y : y + ink.shape[0], x : x + ink.shape[1]] = inked(area, ink, colour * min(1.0, shade + 0.1), rng)
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + ink.shape[0], x : x + ink.shape[1]] = ink > 0.12
    mask = cv2.morphologyEx(cv2.dilate(mask, np.ones((3, 3), np.uint8)), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return Edit(result, mask.astype(bool), f"{name} inserted")


_EDITS = {
    "text_replace": _replace,
    "text_copy": _copy,
    "text_splice": _splice,
    "text_erase": _erase,
    "text_insert": _insert,
    "mark_insert": _mark,
}
