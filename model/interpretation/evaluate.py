"""Figures of a trained head on held-out regions, by domain, with true and with predicted masks.

    python -m interpretation.evaluate --head head.pt --rows ROWS/val --known ROWS/train [--json figures.json]

Titles: average precision of each, its mean over the titles with at least LEAST positives, beside the same for a
predictor that knows the true domain and kind of a region and how often each title goes with them (counted on
`--known`).
Kinds: accuracy. `confirmed`: AUC. Reliability of a calibration fitted on the other half of the samples.
"""

import argparse
import json
import pathlib

import numpy as np
import torch

from interpretation.train import Rows, calibrate, load, logits, read
from interpretation.vocabulary import DOMAINS, KINDS, TITLES

LEAST = 8  # positives of a title, or its average precision says nothing
TRUE, PREDICTED = 0, 2  # origins, see dataset.py


def average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under precision over recall, equal scores taken together: order among ties earns nothing."""
    order = np.argsort(-score, kind="stable")
    positive, score = positive[order], score[order]
    last = np.append(score[1:] != score[:-1], True)
    hits, taken = np.cumsum(positive)[last], np.arange(1, len(score) + 1)[last]
    return float(np.sum(np.diff(hits, prepend=0) / max(1, positive.sum()) * hits / taken))


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties half."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = positive.sum(), (~positive).sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / max(1, n * m))


def frequencies(known: Rows) -> np.ndarray:
    """How often each title goes with domain and kind: [4, K, T]; with the kind alone where a pair was never seen."""
    true = known.kind >= 0
    domain, kind, titles = known.domain[true].numpy(), known.kind[true].numpy(), known.titles[true].numpy()
    table = np.zeros((len(DOMAINS), len(KINDS), len(TITLES)))
    for k in range(len(KINDS)):
        overall = titles[kind == k].mean(0) if (kind == k).any() else titles.mean(0)
        for d in range(len(DOMAINS)):
            chosen = (domain == d) & (kind == k)
            table[d, k] = titles[chosen].mean(0) if chosen.any() else overall
    return table


def figures(rows: Rows, kind: np.ndarray, artifacts: np.ndarray, table: np.ndarray) -> dict:
    """Of manipulated regions: kinds' accuracy, titles' mean average precision and the frequency predictor's."""
    domain, wanted, titles = rows.domain.numpy(), rows.kind.numpy(), rows.titles.numpy() > 0
    guess = table[domain, wanted]
    counted = [t for t in range(len(TITLES)) if titles[:, t].sum() >= LEAST]
    by_title = {
        TITLES[t]: {
            "positives": int(titles[:, t].sum()),
            "ap": round(average_precision(titles[:, t], artifacts[:, t]), 3),
            "frequency": round(average_precision(titles[:, t], guess[:, t]), 3),
        }
        for t in counted
    }
    mean = {name: float(np.mean([one[name] for one in by_title.values()] or [0])) for name in ("ap", "frequency")}
    return {
        "regions": len(rows),
        "kind_accuracy": round(float((kind.argmax(1) == wanted).mean()), 3),
        "titles_map": round(mean["ap"], 3),
        "frequency_map": round(mean["frequency"], 3),
        "ratio": round(mean["ap"] / max(1e-9, mean["frequency"]), 2),
        "by_title": by_title,
    }


