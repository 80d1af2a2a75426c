"""Trains the head on cached evidence (see dataset.py), and calibrates it on rows it has not seen.

    python -m interpretation.train --rows ROWS/train --calibrate ROWS/val --out head.pt

Two minutes on one core. The calibration that is released is fitted on all calibration rows; evaluate.py measures how
well it does by fitting it on one half and reading the other.
"""

import argparse
import pathlib
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from interpretation.network import Calibration, Head
from interpretation.vocabulary import TITLES

FIELDS = ("evidence", "kind", "titles", "confirmed", "domain", "origin", "sample")
NOISE = 0.15  # standard deviations added to the standardized evidence
KIND_WEIGHT, TITLE_WEIGHT, CONFIRMED_WEIGHT = 1.0, 2.0, 0.5
ROUGH = 0.05  # of the labels' probability that is spread over the other kinds


@dataclass
class Rows:
    """Cached regions: evidence float [N, D], kind int64 [N] (−1 none), titles float [N, T], the rest [N]."""

    evidence: Tensor
    kind: Tensor
    titles: Tensor
    confirmed: Tensor
    domain: Tensor
    origin: Tensor
    sample: Tensor

    def part(self, chosen: Tensor) -> "Rows":
        """The chosen rows (indices or bools)."""
        return Rows(*(getattr(self, name)[chosen] for name in FIELDS))

    def __len__(self) -> int:
        """How many regions."""
        return len(self.kind)


def read(folders: list[pathlib.Path]) -> Rows:
    """All parts of the folders; raises FileNotFoundError where there are none."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in FIELDS}
    for folder in folders:
        for path in sorted(folder.glob("part-*.npz")):
            with np.load(path) as part:
                for name in FIELDS:
                    found[name].append(part[name])
    if not found["kind"]:
        raise FileNotFoundError(f"no rows in {folders}: run python -m interpretation.dataset first")
    kinds = {"evidence": np.float32, "titles": np.float32, "confirmed": np.float32}
    return Rows(*(torch.from_numpy(np.concatenate(found[name]).astype(kinds.get(name, np.int64))) for name in FIELDS))


def loss(head: Head, rows: Rows) -> Tensor:
    """Kinds and titles where something was manipulated, `confirmed` everywhere."""
    kind, titles, confirmed = head(rows.evidence)
    true = rows.kind >= 0
    total = CONFIRMED_WEIGHT * functional.binary_cross_entropy_with_logits(confirmed, rows.confirmed)
    if true.any():
        total = total + KIND_WEIGHT * functional.cross_entropy(kind[true], rows.kind[true], label_smoothing=ROUGH)
        total = total + TITLE_WEIGHT * functional.binary_cross_entropy_with_logits(titles[true], rows.titles[true])
    return total


def train(rows: Rows, seed: int, epochs: int = 40, batch: int = 64, lr: float = 1e-3, decay: float = 0.1) -> Head:
    """One head."""
    torch.manual_seed(seed)
    head = Head(rows.evidence.shape[1])
    head.fit_scale(rows.evidence)
    steps = epochs * (len(rows) // batch)
    optimiser = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.15)
    spread = 1 / head.scale
    head.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows))[: len(rows) // batch * batch].split(batch):
            one = rows.part(chosen)
            one.evidence = one.evidence + NOISE * spread * torch.randn_like(one.evidence)
            optimiser.zero_grad()
            loss(head, one).backward()
            optimiser.step()
            schedule.step()
    return head.eval()


@torch.no_grad()
def logits(heads: list[Head], rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Mean logits of the heads: [N, K], [N, T], [N]."""
    found = [head(rows.evidence) for head in heads]
    return tuple(torch.stack(part).mean(0) for part in zip(*found, strict=True))


def calibrate(heads: list[Head], rows: Rows) -> Calibration:
    """Scales and shifts that make the probabilities of these rows as likely as they can be."""
    kind, titles, confirmed = logits(heads, rows)
    true = rows.kind >= 0
    calibration = Calibration()
    optimiser = torch.optim.LBFGS(calibration.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        scaled = titles[true] * calibration.artifact_scale + calibration.artifact_shift
        total = functional.cross_entropy(kind[true] * calibration.kind_scale, rows.kind[true])
        total = total + len(TITLES) * functional.binary_cross_entropy_with_logits(scaled, rows.titles[true])
        shifted = confirmed * calibration.confirmed_scale + calibration.confirmed_shift
        total = total + functional.binary_cross_entropy_with_logits(shifted, rows.confirmed)
        # A title that hardly occurs among these rows keeps about its scale.
        total = total + 0.01 * sum((p - 1).square().sum() for p in (calibration.artifact_scale, calibration.kind_scale))
        total.backward()
        return total

    optimiser.step(closure)
    return calibration.requires_grad_(False)


def save(path: pathlib.Path, heads: list[Head], calibration: Calibration, progress: dict) -> None:
    """Heads, calibration and what they were trained on."""
    states = [head.state_dict() for head in heads]
    torch.save({"heads": states, "calibration": calibration.state_dict(), "progress": progress}, path)


def load(path: pathlib.Path) -> tuple[list[Head], Calibration, dict]:
    """What `save` wrote."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    heads = []
    for state in saved["heads"]:
        head = Head(len(state["mean"]), len(state["layers.1.bias"]))
        head.load_state_dict(state)
        heads.append(head.eval())
    calibration = Calibration()
    calibration.load_state_dict(saved["calibration"])
    return heads, calibration.requires_grad_(False), saved["progress"]


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--calibrate", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows, held_out = read(args.rows), read(args.calibrate)
    begun = time.monotonic()
    heads = [train(rows, seed, args.epochs) for seed in range(args.heads)]
    calibration = calibrate(heads, held_out)
    progress = {"regions": len(rows), "forged": int((rows.kind >= 0).sum()), "seconds": round(time.monotonic() - begun)}
    save(args.out, heads, calibration, progress)
    print(f"{args.out}: {args.heads} heads, {progress}")


if __name__ == "__main__":
    main()
