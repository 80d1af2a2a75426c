"""Chooses the inference policy on synthetic validation images.

python -m calibrate shift  --onnx release/omni-iml.onnx --val DIR
python -m calibrate policy --onnx release/omni-iml.onnx --val DIR --out policy.json

`shift` prints what to add to the mask's logits (export --shift) so that F1 at 0.5 is highest; `policy`, on the file
exported with it, chooses the view's weight, fits the image score and sets the verdicts' thresholds. DIR holds the
validation shards of `forge.write` (--split val). Nothing of the development set is read.
"""

import argparse
import json
import pathlib

import numpy as np
from scipy.optimize import minimize

from export import POLICY
from omni_iml.inference import Decoded, Found, Session, analyse, features, logit
from omni_iml.metrics import auc, pixel_figures
from omni_iml.shards import read

USED = ("q99", "area", "network")
WEIGHTS = (0.0, 0.15, 0.3, 0.45, 0.6)
# `tampered`: at most this share of authentic validation images; `clear`: at most this share of forged ones.
FALSE_ALARMS = 0.1
MISSES = 0.1
SHIFTS = np.arange(-1.5, 3.01, 0.25)


def fit(x: np.ndarray, y: np.ndarray, ridge: float = 1e-2) -> tuple[np.ndarray, float]:
    """Logistic regression with a ridge: features [n, k], labels [n]; (weights [k], bias) on the features as given."""
    centre, spread = x.mean(0), x.std(0) + 1e-6
    z = (x - centre) / spread

    def loss(parameters: np.ndarray) -> float:
        margin = (2 * y - 1) * (z @ parameters[:-1] + parameters[-1])
        return np.logaddexp(0, -margin).mean() + ridge * (parameters[:-1] ** 2).sum()

    found = minimize(loss, np.zeros(x.shape[1] + 1)).x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ centre)


def reliability(score: np.ndarray, label: np.ndarray, bins: int = 10) -> list[list[float]]:
    """Rows of [mean score, share manipulated, count] by equal steps of the score."""
    place = np.minimum((score * bins).astype(int), bins - 1)
    return [
        [round(float(score[place == i].mean()), 3), round(float(label[place == i].mean()), 3), int((place == i).sum())]
        for i in range(bins)
        if (place == i).any()
    ]


def examined(session: Session, folder: str, pipeline: dict, every: int) -> list[tuple[Found, np.ndarray]]:
    """The native-resolution samples of the shards, analysed, with their masks."""
    out = []
    for path in sorted(pathlib.Path(folder).glob("shard-*.npz")):
        arrays = read(path)
        for i in np.flatnonzero(arrays["view"] == 0)[::every]:
            image = Decoded(arrays["pixels"][i], arrays["qtable"][i].astype(np.int32), bool(arrays["jpeg"][i]))
            out.append((analyse(session, image, pipeline), arrays["mask"][i].astype(bool)))
    return out


def choose_shift(found: list[tuple[Found, np.ndarray]]) -> None:
    """Prints mean F1 at 0.5 of the forged samples, and the area flagged on authentic ones, by shift."""
    for shift in SHIFTS:
        maps = [(1 / (1 + np.exp(-logit(one.tiles) - shift)), mask) for one, mask in found]
        rows = [pixel_figures(np.round(p * 255).astype(np.uint8), mask) for p, mask in maps if mask.any()]
        f1, auc_ = (np.mean([row[name] for row in rows]) for name in ("f1", "auc"))
        flagged = np.mean([(p >= 0.5).mean() for p, mask in maps if not mask.any()])
        print(f"shift {shift:+.2f}: F1 {f1:.4f}, AUC {auc_:.4f}, authentic area flagged {flagged:.4f}")


def choose_policy(found: list[tuple[Found, np.ndarray]], pipeline: dict, out: str) -> None:
    """Writes pipeline, thresholds and score."""
    label = np.array([mask.any() for _, mask in found], float)
    means = {}
    for weight in WEIGHTS:
        rows = [
            pixel_figures(np.round(one.blended(weight) * 255).astype(np.uint8), mask)
            for one, mask in found
            if mask.any()
        ]
        means[weight] = {name: float(np.mean([row[name] for row in rows])) for name in ("f1", "auc")}
        print(f"view {weight}: F1 {means[weight]['f1']:.4f}, AUC {means[weight]['auc']:.4f}")
    weight = max(means, key=lambda one: means[one]["f1"] + means[one]["auc"])
    threshold = POLICY["thresholds"]["pixel"]
    rows = [features(one, one.blended(weight), threshold) for one, _ in found]
    x = np.array([[row[name] for name in USED] for row in rows])
    weights, bias = fit(x, label)
    score = 1 / (1 + np.exp(-(x @ weights + bias)))
    tampered = float(np.quantile(score[label == 0], 1 - FALSE_ALARMS))
    clear = float(np.quantile(score[label == 1], MISSES))
    # Where the two cross, nothing is inconclusive at these rates; keep a small band around their middle.
    middle = (tampered + clear) / 2
    tampered, clear = max(tampered, middle + 0.02), min(clear, middle - 0.02)
    print(f"{len(found)} images, image AUC {auc(score, label):.4f}; tampered ≥ {tampered:.3f}, clear ≤ {clear:.3f}")
    print("reliability (mean score, share manipulated, count):", *reliability(score, label), sep="\n  ")
    pipeline = pipeline | {"view": pipeline["view"] | {"weight": weight}}
    policy = {
        "pipeline": pipeline,
        "thresholds": POLICY["thresholds"] | {"tampered": round(tampered, 4), "clear": round(clear, 4)},
        "score": {"features": list(USED), "weights": [round(float(w), 6) for w in weights], "bias": round(bias, 6)},
    }
    pathlib.Path(out).write_text(json.dumps(policy, indent=2) + "\n")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shift", "policy"])
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--val", required=True)
    parser.add_argument("--out", default="policy.json")
    parser.add_argument("--tile", type=int, default=POLICY["pipeline"]["tile"])
    parser.add_argument("--overlap", type=int, default=POLICY["pipeline"]["overlap"])
    parser.add_argument("--every", type=int, default=1, help="of the validation samples, take every n-th")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    pipeline = POLICY["pipeline"] | {"tile": args.tile, "overlap": args.overlap}
    found = examined(Session(args.onnx, args.threads), args.val, pipeline, args.every)
    if args.what == "shift":
        choose_shift(found)
    else:
        choose_policy(found, pipeline, args.out)


if __name__ == "__main__":
    main()
