"""Trains Omni-IML on forged shards, on one GPU or on the CPU.

python -m train start  --run runs/a --shards DIR --val DIR --hours 2 [--batch 16] [--freeze-early]
python -m train pause  --run runs/a      (around tests and benchmarks)
python -m train resume --run runs/a

`start` on a folder that holds a checkpoint goes on from there. The schedule (warm-up, cosine) runs over the given hours
of training time, pauses not counted, so that a run ends when it must however busy the machine is.
Writes checkpoint.pt (all that is needed to go on), log.jsonl (a line per report) and preview.png (validation samples).
"""

import argparse
import json
import math
import pathlib
import time
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from omni_iml.anomaly import AnomalyEnhancement
from omni_iml.frozen import FrozenEarly
from omni_iml.losses import coarse_losses, final_losses, head_losses, total
from omni_iml.metrics import auc, pixel_figures
from omni_iml.model import DOMAINS, Config, OmniIML
from omni_iml.serving import delivered_map
from omni_iml.shards import Batch, Stream, batch, read

WARM_UP = 0.02


def true_boxes(mask: Tensor, limit: int = 4) -> list[Tensor]:
    """Per sample the boxes [k, 4] of its largest connected components, in pixels; masks bool [N, S, S]."""
    import cv2

    boxes = []
    for one in mask.cpu().numpy().astype(np.uint8):
        _, _, stats, _ = cv2.connectedComponentsWithStats(one, connectivity=8)
        parts = sorted((row for row in stats[1:] if row[4] >= 64), key=lambda row: -row[4])[:limit]
        corners = [[x, y, x + w, y + h] for x, y, w, h, _ in parts]
        boxes.append(torch.tensor(corners, dtype=torch.float32, device=mask.device).reshape(-1, 4))
    return boxes


