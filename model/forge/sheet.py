"""Contact sheets to look at: `python -m forge.sheet --pool DIR --out sheet.png [--domain D] [--kind K]`.

A tile is the sample, the sample with its mask's outline, and the mask; the caption gives kind, set and last saves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .lettering import font_files
from .pool import Pool
from .sample import DOMAINS, Forger, Sample

CAPTION_HEIGHT = 26


def tile(sample: Sample, side: int) -> Image.Image:
    """The three pictures of a sample side by side, with a caption."""
    outlined = sample.pixels.copy()
    contours, _ = cv2.findContours(sample.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, (255, 0, 255), 1)
    pictures = [sample.pixels, outlined, np.repeat(sample.mask[..., None] * np.uint8(255), 3, axis=2)]
    canvas = Image.new("RGB", (3 * side + 4, side + CAPTION_HEIGHT + 4), "white")
    for column, picture in enumerate(pictures):
        canvas.paste(Image.fromarray(picture).resize((side, side)), (column * side, CAPTION_HEIGHT))
    about = sample.annotation
    lines = [
        f"{sample.kind}{' VIEW' if sample.view else ''} {about['set']} ×{about['scale']} "
        f"{' | '.join(about['history'])} → {' | '.join(about['afterlife'])}",
        "; ".join(about["operations"]),
    ]
    drawing, caption = ImageDraw.Draw(canvas), ImageFont.truetype(font_files("sans")[0], 10)
    for row, line in enumerate(lines):
        drawing.text((1, row * 12), line[: side // 2], fill="black", font=caption)
    return canvas


def sheet(samples: list[Sample], columns: int, side: int) -> Image.Image:
    """Tiles in reading order."""
    tiles = [tile(sample, side) for sample in samples]
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * width, rows * height), "white")
    for position, picture in enumerate(tiles):
        canvas.paste(picture, (position % columns * width, position // columns * height))
    return canvas


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    parser.add_argument("--count", type=int, default=18)
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--side", type=int, default=224, help="of a picture on the sheet, in pixels")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--domain", choices=DOMAINS)
    parser.add_argument("--kind")
    parser.add_argument("--split", choices=("train", "val"), default="train")
    options = parser.parse_args()
    forger = Forger(Pool(options.pool, options.split), options.size)
    bench = forger.bench(options.seed, 0)
    samples = [
        forger.sample(np.random.default_rng([options.seed, number]), bench, options.domain, options.kind)
        for number in range(options.count)
    ]
    sheet(samples, options.columns, options.side).save(options.out)


if __name__ == "__main__":
    main()
