"""What a forger works with and hands back."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .histories import Life, SaveBook, draw_life
from .pool import Photo, Pool, Record


@dataclass(frozen=True)
class Forgery:
    """A manipulated frame. pixels uint8 [h,w,3]; mask bool [h,w]; operations in the order they were done.

    origin: bool [h,w], where in the same frame copied pixels came from; None where none did.
    """

    pixels: np.ndarray
    mask: np.ndarray
    kind: str
    operations: tuple[str, ...] = ()
    donor: str = ""
    donor_history: tuple[str, ...] = ()
    origin: np.ndarray | None = None


@dataclass(frozen=True)
class Edit:
    """One change of a frame. pixels uint8 [h,w,3]; mask bool [h,w] of this change alone; operation in words."""

    pixels: np.ndarray
    mask: np.ndarray
    operation: str
    donor: str = ""


class Unforgeable(Exception):  # noqa: N818 - a refusal, not a failure
    """This frame does not lend itself to this manipulation; draw another."""


# Photos lying ready, by domain; drawn for GROUP shards together, because decoding costs more than forging.
SHELF = {"natural": 110, "document": 24, "face": 32, "scene_text": 28, "objects": 36, "pages": 18}
GROUP = 8


@dataclass
class Workbench:
    """The photos that a group of shards is made from, and the means to give donors a life of their own.

    What lies on it is decided by `key` (seed, group) alone, so a sample does not depend on those made before it.
    """

    pool: Pool
    book: SaveBook
    key: tuple[int, int]
    _shelves: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    _made: dict[tuple[str, int], Photo] = field(default_factory=dict)

    def photo(self, rng: np.random.Generator, domain: str, smallest_side: int = 0) -> Photo:
        """One of the domain's photos lying here, at least `smallest_side` pixels wide and high.

        "objects" stands for photographs that hold something to cut out.
        """
        shelf = self._shelves.get((domain, smallest_side))
        if shelf is None:
            own = np.random.default_rng([*self.key, zlib.crc32(domain.encode()), smallest_side])
            shelf = [self.pool.draw(own, domain, smallest_side) for _ in range(SHELF[domain])]
            self._shelves[domain, smallest_side] = shelf
        return self.pool.load(shelf[rng.integers(len(shelf))])

    def donor(self, rng: np.random.Generator, domain: str, background: Photo, smallest_side: int = 0) -> Photo:
        """A photo of the domain other than the background."""
        for _ in range(6):
            photo = self.photo(rng, domain, smallest_side)
            if photo.key != background.key:
                return photo
        raise Unforgeable("no other photo")

    def made(self, rng: np.random.Generator, name: str, make: Callable[[np.random.Generator], Photo]) -> Photo:
        """Like `photo`, of things made by `make` rather than loaded."""
        number = int(rng.integers(SHELF[name]))
        if (name, number) not in self._made:
            self._made[name, number] = make(np.random.default_rng([*self.key, zlib.crc32(name.encode()), number]))
        return self._made[name, number]

    def life(self, rng: np.random.Generator) -> Life:
        """A donor's own life, on its own grid."""
        return draw_life(rng, self.book, shift_allowed=False)


def visible_change(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute difference of the masked pixels, in grey levels."""
    if not mask.any():
        return 0.0
    return float(np.abs(before[mask].astype(np.int16) - after[mask].astype(np.int16)).mean())


def several(
    frame: np.ndarray, kind: str, edits: Iterable[Callable[[np.ndarray], Edit]], count: int, least_change: float
) -> Forgery:
    """The first `count` edits that can be made, show by `least_change` grey levels, and keep clear of one another."""
    mask = np.zeros(frame.shape[:2], bool)
    operations: list[str] = []
    donor = ""
    for edit in edits:
        if len(operations) == count:
            break
        try:
            made = edit(frame)
        except Unforgeable:
            continue
        if (made.mask & mask).any() or visible_change(frame, made.pixels, made.mask) < least_change:
            continue
        frame, mask, donor = made.pixels, mask | made.mask, made.donor or donor
        operations.append(made.operation)
    if not operations:
        raise Unforgeable(f"no {kind} that shows")
    return Forgery(frame, mask, kind, tuple(operations), donor)