class Training:
    """Model, average, optimiser and clock of one run."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.run = pathlib.Path(args.run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.config = Config(**json.loads(args.config))
        torch.manual_seed(args.seed)
        self.model = OmniIML(self.config)
        self.model.network.load_pretrained()
        if args.init:
            self.model.load_state_dict(torch.load(args.init, map_location="cpu", weights_only=True)["ema"])
        # Channels last: a fifth more samples a second on the CPU, and what tensor cores want on a GPU.
        self.model.to(self.device, memory_format=torch.channels_last)
        self.anomaly = AnomalyEnhancement(self.config.decoder_width).to(self.device)
        self.early = None
        if args.freeze_early:
            self.early = FrozenEarly(self.model.vision, args.threads or 2)
            for module in (self.model.network._conv_stem, self.model.network._bn0, self.model.network._blocks[:7]):
                module.requires_grad_(False)
        pretrained = [p for p in self.model.network.parameters() if p.requires_grad]
        known = {id(p) for p in self.model.network.parameters()}
        fresh = [p for p in self.model.parameters() if id(p) not in known] + list(self.anomaly.parameters())
        self.optimiser = torch.optim.AdamW(
            [{"params": pretrained, "base": args.lr * 0.3}, {"params": fresh, "base": args.lr}],
            lr=args.lr,
            weight_decay=0.01,
        )
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.samples, self.steps, self.seconds = 0, 0, 0.0
        checkpoint = self.run / "checkpoint.pt"
        if checkpoint.exists():
            self.restore(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def restore(self, state: dict) -> None:
        """Goes on where a checkpoint ended."""
        self.model.load_state_dict(state["model"])
        self.anomaly.load_state_dict(state["anomaly"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema = state["ema"]
        progress = state["progress"]
        self.samples, self.steps, self.seconds = progress["samples"], progress["steps"], progress["seconds"]

    def save(self) -> None:
        """Writes the checkpoint under a temporary name first: a session may end at any moment."""
        state = {
            "config": self.config.as_dict(),
            "model": self.model.state_dict(),
            "anomaly": self.anomaly.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema,
            "progress": {
                "samples": self.samples,
                "steps": self.steps,
                "seconds": round(self.seconds, 1),
                "device": str(self.device.type),
            },
        }
        torch.save(state, self.run / "checkpoint.tmp")
        (self.run / "checkpoint.tmp").replace(self.run / "checkpoint.pt")

    @property
    def progress(self) -> float:
        """Share of the run's training time that is over."""
        return self.seconds / (self.args.hours * 3600)

    def step(self, sample: Batch) -> dict[str, float]:
        """One optimiser step; the losses by name."""
        p = self.progress
        rate = min(1.0, p / WARM_UP + 0.01) * (0.02 + 0.98 * (1 + math.cos(math.pi * min(p, 1))) / 2)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * rate
        self.model.train()
        self.model.network.eval()  # batches are too small to re-estimate the pretrained statistics
        pixels, mask = sample.pixels.to(self.device).float(), sample.mask.to(self.device)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            early = self.early(sample.pixels) if self.early else None
            seen = self.model.perceive(pixels, sample.qtable.to(self.device), sample.jpeg.to(self.device), early)
            rgb, fused = coarse_losses(seen[3].float(), seen[4].float(), mask)
            better = fused.detach() < rgb.detach()
            parts = head_losses(rgb, fused, seen[5].float())
            if p >= self.args.heads_until:
                out = self.model.finish(*seen, better.int() if p < self.args.gate_from else None)
                parts |= final_losses(out, mask, sample.domain.to(self.device))
        if p >= self.args.anomaly_from:
            parts["anomaly"] = self.anomaly([level.float() for level in out.pyramid[:2]], true_boxes(mask))
        loss = total(parts)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimiser.step()
        self.average()
        self.steps += 1
        self.samples += len(mask)
        return {name: float(value.detach()) for name, value in parts.items()}

    def average(self) -> None:
        """Exponential moving average of all weights and statistics, faster at the start."""
        decay = min(0.999, (1 + self.steps) / (20 + self.steps))
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    def validate(self) -> dict:
        """Figures of the averaged weights on the validation shards, by domain."""
        model = OmniIML(self.config).to(self.device)
        model.load_state_dict(self.ema)
        model.eval()
        rows, shown = defaultdict(list), []
        for path in sorted(pathlib.Path(self.args.val).glob("shard-*.npz"))[: self.args.val_shards]:
            arrays = read(path)
            for start in range(0, len(arrays["jpeg"]), 16):
                sample = batch({name: value[start : start + 16] for name, value in arrays.items()})
                with torch.no_grad():
                    out = model(
                        sample.pixels.to(self.device).float(),
                        sample.qtable.to(self.device),
                        sample.jpeg.to(self.device),
                    )
                probability = delivered_map(out.mask.float()).cpu().numpy()
                for i, kind in enumerate(sample.kind):
                    truth = sample.mask[i].numpy()
                    row = {"score": float(out.score[i]), "label": bool(truth.any()), "fused": float(out.gate[i] > 0)}
                    row |= {"kind": kind, "top": float(np.quantile(probability[i], 0.99))}
                    rows[DOMAINS[int(sample.domain[i])]].append(
                        row | (pixel_figures(probability[i], truth) if truth.any() else {})
                    )
                if len(shown) < 48:
                    shown += list(zip(sample.pixels.numpy(), sample.mask.numpy(), probability, strict=True))[:8]
        preview(shown, self.run / "preview.png")
        return {domain: summary(of) for domain, of in rows.items()} | {"kinds": by_kind(rows)}


def mean(values: list[float]) -> float | None:
    """Mean to four places, None of nothing."""
    return round(float(np.mean(values)), 4) if values else None


def summary(rows: list[dict]) -> dict:
    """Mean figures of one domain."""
    forged = [row for row in rows if row["label"]]
    label = np.array([row["label"] for row in rows])
    return {name: mean([row[name] for row in forged]) for name in ("f1", "iou", "best_f1", "auc")} | {
        "image_auc": round(auc(np.array([row["score"] for row in rows]), label), 4),
        "map_auc": round(auc(np.array([row["top"] for row in rows]), label), 4),
        "fused": mean([row["fused"] for row in rows]),
        "count": len(rows),
    }


