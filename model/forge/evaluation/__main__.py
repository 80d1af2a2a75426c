"""Write the synthetic evaluation sets: `python -m forge.evaluation --dev DEV --out DIR [--images 500] [--domain D]`.

Each of document, face, scene_text and natural becomes DIR/<domain>, laid out as the development set is (index.csv,
tampered/, authentic/, mask/). Sources are the authentic images of the development set, never the pool; three in five
images are forged. An image depends on the seed, its domain and its number alone; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..forgery import Forgery, Unforgeable
from ..histories import resize_mask
from ..pool import Window, cut_window
from ..sample import DOMAINS
from ..whole import COLUMNS, FILTERS, File, Studio, resized
from . import document, face, scene_text
from .pool import AuthenticPool

FORGERS = {"document": document, "face": face, "scene_text": scene_text}
LARGEST_PIXELS = 1_000_000
# px: cut-outs are no wider or higher. Of receipts, so that 500 of them are analysed in minutes; of street scenes, round
# a word, because whole ones (1280×720, words that happen to be there) would have a thousandth of their area forged.
CUTS = {"document": (800, 800), "scene_text": (640, 480)}
LEAST_PIXELS, LARGEST_AREA = 300, 0.6  # of what is forged
FORGED_OF_FIVE = 3
ATTEMPTS = 60


@dataclass(frozen=True)
class Histories:
    """Before and after the forgery: probabilities of 0, 1 and 2 saves, triangular qualities, and of a resize."""

    before: tuple[float, float, float]
    quality_before: tuple[int, int]
    between: tuple[float, float, float]
    quality_after: tuple[int, int]
    png: float
    resized: float


TEXT = Histories((0.08, 0.77, 0.15), (58, 95), (0.85, 0.13, 0.02), (72, 99), 0.15, 0.06)
PHOTO = Histories((0.15, 0.65, 0.20), (60, 97), (0.75, 0.20, 0.05), (70, 99), 0.20, 0.12)
HISTORIES = {"document": TEXT, "scene_text": TEXT, "face": PHOTO, "natural": PHOTO}


def draw_jpeg(rng: np.random.Generator, low: int, high: int) -> File:
    """Qualities in the middle rather than at the ends; now and then progressive or 4:2:2, which training never sees."""
    quality = round(float(rng.triangular(low, low + 0.6 * (high - low), high)))
    return File("JPEG", quality, int(rng.choice([0, 1, 2], p=[0.25, 0.15, 0.6])), bool(rng.random() < 0.25))


@dataclass(frozen=True)
class Made:
    """An image of a set: its file and suffix, mask bool [h,w] (all False when authentic), what it was made from."""

    data: bytes
    suffix: str
    mask: np.ndarray
    kind: str
    source: str


class Sets:
    """Makes the images of one development set."""

    def __init__(self, dev: Path, seed: int):
        self.seed = seed
        self.studio = Studio(AuthenticPool(dev), seed)

    def image(self, domain: str, number: int) -> Made:
        """Image `number` of a domain; its kind is drawn once, its source anew at every attempt."""
        own = np.random.default_rng([self.seed, DOMAINS.index(domain), number])
        kind = "authentic"
        if number % 5 < FORGED_OF_FIVE:
            shares = FORGERS[domain].KINDS if domain in FORGERS else {"any": 1.0}
            kind = str(own.choice(list(shares), p=list(shares.values())))
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, DOMAINS.index(domain), number, attempt])
            try:
                window = self._background(rng, domain)
                forgery = self._forged(rng, window, domain, kind)
                data, suffix, mask = _finished(rng, forgery, HISTORIES[domain])
            except Unforgeable:
                continue
            return Made(data, suffix, mask, forgery.kind, window.photo.key)
        raise RuntimeError(f"{ATTEMPTS} attempts gave no {domain} image {number} ({kind})")

    def _background(self, rng: np.random.Generator, domain: str) -> Window:
        """A cut-out, or a whole photo of at most LARGEST_PIXELS, with a life behind it."""
        pool = self.studio.pool
        photo = pool.load(pool.draw(rng, domain))
        cut_w, cut_h = np.minimum(CUTS.get(domain, (photo.width, photo.height)), (photo.width, photo.height))
        scale = min(1.0, (LARGEST_PIXELS / (cut_w * cut_h)) ** 0.5)
        x, y = int(rng.integers(0, photo.width - cut_w + 1)), int(rng.integers(0, photo.height - cut_h + 1))
        if domain == "scene_text":
            words = scene_text.large_words(photo.quads, photo.pixels.shape)
            if not words:
                raise Unforgeable("no word large enough")
            corner = words[rng.integers(len(words))].mean(axis=0) - (cut_w, cut_h) * rng.uniform(0.2, 0.8, 2)
            x, y = (int(value) for value in np.clip(corner, 0, (photo.width - cut_w, photo.height - cut_h)))
        window = cut_window(photo, x, y, round(cut_w * scale), round(cut_h * scale), scale)
        pixels, habits = window.pixels, HISTORIES[domain]
        for _ in range(int(rng.choice(3, p=habits.before))):
            pixels = draw_jpeg(rng, *habits.quality_before).reread(pixels)
        return window.moved(np.ascontiguousarray(pixels), 0, 0)

    def _forged(self, rng: np.random.Generator, window: Window, domain: str, kind: str) -> Forgery:
        if kind == "authentic":
            return Forgery(window.pixels, np.zeros(window.pixels.shape[:2], bool), kind)
        if domain in FORGERS:
            forgery = FORGERS[domain].forge(window, self.studio.bench, rng, kind)
        else:
            forgery = self.studio.photograph(rng, window)
        if forgery.mask.sum() < LEAST_PIXELS or forgery.mask.mean() > LARGEST_AREA:
            raise Unforgeable("too little or too much")
        return forgery


def _finished(rng: np.random.Generator, forgery: Forgery, habits: Histories) -> tuple[bytes, str, np.ndarray]:
    """File, suffix and mask after the forgery: cut (mostly on the block grid), resized at times, saved."""
    pixels, mask = forgery.pixels, forgery.mask
    step = 8 if rng.random() < 0.8 else 1
    dx, dy = (int(rng.integers(0, 24 // step)) * step for _ in range(2))
    pixels, mask = pixels[dy:, dx:], mask[dy:, dx:]
    if forgery.kind != "authentic" and mask.sum() < LEAST_PIXELS:
        raise Unforgeable("cut off")
    if rng.random() < habits.resized:
        factor = float(rng.uniform(0.7, 0.95))
        width, height = round(mask.shape[1] * factor), round(mask.shape[0] * factor)
        pixels = resized(np.ascontiguousarray(pixels), width, height, int(rng.choice(FILTERS)))
        mask = resize_mask(mask, width, height)
    for _ in range(int(rng.choice(3, p=habits.between))):
        pixels = draw_jpeg(rng, *habits.quality_after).reread(pixels)
    if rng.random() < habits.png:
        return File("PNG").written(pixels), ".png", mask
    return draw_jpeg(rng, *habits.quality_after).written(pixels), ".jpg", mask


def write_set(sets: Sets, folder: Path, domain: str, images: int) -> None:
    """The first `images` images of a domain that are not there yet."""
    for name in ("tampered", "authentic", "mask"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    index = folder / "index.csv"
    if not index.exists():
        index.write_text(",".join(COLUMNS) + "\n", "utf-8")
    with open(index, newline="", encoding="utf-8") as file:
        there = {Path(row["dest"]).stem for row in csv.DictReader(file)}
    for number in range(images):
        stem = f"{domain}_{number:04d}"
        if stem in there:
            continue
        made = sets.image(domain, number)
        label = int(made.kind != "authentic")
        row = dict.fromkeys(COLUMNS, "")
        row |= {"dest": f"{'tampered' if label else 'authentic'}/{stem}{made.suffix}", "label": label}
        row |= {"original_path": made.source, "domain": domain, "set": f"synthetic-{domain}", "kind": made.kind}
        row |= {"height": made.mask.shape[0], "width": made.mask.shape[1], "licence": "research or unstated"}
        (folder / row["dest"]).write_bytes(made.data)
        if label:
            row |= {"mask": f"mask/{stem}.png", "mask_source": "forged"}
            Image.fromarray(made.mask.astype(np.uint8) * 255).save(folder / row["mask"])
        with open(index, "a", newline="", encoding="utf-8") as file:  # after its files: what is listed is whole
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--domain", choices=DOMAINS, help="all four without it")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sets = Sets(options.dev, options.seed)
    for domain in (options.domain,) if options.domain else DOMAINS:
        write_set(sets, options.out / domain, domain, options.images)


if __name__ == "__main__":
    main()
