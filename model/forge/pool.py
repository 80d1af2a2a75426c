"""The pristine pool: which images there are, how often each is drawn, and decoded images with their own annotations.

The pool is a folder with an `index.csv` (one row an image) as `shared/data/README.md` describes. Annotations that
came with a set (segmentations, text boxes, plate boxes) lie beside the image under the same name.
"""

from __future__ import annotations

import csv
import hashlib
import xml.etree.ElementTree as ElementTree
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from PIL import Image

VALIDATION_PERCENT = 5
# Camera originals: the only pool images that still carry a camera's own noise and tables, and few.
CAMERA_SETS = ("mde-camera", "sfm", "exif-samples", "wallpapers", "clic2025", "camera")
CAMERA_WEIGHT = 3.0
REDUCED_PIXELS = 1_300_000
OBJECT_SETS = ("bsds500", "ccp", "le-real", "kangaroo", "imagenet-samples")  # annotated, or one object a photo
# Scans of 35 MP take half a second to decode and a 256 px crop of one holds two letters: shrink while decoding.
DECODE_LIMIT_MP = {"natural": 14.0, "document": 5.0, "face": 14.0, "scene_text": 14.0}
OVERLAY = "TAN WOON YANN"
# Receipts that were painted over, or a number typed on, before they were published: of 496, 134 were looked at.
EDITED = frozenset(f"document/sroie/{name}.jpg" for name in ("029", "131", "132", "280", "418"))
FACE_LANDMARKS = Path(__file__).with_name("face_landmarks.csv")


@dataclass(frozen=True)
class Record:
    """One row of the pool's index."""

    dest: str
    domain: str
    set: str
    width: int
    height: int

    @property
    def is_validation(self) -> bool:
        """A fixed hash of the name decides, so the split never moves when images are added."""
        digest = hashlib.sha256(f"{self.set}/{Path(self.dest).name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % 100 < VALIDATION_PERCENT


@dataclass
class Photo:
    """A decoded pool image. Coordinates of all annotations are in pixels of `pixels`.

    pixels: uint8 [h,w,3] RGB; quads: float32 [n,4,2], clockwise from the top left; words: n transcriptions ("" where
    illegible); landmarks: float32 [k,2] face landmarks or [0,2]; object_boxes: float32 [n,4] as x0,y0,x1,y1;
    segments: label map uint16 [h,w], see `_read_segments`; foregrounds, patches: what regions.py has found.
    """

    key: str
    domain: str
    set: str
    pixels: np.ndarray
    quads: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))
    words: tuple[str, ...] = ()
    landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    object_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    segments: np.ndarray | None = None
    foregrounds: dict[int, np.ndarray | None] = field(default_factory=dict)
    patches: np.ndarray | None = None
    _reduced: Photo | None = None

    def reduced(self) -> Photo:
        """Itself, or a copy of at most REDUCED_PIXELS to look for objects in; the copy has no text or landmarks."""
        if self.width * self.height <= REDUCED_PIXELS:
            return self
        if self._reduced is None:
            factor = (REDUCED_PIXELS / (self.width * self.height)) ** 0.5
            small = resize(self.pixels, round(self.width * factor), round(self.height * factor))
            boxes = self.object_boxes * np.float32(factor)
            self._reduced = Photo(self.key, self.domain, self.set, small, object_boxes=boxes)
        return self._reduced

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.pixels.shape[1]


@dataclass
class Window:
    """A rectangle of a photo at some scale, with the annotations that fall into it (window coordinates)."""

    pixels: np.ndarray
    quads: np.ndarray
    words: tuple[str, ...]
    landmarks: np.ndarray
    photo: Photo
    x: int
    y: int
    source_width: int
    source_height: int
    cut: tuple[int, int] = (0, 0)

    def moved(self, pixels: np.ndarray, dx: int, dy: int) -> Window:
        """The same window after `dx` columns and `dy` rows were cut off at the left and top."""
        offset = np.array([dx, dy], np.float32)
        quads, landmarks = self.quads - offset, self.landmarks - offset
        return replace(self, pixels=pixels, quads=quads, landmarks=landmarks, cut=(self.cut[0] + dx, self.cut[1] + dy))

    def part_of(self, mask: np.ndarray) -> np.ndarray:
        """What the window shows of a mask of the whole photo (at any resolution); both bool."""
        height, width = self.pixels.shape[:2]
        factor = mask.shape[1] / self.photo.width
        rows = slice(int(self.y * factor), max(1, round((self.y + self.source_height) * factor)))
        columns = slice(int(self.x * factor), max(1, round((self.x + self.source_width) * factor)))
        part = mask[rows, columns].astype(np.uint8) * 255
        part = resize(part, width + self.cut[0], height + self.cut[1], cv2.INTER_LINEAR)
        return part[self.cut[1] :, self.cut[0] :] >= 128


