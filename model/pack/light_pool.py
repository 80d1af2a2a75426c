"""The light pool: one lossless crop of each image, with the annotations that fall into it.

JPEGs are cropped by jpegtran on their own block grid, so that coefficients and tables stay the camera's; everything
else becomes lossless WebP. A crop keeps its image's name, suffix included: the split is a hash of it, and decoders go
by the content.
"""

import csv
import io
import pathlib
import subprocess
import xml.etree.ElementTree as ElementTree
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.io
from PIL import Image

from forge.pool import Photo, Pool, Record

SIDE = 640
# A corner on this grid lies on the MCU grid of every usual subsampling, and on the 8 × 8 grid of any.
GRID = 32
# Of each set so many validation images come first: validation samples are forged from the first parcel alone.
HELD_OUT = 4
# Text and faces come from few sets, and the samples are drawn by domain: shares of the bytes.
DOMAIN_BYTES = {"natural": 0.5, "document": 0.18, "face": 0.1, "scene_text": 0.22}


@dataclass
class Crop:
    """One image of the light pool; coordinates in pixels of the crop."""

    record: Record  # with the crop's size
    files: dict[str, bytes] = field(default_factory=dict)  # path within the pool to content
    landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(len(content) for content in self.files.values())


def corner(rng: np.random.Generator, photo: Photo, width: int, height: int) -> tuple[int, int]:
    """Where (x, y) in the photo a crop of that size shows the most of what forgers look for."""
    most_x, most_y = photo.width - width, photo.height - height
    if len(photo.landmarks):
        x, y = photo.landmarks.mean(0) - (width / 2, height / 2)
    elif len(photo.quads):
        centres = photo.quads.mean(1)
        starts = np.clip(centres - (width / 2, height / 2), 0, (most_x, most_y))
        inside = [
            ((centres >= start) & (centres <= (start[0] + width, start[1] + height))).all(1).sum() for start in starts
        ]
        x, y = starts[int(np.argmax(inside))]
    elif len(photo.object_boxes):
        box = photo.object_boxes[rng.integers(len(photo.object_boxes))]
        x, y = (box[0] + box[2] - width) / 2, (box[1] + box[3] - height) / 2
    else:  # of three places the one with the most contrast: large originals are mostly sky and blur
        places = [(int(rng.integers(0, most_x + 1)), int(rng.integers(0, most_y + 1))) for _ in range(3)]
        x, y = max(places, key=lambda at: photo.pixels[at[1] : at[1] + height : 8, at[0] : at[0] + width : 8].std())
    return int(np.clip(x, 0, most_x)), int(np.clip(y, 0, most_y))


