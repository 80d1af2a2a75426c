"""Chooses the inference policy on synthetic validation images.

python -m calibrate --onnx DRAFT/omni-iml.onnx --val SET [SET …] --out policy.json [--diagram reliability.png]

The graph must be exported without --shift. Each SET is a folder of whole images (index.csv, images, masks) or of
validation shards (`forge.write --split val`); both kinds count by the image. Images arrive re-saved and shrunk, so each
is examined under one of the conditions of the evaluation, in turn. One pass over the images, then: the view's size, its
weights by domain by mean F1 and AUC, the threshold and by how much it rises in maps that are sure, the shift of the
logits that makes the threshold 0.5 (export --shift), how far below the strongest part of a map another may stay, the
view's weights once more on maps that are judged so, the image score's features and weights, the verdicts' thresholds.
Nothing of the development set is read.
"""

import argparse
import csv
import itertools
import json
import pathlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.optimize import minimize

from export import POLICY
from omni_iml.conditions import CONDITIONS, under
from omni_iml.inference import (
    FEATURES,
    LEAST,
    Decoded,
    Found,
    Session,
    analyse,
    decode,
    features,
    logit,
    moved_levels,
    reacting,
    shifted,
    view_scale,
    view_weight,
    whole,
)
from omni_iml.metrics import auc, auc_of_counts, f1_by_threshold, histogram_counts, pixel_figures, true_positive_rate
from omni_iml.model import DOMAINS
from omni_iml.shards import read

# By size, and whether the view is shown mirrored.
VIEWS = ((384, False), (384, True), (512, False))
VIEW_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
# Of mean F1 and AUC: below, two weights of a domain are told apart by chance.
WEIGHT_GAIN = 0.003
FLOORS = (0.0, 0.3, 0.4, 0.5, 0.6)
# Logits beside the best threshold without a floor.
LOWER_BY = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
# Of the area of authentic images at most this share may be flagged: a lower threshold finds more, and flags more there.
MOST_FLAGGED = 0.06
# Of mean F1: below, two settings are told apart by chance, and what flags less is taken.
FLOOR_GAIN = 0.001
PROMINENCES = (0.0, 0.2, 0.3, 0.4, 0.5)
# That of all releases since 0.9.0: of mean F1 and AUC another must earn more than chance gives.
USUAL_PROMINENCE = 0.4
PROMINENCE_GAIN = 0.002
# A larger view must earn its cost: a quarter megapixel for every image.
VIEW_GAIN = 0.005
# `tampered`: at most this share of authentic validation images; `clear`: at most this share of forged ones.
FALSE_ALARMS = 0.1
MISSES = 0.1
FOLDS = 5


@dataclass
class Examined:
    """One validation image: what the graph says of it, at 8 bits, and the truth."""

    domain: str
    tiles: np.ndarray  # uint8 [H, W]
    views: dict[tuple[int, bool], tuple[np.ndarray, float]]  # of VIEWS: uint8 [H, W] and score
    scores: np.ndarray
    mask: np.ndarray | None  # bool [H, W], None where authentic
    seen_as: np.ndarray  # [4], the domain that the graph takes it for, by which the view is weighed

    def found(
        self, shown: tuple[int, bool], weights: list[float], shift: float, floor: float = 0.0, least: float = 0.0
    ) -> Found:
        """As `analyse` gives it with one of VIEWS, its weights by domain, and the logits moved by `shift`.

        `floor` is the relative one, `least` the least prominence of a part of the map.
        """
        view, score = self.views[shown]
        table = moved_levels(shift).astype(np.float32)
        weight = view_weight(self.seen_as, {"weights": weights})
        domain = np.zeros(len(DOMAINS))
        return Found(table[self.tiles], table[view], self.scores, score, 0.0, domain, weight, floor, least)

    def figures(
        self, shown: tuple[int, bool], weights: list[float], shift: float, floor: float, least: float
    ) -> dict[str, float]:
        """What the delivered map of a forged image is worth; arguments as of `found`."""
        return pixel_figures(levels(self.found(shown, weights, shift, floor, least).blended()), self.mask)


