"""Rendered text that tries to pass for the text around it: fonts, ink, blur, and erasing what was there.

Coverage maps are float32 [h,w] in 0…1 (1 = full ink). Fonts are looked up by family with fontconfig.
Debian packages: fonts-dejavu fonts-liberation fonts-freefont-ttf fonts-urw-base35 fonts-lato fonts-comic-neue
fonts-ocr-b fonts-dancingscript; for Chinese fonts-arphic-gbsn00lp fonts-arphic-gkai00mp and
fonts-wqy-microhei.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .histories import camera_noise
from .pool import resize

# Carlito, Caladea, Open Sans, Courier Prime and Inconsolata are left to evaluation sets.
PROPORTIONAL = ("DejaVu Sans", "DejaVu Sans Condensed", "Liberation Sans", "Liberation Sans Narrow")
PROPORTIONAL += ("FreeSans", "Nimbus Sans", "Nimbus Sans Narrow", "Lato", "URW Gothic", "Comic Neue")
SERIF = ("DejaVu Serif", "Liberation Serif", "FreeSerif", "Nimbus Roman", "P052", "C059", "URW Bookman")
MONOSPACE = ("DejaVu Sans Mono", "Liberation Mono", "FreeMono", "Nimbus Mono PS", "OCR B")
HANDWRITING = ("Dancing Script", "Z003")
CHINESE = ("AR PL SungtiL GB", "AR PL KaitiM GB", "WenQuanYi Micro Hei")
STYLES = {"sans": PROPORTIONAL, "serif": SERIF, "mono": MONOSPACE, "hand": HANDWRITING, "chinese": CHINESE}


@functools.cache
def font_files(style: str) -> tuple[str, ...]:
    """Files of a style's installed families, sorted; falls back on every installed TrueType font, for Chinese on none.

    FORGE_FONTS names a folder of fonts by style instead, for machines that have none.
    """
    if "FORGE_FONTS" in os.environ:
        return tuple(sorted(str(path) for path in Path(os.environ["FORGE_FONTS"], style).glob("*")))
    found: set[str] = set()
    for family in STYLES[style]:
        listing = subprocess.run(["fc-list", f":family={family}", "file"], capture_output=True, text=True, check=False)
        found |= {line.rstrip(": \n") for line in listing.stdout.splitlines()}
    if not found and style != "chinese":
        listing = subprocess.run(["fc-list", ":", "file"], capture_output=True, text=True, check=True)
        found = {line.rstrip(": \n") for line in listing.stdout.splitlines()}
    files = sorted(name for name in found if name.endswith((".ttf", ".otf", ".ttc")))
    return tuple(name for name in files if "Thin" not in name and "Hairline" not in name)


def is_chinese(text: str) -> bool:
    """Whether a text has characters that only the Chinese fonts have."""
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def font_for(rng: np.random.Generator, text: str) -> str:
    """A print font that has the text's characters."""
    return draw_font(rng, "chinese" if is_chinese(text) else None)


def draw_font(rng: np.random.Generator, style: str | None = None) -> str:
    """A font file; print styles when none is asked for."""
    style = style or str(rng.choice(["sans", "serif", "mono"], p=[0.5, 0.25, 0.25]))
    files = font_files(style)
    return files[rng.integers(len(files))]


@functools.lru_cache(maxsize=512)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def text_width(path: str, size: int, text: str) -> float:
    """Advance width in pixels."""
    return _font(path, size).getlength(text)


def coverage(text: str, path: str, ink_height: float) -> np.ndarray:
    """The text's ink, cropped to it, scaled so that the ink is `ink_height` px high."""
    probe = _font(path, 64)
    _, y0, _, y1 = probe.getbbox(text)
    size = int(np.clip(round(64 * ink_height / max(1, y1 - y0)), 5, 400))
    return coverage_at_size(text, path, size)


def coverage_at_size(text: str, path: str, size: int) -> np.ndarray:
    """The text's ink at a font size, cropped to it."""
    font = _font(path, size)
    x0, y0, x1, y1 = font.getbbox(text)
    canvas = Image.new("L", (max(1, x1 - x0), max(1, y1 - y0)), 0)
    ImageDraw.Draw(canvas).text((-x0, -y0), text, fill=255, font=font)
    return np.asarray(canvas, np.float32) / 255.0


