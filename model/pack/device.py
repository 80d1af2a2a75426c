"""On the device machine: forging on its cores beside training on its GPU, across calls.

`work` starts one driver in a process session of its own, which outlives the call; `follow` waits beside it, shows how
far it is, and brings out what there is. The driver keeps a forger on every spare core (each makes one group of shards
and is then started anew, so that it sees the pool grow), trains from what they write, and ends with the training.
"""

import argparse
import json
import math
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import torch

from forge.forgery import GROUP

from .parcels import averaged_only, saved, split

HERE = pathlib.Path(__file__).resolve().parent.parent
# Crop sides, the samples of a shard, and the side to which these are shrunk as they are passed on (None: they are not).
# Small crops first, larger ones from SMALL_UNTIL of the time on.
SMALL = ((256, 64, None), (256, 64, None), (384, 28, None), (384, 28, 256))
LARGE = ((512, 16, None), (512, 16, None), (512, 16, None), (256, 64, None), (512, 16, 384))
SMALL_UNTIL = 0.3
# However late the shards were, the trainer starts, trains a little and writes its checkpoint.
LEAST_HOURS = 5 / 3600
# Anomaly enhancement looks at boxes one by one, which a GPU waits for: it is left out.
TRAIN = (
    "--batch 128 --lr 7e-4 --freeze-early --anomaly-from 1.1 --gate-from 0.1 --readers 4 --reuse 2 --report 20 "
    "--validate-every 1000 --save-every 45"
)
# Of what the machine is lent for, the seconds that the end of training, and the end of `follow`, leave.
TRAINING_LEAVES, FOLLOWING_LEAVES = 75, 40
# Every so manieth group is of pictures that others forged, and has so many samples.
OTHERS_EVERY, OTHERS_SAMPLES = 12, 512


def environment(home: pathlib.Path) -> dict[str, str]:
    """Of forgers and trainer."""
    return os.environ | {"FORGE_FONTS": str(home / "fonts"), "PYTHONUNBUFFERED": "1"}


class Forgers:
    """One process for each worker, started anew whenever it has finished its group of shards."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.running: dict[int, subprocess.Popen] = {}
        self.validating: list[subprocess.Popen] = []
        self.groups = 0
        self.failures = 0
        self.env = environment(options.home) | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.log = open(options.home / "forge.log", "a")

    def command(
        self, out: pathlib.Path, seed: int, shards: int, split_: str, size: int, count: int, side: int | None = None
    ) -> list[str]:
        """One call of forge.write."""
        given = {"--pool": self.options.home / "pool", "--out": out, "--shards": shards, "--seed": seed}
        given |= {"--size": size, "--shard-size": count, "--split": split_, "--keep-ahead": self.options.keep_ahead}
        given |= {"--passed-on": side} if side else {}
        return [sys.executable, "-m", "forge.write", *(str(part) for pair in given.items() for part in pair)]

    def start(self, command: list[str]) -> subprocess.Popen:
        """A forger, in the folder that `forge` lies in."""
        return subprocess.Popen(command, cwd=HERE, env=self.env, stdout=self.log, stderr=self.log)

    def validation(self) -> list[subprocess.Popen]:
        """Forges the validation shards, one process each."""
        val, options = self.options.home / "val", self.options
        self.validating = [
            self.start(self.command(val, 900 + i, 1, options.val_split, 256, options.val_samples))
            for i in range(options.val_shards)
        ]
        return self.validating

    def tend(self, share: float) -> None:
        """Starts a forger for every idle worker; `share` of the run is over."""
        theirs = (self.options.home / "forged" / "index.csv").exists()
        for worker in range(self.options.workers):
            process = self.running.get(worker)
            if process is not None:
                if process.poll() is None:
                    continue
                self.failures += process.returncode != 0
            self.running[worker] = self.start(
                self.of_others(1000 + self.groups)
                if theirs and self.groups % OTHERS_EVERY == OTHERS_EVERY - 1
                else self.of_group(share)
            )
            self.groups += 1

    def of_group(self, share: float) -> list[str]:
        """The command that forges the next group."""
        sizes = SMALL if share < SMALL_UNTIL else LARGE
        size, count, side = sizes[self.groups % len(sizes)]
        count = max(2, round(count * self.options.shard_scale))
        return self.command(self.options.home / "shards", 1000 + self.groups, GROUP, "train", size, count, side)

    def of_others(self, seed: int) -> list[str]:
        """The command that renders some of the pictures that others forged."""
        home = self.options.home
        given = {"--forged": home / "forged", "--pool": home / "pool", "--out": home / "shards", "--seed": seed}
        given |= {"--samples": max(2, round(OTHERS_SAMPLES * self.options.shard_scale))}
        return [sys.executable, "-m", "forge.others", *(str(part) for pair in given.items() for part in pair)]

    def stop(self) -> None:
        """Ends them all."""
        processes = [*self.running.values(), *self.validating]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def drive(options: argparse.Namespace) -> int:
    """Forges and trains until the minutes are over; the trainer's exit status, also in `done`."""
    home, began = options.home, time.monotonic()
    shards, val, run = home / "shards", home / "val", home / "run"
    for folder in (shards, val, home / "fixed"):
        folder.mkdir(parents=True, exist_ok=True)
    forgers = Forgers(options)
    trainer = None
    status = 1
    try:
        validation = forgers.validation()
        while trainer is None or trainer.poll() is None:
            share = (time.monotonic() - began) / (60 * options.minutes)
            forgers.tend(share)
            if forgers.failures > options.workers or any(process.poll() for process in validation):
                raise RuntimeError("forging failed: see forge.log")
            ready = sorted(shards.glob("shard-*.npz"))
            keep(ready, home / "fixed", options.fixed)
            validated = all(process.poll() == 0 for process in validation)
            if trainer is None and validated and len(ready) >= options.first_shards:
                # What is left of the minutes, so that the run ends when it must however long the start took.
                hours = max(options.minutes / 60 - (time.monotonic() - began) / 3600, LEAST_HOURS)
                trainer = train(options, run, shards, val, hours)
            time.sleep(0.5)
        status = trainer.returncode
    finally:
        forgers.stop()
        if trainer is not None and trainer.poll() is None:
            trainer.terminate()
            trainer.wait()
        (home / "done").write_text(f"{status}\n")
    return status


