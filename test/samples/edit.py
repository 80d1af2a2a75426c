"""Makes the bundled samples that begin with a picture in the public domain: each as it was, and edited.

Like those of make.py, both are saved twice, and only the edit comes between the two saves. The pictures themselves,
marked CC0 1.0 by BuddiesOfBudgie/budgie-backgrounds, are read from the folder that is named:

    python3 test/samples/edit.py backgrounds      (numpy, Pillow; kitten-on-lawn.jpg and egg-basket.jpg in it)
"""

import sys
from pathlib import Path

import numpy as np
from make import FIRST_SAVE, saved, write
from PIL import Image, ImageDraw, ImageFilter

EGG = (625, 583, 786, 786)  # in the painting, cut to its left 900 pixels


def ellipse(size, box, soft):
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(soft))


def portrait(painting):
    """The girl of the painting, 900 × 900."""
    return painting.crop((0, 0, 1500, 1500)).resize((900, 900), Image.Resampling.LANCZOS)


def with_egg(lawn, painting):
    """One of the painted eggs in the grass beside the kitten; the forged image and its mask."""
    egg = painting.crop(EGG).resize((118, 149), Image.Resampling.BICUBIC)
    outline = ellipse(egg.size, (2, 2, 115, 146), 1.0)
    place = (96, 418)
    forged = lawn.copy()
    shade = ellipse(lawn.size, (84, 528, 236, 584), 9).point(lambda value: value * 0.55)
    forged.paste(Image.new("RGB", lawn.size, (14, 30, 6)), (0, 0), shade)
    forged.paste(egg, place, outline)
    mask = Image.new("L", lawn.size)
    mask.paste(outline.point(lambda value: 255 if value >= 128 else 0), place)
    return forged, mask


def retouched(face):
    """Lips and cheek made over in one go, as an app does it; the forged image and its mask."""
    box = (228, 268, 560, 596)
    part = face.crop(box)
    smooth = part.resize((96, 95), Image.Resampling.BILINEAR).resize(part.size, Image.Resampling.BICUBIC)
    detail = np.asarray(part, dtype=float) - np.asarray(part.filter(ImageFilter.GaussianBlur(7)), dtype=float)
    levels = np.asarray(smooth, dtype=float) + 0.35 * detail
    levels = (levels - 128) * 1.04 + 138 * np.array([1.02, 1.0, 0.99])
    made = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    area = ellipse(part.size, (14, 14, part.width - 14, part.height - 14), 6)
    forged = face.copy()
    forged.paste(made, box[:2], area)
    mask = Image.new("L", face.size)
    mask.paste(area.point(lambda value: 255 if value >= 128 else 0), box[:2])
    return forged, mask


def main(folder):
    lawn = Image.open(folder / "kitten-on-lawn.jpg").convert("RGB").resize((900, 609), Image.Resampling.LANCZOS)
    painting = portrait(Image.open(folder / "egg-basket.jpg").convert("RGB"))
    kitten = saved(lawn, FIRST_SAVE)
    write("kitten", kitten, *with_egg(kitten, saved(painting, 95)))
    face = saved(painting.crop((0, 0, 720, 900)), FIRST_SAVE)
    write("portrait", face, *retouched(face))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
