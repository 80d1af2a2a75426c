"""Shards of pictures that others forged: `python -m forge.others --forged DIR --pool DIR --out DIR`.

The set `le-splice` of shared/data (pasted and recoloured things, grounds and skies, 256 pixels high, saved nearly
without loss) beside its untouched counterpart `le-real` of the pool, which went through the same hands. Both get the
afterlife of forged samples, but for resizing: a crop is already as high as the picture.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from .histories import SaveBook, decode, draw_afterlife
from .pool import Pool, resize
from .regions import component_boxes
from .sample import DOMAINS, LARGEST_MASK, Sample
from .write import write_shard

SIZE = 256
SET, UNTOUCHED = "le-splice", "le-real"
LEAST_AREA = 0.002


def cropped(rng: np.random.Generator, path: Path, mask: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """A crop uint8 [SIZE, SIZE, 3] on the picture's own grid, and its mask bool; ValueError where it is too small."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    truth = np.zeros(pixels.shape[:2], bool) if mask is None else np.asarray(Image.open(mask).convert("L")) > 127
    if truth.shape != pixels.shape[:2]:
        truth = resize(truth.astype(np.uint8) * 255, pixels.shape[1], pixels.shape[0]) > 127
    room_y, room_x = pixels.shape[0] - SIZE, pixels.shape[1] - SIZE
    if min(room_x, room_y) < 0:
        raise ValueError(f"{path}: smaller than {SIZE} pixels")
    y, x = (int(rng.integers(0, room // 8 + 1)) * 8 for room in (room_y, room_x))
    return pixels[y : y + SIZE, x : x + SIZE], truth[y : y + SIZE, x : x + SIZE]


def sample(rng: np.random.Generator, book: SaveBook, path: Path, mask: Path | None) -> Sample | None:
    """One rendition of a picture; None where it shows too little or too much of the forgery."""
    pixels, truth = cropped(rng, path, mask)
    if mask is not None and not LEAST_AREA < truth.mean() < LARGEST_MASK:
        return None
    afterlife = replace(draw_afterlife(rng, book, 0, 0), factor=1.0)
    file, truth = afterlife.live(pixels, truth, SIZE, SIZE)
    pixels, qtable, jpeg = decode(file)
    kind = "authentic" if mask is None else "splice"
    annotation = {
        "kind": kind,
        "domain": "natural",
        "source": path.name,
        "set": UNTOUCHED if mask is None else SET,
        "operations": [],
        "history": [],
        "donor": None,
        "donor_history": [],
        "afterlife": afterlife.describe(),
        "final": afterlife.final.describe(),
        "view": False,
        "boxes": component_boxes(truth),
        "area": round(float(truth.mean()), 5),
    }
    return Sample(pixels, qtable, jpeg, truth, DOMAINS.index("natural"), kind, annotation, file=file)


def pictures(forged: Path, pool: Pool) -> list[tuple[Path, Path | None]]:
    """Files and their masks: all of the forged set, and half as many untouched ones, each as often as that takes."""
    with open(forged / "index.csv", newline="", encoding="utf-8") as file:
        found = [(forged / row["dest"], forged / row["mask"]) for row in csv.DictReader(file) if row["set"] == SET]
    real = [(pool.folder / record.dest, None) for record in pool.records if record.set == UNTOUCHED]
    return found + [real[i % len(real)] for i in range(len(found) // 2)] if real else found


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forged", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--renditions", type=int, default=2)
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, help="end when so many are made")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    pool = Pool(options.pool, "train")
    book = SaveBook(pool.camera_tables())
    rng = np.random.default_rng(options.seed)
    files = pictures(options.forged, pool) * options.renditions
    rendered = (sample(rng, book, *files[i]) for i in rng.permutation(len(files)))
    made = list(itertools.islice((one for one in rendered if one is not None), options.samples))
    for index, start in enumerate(range(0, len(made), options.shard_size)):
        path = options.out / f"shard-others-{options.seed}-{index:05d}.npz"
        write_shard(path, made[start : start + options.shard_size])
    print(f"{len(made)} samples")


if __name__ == "__main__":
    main()
