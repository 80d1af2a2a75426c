"""How much more the image score is where the check for copies finds one: chosen on whole validation images.

node ../gpu-runner/inference/run-once.ts WHOLE/*/natural_* > found.jsonl   (the check is the runner's own)
python -m copied --found found.jsonl --set WHOLE --manifest release/manifest.json --version 0.10.2

The weight is the logarithm of how much more often copies are found in forged images than in authentic ones, half an
image added to each count: a check that never erred on some hundred images may yet err. Written into the manifest as
`score.copied`, with a new version and release; weights, pipeline and thresholds stay.
"""

import argparse
import csv
import json
import math
import pathlib

from export import POLICY, release

CODE = "copied_region"


def counts(found: list[dict], labels: dict[str, bool]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Forged and authentic images, each as (with a copy, all). Raises ValueError where an image has no label."""
    tally = {True: [0, 0], False: [0, 0]}
    for one in found:
        if "error" in one:
            continue
        name = "/".join(one["file"].split("/")[-2:])
        if name not in labels:
            raise ValueError(f"{one['file']} is not in the set's index")
        tally[labels[name]][0] += any(evidence["code"] == CODE for evidence in one["evidence"])
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
    forged, authentic = counts(found, labels)
    chosen = round(weight(forged, authentic), 3)
    print(f"copies in {forged[0]} of {forged[1]} forged and {authentic[0]} of {authentic[1]} authentic: {chosen}")
    manifest = json.loads(args.manifest.read_text())
    manifest["score"]["copied"] = chosen
    manifest["version"] = args.version
    policy = {name: manifest[name] for name in POLICY}
    manifest["release"] = release(args.version, manifest["model"]["sha256"], policy, manifest.get("interpretation"))
    args.manifest.write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"release {manifest['release']}")


if __name__ == "__main__":
    main()
