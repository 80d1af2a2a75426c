"""Reads the samples that the forge wrote, one by one."""

import json
import pathlib
from collections.abc import Iterator

import numpy as np


def samples(folders: list[pathlib.Path], seed: int) -> Iterator[tuple[int, dict]]:
    """(number, sample) of all shards in a random order of shards."""
    paths = sorted(path for folder in folders for path in folder.glob("shard-*.npz"))
    number = 0
    for index in np.random.default_rng(seed).permutation(len(paths)):
        with np.load(paths[index]) as shard:
            arrays = {name: shard[name] for name in ("pixels", "mask", "qtable", "jpeg", "domain")}
            made = json.loads(str(shard["annotations"]))
        for place, one in enumerate(made):
            yield number, {name: values[place] for name, values in arrays.items()} | {"made": one}
            number += 1
