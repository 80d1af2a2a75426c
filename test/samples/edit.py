"""Makes the bundled samples that begin with a picture in the public domain: each as it was, and edited.

Like those of make.py, both are saved twice, and only the edit comes between the two saves. The pictures themselves,
marked CC0 1.0 by BuddiesOfBudgie/budgie-backgrounds, are read from the folder that is named (numpy, Pillow;
egg-basket.jpg, kitten-on-lawn.jpg, motherboard-circuits.jpg and serene.jpg in it):

    python3 test/samples/edit.py backgrounds
"""

import sys
from pathlib import Path

import numpy as np
from make import FIRST_SAVE, camera, saved, write
from PIL import Image, ImageDraw, ImageFilter, ImageFont

LABEL_FONT = "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf"
EGG = (625, 583, 786, 786)  # in the painting, cut to its left 900 pixels


def ellipse(size, box, soft):
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(soft))


def balloon(rng, size=150):
    """A hot-air balloon from another camera: RGB image and its soft outline, both [size * 1.3, size]."""
    height, scale = int(size * 1.3), 4
    outline = Image.new("L", (size * scale, height * scale))
    draw = ImageDraw.Draw(outline)
    middle, edge = size * scale / 2, size * scale - 1
    draw.ellipse((0, 0, edge, edge), fill=255)
    shoulder, neck = (middle * 0.24, edge * 0.8), (middle * 0.84, edge * 1.12)
    draw.polygon([shoulder, (edge - shoulder[0], shoulder[1]), (edge - neck[0], neck[1]), neck], fill=255)
    draw.rectangle((middle * 0.84, edge * 1.15, middle * 1.16, edge * 1.29), fill=255)
    outline = outline.resize((size, height), Image.Resampling.LANCZOS)
    y, x = np.indices((height, size))
    across = np.clip((x - size / 2) / (size / 2), -1, 1)
    panels = np.floor((np.arcsin(across) / np.pi + 0.5) * 9).astype(int) % 2
    colour = np.where(panels[..., None] == 0, [0.62, 0.05, 0.04], [0.80, 0.62, 0.10])
    light = 0.35 + 0.75 * np.clip(1 - np.hypot(across + 0.4, (y - size * 0.35) / size), 0, 1)
    basket = (y > size * 1.14)[..., None]
    lit = np.where(basket, [0.16, 0.09, 0.04], colour) * light[..., None]
    return saved(camera(rng, np.clip(lit, 0, 1), shot=0.0006, read=0.001), 96), outline


def with_balloon(rng, original):
    """The balloon pasted into the sky; the forged image and its mask."""
    pasted, outline = balloon(rng)
    place = (566, 92)
    forged = original.copy()
    forged.paste(pasted, place, outline)
    mask = Image.new("L", original.size)
    mask.paste(outline.point(lambda value: 255 if value >= 128 else 0), place)
    return forged, mask


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


def relabelled(board):
    """Three digits of a sticker's serial number covered and set anew; the forged image and its mask."""
    centre, tilt, size = (511, 228), 17.5, (108, 48)
    upright = (size[0] + 20, size[1] + 20)

    def tilted(layer):
        turned = layer.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
        laid = Image.new("L", board.size)
        laid.paste(turned, (centre[0] - turned.width // 2, centre[1] - turned.height // 2))
        return laid

    patch, digits = Image.new("L", upright), Image.new("L", upright)
    ImageDraw.Draw(patch).rectangle((10, 10, size[0] + 9, size[1] + 9), fill=255)
    font = ImageFont.truetype(LABEL_FONT, 44)
    ImageDraw.Draw(digits).text((upright[0] / 2, upright[1] / 2), "731", font=font, fill=235, anchor="mm")
    area = tilted(patch.filter(ImageFilter.GaussianBlur(1.5)))
    under = np.asarray(board)[np.asarray(area) > 127]
    paper = np.median(under[under.sum(1) >= np.median(under.sum(1))], axis=0)
    forged = board.copy()
    forged.paste(tuple(int(level) for level in paper), (0, 0, *board.size), area)
    forged.paste((92, 78, 86), (0, 0, *board.size), tilted(digits.filter(ImageFilter.GaussianBlur(1.4))))
    return forged, area.point(lambda value: 255 if value >= 128 else 0)


def main(folder):
    hills = Image.open(folder / "serene.jpg").convert("RGB").crop((200, 0, 3613, 2560))
    sky = saved(hills.resize((896, 672), Image.Resampling.LANCZOS), FIRST_SAVE)
    write("balloon", sky, *with_balloon(np.random.default_rng(20261126), sky))
    lawn = Image.open(folder / "kitten-on-lawn.jpg").convert("RGB").resize((900, 609), Image.Resampling.LANCZOS)
    painting = portrait(Image.open(folder / "egg-basket.jpg").convert("RGB"))
    kitten = saved(lawn, FIRST_SAVE)
    write("kitten", kitten, *with_egg(kitten, saved(painting, 95)))
    face = saved(painting.crop((0, 0, 720, 900)), FIRST_SAVE)
    write("portrait", face, *retouched(face))
    board = Image.open(folder / "motherboard-circuits.jpg").convert("RGB").rotate(180)
    board = board.crop((2690, 250, 3730, 930)).resize((624, 408), Image.Resampling.LANCZOS)
    label = saved(board, FIRST_SAVE)
    write("label", label, *relabelled(label))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
