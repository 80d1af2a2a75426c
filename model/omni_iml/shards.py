"""Reads the shards that `forge.write` leaves: forged samples of one size, ready to be batched."""

import pathlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from omni_iml.model import DOMAINS


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

    Shards are taken least-used first, `mixed` at a time, so that a batch mixes samples of several. `weights` says how
    much more often than others a domain's or a kind's samples are taken: their names to factors, or both names joined
    by a dot ("face.authentic"). With `reuse` a shard that was taken so often is deleted, unless few are left: the forge
    may be slower than the training.
    """

    def __init__(
        self,
        folder: str,
        size: float,
        seed: int,
        mixed: int = 6,
        weights: dict[str, float] | None = None,
        reuse: int = 0,
    ):
        self.folder = pathlib.Path(folder)
        self.size = size
        self.mixed = mixed
        self.weights = weights or {}
        self.reuse = reuse
        self.rng = np.random.default_rng(seed)
        self.used: dict[str, int] = {}

    def take(self, reader: int = 0, readers: int = 1) -> list[pathlib.Path]:
        """The next shards for one of several readers; raises FileNotFoundError where the folder holds none."""
        paths = sorted(self.folder.glob("shard-*.npz"))
        if not paths:
            raise FileNotFoundError(f"no shards in {self.folder}: run python -m forge.write first")
        # Where there are fewer shards than readers, some read what is another's.
        paths = [path for path in paths if zlib.crc32(path.name.encode()) % readers == reader] or paths
        spare = len(paths) - 4 * self.mixed
        for path in [path for path in paths if self.reuse and self.used.get(path.name, 0) >= self.reuse][
            : max(0, spare)
        ]:
            path.unlink(missing_ok=True)
            paths.remove(path)
        order = sorted(paths, key=lambda path: (self.used.get(path.name, 0), self.rng.random()))[: self.mixed]
        for path in order:
            self.used[path.name] = self.used.get(path.name, 0) + 1
        return order

    def groups(self, reader: int, readers: int) -> Iterator[dict[str, np.ndarray]]:
        """Several shards of one sample size concatenated."""
        while True:
            shards = []
            for path in self.take(reader, readers):
                try:
                    shards.append(read(path))
                except FileNotFoundError:  # the forge replaced an older shard, or another reader used it up
                    continue
            for side in sorted({shard["pixels"].shape[1] for shard in shards}):
                alike = [shard for shard in shards if shard["pixels"].shape[1] == side]
                yield {name: np.concatenate([shard[name] for shard in alike]) for name in FIELDS}

    def copies(self, group: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Indices of a group's samples in random order, each as often as its domain's and kind's weights say."""
        count = len(group["jpeg"])
        factor = np.array(
            [
                np.prod([self.weights.get(name, 1.0) for name in (DOMAINS[domain], kind, f"{DOMAINS[domain]}.{kind}")])
                for domain, kind in zip(group["domain"], map(str, group["kind"]), strict=True)
            ]
        )
        # As many as there are, on average: a fraction of a copy is a copy with that probability.
        often = np.floor(factor * count / max(factor.sum(), 1e-9) + rng.random(count)).astype(int)
        return rng.permutation(np.repeat(np.arange(count), often))

    def batches(self, reader: int = 0, readers: int = 1) -> Iterator[Batch]:
        """Batches of about `size` 256² samples' worth of pixels, for one of several readers.

        All batches of one side hold equally many samples, and what is left of a group waits for the next: a GPU chooses
        kernels for every new shape (GPU.md).
        """
        rng = np.random.default_rng([reader, int(self.rng.integers(2**31))])
        waiting: dict[int, dict[str, np.ndarray]] = {}
        for group in self.groups(reader, readers):
            side = group["pixels"].shape[1]
            order = self.copies(group, rng)
            ready = {name: group[name][order] for name in FIELDS}
            if side in waiting:
                ready = {name: np.concatenate([waiting[side][name], ready[name]]) for name in FIELDS}
            count = max(2, round(self.size * 256 * 256 / side / side))
            full = len(ready["jpeg"]) // count * count
            for start in range(0, full, count):
                yield batch(augment({name: ready[name][start : start + count] for name in FIELDS}, rng))
            waiting[side] = {name: ready[name][full:] for name in FIELDS}

    def prefetched(self, ahead: int = 4, readers: int = 1) -> Iterator[Batch]:
        """The same batches, each reader's prepared ahead by a process of its own.

        Threads would take the interpreter's lock from the one that launches kernels. Readers share the shards out among
        themselves, and whoever is first delivers first.
        """
        return iter(DataLoader(_Reading(self), None, num_workers=readers, prefetch_factor=ahead, in_order=False))


class _Reading(IterableDataset):
    """A stream's batches in a reader's process."""

    def __init__(self, stream: Stream):
        self.stream = stream

    def __iter__(self) -> Iterator[Batch]:
        """Endless."""
        reader = get_worker_info()
        return self.stream.batches(reader.id, reader.num_workers)
