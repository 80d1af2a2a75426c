"""The authentic images of the development set, drawn as a pool's are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ..pool import Pool, Record


class AuthenticPool(Pool):
    """Only images labelled authentic; those of a domain alike, whatever set they are of."""

    def __init__(self, folder: Path):
        super().__init__(folder, "all")
        with open(self.folder / "index.csv", newline="", encoding="utf-8") as file:
            authentic = {row["dest"] for row in csv.DictReader(file) if row["label"] == "0"}
        self.records = [record for record in self.records if record.dest in authentic]

    def draw(self, rng: np.random.Generator, domain: str, smallest_side: int = 0) -> Record:
        """A record of the domain; there are no labelled objects here, so "objects" are photographs."""
        wanted = "natural" if domain == "objects" else domain
        usable = [one for one in self.records if one.domain == wanted and min(one.width, one.height) >= smallest_side]
        if not usable:
            raise LookupError(f"no authentic {wanted} image of at least {smallest_side} px")
        return usable[rng.integers(len(usable))]
