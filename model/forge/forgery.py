"""What a forger works with and hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .histories import Life, SaveBook, draw_life
from .pool import Photo, Pool, Record


@dataclass(frozen=True)
class Forgery:
    """A manipulated frame. pixels uint8 [h,w,3]; mask bool [h,w]; operations in the order they were done."""

    pixels: np.ndarray
    mask: np.ndarray
    kind: str
    operations: tuple[str, ...] = ()
    donor: str = ""
    donor_history: tuple[str, ...] = ()


class Unforgeable(Exception):  # noqa: N818 - a refusal, not a failure
    """This frame does not lend itself to this manipulation; draw another."""


@dataclass
class Workbench:
    """The photos one shard is made from, and the means to give donors a life of their own.

    Photos are drawn as they are needed and reused, because decoding costs more than forging: `reuse` is how many
    draws one new photo serves.
    """

    pool: Pool
    book: SaveBook
    reuse: int = 4
    _shelves: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    _made: dict[str, list[Photo]] = field(default_factory=dict)

    def photo(self, rng: np.random.Generator, domain: str, smallest_side: int = 0) -> Photo:
        """A photo of the domain: every `reuse`-th draw a new one, else one of those lying here."""
        shelf = self._shelves.setdefault((domain, smallest_side), [])
        if len(shelf) < 2 or rng.random() < 1.0 / self.reuse:
            shelf.append(self.pool.draw(rng, domain, smallest_side))
            if len(shelf) > 12:
                shelf.pop(0)
            return self.pool.load(shelf[-1])
        return self.pool.load(shelf[rng.integers(len(shelf))])

    def donor(self, rng: np.random.Generator, domain: str, background: Photo, smallest_side: int = 0) -> Photo:
        """A photo of the domain other than the background."""
        for _ in range(4):
            photo = self.photo(rng, domain, smallest_side)
            if photo.key != background.key:
                return photo
        return self.pool.load(self.pool.draw(rng, domain, smallest_side))

    def made(
        self, rng: np.random.Generator, name: str, make: Callable[[np.random.Generator], Photo], keep: int = 6
    ) -> Photo:
        """Like `photo`, of things made rather than loaded; `make(rng)` is called for every new one."""
        shelf = self._made.setdefault(name, [])
        if len(shelf) < 2 or rng.random() < 1.0 / self.reuse:
            shelf.append(make(rng))
            del shelf[:-keep]
            return shelf[-1]
        return shelf[rng.integers(len(shelf))]

    def life(self, rng: np.random.Generator) -> Life:
        """A donor's own life, on its own grid."""
        return draw_life(rng, self.book, shift_allowed=False)


def visible_change(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute difference of the masked pixels, in grey levels."""
    if not mask.any():
        return 0.0
    return float(np.abs(before[mask].astype(np.int16) - after[mask].astype(np.int16)).mean())