def levels(probability: np.ndarray) -> np.ndarray:
    """Float map in 0…1 to 256 levels."""
    return np.round(probability * 255).astype(np.uint8)


def images(folder: pathlib.Path, every: int) -> Iterator[tuple[str, Decoded, np.ndarray | None]]:
    """Domain, image and mask of every n-th image of a set; of shards those at native resolution."""
    if (folder / "index.csv").exists():
        with open(folder / "index.csv", newline="") as file:
            entries = list(csv.DictReader(file))[::every]
        for entry in entries:
            mask = None
            if entry["label"] == "1":
                with Image.open(folder / entry["mask"]) as image:
                    mask = np.asarray(image.convert("L")) > 127
            yield entry["domain"], decode(str(folder / entry["dest"])), mask
        return
    for path in sorted(folder.glob("shard-*.npz")):
        arrays = read(path)
        for i in np.flatnonzero(arrays["view"] == 0)[::every]:
            mask = arrays["mask"][i].astype(bool)
            decoded = Decoded(arrays["pixels"][i], arrays["qtable"][i].astype(np.int32), bool(arrays["jpeg"][i]))
            yield DOMAINS[int(arrays["domain"][i])], decoded, mask if mask.any() else None


def examine(session: Session, domain: str, image: Decoded, mask: np.ndarray | None, pipeline: dict) -> Examined:
    """Runs tiles once and each size of the view."""
    found = analyse(session, image, pipeline | {"view": {"weights": [0.0] * len(DOMAINS)}})
    shown_at: dict[tuple[float, bool], tuple[np.ndarray, float]] = {}  # small images are shown alike by all sizes
    views = {}
    for size, mirrored in VIEWS:
        scale = view_scale(*image.pixels.shape[:2], pipeline["view"] | {"size": size})
        if (scale, mirrored) not in shown_at:
            view, score = whole(session, image.pixels, scale, mirrored)
            shown_at[scale, mirrored] = levels(view), score
        views[size, mirrored] = shown_at[scale, mirrored]
    return Examined(domain, levels(found.tiles), views, found.scores, mask, found.domain)


def by_threshold(examined: list[Examined], shown: tuple[int, bool], weights: list[float]) -> dict[str, np.ndarray]:
    """Means over the forged images of each domain, and of all: F1 at each of 256 thresholds, and the AUC (last)."""

    def row(one: Examined) -> np.ndarray:
        positive, negative = histogram_counts(levels(one.found(shown, weights, 0.0).blended()), one.mask)
        return np.append(f1_by_threshold(positive, negative), auc_of_counts(positive, negative))

    forged = [one for one in examined if one.mask is not None]
    rows = defaultdict(list)
    with ThreadPoolExecutor() as threads:
        for one, measured in zip(forged, threads.map(row, forged), strict=True):
            for name in (one.domain, "all"):
                rows[name].append(measured)
    return {name: np.mean(of, 0) for name, of in rows.items()}


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


def held_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Margins [n] of each image by a fit to the other folds."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    margin = np.zeros(len(y))
    for k in range(FOLDS):
        weights, bias = fit(x[fold != k], y[fold != k])
        margin[fold == k] = x[fold == k] @ weights + bias
    return margin


def choose_features(columns: dict[str, np.ndarray], y: np.ndarray) -> list[str]:
    """Adds, one at a time, the feature that raises the held-out AUC most, while it does by 0.002."""
    chosen: list[str] = []
    best = 0.5
    while True:
        gains = {}
        for name in columns.keys() - chosen:
            x = np.stack([columns[one] for one in [*chosen, name]], 1)
            gains[name] = auc(held_out(x, y), y)
        name = max(gains, key=lambda one: gains[one], default=None)
        if name is None or gains[name] < best + 0.002:
            return chosen
        chosen.append(name)
        best = gains[name]
        print(f"score: + {name}, held-out image AUC {best:.4f}")