def resize(pixels: np.ndarray, width: int, height: int, interpolation: int | None = None) -> np.ndarray:
    """Resize with an antialiasing filter when shrinking (area), cubic otherwise."""
    if pixels.shape[1] == width and pixels.shape[0] == height:
        return pixels
    if interpolation is None:
        interpolation = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width, height), interpolation=interpolation)


def cut_window(photo: Photo, x: int, y: int, width: int, height: int, scale: float) -> Window:
    """`width`×`height` pixels at `scale` (≤ 1) of the photo whose top-left corner is at photo pixel (x, y)."""
    source_w = min(photo.width - x, round(width / scale))
    source_h = min(photo.height - y, round(height / scale))
    pixels = resize(photo.pixels[y : y + source_h, x : x + source_w], width, height)
    factor = np.array([width / source_w, height / source_h], np.float32)
    origin = np.array([x, y], np.float32)
    quads = (photo.quads - origin) * factor
    landmarks = (photo.landmarks - origin) * factor
    centres = quads.mean(axis=1) if len(quads) else np.zeros((0, 2), np.float32)
    inside = (centres > 0).all(axis=1) & (centres < np.array([width, height])).all(axis=1)
    words = tuple(word for word, keep in zip(photo.words, inside, strict=True) if keep)
    return Window(np.ascontiguousarray(pixels), quads[inside], words, landmarks, photo, x, y, source_w, source_h)


