"""Training samples from a pool image: window, prior life, forgery (or none), crop, afterlife, final file.

Geometry first, then compression, then pixels and quantization table from that very file. The final file is exactly
the crop, so its block grid starts at (0, 0). Each composite is rendered several times, with crops and afterlives of
their own; authentic samples are the same frame without the forgery and take every other step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from . import document, face, natural, scene_text
from .forgery import GROUP, Forgery, Unforgeable, Workbench
from .histories import Afterlife, Life, SaveBook, decode, draw_afterlife, draw_life, passed_on, resize_mask, unshifted
from .pool import Photo, Pool, Window, cut_window, resize
from .regions import bounds, component_boxes, object_mask
from .variation import OVEREXPOSED, Variation, draw_variation

DOMAINS = ("natural", "document", "face", "scene_text")
DOMAIN_SHARES = (0.55, 0.18, 0.12, 0.15)
RENDERINGS = (True, True, False)  # of each composite: forged or not
AUTHENTIC_SHARE = 1 / 3
LARGEST_FRAME = 2.0  # crops wide or high
LARGEST_ASPECT = 1.3  # of a whole-image view, which is squeezed into a square
LARGEST_MASK = 0.7  # of a sample: more, and "manipulated" and "background" change places
FORGERS = {"natural": natural, "document": document, "face": face, "scene_text": scene_text}
ATTEMPTS = 24
BOTH_SHOWN = 0.8  # of the crops of a copy, where they can: original and copy, or there is nothing to compare
AROUND_THINGS = 0.5  # of untouched photographs, as forged ones are cut around what was pasted
AS_IT_CAME = 0.25  # of untouched samples: no save but the photo's own before the last one
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
    """The background of a composite: which part of which photo, and its life before the forgery."""

    photo: Photo
    x: int
    y: int
    width: int
    height: int
    scale: float
    variation: Variation | None
    life: Life
    view: bool

    def window(self) -> Window:
        """The background as the forger finds it: cut, scaled, and with its prior life behind it."""
        window = cut_window(self.photo, self.x, self.y, self.width, self.height, self.scale)
        dx, dy = self.life.margin
        pixels = self.variation.vary(window.pixels) if self.variation else window.pixels
        return window.moved(self.life.live(pixels), dx, dy)


@dataclass(frozen=True)
class Rendering:
    """One way from a composite to a file: the part of it from (x, y), `width`×`height`, then the afterlife."""

    x: int
    y: int
    width: int
    height: int
    afterlife: Afterlife
    final_width: int
    final_height: int


def least_mask(side: int) -> float:
    """Pixels of forgery that a crop must show: less is noise to a network that draws at a quarter of the size."""
    return max(60, 0.0012 * side**2)


def passed_on_sample(rng: np.random.Generator, book: SaveBook, sample: Sample, side: int) -> Sample | None:
    """The sample as it comes back from a site that shrank it to `side` pixels and saved it once more.

    None where too little of a forgery is left.
    """
    file, mask = passed_on(rng, book, sample.pixels, sample.mask, side)
    if sample.kind != "authentic" and mask.sum() < least_mask(side):
        return None
    pixels, qtable, jpeg = decode(file)
    annotation = sample.annotation | {
        "passed_on": side,
        "boxes": component_boxes(mask),
        "area": round(float(mask.mean()), 5),
    }
    return replace(sample, pixels=pixels, qtable=qtable, jpeg=jpeg, mask=mask, annotation=annotation, file=file)


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
        samples: list[Sample] = []
        for number in range(-(-count // len(RENDERINGS))):
            samples += self.samples(np.random.default_rng([seed, index, number]), bench, domain)
        return samples[:count]

    def sample(
        self, rng: np.random.Generator, bench: Workbench, domain: str | None = None, kind: str | None = None
    ) -> Sample:
        """One sample, authentic with probability AUTHENTIC_SHARE or when that is the `kind`."""
        if kind is None and rng.random() < AUTHENTIC_SHARE:
            kind = "authentic"
        return self.samples(rng, bench, domain, kind, RENDERINGS[:1])[0]

    def samples(
        self,
        rng: np.random.Generator,
        bench: Workbench,
        domain: str | None = None,
        kind: str | None = None,
        renderings: tuple[bool, ...] = RENDERINGS,
    ) -> list[Sample]:
        """One composite rendered several times: True with the forgery, False without it.

        Domain, kind and view are drawn once, everything else anew at every attempt. Half the attempts are for the
        kind that was drawn, so that kinds that often find nothing to work on keep their share; after that any kind
        will do.
        """
        domain = domain or str(rng.choice(DOMAINS, p=DOMAIN_SHARES))
        view = rng.random() < FORGERS[domain].HABITS.views
        shares = FORGERS[domain].KINDS
        first_choice = kind or str(rng.choice(list(shares), p=list(shares.values())))
        for attempt in range(ATTEMPTS):
            wanted = first_choice if attempt < ATTEMPTS // 2 else kind
            try:
                plan = self.plan(rng, bench, domain, view)
                window = plan.window()
                untouched = Forgery(window.pixels, np.zeros(window.pixels.shape[:2], bool), "authentic")
                if kind == "authentic":
                    return [self._rendered(rng, plan, untouched, untouched.mask) for _ in renderings]
                forgery = FORGERS[domain].forge(window, bench, rng, wanted)
                return [
                    self._rendered(rng, plan, forgery, forgery.mask)
                    if forged
                    else self._untouched(rng, plan, window, untouched, forgery.mask)
                    for forged in renderings
                ]
            except Unforgeable:
                continue
        raise RuntimeError(f"{ATTEMPTS} attempts gave no {domain} {kind or 'sample'} of {self.size} px")

    def _untouched(
        self, rng: np.random.Generator, plan: Plan, window: Window, untouched: Forgery, place: np.ndarray
    ) -> Sample:
        """The composite's twin without the forgery, cut around the same `place` so that no place is a sign of it.

        Or around a thing that the photograph has always shown, so that a thing is no sign of it either.
        """
        if plan.photo.domain == "natural" and rng.random() < AROUND_THINGS:
            thing = object_mask(rng, plan.photo.reduced())
            place = place if thing is None else window.part_of(thing)
        if plan.life.margin == (0, 0) and rng.random() < AS_IT_CAME:
            plan = replace(plan, life=replace(plan.life, noise=0.0, steps=()))
            untouched = replace(untouched, pixels=plan.window().pixels)
        return self._rendered(rng, plan, untouched, place)

    def plan(self, rng: np.random.Generator, bench: Workbench, domain: str, view: bool) -> Plan:
        """Draw photo, window and prior history."""
        photo = FORGERS[domain].photo(bench, rng, self.size)
        if min(photo.width, photo.height) < self.size:
            raise Unforgeable("photo too small")  # what is left of a receipt without its overlay may be
        habits = FORGERS[domain].HABITS
        variation = None
        if rng.random() < habits.varied:
            variation = draw_variation(rng)
        elif habits.overexposed and rng.random() < habits.overexposed:
            variation = Variation(OVEREXPOSED, int(rng.integers(1 << 31)))
        life = draw_life(rng, self.book, habits=habits)
        if view:
            return self._view_plan(rng, photo, variation, life)
        return self._crop_plan(rng, photo, variation, life)

    def _crop_plan(self, rng: np.random.Generator, photo: Photo, variation: Variation | None, life: Life) -> Plan:
        """A frame up to LARGEST_FRAME crops wide and high, so that several crops can be taken from it."""
        habits = FORGERS[photo.domain].HABITS
        dx, dy = life.margin
        if self.size + dx > photo.width or self.size + dy > photo.height:
            life, dx, dy = unshifted(life), 0, 0
        least_w, least_h = self.size + dx, self.size + dy
        scale = float(rng.uniform(habits.smallest_scale, 0.9)) if rng.random() < habits.rescaled else 1.0
        scale = min(scale, FORGERS[photo.domain].largest_scale(rng, photo, self.size))
        scale = max(scale, least_w / photo.width, least_h / photo.height)
        scale = 1.0 if scale > 0.97 else scale
        wanted = self.size * rng.uniform(1.05, LARGEST_FRAME, 2)
        width = int(np.clip(wanted[0] + dx, least_w, max(least_w, int(photo.width * scale))))
        height = int(np.clip(wanted[1] + dy, least_h, max(least_h, int(photo.height * scale))))
        x, y = _placed(rng, photo, width / scale, height / scale)
        return Plan(photo, x, y, width, height, scale, variation, life, False)

    def _view_plan(self, rng: np.random.Generator, photo: Photo, variation: Variation | None, life: Life) -> Plan:
        size = self.size
        dx, dy = life.margin
        region_w = min(photo.width, photo.height * LARGEST_ASPECT) * rng.uniform(0.75, 1.0)
        region_h = min(photo.height, region_w * LARGEST_ASPECT) * rng.uniform(0.9, 1.0)
        region_w, region_h = max(region_w, size), max(region_h, size)
        longest = size * float(np.exp(rng.uniform(np.log(1.05), np.log(3.0))))
        scale = min(1.0, max(longest / max(region_w, region_h), size / min(region_w, region_h)))
        width, height = max(size, int(region_w * scale)), max(size, int(region_h * scale))
        if width - dx < size or height - dy < size:
            life = unshifted(life)
        x, y = _placed(rng, photo, width / scale, height / scale)
        return Plan(photo, x, y, width, height, scale, variation, life, True)

    def rendering(
        self, rng: np.random.Generator, plan: Plan, place: np.ndarray, origin: np.ndarray | None = None
    ) -> Rendering:
        """Draw an afterlife and the part of the frame it is of: somewhere around a pixel of `place` bool [h,w].

        With `origin` bool [h,w] mostly the part that shows all of both, where there is one.
        """
        (height, width), size = place.shape, self.size
        after = draw_afterlife(rng, self.book, width - size, height - size, FORGERS[plan.photo.domain].HABITS)
        cut_x, cut_y = after.margin
        # As strongly shrunk as was drawn, or as the frame allows.
        least = max((size + cut_x + 1) / width, (size + cut_y + 1) / height) * 1.01
        if after.factor < least:
            after = replace(after, factor=least if least < 0.95 else 1.0)
        if plan.view:
            final_w, final_h = round(width * after.factor) - cut_x, round(height * after.factor) - cut_y
            return Rendering(0, 0, width, height, after, final_w, final_h)
        part_w, part_h = size + cut_x, size + cut_y
        if after.factor != 1:
            part_w = min(width, int(np.ceil(part_w / after.factor)) + 1)
            part_h = min(height, int(np.ceil(part_h / after.factor)) + 1)
        rows, columns = np.nonzero(place)
        both = self._both(rng, place, origin, part_w, part_h) if origin is not None else None
        if both is not None:
            x, y = both
        elif len(rows):
            chosen = int(rng.integers(len(rows)))
            y = int(rows[chosen] - rng.uniform(0.1, 0.9) * part_h)
            x = int(columns[chosen] - rng.uniform(0.1, 0.9) * part_w)
        else:
            y, x = int(rng.integers(0, height - part_h + 1)), int(rng.integers(0, width - part_w + 1))
        # On the block grid: whether the grid survives is decided by the afterlife's first cut.
        x, y = int(np.clip(x, 0, width - part_w)) // 8 * 8, int(np.clip(y, 0, height - part_h)) // 8 * 8
        return Rendering(x, y, part_w, part_h, after, size, size)

    @staticmethod
    def _both(
        rng: np.random.Generator, place: np.ndarray, origin: np.ndarray, width: int, height: int
    ) -> tuple[int, int] | None:
        """A corner (x, y) of a part of the frame that shows all of `place` and of `origin`, both bool [h,w]."""
        x0, y0, x1, y1 = bounds(place | origin)
        if rng.random() >= BOTH_SHOWN or x1 - x0 > width - 8 or y1 - y0 > height - 8:
            return None
        # Corners move up to 7 px towards the origin of coordinates afterwards, on to the block grid.
        return int(rng.integers(max(0, x1 - width + 7), x0 + 1)), int(rng.integers(max(0, y1 - height + 7), y0 + 1))

    def _rendered(self, rng: np.random.Generator, plan: Plan, forgery: Forgery, place: np.ndarray) -> Sample:
        """The composite under a rendering that shows enough of it."""
        for _ in range(4):
            try:
                return self.render(plan, forgery, self.rendering(rng, plan, place, forgery.origin))
            except Unforgeable:
                continue
        raise Unforgeable("no rendering shows the forgery")

    def render(self, plan: Plan, forgery: Forgery, rendering: Rendering) -> Sample:
        """Crop, afterlife, final file, pixels and table read back from it."""
        rows = slice(rendering.y, rendering.y + rendering.height)
        columns = slice(rendering.x, rendering.x + rendering.width)
        pixels, mask = np.ascontiguousarray(forgery.pixels[rows, columns]), forgery.mask[rows, columns]
        least = least_mask(self.size)
        if forgery.kind != "authentic" and mask.sum() < least:
            raise Unforgeable("too little of the forgery in the crop")
        file, mask = rendering.afterlife.live(pixels, mask, rendering.final_height, rendering.final_width)
        pixels, qtable, is_jpeg = decode(file)
        if plan.view:
            pixels, mask = resize(pixels, self.size, self.size), resize_mask(mask, self.size, self.size)
            qtable, is_jpeg = np.ones(64, np.int32), False
        if pixels.shape != (self.size, self.size, 3) or mask.shape != (self.size, self.size):
            raise AssertionError(f"crop of {pixels.shape}, mask of {mask.shape}, expected {self.size}")
        if forgery.kind != "authentic" and not least < mask.sum() < LARGEST_MASK * mask.size:
            raise Unforgeable("too little or too much of the forgery in the crop")
        annotation = {
            "kind": forgery.kind,
            "domain": plan.photo.domain,
            "source": plan.photo.key,
            "set": plan.photo.set,
            "scale": round(plan.scale, 3),
            "history": ([plan.variation.name] if plan.variation else []) + plan.life.describe(),
            "operations": list(forgery.operations),
            "donor": forgery.donor,
            "donor_history": list(forgery.donor_history),
            "afterlife": rendering.afterlife.describe(),
            "final": rendering.afterlife.final.describe(),
            "file_size": [rendering.final_width, rendering.final_height],
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