def matching_font(rng: np.random.Generator, text: str, part: np.ndarray, tries: int = 6) -> str:
    """Of some random fonts the one whose rendering of `text` looks most like `part` (uint8 [h,w,3], cropped to ink)."""
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY).astype(np.float32)
    _, ground, contrast = ink_and_ground(part)
    if not text.strip() or contrast < 15:
        return font_for(rng, text)
    wanted = np.abs(grey - float(ground.mean()))
    wanted -= wanted.mean()
    best, best_score = "", -np.inf
    for _ in range(tries):
        font = font_for(rng, text)
        ink = coverage(text, font, part.shape[0])
        proportion = (ink.shape[1] / ink.shape[0]) / (part.shape[1] / part.shape[0])
        drawn = resize(ink, part.shape[1], part.shape[0])
        drawn = drawn - drawn.mean()
        norm = float(np.sqrt((drawn**2).sum() * (wanted**2).sum()))
        score = float((drawn * wanted).sum()) / max(norm, 1e-3) - 0.5 * abs(np.log(proportion))
        if score > best_score:
            best, best_score = font, score
    return best


def ink_mask(grey: np.ndarray) -> np.ndarray:
    """Bool [h,w]: the minority side of Otsu's threshold, be it darker or lighter than the ground."""
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = grey <= threshold
    return dark if dark.mean() <= 0.5 else ~dark


