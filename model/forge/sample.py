"""One training sample from a pool image: window, prior life, forgery (or none), afterlife, final file, crop.

Geometry first, then compression, then pixels and quantization table from that very file. The final file is exactly
the crop, so its block grid starts at (0, 0). Authentic samples take every step but the forgery.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from . import document, face, natural, scene_text
from .forgery import GROUP, Forgery, Unforgeable, Workbench
from .histories import SHIFT_LIMIT, Afterlife, Life, SaveBook, decode, draw_afterlife, draw_life, resize_mask
from .pool import Photo, Pool, Window, cut_window, resize
from .regions import component_boxes

DOMAINS = ("natural", "document", "face", "scene_text")
DOMAIN_SHARES = (0.55, 0.18, 0.12, 0.15)
AUTHENTIC_SHARE = 1 / 3
VIEW_SHARE = 0.25
LARGEST_ASPECT = 1.3  # of a whole-image view, which is squeezed into a square
LARGEST_MASK = 0.7  # of a sample: more, and "manipulated" and "background" change places
FORGERS = {"natural": natural, "document": document, "face": face, "scene_text": scene_text}
ATTEMPTS = 24
DULL = 22.0  # grey levels of standard deviation: windows below are drawn again


@dataclass(frozen=True)
class Sample:
    """A training sample. Authentic: an all-False mask.

    pixels uint8 [S,S,3] RGB, decoded from the final file; qtable int32 [64], that file's luma quantization table in
    natural order, ones when it is not a JPEG; jpeg False for PNG, WebP and whole-image views; mask bool [S,S];
    annotation: what was truly done.
    """

    pixels: np.ndarray
    qtable: np.ndarray
    jpeg: bool
    mask: np.ndarray
    domain: int
    kind: str
    annotation: dict
    view: bool = False
    file: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Plan:
    """Everything about a sample but its forgery: so that an authentic twin can be made with the same history."""

    photo: Photo
    x: int
    y: int
    width: int
    height: int
    scale: float
    life: Life
    afterlife: Afterlife
    final_width: int
    final_height: int
    view: bool

    def window(self) -> Window:
        """The background as the forger finds it: cut, scaled, and with its prior life behind it."""
        window = cut_window(self.photo, self.x, self.y, self.width, self.height, self.scale)
        dx, dy = self.life.margin
        return window.moved(self.life.live(window.pixels), dx, dy)


class Forger:
    """Makes samples of one size from one pool. The same (seed, index) gives the same samples."""

    def __init__(self, pool: Pool, size: int = 256):
        self.pool = pool
        self.size = size
        self.book = SaveBook(pool.camera_tables())
        self._bench: Workbench | None = None

    def bench(self, seed: int, index: int) -> Workbench:
        """The bench for a shard; neighbouring shards share it."""
        key = (seed, index // GROUP)
        if self._bench is None or self._bench.key != key:
            self._bench = Workbench(self.pool, self.book, key)
        return self._bench

    def shard(self, seed: int, index: int, count: int, domain: str | None = None) -> list[Sample]:
        """`count` samples; number `n` of them is the same whatever the count."""
        bench = self.bench(seed, index)
        return [self.sample(np.random.default_rng([seed, index, number]), bench, domain) for number in range(count)]

    def sample(
        self, rng: np.random.Generator, bench: Workbench, domain: str | None = None, kind: str | None = None
    ) -> Sample:
        """One sample; domain, kind and view are drawn once, everything else anew at every attempt.

        Half the attempts are for the kind that was drawn, so that kinds that often find nothing to work on keep their
        share; after that any kind will do.
        """
        domain = domain or str(rng.choice(DOMAINS, p=DOMAIN_SHARES))
        authentic = rng.random() < AUTHENTIC_SHARE if kind is None else kind == "authentic"
        view = rng.random() < VIEW_SHARE
        shares = FORGERS[domain].KINDS
        first_choice = kind or str(rng.choice(list(shares), p=list(shares.values())))
        for attempt in range(ATTEMPTS):
            wanted = first_choice if attempt < ATTEMPTS // 2 else kind
            try:
                plan = self.plan(rng, bench, domain, view)
                window = plan.window()
                if authentic:
                    forgery = Forgery(window.pixels, np.zeros(window.pixels.shape[:2], bool), "authentic")
                else:
                    forgery = FORGERS[domain].forge(window, bench, rng, wanted)
                return self.render(plan, forgery)
            except Unforgeable:
                continue
        raise RuntimeError(f"{ATTEMPTS} attempts gave no {domain} {kind or 'sample'} of {self.size} px")

    def plan(self, rng: np.random.Generator, bench: Workbench, domain: str, view: bool) -> Plan:
        """Draw photo, window and histories."""
        photo = FORGERS[domain].photo(bench, rng, self.size)
        if min(photo.width, photo.height) < self.size:
            raise Unforgeable("photo too small")  # what is left of a receipt without its overlay may be
        life = draw_life(rng, self.book)
        if view:
            return self._view_plan(rng, photo, life)
        return self._crop_plan(rng, photo, life)

    def _crop_plan(self, rng: np.random.Generator, photo: Photo, life: Life) -> Plan:
        size, room_w, room_h = self.size, photo.width - self.size, photo.height - self.size
        dx, dy = life.margin
        if dx > room_w or dy > room_h:
            life = replace(life, steps=tuple((0, 0, save) for _, _, save in life.steps))
            dx = dy = 0
        after = draw_afterlife(rng, self.book, max(0, room_w - dx), max(0, room_h - dy))
        needed = int(np.ceil(size / after.factor)) + 1 if after.factor != 1 else size
        if needed + dx > photo.width or needed + dy > photo.height:
            after, needed = replace(after, factor=1.0), size
        # After a resize the afterlife's cuts are taken from the smaller image.
        cut = int(np.ceil(SHIFT_LIMIT / after.factor))
        width, height = min(photo.width, needed + cut + dx), min(photo.height, needed + cut + dy)
        if after.factor != 1 and (width < needed + cut + dx or height < needed + cut + dy):
            after = replace(after, steps=tuple((0, 0, save) for _, _, save in after.steps))
        least = max(width / photo.width, height / photo.height)
        scale = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.4, 0.9))
        scale = max(min(scale, FORGERS[photo.domain].largest_scale(rng, photo, size)), least)
        scale = 1.0 if scale > 0.97 else scale
        x, y = _placed(rng, photo, width / scale, height / scale)
        return Plan(photo, x, y, width, height, scale, life, after, size, size, False)

    def _view_plan(self, rng: np.random.Generator, photo: Photo, life: Life) -> Plan:
        size = self.size
        dx, dy = life.margin
        region_w = min(photo.width, photo.height * LARGEST_ASPECT) * rng.uniform(0.75, 1.0)
        region_h = min(photo.height, region_w * LARGEST_ASPECT) * rng.uniform(0.9, 1.0)
        region_w, region_h = max(region_w, size), max(region_h, size)
        longest = size * float(np.exp(rng.uniform(np.log(1.05), np.log(3.0))))
        scale = min(1.0, max(longest / max(region_w, region_h), size / min(region_w, region_h)))
        width, height = int(region_w * scale), int(region_h * scale)
        if width - dx < size or height - dy < size:
            life = replace(life, steps=tuple((0, 0, save) for _, _, save in life.steps))
            dx = dy = 0
        after = draw_afterlife(rng, self.book, max(0, width - dx - size), max(0, height - dy - size))
        after = replace(after, factor=1.0)
        cut_x, cut_y = sum(step[0] for step in after.steps), sum(step[1] for step in after.steps)
        x, y = _placed(rng, photo, width / scale, height / scale)
        final_w, final_h = width - dx - cut_x, height - dy - cut_y
        return Plan(photo, x, y, width, height, scale, life, after, final_w, final_h, True)

    def render(self, plan: Plan, forgery: Forgery) -> Sample:
        """Afterlife, final file, pixels and table read back from it."""
        file, mask = plan.afterlife.live(forgery.pixels, forgery.mask, plan.final_height, plan.final_width)
        pixels, qtable, is_jpeg = decode(file)
        if plan.view:
            pixels, mask = resize(pixels, self.size, self.size), resize_mask(mask, self.size, self.size)
            qtable, is_jpeg = np.ones(64, np.int32), False
        if pixels.shape != (self.size, self.size, 3) or mask.shape != (self.size, self.size):
            raise AssertionError(f"crop of {pixels.shape}, mask of {mask.shape}, expected {self.size}")
        if forgery.kind != "authentic" and not max(60, 0.0012 * mask.size) < mask.sum() < LARGEST_MASK * mask.size:
            raise Unforgeable("too little or too much of the forgery in the crop")
        annotation = {
            "kind": forgery.kind,
            "domain": plan.photo.domain,
            "source": plan.photo.key,
            "set": plan.photo.set,
            "scale": round(plan.scale, 3),
            "history": plan.life.describe(),
            "operations": list(forgery.operations),
            "donor": forgery.donor,
            "donor_history": list(forgery.donor_history),
            "afterlife": plan.afterlife.describe(),
            "final": plan.afterlife.final.describe(),
            "file_size": [plan.final_width, plan.final_height],
            "view": plan.view,
            "boxes": component_boxes(mask),
            "area": round(float(mask.mean()), 5),
        }
        return Sample(
            np.ascontiguousarray(pixels),
            qtable,
            is_jpeg,
            np.ascontiguousarray(mask),
            DOMAINS.index(plan.photo.domain),
            forgery.kind,
            annotation,
            plan.view,
            file,
        )


def _placed(rng: np.random.Generator, photo: Photo, width: float, height: float) -> tuple[int, int]:
    """A corner (x, y) for a window of that size (photo pixels): around an annotation where there are any.

    Half of the corners lie on the photo's own block grid, so that its last save may stay aligned.
    """
    most_x, most_y = max(0, int(photo.width - width)), max(0, int(photo.height - height))
    if len(photo.quads):
        focus = photo.quads[rng.integers(len(photo.quads))].mean(axis=0)
    elif len(photo.landmarks):
        focus = photo.landmarks.mean(axis=0)
    else:
        focus = None
    if focus is None:
        for _ in range(3):  # large originals are mostly sky and blur: look twice before taking such a corner
            x, y = int(rng.integers(0, most_x + 1)), int(rng.integers(0, most_y + 1))
            if photo.pixels[y : y + int(height) : 16, x : x + int(width) : 16].std() > DULL:
                break
    else:
        x = int(np.clip(focus[0] - width * rng.uniform(0.25, 0.75), 0, most_x))
        y = int(np.clip(focus[1] - height * rng.uniform(0.25, 0.75), 0, most_y))
    if rng.random() < 0.5:
        x, y = x // 8 * 8, y // 8 * 8
    return x, y


cv2.setNumThreads(1)
