"""Reads the shards that `forge.write` leaves: forged samples of one size, ready to be batched."""

import pathlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass
class Batch:
    """Training tensors of N samples."""

    pixels: Tensor  # uint8 [N, 3, S, S]
    mask: Tensor  # bool [N, S, S]
    qtable: Tensor  # float [N, 64]
    jpeg: Tensor  # float [N]
    domain: Tensor  # int64 [N]
    kind: list[str]


FIELDS = ("pixels", "mask", "qtable", "jpeg", "domain", "view", "kind")


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of one shard."""
    with np.load(path) as shard:
        return {name: shard[name] for name in FIELDS}


def batch(arrays: dict[str, np.ndarray]) -> Batch:
    """Arrays of N samples as tensors."""
    return Batch(
        torch.from_numpy(np.ascontiguousarray(arrays["pixels"].transpose(0, 3, 1, 2))),
        torch.from_numpy(arrays["mask"].astype(bool)),
        torch.from_numpy(arrays["qtable"].astype(np.float32)),
        torch.from_numpy(arrays["jpeg"].astype(np.float32)),
        torch.from_numpy(arrays["domain"].astype(np.int64)),
        [str(kind) for kind in arrays["kind"]],
    )


def augment(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Flips and transposes a batch. Sides are multiples of 8: blocks stay blocks. A transpose turns the table too."""
    pixels, mask, qtable = arrays["pixels"], arrays["mask"], arrays["qtable"]
    if rng.random() < 0.5:
        pixels, mask = pixels[:, :, ::-1], mask[:, :, ::-1]
    if rng.random() < 0.25:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.25:
        pixels, mask = pixels.transpose(0, 2, 1, 3), mask.transpose(0, 2, 1)
        qtable = qtable.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)
    return arrays | {"pixels": pixels, "mask": mask, "qtable": qtable}


class Stream:
    """Endless shuffled batches from a folder of shards that may still be growing.

    Shards are taken least-used first, `mixed` at a time, so that a batch mixes samples of several.
    """

    def __init__(self, folder: str, size: int, seed: int, mixed: int = 6):
        self.folder = pathlib.Path(folder)
        self.size = size
        self.mixed = mixed
        self.rng = np.random.default_rng(seed)
        self.used: dict[str, int] = {}

    def groups(self) -> Iterator[dict[str, np.ndarray]]:
        """Several shards of one sample size concatenated."""
        while True:
            paths = sorted(self.folder.glob("shard-*.npz"))
            if not paths:
                raise FileNotFoundError(f"no shards in {self.folder}: run python -m forge.write first")
            order = sorted(paths, key=lambda path: (self.used.get(path.name, 0), self.rng.random()))
            shards = []
            for path in order[: self.mixed]:
                self.used[path.name] = self.used.get(path.name, 0) + 1
                try:
                    shards.append(read(path))
                except FileNotFoundError:  # the forge replaced an older shard
                    continue
            sides = {shard["pixels"].shape[1] for shard in shards}
            for side in sides:
                alike = [shard for shard in shards if shard["pixels"].shape[1] == side]
                yield {name: np.concatenate([shard[name] for shard in alike]) for name in FIELDS}

    def batches(self) -> Iterator[Batch]:
        """Batches of about `size` 256² samples' worth of pixels."""
        for group in self.groups():
            side = group["pixels"].shape[1]
            count = max(2, round(self.size * 256 * 256 / side / side))
            order = self.rng.permutation(len(group["jpeg"]))
            for start in range(0, len(order) - count + 1, count):
                part = order[start : start + count]
                yield batch(augment({name: group[name][part] for name in FIELDS}, self.rng))

    def prefetched(self, ahead: int = 8) -> Iterator[Batch]:
        """The same batches, prepared by a thread."""
        ready: queue.Queue[Batch | Exception] = queue.Queue(ahead)

        def fill() -> None:
            try:
                for one in self.batches():
                    ready.put(one)
            except Exception as error:  # handed to the consumer, who raises it
                ready.put(error)

        threading.Thread(target=fill, daemon=True).start()
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
