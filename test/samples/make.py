"""Renders three scenes as a camera would have saved them, and a forgery of one of them.

Everything is drawn here, from numbers and free fonts, so that the files may be used by anyone for anything. What
makes them samples is their history, which is that of real ones: a sensor's noise under a Bayer pattern, demosaicing,
a first JPEG; then an edit whose pixels lack that history; then a second JPEG. The authentic counterpart is saved the
same two times, so that only the edit tells them apart.

    python3 test/samples/make.py            (numpy, Pillow; fonts DejaVu and Liberation)
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
FIRST_SAVE = 75
LAST_SAVE = 90
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
SIGN_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
FORGERS_FONT = "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf"


def fractal(rng, height, width, coarsest, octaves=6, fall=0.55):
    """Smooth noise in 0…1, [height, width]: grids of random numbers, each twice as fine and weaker than the last."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        cells = coarsest * 2**octave
        grid = rng.random((max(2, cells * height // width), max(2, cells))).astype(np.float32)
        total += fall**octave * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return (total - total.min()) / (total.max() - total.min())


def camera(rng, linear, shot=0.0025, read=0.004):
    """What a sensor makes of linear light [H, W, 3] in 0…1: noise, one colour a pixel, the others interpolated, gamma."""
    noisy = linear + rng.normal(size=linear.shape) * np.sqrt(shot * linear + read**2)
    rows, columns = np.indices(linear.shape[:2]) % 2
    sites = [(rows == 0) & (columns == 0), rows != columns, (rows == 1) & (columns == 1)]
    cross = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    planes = []
    for channel, site in enumerate(sites):
        known = np.pad(np.where(site, noisy[..., channel], 0), 1, mode="reflect")
        weight = np.pad(site.astype(float), 1, mode="reflect")
        value = sum(
            cross[y, x] * known[y : y + linear.shape[0], x : x + linear.shape[1]] for y in range(3) for x in range(3)
        )
        count = sum(
            cross[y, x] * weight[y : y + linear.shape[0], x : x + linear.shape[1]] for y in range(3) for x in range(3)
        )
        planes.append(value / count)
    developed = np.clip(np.stack(planes, axis=-1), 0, 1) ** (1 / 2.2)
    return Image.fromarray((developed * 255).round().astype(np.uint8))


def saved(image, quality):
    """The image after a JPEG save and its decoding."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return Image.open(buffer).convert("RGB")


def landscape(rng, height=672, width=896):
    """Linear light of hills under clouds above a meadow."""
    sky_line = np.linspace(0, 1, height)[:, None]
    clouds = np.clip(fractal(rng, height, width, 3) * 2.2 - 0.9, 0, 1)[..., None]
    sky = np.array([0.16, 0.33, 0.66]) * (1 - sky_line[..., None]) + np.array([0.60, 0.70, 0.82]) * sky_line[..., None]
    scene = sky * (1 - 0.8 * clouds) + 0.8 * clouds * np.array([0.88, 0.88, 0.90])
    rows = np.arange(height)[:, None]
    tones = [(0.48, [0.24, 0.31, 0.40]), (0.58, [0.13, 0.20, 0.18]), (0.70, [0.08, 0.15, 0.05])]
    for depth, (base, colour) in enumerate(tones):
        ridge = height * (base - 0.16 / (depth + 1) * (fractal(rng, 2, width, 4 + 3 * depth, 7)[0] - 0.4))
        inside = (rows > ridge[None, :])[..., None]
        shade = 0.55 + 0.9 * fractal(rng, height, width, 14 + 20 * depth, 5, 0.7)[..., None]
        scene = np.where(inside, np.array(colour) * shade, scene)
    # Nearer grass is coarser: the rows of one texture, spread as perspective spreads them.
    meadow = height - int(height * 0.20)
    texture = fractal(rng, height, width, 90, 3, 0.8)
    spread = (np.linspace(0, 1, height - meadow) ** 0.6 * (height - 1)).astype(int)
    grass = np.array([0.15, 0.25, 0.05]) * (0.4 + 1.3 * texture[spread])[..., None]
    scene[meadow:] = grass
    return np.clip(scene, 0, 1)


LINES = [
    ("HARBOUR STREET HARDWARE", None),
    ("14 Harbour Street  Tel 555 0142", None),
    ("", None),
    ("Invoice 20417      03 Nov 2026", None),
    ("-" * 32, None),
    ("Wood screws 4x40", "6.20"),
    ("Oak board 2.4 m", "38.50"),
    ("Paint, white, 5 l", "44.90"),
    ("Brush set", "12.75"),
    ("Sandpaper P120", "4.15"),
    ("Hinge, brass, pair", "11.90"),
    ("-" * 32, None),
    ("Subtotal", "118.40"),
    ("VAT 20 %", "23.68"),
    ("TOTAL", "142.08"),
    ("", None),
    ("Paid by card  **** 4471", None),
    ("Thank you for your visit", None),
]
LEFT, TOP, LEADING, SIZE, COLUMNS = 70, 70, 46, 28, 32


def receipt_text(draw, lines, font, ink):
    """Draws the lines and returns the box of the last amount."""
    box = (0, 0, 0, 0)
    for row, (label, amount) in enumerate(lines):
        draw.text((LEFT, TOP + row * LEADING), label, font=font, fill=ink)
        if amount is not None:
            start = LEFT + font.getlength("0") * (COLUMNS - len(amount))
            draw.text((start, TOP + row * LEADING), amount, font=font, fill=ink)
            box = draw.textbbox((start, TOP + row * LEADING), amount, font=font)
    return box


def receipt(rng, height=992, width=704):
    """Linear light of a printed page under a lamp, and the box of its total."""
    page = Image.new("L", (width, height), 235)
    box = receipt_text(ImageDraw.Draw(page), LINES, ImageFont.truetype(FONT, SIZE), 40)
    page = page.filter(ImageFilter.GaussianBlur(0.7))
    fibre = 1 + 0.035 * (fractal(rng, height, width, 120, 3, 0.8) - 0.5)
    y, x = np.indices((height, width))
    lamp = 0.92 - 0.22 * np.hypot((x - width * 0.35) / width, (y - height * 0.3) / height)
    grey = (np.asarray(page) / 255) ** 2.2 * fibre * lamp
    return np.clip(grey[..., None] * np.array([1.0, 0.97, 0.90]), 0, 1), box


def altered_amount(original, box):
    """The total painted over with the paper's colour and written anew; the forged image and its mask."""
    left, top, right, bottom = (int(round(side)) for side in box)
    left, top, right, bottom = left - 22, top - 6, right + 6, bottom + 6
    pixels = np.asarray(original).astype(float)
    paper = (pixels[top, left:right].mean(axis=0) + pixels[bottom, left:right].mean(axis=0)) / 2
    forged = original.copy()
    draw = ImageDraw.Draw(forged)
    draw.rectangle((left, top, right - 1, bottom - 1), fill=tuple(int(round(level)) for level in paper))
    draw.text((box[0] - 4, box[1] - 6), "942.08", font=ImageFont.truetype(FORGERS_FONT, SIZE + 1), fill=(52, 50, 47))
    mask = Image.new("L", original.size)
    ImageDraw.Draw(mask).rectangle((left, top, right - 1, bottom - 1), fill=255)
    return forged, mask


SIGN = (250, 96, 646, 486)
ENAMEL = (22, 62, 118)


def wall(rng, height=640, width=896):
    """Linear light of a brick wall, a little brighter to the left, [height, width, 3]."""
    brick_height, brick_width, joint = 40, 112, 7
    y, x = np.indices((height, width))
    row = y // brick_height
    column = (x + (row % 2) * brick_width // 2) // brick_width
    tone = rng.random((height // brick_height + 2, width // brick_width + 3))[row, column][..., None]
    colour = np.array([0.27, 0.085, 0.05]) * (0.65 + 0.7 * tone) + np.array([0.02, 0.015, 0.01]) * (1 - tone)
    surface = 0.6 + 0.8 * fractal(rng, height, width, 60, 4, 0.75)[..., None]
    along = (x + (row % 2) * brick_width // 2) % brick_width
    mortar = Image.fromarray(((y % brick_height < joint) | (along < joint)).astype(np.uint8) * 255)
    mortar = np.asarray(mortar.filter(ImageFilter.GaussianBlur(1.2)))[..., None] / 255
    grey = np.array([0.30, 0.28, 0.25]) * (0.7 + 0.5 * fractal(rng, height, width, 90, 3, 0.8)[..., None])
    light = 1.05 - 0.35 * (x / width)[..., None] - 0.1 * (y / height)[..., None]
    return np.clip((colour * surface * (1 - mortar) + grey * mortar) * light, 0, 1)


def sign_text(draw):
    """The words of the parking sign."""
    middle = (SIGN[0] + SIGN[2]) // 2
    lines = (("PARKING", 62, 124), ("2 HOURS", 68, 232), ("MON – SAT", 40, 340), ("8 am – 6 pm", 40, 398))
    for text, size, top in lines:
        draw.text((middle, top), text, font=ImageFont.truetype(SIGN_FONT, size), fill=255, anchor="ma")


def parking_sign(rng):
    """Linear light of an enamel sign on a wall."""
    scene = wall(rng)
    height, width = scene.shape[:2]
    shadow = Image.new("L", (width, height))
    ImageDraw.Draw(shadow).rounded_rectangle([side + 9 for side in SIGN], 26, fill=255)
    scene = scene * (1 - 0.6 * np.asarray(shadow.filter(ImageFilter.GaussianBlur(7)))[..., None] / 255)
    plate, words = Image.new("L", (width, height)), Image.new("L", (width, height))
    ImageDraw.Draw(plate).rounded_rectangle(SIGN, 26, fill=255)
    border = ImageDraw.Draw(words)
    border.rounded_rectangle([SIGN[0] + 12, SIGN[1] + 12, SIGN[2] - 12, SIGN[3] - 12], 18, outline=255, width=4)
    sign_text(border)
    y, x = np.indices((height, width))
    gloss = (0.9 + 0.25 * np.exp(-(((x - 0.35 * y - 230) / 120) ** 2)))[..., None]
    worn = 0.92 + 0.12 * fractal(rng, height, width, 30, 4, 0.7)[..., None]
    enamel = (np.array(ENAMEL) / 255) ** 2.2 * gloss * worn
    letters = np.asarray(words.filter(ImageFilter.GaussianBlur(0.8)))[..., None] / 255
    face = enamel * (1 - letters) + np.array([0.78, 0.78, 0.74]) * worn * letters
    cover = np.asarray(plate.filter(ImageFilter.GaussianBlur(0.8)))[..., None] / 255
    return np.clip(scene * (1 - cover) + face * cover, 0, 1)


def write(name, original, forged, mask):
    original.save(HERE / f"{name}-authentic.jpg", quality=LAST_SAVE, subsampling="4:2:0")
    forged.save(HERE / f"{name}-forged.jpg", quality=LAST_SAVE, subsampling="4:2:0")
    mask.save(HERE / f"{name}-mask.png", optimize=True)


def main():
    rng = np.random.default_rng(20261123)
    scene = saved(camera(rng, landscape(rng)), FIRST_SAVE)
    scene.save(HERE / "landscape.jpg", quality=LAST_SAVE, subsampling="4:2:0")
    # What a balloon took that was drawn here once: without it, receipt and sign would be other ones.
    rng.normal(size=(195, 150, 3))
    page, box = receipt(rng)
    photographed = saved(camera(rng, page, shot=0.0012, read=0.003), FIRST_SAVE)
    write("receipt", photographed, *altered_amount(photographed, box))
    sign = saved(camera(rng, parking_sign(rng)), FIRST_SAVE)
    sign.save(HERE / "sign.jpg", quality=LAST_SAVE, subsampling="4:2:0")


if __name__ == "__main__":
    main()
