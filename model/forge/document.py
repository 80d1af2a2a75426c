"""document: not yet its own forgers; photographs' manipulations serve."""

from .natural import forge  # noqa: F401


def photo(bench, rng, size):
    return bench.photo(rng, "document", size)


def largest_scale(rng, photo, size):
    return 1.0