def by_kind(rows: dict[str, list[dict]]) -> dict:
    """Mean F1 and AUC by manipulation kind."""
    kinds = defaultdict(list)
    for of in rows.values():
        for row in of:
            if row["label"]:
                kinds[row["kind"]].append(row)
    return {
        kind: {"f1": mean([r["f1"] for r in of]), "auc": mean([r["auc"] for r in of]), "count": len(of)}
        for kind, of in sorted(kinds.items())
    }


def preview(samples: list[tuple[np.ndarray, np.ndarray, np.ndarray]], path: pathlib.Path) -> None:
    """A sheet of image, truth and prediction, four samples a row."""
    from PIL import Image

    cells = []
    for pixels, mask, probability in samples[:48]:
        grey = [np.repeat(m[:, :, None], 3, 2) for m in (mask.astype(np.uint8) * 255, probability)]
        cells.append(np.concatenate([pixels.transpose(1, 2, 0), *grey], 1)[::2, ::2])
    lines = [np.concatenate(cells[i : i + 4], 1) for i in range(0, len(cells) - len(cells) % 4, 4)]
    if lines:
        Image.fromarray(np.concatenate(lines, 0)).save(path)


def start(args: argparse.Namespace) -> None:
    """Trains until the run's time is over."""
    if args.threads:
        torch.set_num_threads(args.threads)
    training = Training(args)
    stream = Stream(args.shards, args.batch, args.seed + training.steps).prefetched()
    sums: dict[str, float] = defaultdict(float)
    since, saved = 0, time.monotonic()
    with open(training.run / "log.jsonl", "a") as log:
        while training.progress < 1:
            while (training.run / "PAUSE").exists():
                time.sleep(1)
            sample = next(stream)
            begun = time.monotonic()
            for name, value in training.step(sample).items():
                sums[name] += value
            training.seconds += time.monotonic() - begun
            since += 1
            report = training.steps % args.report == 0
            if report:
                line = {name: round(value / since, 4) for name, value in sums.items()}
                line |= {
                    "steps": training.steps,
                    "samples": training.samples,
                    "minutes": round(training.seconds / 60, 1),
                }
                line |= {"progress": round(training.progress, 3)}
                line |= {"samples_per_second": round(training.samples / training.seconds, 2)}
                if training.steps % (args.report * args.validate_every) == 0:
                    line["validation"] = training.validate()
                print(json.dumps(line), file=log, flush=True)
                print(json.dumps(line), flush=True)
                sums.clear()
                since = 0
            if report and time.monotonic() - saved > args.save_every:
                training.save()
                saved = time.monotonic()
        training.save()
        print(json.dumps({"end": training.validate(), "samples": training.samples}), file=log, flush=True)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "pause", "resume"])
    parser.add_argument("--run", required=True)
    parser.add_argument("--shards")
    parser.add_argument("--val")
    parser.add_argument("--val-shards", type=int, default=10)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--report", type=int, default=50)
    parser.add_argument("--validate-every", type=int, default=10)
    parser.add_argument("--save-every", type=float, default=300.0, help="seconds")
    parser.add_argument("--anomaly-from", type=float, default=0.7, help="share of the run without anomaly enhancement")
    parser.add_argument("--heads-until", type=float, default=0.0, help="share of the run that trains only the heads")
    parser.add_argument(
        "--gate-from", type=float, default=0.4, help="share of the run in which the gate's label decides, not the gate"
    )
    parser.add_argument(
        "--freeze-early", action="store_true", help="keep the pretrained network up to stride 8 as it is"
    )
    parser.add_argument("--init", help="checkpoint whose averaged weights to start from")
    parser.add_argument("--config", default="{}", help="JSON of omni_iml.model.Config")
    args = parser.parse_args()
    pause = pathlib.Path(args.run) / "PAUSE"
    if args.what == "pause":
        pause.touch()
    elif args.what == "resume":
        pause.unlink(missing_ok=True)
    else:
        start(args)


if __name__ == "__main__":
    main()