def ink_and_ground(part: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Ink colour and ground colour, float32 [3], and their contrast in grey levels, of a part that holds text."""
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    ink = ink_mask(grey)
    if ink.sum() < 4 or (~ink).sum() < 4:
        return np.zeros(3, np.float32), part.reshape(-1, 3).mean(axis=0), 0.0
    ground = np.median(part[~ink], axis=0).astype(np.float32)
    distance = np.abs(part[ink].astype(np.float32) - ground).sum(axis=1)
    core = distance >= np.percentile(distance, 60)  # thin strokes: only their cores have the ink's own colour
    colour = np.median(part[ink][core], axis=0).astype(np.float32)
    return colour, ground, float(np.abs(colour - ground).mean())


def steepness(grey: np.ndarray) -> float:
    """How sharp edges are: a high percentile of the gradient over the contrast; about 0.1 blurred, 0.8 crisp."""
    values = grey.astype(np.float32)
    contrast = float(np.percentile(values, 98) - np.percentile(values, 2))
    if contrast < 1e-3 or min(values.shape) < 3:
        return 0.5
    gradient = np.maximum(np.abs(np.diff(values, axis=1))[:-1], np.abs(np.diff(values, axis=0))[:, :-1])
    return float(np.percentile(gradient, 97) / contrast)


def blurred_to(ink: np.ndarray, wanted: float) -> np.ndarray:
    """Coverage blurred until its edges are about as steep as `wanted`; padding is up to the caller."""
    best = min((0.0, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0), key=lambda sigma: abs(steepness(_soft(ink, sigma)) - wanted))
    return _soft(ink, best)


def _soft(ink: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(ink, (0, 0), sigma) if sigma else ink


def grain(part: np.ndarray) -> float:
    """Standard deviation of the fine noise, by the median absolute deviation of a Laplacian (Immerkær 1996)."""
    grey = part.mean(axis=2, dtype=np.float32)
    if min(grey.shape) < 4:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(grey, -1, kernel)[1:-1, 1:-1]
    return float(np.median(np.abs(response)) / 0.6745 / 6.0)


def inked(part: np.ndarray, ink: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`part` with ink of a colour laid on it where coverage says, uneven as print is; uint8."""
    strength = np.float32(rng.uniform(0.9, 1.0))
    weight = (ink * strength)[..., None]
    return np.clip(part + (colour - part.astype(np.float32)) * weight + 0.5, 0, 255).astype(np.uint8)


ERASERS = ("flat", "inpaint", "clone", "ramp")


def erased(pixels: np.ndarray, box: tuple[int, int, int, int], method: str, rng: np.random.Generator) -> np.ndarray:
    """The box (x0, y0, x1, y1) without its text; a copy of the whole picture."""
    x0, y0, x1, y1 = box
    result = pixels.copy()
    part = pixels[y0:y1, x0:x1]
    if method == "clone":
        patch = _blank_neighbour(pixels, box)
        if patch is not None:
            result[y0:y1, x0:x1] = patch
            return result
        method = "inpaint"
    if method == "inpaint":
        pad = 6
        ty, tx = max(0, y0 - pad), max(0, x0 - pad)
        area = np.ascontiguousarray(pixels[ty : y1 + pad, tx : x1 + pad])
        hole = np.zeros(area.shape[:2], np.uint8)
        ink = ink_mask(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)).astype(np.uint8)
        hole[y0 - ty : y1 - ty, x0 - tx : x1 - tx] = cv2.dilate(ink, np.ones((5, 5), np.uint8))
        flag = cv2.INPAINT_TELEA if rng.random() < 0.7 else cv2.INPAINT_NS
        result[ty : ty + area.shape[0], tx : tx + area.shape[1]] = cv2.inpaint(area, hole, 3, flag)
        return result
    _, ground, _ = ink_and_ground(part)
    if method == "ramp":  # follows the paper's shade from the left edge to the right
        left = np.median(part[:, : max(2, part.shape[1] // 20)].reshape(-1, 3), axis=0)
        right = np.median(part[:, -max(2, part.shape[1] // 20) :].reshape(-1, 3), axis=0)
        if np.abs(left - ground).mean() < 25 and np.abs(right - ground).mean() < 25:
            t = np.linspace(0, 1, x1 - x0, dtype=np.float32)[None, :, None]
            fill = np.repeat(left * (1 - t) + right * t, y1 - y0, axis=0)
            result[y0:y1, x0:x1] = np.clip(fill, 0, 255).astype(np.uint8)
            return _grained(result, box, part, rng)
    result[y0:y1, x0:x1] = np.clip(ground, 0, 255).astype(np.uint8)
    return _grained(result, box, part, rng)


def _grained(
    result: np.ndarray, box: tuple[int, int, int, int], like: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Half the fills get noise like what they cover; the other half stay suspiciously clean."""
    strength = grain(like)
    if strength > 0.3 and rng.random() < 0.5:
        x0, y0, x1, y1 = box
        result[y0:y1, x0:x1] = camera_noise(rng, result[y0:y1, x0:x1], strength * float(rng.uniform(0.6, 1.2)), 0.5)
    return result


def _blank_neighbour(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray | None:
    """The flattest patch of the box's size right above, below or beside it; None when all hold text."""
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    spots = [(x0, y0 - height), (x0, y1), (x0 - width, y0), (x1, y0), (x0, y0 - 2 * height), (x0, y1 + height)]
    candidates = []
    for x, y in spots:
        if x >= 0 and y >= 0 and x + width <= pixels.shape[1] and y + height <= pixels.shape[0]:
            patch = pixels[y : y + height, x : x + width]
            candidates.append((float(patch.std(axis=(0, 1)).mean()), patch))
    if not candidates:
        return None
    spread, patch = min(candidates, key=lambda item: item[0])
    return patch.copy() if spread < 14 else None


DIGITS, LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyz"
# 380 of the most frequent ones.
HANZI = (
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起"
    "还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种"
    "声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代"
    "军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利"
    "受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非"
    "流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基"
)


def altered_text(rng: np.random.Generator, text: str, share: float = 0.6) -> str:
    """Another text of the same build: digits for digits, letters for letters, at least one character changed."""
    letters = list(text)
    places = [index for index, letter in enumerate(letters) if letter.isalnum()]
    if not places:
        return "".join(rng.choice(list(DIGITS), max(1, len(text))))
    chosen = [index for index in places if rng.random() < share] or [places[rng.integers(len(places))]]
    for index in chosen:
        old = letters[index]
        if is_chinese(old):
            choices = HANZI
        else:
            choices = DIGITS if old.isdigit() else (LETTERS.upper() if old.isupper() else LETTERS)
        others = [letter for letter in choices if letter != old]
        letters[index] = others[rng.integers(len(others))]
    return "".join(letters)


def fitted(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Coverage scaled to fit a box without changing its proportions by more than a fifth; float32 [height,width]."""
    scale = min(height / ink.shape[0], width / ink.shape[1])
    new_h, new_w = max(1, round(ink.shape[0] * scale)), max(1, round(ink.shape[1] * scale))
    new_w = int(np.clip(width, new_w * 0.8, min(width, new_w * 1.2)))
    canvas = np.zeros((height, width), np.float32)
    top, left = (height - new_h) // 2, (width - new_w) // 2
    canvas[top : top + new_h, left : left + new_w] = resize(ink, new_w, new_h)
    return np.clip(canvas, 0, 1)
