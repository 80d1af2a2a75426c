"""Packs what a bare GPU machine needs, works there, brings back what it learnt; GPU.md has the sequence of calls.

python -m pack prepare --pool POOL [--forged FORGED] [--checkpoint CKPT]   (here: runs/pack)
python -m pack receive runs/pack/parcel-1.tar                              (there, once for each parcel)
python -m pack work    --spent-by UNIX-TIME                                (there, with the first parcel)
python -m pack follow  --spent-by UNIX-TIME --seconds 550 --out $OUT       (there, until it says done)
python -m pack join    --pieces FILES --out runs/gpu/ema.pt                (here)
python -m pack rehearse --pool POOL [--checkpoint CKPT]                    (here: all of it, on the CPU, in two minutes)
"""

import argparse
import json
import math
import os
import pathlib

from .device import TRAIN, drive, follow, work
from .parcels import MIB, join, receive, write_parcels
from .rehearsal import check_travel, rehearse

# In memory: shards are written and read faster than the device machine's disk can.
HOME = pathlib.Path("/dev/shm/omni-iml")


def driver_options(parser: argparse.ArgumentParser) -> None:
    """What `work` hands to `drive`."""
    parser.add_argument("--home", type=pathlib.Path, default=HOME)
    time = parser.add_mutually_exclusive_group(required=True)
    time.add_argument("--minutes", type=float, help="of forging and training together")
    time.add_argument("--spent-by", type=float, help="Unix time at which the machine is taken away")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="forgers")
    parser.add_argument("--keep-ahead", type=int, default=500, help="forgers wait while so many shards lie ready")
    parser.add_argument("--first-shards", type=int, default=24, help="training begins when so many lie ready")
    parser.add_argument("--fixed", type=int, default=120, help="shards kept for the ablation")
    parser.add_argument("--val-shards", type=int, default=12)
    parser.add_argument("--val-samples", type=int, default=64, help="of each validation shard")
    parser.add_argument("--val-split", choices=("val", "all"), default="val")
    parser.add_argument("--shard-scale", type=float, default=1.0, help="of the samples in a training shard")
    parser.add_argument("--train", default=TRAIN, help="arguments of train start")


def arguments(line: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="what", required=True)
    one = verbs.add_parser("prepare")
    one.add_argument("--pool", type=pathlib.Path, required=True)
    one.add_argument("--checkpoint", type=pathlib.Path)
    one.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/pack"))
    one.add_argument("--forged", type=pathlib.Path, help="pictures that others forged")
    one.add_argument("--pool-mib", type=float, default=620.0)
    one.add_argument("--parcel-mib", type=float, default=40.0)
    one = verbs.add_parser("receive")
    one.add_argument("parcel", type=pathlib.Path)
    one.add_argument("--home", type=pathlib.Path, default=HOME)
    driver_options(verbs.add_parser("work"))
    driver_options(verbs.add_parser("drive", help="what work starts"))
    one = verbs.add_parser("follow")
    one.add_argument("--home", type=pathlib.Path, default=HOME)
    one.add_argument("--out", type=pathlib.Path, required=True)
    one.add_argument("--seconds", type=float, required=True)
    one.add_argument("--spent-by", type=float, default=math.inf, help="as of work")
    one = verbs.add_parser("join")
    one.add_argument("--pieces", type=pathlib.Path, required=True, help="folder that holds ema.pt.00, …")
    one.add_argument("--out", type=pathlib.Path, required=True)
    one = verbs.add_parser("rehearse")
    one.add_argument("--pool", type=pathlib.Path, required=True)
    one.add_argument("--checkpoint", type=pathlib.Path)
    one.add_argument("--forged", type=pathlib.Path, help="as of prepare")
    one.add_argument("--minutes", type=float, default=1.0, help="of forging and training")
    one.add_argument("--val-split", choices=("val", "all"), default="val")
    return parser.parse_args(line)


def main() -> None:
    """Command line; see the module's docstring."""
    args = arguments()
    if args.what == "prepare":
        parcels = write_parcels(args.pool, args.checkpoint, args.out, args.pool_mib, args.parcel_mib, args.forged)
        for parcel in parcels:
            print(f"{parcel.path}: {parcel.path.stat().st_size / MIB:.1f} MiB, {len(parcel.crops)} images")
        print(f"with the working tree at most {check_travel([parcel.path for parcel in parcels]):.1f} MiB a call")
    elif args.what == "receive":
        print(f"{args.parcel.name}: the pool has {receive(args.parcel, args.home)} images")
    elif args.what == "work":
        work(args)
    elif args.what == "drive":
        raise SystemExit(drive(args))
    elif args.what == "follow":
        raise SystemExit(follow(args.home, args.out, args.seconds, args.spent_by))
    elif args.what == "join":
        print(json.dumps(join(args.pieces, "ema.pt", args.out)["progress"]))
    else:
        rehearse(args.pool, args.checkpoint, args.minutes, args.val_split, args.forged)


if __name__ == "__main__":
    main()
