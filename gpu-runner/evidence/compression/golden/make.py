"""Makes the JPEGs of this folder, a part of a bundled photograph saved with known quantization tables: needs Pillow.

`photoshop.jpg` has those of Photoshop's "save for web", high; `canon.jpg` those of a Canon PowerShot A720 IS and
others of its time, read from a file of that camera; `shared.jpg` those that Photoshop's maximum shares with a
Nikon E5700.
"""

from pathlib import Path

from PIL import Image, JpegPresets

HERE = Path(__file__).parent
PHOTO = HERE.parents[3] / "test/samples/landscape.jpg"
# Luma and chroma, in natural order.
CANON = (
    [
        *(1, 1, 1, 2, 3, 6, 8, 10, 1, 1, 2, 3, 4, 8, 9, 8, 2, 2, 2, 3, 6, 8, 10, 8, 2, 2, 3, 4, 7, 12, 11, 9),
        *(3, 3, 8, 11, 10, 16, 15, 11, 3, 5, 8, 10, 12, 15, 16, 13, 7, 10, 11, 12, 15, 17, 17, 14),
        *(14, 13, 13, 15, 15, 14, 14, 14),
    ],
    [
        *(4, 4, 5, 9, 15, 26, 26, 26, 4, 4, 5, 10, 19, 26, 26, 26, 5, 5, 8, 9, 26, 26, 26, 26),
        *(9, 10, 9, 13, 26, 26, 26, 26, 15, 19, 26, 26, 26, 26, 26, 26, *[26] * 24),
    ],
)
TABLES = {
    "photoshop": JpegPresets.presets["web_high"]["quantization"],
    "canon": CANON,
    "shared": JpegPresets.presets["maximum"]["quantization"],
}


def main() -> None:
    """Makes the files."""
    part = Image.open(PHOTO).convert("RGB").crop((200, 100, 456, 292))
    for name, tables in TABLES.items():
        part.save(HERE / f"{name}.jpg", qtables=[list(table) for table in tables], subsampling=2)


if __name__ == "__main__":
    main()
