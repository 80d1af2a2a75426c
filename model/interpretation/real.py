"""What the released network calls real manipulations: kinds by set, from true masks.

    python -m interpretation.real --onnx release/interpretation.onnx --set DEV

DEV/index.csv lists images, masks, domains, sets and kinds. Nothing is chosen on them.
"""

import argparse
import collections
import csv
import pathlib

import numpy as np
import onnxruntime
from PIL import Image

from interpretation.annotation import instances_of
from interpretation.views import show
from interpretation.vocabulary import DOMAINS, KINDS
from omni_iml.inference import decode

CERTAINTY = 0.8  # mean probability that the network is told, as there is no map


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--set", type=pathlib.Path, required=True)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(args.onnx, options)
    called: dict[tuple, collections.Counter] = collections.defaultdict(collections.Counter)
    with open(args.set / "index.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["mask"]]
    for row in rows:
        image = decode(str(args.set / row["dest"]))
        mask = np.asarray(Image.open(args.set / row["mask"]).convert("L")) > 127
        regions = instances_of(mask) if mask.shape == image.pixels.shape[:2] else []
        if not regions:
            continue
        domain = np.eye(len(DOMAINS))[DOMAINS.index(row["domain"])]
        shown = show(image.pixels, regions[0], CERTAINTY, image.jpeg, domain)
        feed = {"views": shown.views[None], "masks": shown.masks[None], "facts": shown.facts[None]}
        kind = session.run(["kind"], feed)[0][0]
        called[row["domain"], row["set"], row["kind"]][KINDS[int(kind.argmax())]] += 1
    for (domain, name, kind), counts in sorted(called.items()):
        print(f"{domain}, {name}, {kind}: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()))


if __name__ == "__main__":
    main()
