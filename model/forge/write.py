"""Write training shards: `python -m forge.write --pool DIR --out DIR --shards N` (run in the folder `model`).

A shard is an uncompressed .npz of samples of one size; see `arrays` for its contents. Shards that exist are left
alone, so a stopped run goes on where it was. With --keep-ahead K writing waits while K shards lie unread in the
folder (the trainer deletes those it has read).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

import cv2
import numpy as np

from interpretation.annotation import annotate

from .forgery import GROUP
from .pool import Pool
from .sample import DOMAINS, Forger, Sample, passed_on_sample


def arrays(samples: list[Sample]) -> dict[str, np.ndarray]:
    """pixels uint8 [n,S,S,3]; mask uint8 [n,S,S]; qtable uint16 [n,64]; jpeg, domain, view uint8 [n]; kind str [n];
    annotations one JSON string (a list of n objects: what was done, and under `omni_273k` the record of it after the
    schema of interpretation/)."""
    annotations = [
        sample.annotation | {"omni_273k": annotate(sample.annotation, sample.pixels, sample.mask)} for sample in samples
    ]
    return {
        "pixels": np.stack([sample.pixels for sample in samples]),
        "mask": np.stack([sample.mask for sample in samples]).astype(np.uint8),
        "qtable": np.stack([sample.qtable for sample in samples]).astype(np.uint16),
        "jpeg": np.array([sample.jpeg for sample in samples], np.uint8),
        "domain": np.array([sample.domain for sample in samples], np.uint8),
        "view": np.array([sample.view for sample in samples], np.uint8),
        "kind": np.array([sample.kind for sample in samples]),
        "annotations": np.array(json.dumps(annotations, ensure_ascii=False)),
    }


def write_shard(path: Path, samples: list[Sample]) -> None:
    """Whole or not at all: a reader never sees half a shard."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays(samples))
    temporary.rename(path)


def write_some(options: argparse.Namespace, worker: int) -> None:
    """This worker's share of the shards: whole groups, which are made from the same photos."""
    cv2.setNumThreads(1)
    forger = Forger(Pool(options.pool, options.split), options.size)
    for index in range(options.first, options.first + options.shards):
        if index // GROUP % options.workers != worker:
            continue
        path = options.out / f"shard-{options.seed}-{index:05d}.npz"
        if path.exists():
            continue
        while options.keep_ahead and len(list(options.out.glob("shard-*.npz"))) >= options.keep_ahead:
            time.sleep(1.0)
        started = time.perf_counter()
        samples = forger.shard(options.seed, index, options.shard_size, options.domain)
        if options.passed_on:
            rng = np.random.default_rng([options.seed, index])
            shrunk = (passed_on_sample(rng, forger.book, sample, options.passed_on) for sample in samples)
            samples = [sample for sample in shrunk if sample is not None]
        write_shard(path, samples)
        rate = options.shard_size / (time.perf_counter() - started)
        print(f"{path.name}: {options.shard_size} samples, {rate:.1f} a second", flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="index of the first shard")
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--passed-on", type=int, help="shrink whole samples to this side and save them once more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--split", choices=("train", "val", "all"), default="train")
    parser.add_argument("--domain", choices=DOMAINS, help="samples of this one alone (without it, by their shares)")
    parser.add_argument("--keep-ahead", type=int, default=0, help="wait while this many shards are unread")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.workers == 1:
        write_some(options, 0)
        return
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_some, args=(options, worker)) for worker in range(options.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a worker failed")


if __name__ == "__main__":
    main()