def train(
    options: argparse.Namespace, run: pathlib.Path, shards: pathlib.Path, val: pathlib.Path, hours: float
) -> subprocess.Popen:
    """Starts the trainer from the packed checkpoint, or from the encoder's weights alone."""
    init = options.home / "init.pt"
    source = ["--init", str(init)] if init.exists() else ["--pretrained", str(options.home / "pretrained.pt")]
    command = [sys.executable, "-m", "train", "start", "--run", str(run), "--shards", str(shards), "--val", str(val)]
    command += ["--hours", f"{hours:.5f}", "--val-shards", str(options.val_shards), *source]
    if init.exists():
        command += ["--config", json.dumps(torch.load(init, map_location="cpu", weights_only=True)["config"])]
    command += shlex.split(options.train)
    log = open(options.home / "train.log", "a")
    return subprocess.Popen(command, cwd=HERE, env=environment(options.home), stdout=log, stderr=log)


def keep(ready: list[pathlib.Path], folder: pathlib.Path, limit: int) -> None:
    """Links the first shards of 256² samples, which training will delete, for the ablation's runs on equal samples."""
    have = {path.name for path in folder.glob("shard-*.npz")}
    for path in (path for path in ready if not path.name.startswith("shard-others")):
        # Groups are numbered in the order of their start, and their sizes take turns.
        side, _, _ = SMALL[(int(path.stem.split("-")[1]) - 1000) % len(SMALL)]
        if len(have) >= limit:
            return
        if path.name not in have and side == 256:
            try:
                (folder / path.name).hardlink_to(path)
            except FileNotFoundError:
                continue
            have.add(path.name)


def work(options: argparse.Namespace) -> None:
    """Starts the driver in a session of its own and says so; where one was started already, nothing but that."""
    if (options.home / "driver.pid").exists():
        print(f"a driver was started in {options.home} already")
        return
    if options.minutes is None:
        options.minutes = (options.spent_by - time.time() - TRAINING_LEAVES) / 60
        if options.minutes < 1:
            raise SystemExit(f"pack: {60 * options.minutes:.0f} s to train are too few")
    options.home.mkdir(parents=True, exist_ok=True)
    with open(options.home / "driver.log", "a") as log:
        command = [sys.executable, "-m", "pack", "drive"]
        for name in ("home", "minutes", "workers", "keep_ahead", "train", "first_shards", "fixed"):
            command += [f"--{name.replace('_', '-')}={getattr(options, name)}"]
        for name in ("val_shards", "val_samples", "val_split", "shard_scale"):
            command += [f"--{name.replace('_', '-')}={getattr(options, name)}"]
        process = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log, start_new_session=True)
    (options.home / "driver.pid").write_text(f"{process.pid}\n")
    print(f"driver {process.pid} works for {options.minutes:.1f} minutes with {options.workers} forgers")


def follow(home: pathlib.Path, out: pathlib.Path, seconds: float, spent_by: float = math.inf) -> int:
    """Waits until the driver is done, at most so long; leaves in `out` what may be brought back; 0, or its failure.

    What is not brought before `spent_by`, the Unix time at which the machine is taken away, is lost.
    """
    end = time.monotonic() + min(seconds, spent_by - time.time() - FOLLOWING_LEAVES)
    done = home / "done"
    while not done.exists() and time.monotonic() < end:
        time.sleep(0.5)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = home / "run" / "checkpoint.pt"
    if checkpoint.exists():
        content = averaged_only(torch.load(checkpoint, map_location="cpu", weights_only=True))
        pieces = split(saved(content), out, "ema.pt")
        print("brought:", json.dumps(content["progress"]), *(piece.name for piece in pieces))
    for file in (home / "run" / "log.jsonl", home / "run" / "preview.png", home / "forge.log"):
        if file.exists():
            shutil.copy(file, out / file.name)
    for name, lines in (("driver.log", 6), ("forge.log", 3), ("train.log", 6)):
        if (home / name).exists():
            print(f"-- {name}", *(home / name).read_text().splitlines()[-lines:], sep="\n")
    waiting = len(list((home / "shards").glob("shard-*.npz")))
    print(f"-- {waiting} shards lie ready; " + (f"done: {done.read_text().strip()}" if done.exists() else "at work"))
    return int(done.read_text()) if done.exists() else 0