def _read_text_boxes(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """ICDAR 2015 and SROIE lines: x1,y1,…,x4,y4,transcription; ALPR lines: name, x, y, width, height, plate."""
    quads, words = [], []
    for line in path.read_text("utf-8-sig", errors="replace").splitlines():
        if "\t" in line:
            _, x, y, w, h, word = line.split("\t")[:6]
            x0, y0, x1, y1 = float(x), float(y), float(x) + float(w), float(y) + float(h)
            quads.append([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
            words.append(word.strip())
            continue
        parts = line.split(",", 8)
        if len(parts) < 9 or not all(part.strip().lstrip("-").isdigit() for part in parts[:8]):
            continue
        quads.append(np.array([float(part) for part in parts[:8]]).reshape(4, 2))
        words.append("" if parts[8] == "###" else parts[8].strip())
    return np.array(quads, np.float32).reshape(-1, 4, 2), tuple(words)


def _read_segments(path: Path) -> np.ndarray | None:
    """A label map uint16 [h,w]; 0 is what should not be cut out (background of labelled sets)."""
    content = scipy.io.loadmat(path)
    if "groundTruth" in content:  # BSDS500: several people's segmentations, 1…n, all of them regions
        annotators = content["groundTruth"][0]
        maps = [annotator["Segmentation"][0, 0] for annotator in annotators]
        return min(maps, key=lambda labels: int(labels.max())).astype(np.uint16)
    if "groundtruth" in content:  # clothing parsing: 0 background
        return content["groundtruth"].astype(np.uint16)
    if "objMask" in content:
        return content["objMask"].astype(np.uint16)
    return None


def _read_object_boxes(path: Path) -> np.ndarray:
    """VOC boxes, float32 [n,4] as x0,y0,x1,y1."""
    root = ElementTree.parse(path).getroot()
    boxes = [
        [float(box.findtext(name, "0")) for name in ("xmin", "ymin", "xmax", "ymax")] for box in root.iter("bndbox")
    ]
    return np.array(boxes, np.float32).reshape(-1, 4)


class Pool:
    """The images of one split, drawn by set with weight √(images in the set), camera originals thrice that."""

    def __init__(self, folder: Path, split: str = "train", cache_mb: int = 800):
        if split not in ("train", "val", "all"):
            raise ValueError(f"split must be train, val or all, not {split!r}")
        self.folder = Path(folder)
        with open(self.folder / "index.csv", newline="", encoding="utf-8") as file:
            rows = [
                Record(row["dest"], row["domain"], row["set"], int(row["width"]), int(row["height"]))
                for row in csv.DictReader(file)
                if row["dest"] not in EDITED
            ]
        wanted = {"train": (False,), "val": (True,), "all": (False, True)}[split]
        self.records = [record for record in rows if record.is_validation in wanted]
        own = self.folder / FACE_LANDMARKS.name  # a light pool's crops have landmarks of their own
        self._landmarks = _read_landmarks(own if own.exists() else FACE_LANDMARKS)
        self._cache: OrderedDict[str, Photo] = OrderedDict()
        self._cache_bytes = 0
        self._cache_limit = cache_mb << 20
        self._by_set: dict[tuple[str, str], list[Record]] = {}
        self._draws: dict[tuple[str, int], tuple[list[list[Record]], np.ndarray]] = {}
        for record in self.records:
            self._by_set.setdefault((record.domain, record.set), []).append(record)

    def draw(self, rng: np.random.Generator, domain: str, smallest_side: int = 0) -> Record:
        """A random record of the domain whose shorter side is at least `smallest_side` pixels.

        The domain "objects" stands for photographs with something to cut out.
        """
        sets, weights = self._drawable(domain, smallest_side)
        chosen = sets[rng.choice(len(sets), p=weights)]
        return chosen[rng.integers(len(chosen))]

    def _drawable(self, domain: str, smallest_side: int) -> tuple[list[list[Record]], np.ndarray]:
        """The sets to draw from, reduced to the images that are large enough, and each set's probability."""
        if (domain, smallest_side) not in self._draws:
            sets, weights = [], []
            for (set_domain, name), records in self._by_set.items():
                usable = [record for record in records if min(record.width, record.height) >= smallest_side]
                fits = name in OBJECT_SETS if domain == "objects" else set_domain == domain
                if fits and usable:
                    sets.append(usable)
                    weights.append(len(usable) ** 0.5 * (CAMERA_WEIGHT if name in CAMERA_SETS else 1.0))
            if not sets:
                raise LookupError(f"no {domain} image of at least {smallest_side} px")
            self._draws[domain, smallest_side] = sets, np.array(weights) / sum(weights)
        return self._draws[domain, smallest_side]

    def load(self, record: Record) -> Photo:
        """Decode, keeping the most recently used photos."""
        if record.dest in self._cache:
            self._cache.move_to_end(record.dest)
            return self._cache[record.dest]
        photo = self._decode(record)
        self._cache[record.dest] = photo
        self._cache_bytes += photo.pixels.nbytes
        while self._cache_bytes > self._cache_limit and len(self._cache) > 1:
            self._cache_bytes -= self._cache.popitem(last=False)[1].pixels.nbytes
        return photo

    def camera_tables(self, limit: int = 400) -> list[tuple[np.ndarray, np.ndarray]]:
        """(luma, chroma) quantization tables int [64] found in the pool's own camera files, each once."""
        found: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        cameras = [record for record in self.records if record.set in ("mde-camera", "sfm", "exif-samples")]
        for record in cameras[:limit]:
            tables = getattr(Image.open(self.folder / record.dest), "quantization", None)
            if not tables or 0 not in tables:
                continue
            luma, chroma = tables[0], tables.get(1, tables[0])
            if max(luma) <= 255 and max(chroma) <= 255:
                found[tuple(luma)] = (np.array(luma), np.array(chroma))
        return [found[key] for key in sorted(found)]

    def _decode(self, record: Record) -> Photo:
        path = self.folder / record.dest
        reduction = 1
        while record.width * record.height / 1e6 / reduction**2 > DECODE_LIMIT_MP[record.domain] and reduction < 8:
            reduction *= 2
        # OpenCV here, not Pillow: half the time for large files, and nothing downstream depends on the decoder.
        flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
        flag = flags.get(reduction, cv2.IMREAD_REDUCED_COLOR_8) | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imread(str(path), flag)
        if pixels is None:
            raise OSError(f"{path} cannot be decoded")
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
        factor = np.float32(pixels.shape[1] / record.width)
        photo = Photo(record.dest, record.domain, record.set, pixels)
        if record.dest in self._landmarks:
            photo.landmarks = self._landmarks[record.dest] * factor
        for suffix in (".csv", ".txt"):
            if path.with_suffix(suffix).exists():
                quads, photo.words = _read_text_boxes(path.with_suffix(suffix))
                photo.quads = quads * factor
        _cut_off_overlay(photo)
        if path.with_suffix(".mat").exists():
            segments = _read_segments(path.with_suffix(".mat"))
            if segments is not None and segments.shape == pixels.shape[:2]:
                photo.segments = segments
        if path.with_suffix(".xml").exists():
            photo.object_boxes = _read_object_boxes(path.with_suffix(".xml")) * factor
        return photo


def _cut_off_overlay(photo: Photo) -> None:
    """Many SROIE receipts have "tan woon yann" typed over their head: a real manipulation, so it is cut off."""
    overlays = [quad for quad, word in zip(photo.quads, photo.words, strict=True) if word.upper() == OVERLAY]
    if not overlays:
        return
    top = int(max(quad[:, 1].max() for quad in overlays)) + 4
    photo.pixels = np.ascontiguousarray(photo.pixels[top:])
    photo.quads = photo.quads - np.array([0, top], np.float32)
    kept = photo.quads[:, :, 1].min(axis=1) >= 0
    photo.words = tuple(word for word, keep in zip(photo.words, kept, strict=True) if keep)
    photo.quads = photo.quads[kept]


def _read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Face landmarks by image, found once off-line (see face.py); float32 [k,2] in original pixels."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row[0]: np.array(row[1:], np.float32).reshape(-1, 2) for row in csv.reader(file)}
