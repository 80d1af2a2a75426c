"""How much more the image score is where a check besides the network finds a trace: chosen on whole validation images.

ls WHOLE/*/natural_* | node ../gpu-runner/inference/run-once.ts > found.jsonl    (the checks are the runner's)
python -m traces --found found.jsonl --set WHOLE --manifest release/manifest.json --version 0.10.4

Two traces count: that what lies in a region is there a second time, and that a region was compressed apart from the
rest. The weight of each is the logarithm of how much more often it is found in forged images than in authentic ones,
half an image added to each count: a check that never erred on some hundred images may yet err. They are written into
the manifest as `score.copied` and `score.recompressed`, with a new version and release; all else stays.
"""

import argparse
import csv
import json
import math
import pathlib

from export import rewrite

# Of a JPEG and of another file.
TRACES = {
    "copied": ({"copied_region"}, {"copied_region"}),
    "recompressed": ({"region_compression_differs"}, {"jpeg_ghost", "jpeg_grid_shifted"}),
}


def counts(found: list[dict], labels: dict[str, bool], trace: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Forged and authentic images, each as (with the trace, all). Raises ValueError where an image has no label."""
    tally = {True: [0, 0], False: [0, 0]}
    for one in found:
        if "error" in one:
            continue
        name = "/".join(one["file"].split("/")[-2:])
        if name not in labels:
            raise ValueError(f"{one['file']} is not in the set's index")
        codes = TRACES[trace][0 if one["image"]["jpeg"] else 1]
        tally[labels[name]][0] += any(evidence["code"] in codes for evidence in one["evidence"])
        tally[labels[name]][1] += 1
    return tuple(tally[True]), tuple(tally[False])


def weight(forged: tuple[int, int], authentic: tuple[int, int]) -> float:
    """The logarithm of the ratio of the two shares, not below 0."""
    share, other = ((some + 0.5) / (all_ + 1) for some, all_ in (forged, authentic))
    return max(0.0, math.log(share / other))


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--found", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--set", type=pathlib.Path, required=True)
    parser.add_argument("--manifest", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    args = parser.parse_args()
    with open(args.set / "index.csv", newline="", encoding="utf-8") as file:
        labels = {row["dest"]: row["label"] == "1" for row in csv.DictReader(file)}
    found = [json.loads(line) for path in args.found for line in path.read_text().splitlines()]
    manifest = json.loads(args.manifest.read_text())
    for trace in TRACES:
        forged, authentic = counts(found, labels, trace)
        chosen = round(weight(forged, authentic), 3)
        print(f"{trace}: {forged[0]} of {forged[1]} forged and {authentic[0]} of {authentic[1]} authentic: {chosen}")
        manifest["score"][trace] = chosen
    rewrite(args.manifest, manifest, args.version)


if __name__ == "__main__":
    main()
