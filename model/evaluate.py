"""Figures of an ONNX file on a set of images, without the service: what a training run is steered by.

python -m evaluate --onnx release/omni-iml.onnx --set DIR [--policy release/manifest.json] [--rows FILE]

The figures that are published come through the public API (`npm run evaluate`); these agree with them but for the
decoder and the rounding of the blended map. Shows tiles alone, the view alone, and their blend as the policy has it.
"""

import argparse
import csv
import json
import pathlib
from collections import defaultdict

import numpy as np
from PIL import Image

from omni_iml.inference import Session, analyse, decode, features
from omni_iml.metrics import auc, pixel_figures, true_positive_rate


def figures(session: Session, folder: pathlib.Path, policy: dict) -> list[dict]:
    """A row per image of the set: its columns and what was measured."""
    with open(folder / "index.csv", newline="") as f:
        index = list(csv.DictReader(f))
    rows = []
    for entry in index:
        found = analyse(session, decode(str(folder / entry["dest"])), policy["pipeline"])
        final = found.blended(policy["pipeline"]["view"]["weight"])
        row = {key: entry[key] for key in ("dest", "domain", "set", "kind")} | {"label": entry["label"] == "1"}
        row |= {"gate": float(found.gate)} | features(found, final, policy["thresholds"]["pixel"])
        if row["label"]:
            with Image.open(folder / entry["mask"]) as image:
                mask = np.asarray(image.convert("L")) > 127
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
            means = (np.mean([row[column] for row in forged]) for column in columns)
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
    parser.add_argument("--set", required=True)
    parser.add_argument("--policy", default="release/manifest.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", help="where to write the rows as JSON")
    args = parser.parse_args()
    policy = json.loads(pathlib.Path(args.policy).read_text())
    rows = figures(Session(args.onnx, args.threads), pathlib.Path(args.set), policy)
    if args.rows:
        pathlib.Path(args.rows).write_text(json.dumps(rows, default=float))
    print(table(rows))


if __name__ == "__main__":
    main()