def reliability(score: np.ndarray, label: np.ndarray, bins: int = 10) -> list[list[float]]:
    """Rows of [mean score, share manipulated, count] by equal steps of the score."""
    place = np.minimum((score * bins).astype(int), bins - 1)
    return [
        [round(float(score[place == i].mean()), 3), round(float(label[place == i].mean()), 3), int((place == i).sum())]
        for i in range(bins)
        if (place == i).any()
    ]


def choose_view(examined: list[Examined]) -> tuple[tuple[int, bool], list[float], float]:
    """One of VIEWS, its weights by domain, and the threshold in 0…1 on the blended map: the highest F1 and AUC."""
    forged = Counter(one.domain for one in examined if one.mask is not None)
    best: tuple[float, tuple[int, bool], list[float], float] = (-1.0, (0, False), [], 0.0)
    for shown in VIEWS:
        name = f"view {shown[0]}{' mirrored' if shown[1] else ''}"
        tables = [by_threshold(examined, shown, [weight] * len(DOMAINS)) for weight in VIEW_WEIGHTS]
        for weight, means in zip(VIEW_WEIGHTS, tables, strict=True):
            level = int(means["all"][1:256].argmax()) + 1
            print(f"{name} at {weight}: F1 {means['all'][level]:.4f}, AUC {means['all'][256]:.4f}")
        # [domains, weights, 256 levels]: what each weight is worth to each domain where all have one threshold.
        worth = np.array([[means[domain][:256] + means[domain][256] for means in tables] for domain in forged])
        level = int((np.array(list(forged.values()))[:, None] * worth.max(1)).sum(0)[1:].argmax()) + 1
        weighed = dict(zip(forged, (VIEW_WEIGHTS[i] for i in worth[:, :, level].argmax(1)), strict=True))
        weights = [weighed.get(domain, 0.0) for domain in DOMAINS]
        means = by_threshold(examined, shown, weights)["all"]
        print(f"{name} at {weighed}: F1 {means[level]:.4f} from {level / 255:.3f} on, AUC {means[256]:.4f}", flush=True)
        if means[level] + means[256] > best[0] + (VIEW_GAIN if shown[0] > best[1][0] > 0 else 0):
            best = (means[level] + means[256], shown, weights, level / 255)
    return best[1:]


def choose_floor(
    examined: list[Examined], shown: tuple[int, bool], weights: list[float], threshold: float
) -> tuple[float, float]:
    """The shift of the logits and the relative floor: the highest mean F1 of the forged images.

    Only among settings that flag at most MOST_FLAGGED of the authentic images' area (among all where none does so); of
    those that come close to the highest, the one that flags least.
    """
    shifts = [step - float(logit(threshold)) for step in LOWER_BY]
    bounds = logit(np.arange(256) / 255, LEAST)

    def rows(one: Examined) -> np.ndarray:
        """[shifts, floors]: F1 of a forged image, the share flagged of an authentic one."""
        blended = levels(one.found(shown, weights, 0.0).blended())
        truth = np.zeros_like(blended, bool) if one.mask is None else one.mask
        positive, negative = (counts[::-1].cumsum()[::-1] for counts in histogram_counts(blended, truth))
        figures = np.zeros((len(shifts), len(FLOORS)))
        for i, shift in enumerate(shifts):
            strongest = reacting(shifted(blended, shift))[1].max()
            for j, floor in enumerate(FLOORS):
                level = np.searchsorted(bounds, floor * strongest - shift)
                hits, alarms = (counts[level] if level < 256 else 0 for counts in (positive, negative))
                figures[i, j] = alarms / truth.size if one.mask is None else 2 * hits / (hits + alarms + truth.sum())
        return figures

    with ThreadPoolExecutor() as threads:
        measured = np.array(list(threads.map(rows, examined)))
    forged = np.array([one.mask is not None for one in examined])
    f1, flagged = measured[forged].mean(0), measured[~forged].mean(0)
    for (i, shift), (j, floor) in itertools.product(enumerate(shifts), enumerate(FLOORS)):
        print(f"shift {shift:.3f}, floor {floor}: F1 {f1[i, j]:.4f}, of authentic images flagged {flagged[i, j]:.4f}")
    allowed = flagged <= max(MOST_FLAGGED, flagged.min())
    close = allowed & (f1 >= f1[allowed].max() - FLOOR_GAIN)
    i, j = np.unravel_index(np.where(close, flagged, np.inf).argmin(), close.shape)
    return shifts[i], FLOORS[j]