def cut(pool: Pool, record: Record) -> Crop:
    """The crop of one image; raises OSError where it can't be read or cropped."""
    photo = pool.load(record)
    # The pool may have decoded at a reduced size, and cut rows off the head that no crop may hold.
    factor = photo.width / record.width
    head = round(record.height - photo.height / factor)
    rng = np.random.default_rng(zlib.crc32(record.dest.encode()))
    width, height = min(SIDE, record.width), min(SIDE, record.height - head)
    x, y = corner(rng, photo, max(1, int(width * factor)), max(1, int(height * factor)))
    left = int(x / factor) // GRID * GRID
    top = -(-(int(y / factor) + head) // GRID) * GRID
    top = min(top, max(0, record.height - 8) // GRID * GRID) if head == 0 else top
    width, height = min(SIDE, record.width - left), min(SIDE, record.height - top)
    if min(width, height) < 64:
        raise OSError(f"{record.dest}: nothing left to crop")
    files = {record.dest: cropped(pool.folder / record.dest, left, top, width, height)}
    stem = record.dest.rsplit(".", 1)[0]
    offset = np.array([left, top], np.float32)
    head_offset = np.array([0, head], np.float32)
    size = np.array([width, height])
    quads = photo.quads / factor + head_offset - offset
    inside = ((quads >= 0) & (quads < size)).all((1, 2)) if len(quads) else np.zeros(0, bool)
    if inside.any():
        words = [word for word, keep in zip(photo.words, inside, strict=True) if keep]
        files[f"{stem}.csv"] = text_boxes(quads[inside], words)
    if photo.segments is not None:
        part = photo.segments[top : top + height, left : left + width]
        content = io.BytesIO()
        scipy.io.savemat(content, {"groundtruth": part}, do_compression=True)
        files[f"{stem}.mat"] = content.getvalue()
    boxes = (photo.object_boxes / factor).reshape(-1, 2, 2) - offset
    boxes = np.clip(boxes, 0, size)
    boxes = boxes[(boxes[:, 1] - boxes[:, 0]).min(1) >= 16].reshape(-1, 4) if len(boxes) else boxes.reshape(-1, 4)
    if len(boxes):
        files[f"{stem}.xml"] = object_boxes(boxes)
    landmarks = photo.landmarks / factor + head_offset - offset
    if not ((landmarks >= 0) & (landmarks < size)).all():
        landmarks = landmarks[:0]
    return Crop(Record(record.dest, record.domain, record.set, width, height), files, landmarks)


def cropped(path: pathlib.Path, left: int, top: int, width: int, height: int) -> bytes:
    """The file's rectangle without loss. Raises OSError where jpegtran or Pillow cannot."""
    with Image.open(path) as image:
        if image.format == "JPEG":
            where = f"{width}x{height}+{left}+{top}"
            done = subprocess.run(
                ["jpegtran", "-copy", "none", "-optimize", "-crop", where, str(path)], capture_output=True, check=False
            )
            if done.returncode != 0:
                raise OSError(f"jpegtran: {done.stderr.decode().strip()}")
            return done.stdout
        content = io.BytesIO()
        part = image.convert("RGB").crop((left, top, left + width, top + height))
        part.save(content, "WEBP", lossless=True, quality=30, method=3)
        return content.getvalue()


def text_boxes(quads: np.ndarray, words: list[str]) -> bytes:
    """Quads [n, 4, 2] and their transcriptions in ICDAR's form: x1,y1,…,x4,y4,word."""
    lines = [
        ",".join(str(round(float(value))) for value in quad.reshape(-1)) + f",{word or '###'}"
        for quad, word in zip(quads, words, strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def object_boxes(boxes: np.ndarray) -> bytes:
    """Boxes [n, 4] as VOC writes them."""
    root = ElementTree.Element("annotation")
    for box in boxes:
        bndbox = ElementTree.SubElement(ElementTree.SubElement(root, "object"), "bndbox")
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ElementTree.SubElement(bndbox, name).text = str(round(float(value)))
    return ElementTree.tostring(root)


def light_pool(folder: pathlib.Path, limit: int) -> Iterator[Crop]:
    """Crops of at most `limit` bytes in all, domains by their shares and sets in turn within a domain.

    They come mixed, so that any first part of them is a pool of all domains and sets.
    """
    pool = Pool(folder, "all", cache_mb=64)
    by_set: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(pool.records, key=lambda record: zlib.crc32(record.dest.encode())):
        by_set[record.domain][record.set].append(record)
    for sets in by_set.values():
        for name, records in sets.items():
            held_out = [record for record in records if record.is_validation][:HELD_OUT]
            sets[name] = [record for record in records if record not in held_out] + held_out
    room = {domain: DOMAIN_BYTES[domain] * limit for domain in by_set}
    spent = dict.fromkeys(by_set, 0)
    while by_set:
        # The domain that has used the least of its room, and of its sets the one that was asked least in bytes.
        domain = min(by_set, key=lambda name: spent[name] / room[name])
        sets = by_set[domain]
        name = min(sets, key=lambda one: spent.get(f"{domain}/{one}", 0))
        record = sets[name].pop()
        if not sets[name]:
            del sets[name]
        if not sets:
            del by_set[domain]
        try:
            crop = cut(pool, record)
        except OSError:
            continue
        if spent[domain] + crop.size > room[domain]:
            by_set.pop(domain, None)
            continue
        spent[domain] += crop.size
        spent[f"{domain}/{name}"] = spent.get(f"{domain}/{name}", 0) + crop.size
        yield crop


def index(crops: list[Crop]) -> bytes:
    """Rows of the pool's index, with a head."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["dest", "domain", "set", "width", "height"])
    for crop in crops:
        record = crop.record
        rows.writerow([record.dest, record.domain, record.set, record.width, record.height])
    return text.getvalue().encode()


def landmarks(crops: list[Crop]) -> bytes:
    """Rows of `face_landmarks.csv`: image, x1, y1, …"""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for crop in crops:
        if len(crop.landmarks):
            rows.writerow([crop.record.dest, *np.round(crop.landmarks.reshape(-1), 1)])
    return text.getvalue().encode()