def reliability(probability: np.ndarray, right: np.ndarray, bins: int = 10) -> list[list[float]]:
    """Rows of [mean probability, share that was right, count] by equal steps of the probability."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        [round(float(probability[place == i].mean()), 3), round(float(right[place == i].mean()), 3), int(n)]
        for i in range(bins)
        if (n := (place == i).sum())
    ]


def thresholds(rows: Rows, artifacts: np.ndarray) -> dict[str, float]:
    """For each title the probability from which saying it gives the best F1, at least .4: silence is cheap. .5 where a
    title is too rare to choose."""
    chosen = {}
    for t, title in enumerate(TITLES):
        positive = rows.titles[:, t].numpy() > 0
        best = (0.0, 0.5)
        for level in np.arange(0.4, 0.75, 0.05) if positive.sum() >= LEAST else ():
            said = artifacts[:, t] >= level
            f1 = 2 * (said & positive).sum() / max(1, said.sum() + positive.sum())
            best = max(best, (float(f1), float(level)))
        chosen[title] = round(best[1], 2)
    return chosen


def measure(head: pathlib.Path, rows: Rows, known: Rows) -> dict:
    """Everything that is said of a head."""
    heads, _, progress = load(head)
    # Each half of the samples by a calibration that was fitted on the other; what only
    # orders regions is read from the logits, whose order no calibration changes.
    odd = rows.sample % 2 == 1
    parts = [np.zeros((len(rows), len(KINDS))), np.zeros((len(rows), len(TITLES))), np.zeros(len(rows))]
    for half in (odd, ~odd):
        calibration = calibrate(heads, rows.part(~half))
        with torch.no_grad():
            for whole, part in zip(parts, calibration(*logits(heads, rows.part(half))), strict=True):
                whole[half.numpy()] = part.numpy()
    kind, artifacts, confirmed = parts
    raw = [part.numpy() for part in logits(heads, rows)]
    table, origin, wanted = frequencies(known), rows.origin.numpy(), rows.kind.numpy()
    result: dict = {"training": progress}
    for name, code in (("true_masks", TRUE), ("predicted_masks", PREDICTED)):
        of = (origin == code) & (wanted >= 0)
        result[name] = figures(rows.part(torch.from_numpy(of)), raw[0][of], raw[1][of], table)
        for d, domain in enumerate(DOMAINS):
            chosen = of & (rows.domain.numpy() == d)
            one = figures(rows.part(torch.from_numpy(chosen)), raw[0][chosen], raw[1][chosen], table)
            result[name][domain] = {key: value for key, value in one.items() if key != "by_title"}
    true = wanted >= 0
    found, real = origin == PREDICTED, rows.confirmed.numpy() > 0
    result["confirmed_auc"] = {
        "all": round(auc(real, raw[2]), 3),
        "predicted": round(auc(real[found], raw[2][found]), 3),
    }
    result["calibration"] = {
        "kind": reliability(kind[true].max(1), kind[true].argmax(1) == wanted[true]),
        "artifacts": reliability(artifacts[true].ravel(), rows.titles.numpy()[true].ravel() > 0),
        "confirmed": reliability(confirmed, real),
    }
    result["thresholds"] = thresholds(rows.part(torch.from_numpy(true)), artifacts[true])
    confusion = np.zeros((len(KINDS), len(KINDS)), int)
    of = (origin == TRUE) & true
    np.add.at(confusion, (wanted[of], kind[of].argmax(1)), 1)
    result["confusion"] = confusion.tolist()
    return result


def show(result: dict) -> None:
    """The figures as tables."""
    print("| masks | domain | regions | kind accuracy | titles mAP | by frequency | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in ("true_masks", "predicted_masks"):
        for domain in ("all", *DOMAINS):
            one = result[name] if domain == "all" else result[name][domain]
            cells = [one[key] for key in ("regions", "kind_accuracy", "titles_map", "frequency_map", "ratio")]
            cells = cells if one["titles_map"] else [*cells[:2], "–", "–", "–"]  # too few of any title
            print(f"| {name.split('_')[0]} | {domain} | " + " | ".join(map(str, cells)) + " |")
    print("\n| title | regions | AP | by frequency |\n| --- | --- | --- | --- |")
    for title, one in result["true_masks"]["by_title"].items():
        print(f"| {title} | {one['positives']} | {one['ap']} | {one['frequency']} |")
    print(f"\nconfirmed, AUC: {result['confirmed_auc']}")
    for name, rows in result["calibration"].items():
        print(f"{name}, mean probability / share right / regions:", *rows)
    print("kinds, true by row, predicted by column:")
    for kind, row in zip(KINDS, result["confusion"], strict=True):
        print(f"{kind:>13}", *(f"{count:4d}" for count in row))


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--known", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(args.head, read(args.rows), read(args.known))
    show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
