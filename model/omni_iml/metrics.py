"""Pixel and image figures, as the field computes them: per manipulated image, then the mean."""

import numpy as np


def histogram_counts(probability: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many manipulated and how many authentic pixels have each of the 256 levels: two int64 [256]."""
    flat, truth = probability.reshape(-1), mask.reshape(-1).astype(bool)
    return np.bincount(flat[truth], minlength=256), np.bincount(flat[~truth], minlength=256)


def auc_of_counts(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve from level histograms, ties counted half; NaN where a class is missing."""
    p, n = positive.sum(), negative.sum()
    if p == 0 or n == 0:
        return float("nan")
    below = np.concatenate([[0], np.cumsum(negative)[:-1]])
    return float((positive * (below + negative / 2)).sum() / (p * n))


def f1_by_threshold(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """F1 at each threshold t (a pixel counts when its level is ≥ t), [256]."""
    true = np.cumsum(positive[::-1])[::-1]
    false = np.cumsum(negative[::-1])[::-1]
    return 2 * true / np.maximum(2 * true + false + (positive.sum() - true), 1)


def pixel_figures(probability: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """F1 and IoU at 0.5, best F1 over thresholds, AUC of one manipulated image; probability uint8 [H, W]."""
    positive, negative = histogram_counts(probability, mask)
    f1 = f1_by_threshold(positive, negative)
    return {
        "f1": float(f1[128]),
        "iou": float(f1[128] / (2 - f1[128])),
        "best_f1": float(f1.max()),
        "auc": auc_of_counts(positive, negative),
    }


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve of float scores [n] against boolean labels [n], ties counted half."""
    _, level = np.unique(score, return_inverse=True)
    count = int(level.max(initial=0)) + 1
    label = label.astype(bool)
    return auc_of_counts(np.bincount(level[label], minlength=count), np.bincount(level[~label], minlength=count))


def true_positive_rate(score: np.ndarray, label: np.ndarray, false_alarms: float = 0.1) -> float:
    """Share of manipulated images over the lowest threshold at which at most `false_alarms` of authentic ones are."""
    label = label.astype(bool)
    negative = np.sort(score[~label])[::-1]
    threshold = negative[int(np.floor(false_alarms * len(negative)))]
    return float((score[label] > threshold).mean())


def mean_interval(values: np.ndarray, draws: int = 2000, seed: int = 20261123) -> tuple[float, float, float]:
    """Mean of values [n] with its 95 % bootstrap interval; of paired differences it is the paired interval."""
    picked = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[picked].mean(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)