def choose_prominence(
    examined: list[Examined], shown: tuple[int, bool], weights: list[float], shift: float, floor: float
) -> float:
    """The least prominence of a part of the map, by the mean F1 at 0.5 and AUC of the forged images."""
    forged = [one for one in examined if one.mask is not None]
    worth = {}
    for least in PROMINENCES:

        def row(one: Examined, least: float = least) -> tuple[str, dict[str, float]]:
            return one.domain, one.figures(shown, weights, shift, floor, least)

        with ThreadPoolExecutor() as threads:
            rows = list(threads.map(row, forged))
        means = {key: float(np.mean([row[key] for _, row in rows])) for key in ("f1", "iou", "auc")}
        by_domain = {name: np.mean([row["f1"] for domain, row in rows if domain == name]) for name, _ in rows}
        print(
            f"least prominence {least}: F1 {means['f1']:.4f}, IoU {means['iou']:.4f}, AUC {means['auc']:.4f}; F1 of "
            + ", ".join(f"{name} {value:.4f}" for name, value in sorted(by_domain.items()))
        )
        worth[least] = means["f1"] + means["auc"]
    best = max(worth, key=worth.__getitem__)
    return best if worth[best] >= worth[USUAL_PROMINENCE] + PROMINENCE_GAIN else USUAL_PROMINENCE


def choose_weights(
    examined: list[Examined], shown: tuple[int, bool], weights: list[float], shift: float, floor: float, least: float
) -> list[float]:
    """The view's weights by domain once more, on maps as they are delivered; `weights` are those chosen before.

    What a floor leaves of letters is drawn better by the tiles, which `choose_view` can't know. Another weight must
    earn its place: the mean F1 at 0.5 and AUC of the domain's forged images rise by WEIGHT_GAIN.
    """

    def worth(one: Examined, weight: float) -> float:
        figures = one.figures(shown, [weight] * len(DOMAINS), shift, floor, least)
        return figures["f1"] + figures["auc"]

    chosen = list(weights)
    for i, domain in enumerate(DOMAINS):
        forged = [one for one in examined if one.mask is not None and one.domain == domain]
        if not forged:
            continue
        with ThreadPoolExecutor() as threads:
            of = {
                weight: float(np.mean(list(threads.map(worth, forged, itertools.repeat(weight)))))
                for weight in VIEW_WEIGHTS
            }
        print(f"{domain}: F1 and AUC at " + ", ".join(f"{weight} {value:.4f}" for weight, value in of.items()))
        best = max(of, key=of.__getitem__)
        if of[best] >= of[weights[i]] + WEIGHT_GAIN:
            chosen[i] = best
    return chosen


