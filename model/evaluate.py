"""Figures of an ONNX file on a set of images, without the service: what a training run is steered by.

python -m evaluate --onnx release/omni-iml.onnx --set DIR [--set DIR …] [--condition jpeg70 …] [--rows FILE]

The figures that are published come through the public API (`npm run evaluate`); these agree with them but for the
decoder and the rounding of the blended map. Shows tiles alone, the view alone, and their blend as the policy has it.
"""

import argparse
import csv
import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from PIL import Image

from omni_iml.conditions import CONDITIONS, under
from omni_iml.inference import Session, analyse, decode, features
from omni_iml.metrics import auc, pixel_figures, true_positive_rate


def spread(folder: pathlib.Path, limit: int = 0) -> Iterator[dict]:
    """Rows of a set's index, `limit` of them evenly spread, with `mask` bool [H, W], None of an authentic image."""
    with open(folder / "index.csv", newline="") as f:
        index = list(csv.DictReader(f))
    if 0 < limit < len(index):
        index = [index[i * len(index) // limit] for i in range(limit)]
    for entry in index:
        if entry["label"] == "1":
            with Image.open(folder / entry["mask"]) as image:
                yield entry | {"mask": np.asarray(image.convert("L")) > 127}
        else:
            yield entry | {"mask": None}


def figures(
    session: Session, folder: pathlib.Path, policy: dict, condition: str = "as-is", limit: int = 0
) -> list[dict]:
    """A row per image of the set: its columns and what was measured."""
    rows = []
    for entry in spread(folder, limit):
        image, mask = under(decode(str(folder / entry["dest"])), entry["mask"], condition)
        found = analyse(session, image, policy["pipeline"])
        final = found.blended()
        row = {key: entry[key] for key in ("dest", "domain", "set", "kind")} | {"label": entry["label"] == "1"}
        row |= {"gate": float(found.gate)} | features(found, final, policy["thresholds"]["pixel"])
        if mask is not None:
            view = found.tiles if found.view is None else found.view
            for name, part in (("", final), ("tiles_", found.tiles), ("view_", view)):
                measured = pixel_figures(np.round(part * 255).astype(np.uint8), mask)
                row |= {name + key: value for key, value in measured.items()}
        rows.append(row)
    return rows


def table(rows: list[dict]) -> str:
    """Means by domain and by set, as text."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["domain"], "all"].append(row)
        groups[row["domain"], row["set"]].append(row)
    columns = ("auc", "f1", "iou", "best_f1", "tiles_auc", "tiles_f1", "view_auc", "view_f1", "gate")
    lines = [f"{'domain':11}{'set':14}{'n':>4}" + "".join(f"{name:>10}" for name in columns)]
    for (domain, name), of in sorted(groups.items()):
        forged = [row for row in of if row["label"]]
        if forged:
            means = [np.mean([row[column] for row in forged]) for column in columns[:-1]]
            means.append(np.mean([row["gate"] > 0.5 for row in of]))  # the share that the gate calls fused
            lines.append(f"{domain:11}{name:14}{len(forged):4}" + "".join(f"{value:10.3f}" for value in means))
    natural = [row for row in rows if row["domain"] == "natural"]
    label = np.array([row["label"] for row in natural], bool)
    for name in ("network", "q99", "area") if 0 < label.sum() < len(label) else ():
        score = np.array([row[name] for row in natural])
        lines.append(
            f"natural, image level by {name}: AUC {auc(score, label):.3f}, "
            f"true positives at 10 % false alarms {true_positive_rate(score, label):.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--set", required=True, action="append")
    parser.add_argument("--condition", action="append", choices=list(CONDITIONS))
    parser.add_argument("--limit", type=int, default=0, help="images of a set, at equal distances (0: all)")
    parser.add_argument("--policy", default="release/manifest.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", help="where to write the rows as JSON")
    args = parser.parse_args()
    policy = json.loads(pathlib.Path(args.policy).read_text())
    session = Session(args.onnx, args.threads)
    everything = []
    for folder in map(pathlib.Path, args.set):
        for condition in args.condition or ["as-is"]:
            rows = figures(session, folder, policy, condition, args.limit)
            everything += [row | {"source": folder.name, "condition": condition} for row in rows]
            print(f"{folder.name}, {condition}\n{table(rows)}\n", flush=True)
    if args.rows:
        pathlib.Path(args.rows).write_text(json.dumps(everything, default=float))


if __name__ == "__main__":
    main()