def choose(
    examined: list[Examined], pipeline: dict, kept: list[str] | None = None
) -> tuple[dict, float, np.ndarray, np.ndarray]:
    """The policy, the shift, and score and label of each image for the diagram; `kept` features are not chosen anew."""
    shown, weights, threshold = choose_view(examined)
    for name, means in sorted(by_threshold(examined, shown, weights).items()):
        level = round(threshold * 255)
        print(f"{name}: F1 {means[level]:.4f}, best single threshold {means[:256].max():.4f}, AUC {means[256]:.4f}")
    label = np.array([one.mask is not None for one in examined])
    shift, floor = choose_floor(examined, shown, weights, threshold)
    least = choose_prominence(examined, shown, weights, shift, floor)
    weights = choose_weights(examined, shown, weights, shift, floor, least)
    print("view's weights: " + ", ".join(f"{name} {weight}" for name, weight in zip(DOMAINS, weights, strict=True)))
    found = [one.found(shown, weights, shift, floor, least) for one in examined]
    rows = [features(one, one.blended(), POLICY["thresholds"]["pixel"]) for one in found]
    columns = {name: np.array([row[name] for row in rows]) for name in FEATURES}
    used = kept or choose_features(columns, label)
    x = np.stack([columns[name] for name in used], 1)
    slopes, bias = fit(x, label.astype(float))
    score = 1 / (1 + np.exp(-held_out(x, label)))
    tampered = float(np.quantile(score[~label], 1 - FALSE_ALARMS))
    clear = float(np.quantile(score[label], MISSES))
    # Where the two cross, nothing is inconclusive at these rates; keep a small band around their middle.
    middle = (tampered + clear) / 2
    tampered, clear = max(tampered, middle + 0.02), min(clear, middle - 0.02)
    print(
        f"{len(examined)} images, image AUC {auc(score, label):.4f}, "
        f"{true_positive_rate(score, label):.3f} found at 10 % false alarms; "
        f"tampered ≥ {tampered:.3f}, clear ≤ {clear:.3f}"
    )
    view = pipeline["view"] | {"size": shown[0], "weights": weights, "mirrored": shown[1]}
    policy = {
        "pipeline": pipeline | {"relative_floor": floor, "least_prominence": least, "view": view},
        "thresholds": POLICY["thresholds"] | {"tampered": round(tampered, 4), "clear": round(clear, 4)},
        "score": {"features": used, "weights": [round(float(w), 6) for w in slopes], "bias": round(bias, 6)},
    }
    return policy, shift, score, label


def diagram(rows: list[list[float]], path: str) -> None:
    """Draws the reliability diagram: share manipulated over mean score, a disc the larger the more images."""
    from PIL import ImageDraw

    side, edge = 480, 40
    canvas = Image.new("RGB", (side + 2 * edge, side + 2 * edge), "white")
    draw = ImageDraw.Draw(canvas)
    draw.rectangle([edge, edge, edge + side, edge + side], outline="black")
    draw.line([edge, edge + side, edge + side, edge], fill="grey")
    draw.text((edge, 12), "share of manipulated images over the score (disc: number of images)", fill="black")
    for score, share, count in rows:
        x, y, r = edge + side * score, edge + side * (1 - share), 3 + count**0.5 / 2
        draw.ellipse([x - r, y - r, x + r, y + r], outline="black", fill="#c33")
    canvas.save(path)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--val", required=True, nargs="+")
    parser.add_argument("--out", default="policy.json")
    parser.add_argument("--diagram", help="where to draw the reliability diagram")
    parser.add_argument("--tile", type=int, default=POLICY["pipeline"]["tile"])
    parser.add_argument("--tile-step", type=int, default=POLICY["pipeline"]["tile_step"])
    parser.add_argument("--overlap", type=int, default=POLICY["pipeline"]["overlap"])
    parser.add_argument(
        "--features", nargs="+", choices=FEATURES, help="of the image score; chosen anew where not given"
    )
    parser.add_argument("--every", type=int, default=1, help="of the validation images, take every n-th")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    pipeline = POLICY["pipeline"] | {"tile": args.tile, "tile_step": args.tile_step, "overlap": args.overlap}
    session = Session(args.onnx, args.threads)
    examined, begun = [], time.monotonic()
    turn = itertools.cycle(CONDITIONS)
    for folder in args.val:
        for domain, image, mask in images(pathlib.Path(folder), args.every):
            examined.append(examine(session, domain, *under(image, mask, next(turn)), pipeline))
            if len(examined) % 200 == 0:
                print(f"{len(examined)} images, {time.monotonic() - begun:.0f} s", flush=True)
    policy, shift, score, label = choose(examined, pipeline, args.features)
    rows = reliability(score, label)
    print("reliability (mean score, share manipulated, count):", *rows, sep="\n  ")
    if args.diagram:
        diagram(rows, args.diagram)
    pathlib.Path(args.out).write_text(json.dumps(policy, indent=2) + "\n")
    print(f"export with --shift {shift:.3f} --policy {args.out}")


if __name__ == "__main__":
    main()
