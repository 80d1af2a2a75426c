"""Trains Omni-IML on forged shards, on one GPU or on the CPU.

python -m train start  --run runs/a --shards DIR --val DIR --hours 2 [--batch 16] [--freeze-early]
python -m train start  --run runs/a --shards DIR --val DIR --samples 40000
python -m train pause  --run runs/a      (around tests and benchmarks)
python -m train resume --run runs/a

`start` on a folder that holds a checkpoint goes on from there. The schedule (warm-up, cosine) runs over the given hours
of training time (waiting for shards and validating included, pauses not), so that a run ends when it must however busy
the machine is; or over the given number of samples, so that two runs can be compared. A run says how long it will take
as soon as it knows its own speed, and keeps a checkpoint when it is asked to end (SIGTERM, SIGINT).
Writes checkpoint.pt (all that is needed to go on), log.jsonl (a line per report) and preview.png (validation samples).
"""

import argparse
import json
import math
import pathlib
import signal
import sys
import time
from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import torch
from torch import Tensor, nn

from omni_iml.anomaly import AnomalyEnhancement
from omni_iml.frozen import FrozenEarly
from omni_iml.losses import coarse_losses, final_losses, head_losses, total, worth_fusing
from omni_iml.metrics import auc, pixel_figures
from omni_iml.model import DOMAINS, Config, OmniIML
from omni_iml.serving import delivered_map
from omni_iml.shards import Batch, Stream, batch, read

WARM_UP = 0.02
# Steps after which a run knows its own speed: the first ones allocate memory and choose kernels.
SETTLED = 10


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
    """Model, average, optimiser and clock of one run. Another architecture overrides `build` and `losses`."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.run = pathlib.Path(args.run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # What is kept out of mixed precision needs all of fp32: by TF32's ten bits a file's coefficients are not found.
        torch.backends.cudnn.allow_tf32 = False
        self.config = Config(**json.loads(args.config))
        torch.manual_seed(args.seed)
        self.model = self.build()
        if args.init:
            self.begin_with(torch.load(args.init, map_location="cpu", weights_only=True))
        elif args.pretrained:
            self.model.network.load_state_dict(torch.load(args.pretrained, map_location="cpu", weights_only=True))
        else:
            self.model.network.load_pretrained()
        # Channels last: a fifth more samples a second on the CPU, and what tensor cores want on a GPU.
        self.model.to(self.device, memory_format=torch.channels_last)
        self.anomaly = AnomalyEnhancement(self.config.decoder_width).to(self.device)
        self.early = None
        if args.freeze_early:
            # On a GPU the frozen half costs little, and what is not learnt needs no gradient there either.
            self.early = FrozenEarly(self.model.vision, args.threads or 2) if self.device.type == "cpu" else None
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
        self.samples, self.steps, self.seconds, self.skipped = 0, 0, 0.0, 0
        checkpoint = self.run / "checkpoint.pt"
        if checkpoint.exists():
            self.restore(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def build(self) -> nn.Module:
        """The untrained network, with a pretrained encoder in `network`."""
        return OmniIML(self.config)

    def begin_with(self, state: dict) -> None:
        """Takes a checkpoint's averaged weights, but for the parts that --renew names; raises ValueError otherwise."""
        if not self.args.renew:
            refuse_other_config(state["config"], self.config)
        anew = tuple(f"{part}." for part in self.args.renew)
        kept = {name: value for name, value in state["ema"].items() if not name.startswith(anew)}
        own = self.model.state_dict()
        unlike = [name for name, value in kept.items() if name not in own or own[name].shape != value.shape]
        missing = {name.split(".")[0] for name in own.keys() - kept.keys()} - set(self.args.renew)
        if unlike or missing:
            raise ValueError(f"the checkpoint does not fit in {sorted({*missing, *(n.split('.')[0] for n in unlike)})}")
        self.model.load_state_dict(kept, strict=False)

    def restore(self, state: dict) -> None:
        """Goes on where a checkpoint ended; raises ValueError where it is of another configuration."""
        refuse_other_config(state["config"], self.config)
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
        """Share of the run that is over: of its samples where those are its budget, else of its training time."""
        if self.args.samples:
            return self.samples / self.args.samples
        return self.seconds / (self.args.hours * 3600)

    def step(self, sample: Batch) -> dict[str, Tensor]:
        """One optimiser step; the losses by name, detached and still on the device."""
        p = self.progress
        rate = min(1.0, p / WARM_UP + 0.01) * (0.02 + 0.98 * (1 + math.cos(math.pi * min(p, 1))) / 2)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * rate
        self.model.train()
        self.model.network.eval()  # batches are too small to re-estimate the pretrained statistics
        parts = self.losses(sample, p)
        self.optimiser.zero_grad(set_to_none=True)
        total(parts).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        # One sample whose gradient is not a number would otherwise end the whole run.
        if torch.isfinite(norm):
            self.optimiser.step()
            self.average()
        else:
            self.skipped += 1
        self.steps += 1
        self.samples += len(sample.mask)
        return {name: value.detach() for name, value in parts.items()}

    def losses(self, sample: Batch, p: float) -> dict[str, Tensor]:
        """The losses of one batch by name, where the share `p` of the run is over."""
        pixels = sample.pixels.to(self.device, non_blocking=True).float()
        mask, qtable, jpeg, domain = (
            part.to(self.device, non_blocking=True) for part in (sample.mask, sample.qtable, sample.jpeg, sample.domain)
        )
        mixed = self.device.type == "cuda" or self.args.bf16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            early = self.early(sample.pixels) if self.early else None
            seen = self.model.perceive(pixels, qtable, jpeg, early)
            rgb, fused = coarse_losses(seen[3].float(), seen[4].float(), mask)
            fusing = worth_fusing(rgb, fused)
            parts = head_losses(rgb, fused, seen[5].float())
            if p >= self.args.heads_until:
                out = self.model.finish(*seen, fusing.int() if p < self.args.gate_from else None)
                parts |= final_losses(out, mask, domain)
        if p >= self.args.anomaly_from:
            boxes = [one.to(self.device) for one in true_boxes(sample.mask)]
            parts["anomaly"] = self.anomaly([level.float() for level in out.pyramid[1:3]], boxes)
        return parts

    @torch.no_grad()
    def average(self) -> None:
        """Exponential moving average of all weights and statistics, faster at the start."""
        decay = min(0.999, (1 + self.steps) / (20 + self.steps))
        state = self.model.state_dict()
        floats = [name for name, value in state.items() if value.dtype.is_floating_point]
        # One call for all of them: one by one they take longer to launch on a GPU than the whole network to run.
        torch._foreach_lerp_([self.ema[name] for name in floats], [state[name] for name in floats], 1 - decay)
        for name in state.keys() - set(floats):
            self.ema[name].copy_(state[name])

    def averaged(self) -> nn.Module:
        """A network with the averaged weights, for measuring."""
        model = self.build().to(self.device)
        model.load_state_dict(self.ema)
        return model.eval()

    def validate(self) -> dict:
        """Figures of the averaged weights on the validation shards, by domain."""
        model = self.averaged()
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
                probability = delivered_map(out.mask.float(), model.mask_stride).cpu().numpy()
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


def refuse_other_config(saved: dict, wanted: Config) -> None:
    """Raises ValueError where a checkpoint's configuration is not the wanted one."""
    if Config(**saved) != wanted:
        raise ValueError(f"the checkpoint is of configuration {saved}, not {wanted.as_dict()}")


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


class Ending:
    """Set by SIGTERM and SIGINT: the step in hand is finished, the checkpoint written, and the run can go on later."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask)

    def ask(self, *_: object) -> None:
        """The signals' handler."""
        self.asked = True


def outlook(training: Training, seconds: float, samples: int) -> str:
    """How long the rest of a run takes, from the seconds that some samples took."""
    rate = samples / seconds
    if training.args.samples:
        left = (training.args.samples - training.samples) / rate
    else:
        left = training.args.hours * 3600 - training.seconds
    end = datetime.now() + timedelta(seconds=left)
    return (
        f"{rate:.1f} samples a second: {left / 60:.0f} minutes of training are left, "
        f"{round(training.samples + left * rate)} samples in all, to about {end:%H:%M:%S} without pauses"
    )


def start(args: argparse.Namespace, kind: type[Training] = Training) -> None:
    """Trains until the run's budget is spent, or until it is asked to end."""
    if args.threads:
        torch.set_num_threads(args.threads)
    training = kind(args)
    size = sum(p.numel() for p in training.model.parameters()) / 1e6
    budget = f"{args.samples} samples" if args.samples else f"{args.hours * 60:g} minutes"
    at = f", {training.progress:.0%} of it done" if training.steps else ""
    print(f"{size:.1f} M parameters on {training.device.type}, budget {budget}{at}", flush=True)
    ending = Ending()
    stream = Stream(
        args.shards, args.batch, args.seed + training.steps, weights=json.loads(args.weights), reuse=args.reuse
    ).prefetched(readers=args.readers)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = defaultdict(int)
    saved = begun = time.monotonic()
    first, settled = training.steps, (0.0, 0)
    with open(training.run / "log.jsonl", "a") as log:
        while training.progress < 1 and not ending.asked:
            while (training.run / "PAUSE").exists() and not ending.asked:
                time.sleep(args.pause_poll)
                begun = time.monotonic()
            sample = next(stream)
            for name, value in training.step(sample).items():
                sums[name] = sums[name] + value if name in sums else value
                counts[name] += 1
            now = time.monotonic()
            training.seconds, begun = training.seconds + now - begun, now
            if training.steps - first == SETTLED:
                settled = (training.seconds, training.samples)
            if training.steps - first == 2 * SETTLED:
                print(outlook(training, training.seconds - settled[0], training.samples - settled[1]), flush=True)
            if training.steps % args.report == 0:
                line = {name: round(float(value) / counts[name], 4) for name, value in sums.items()}
                line |= {"steps": training.steps, "samples": training.samples, "skipped": training.skipped}
                line |= {"minutes": round(training.seconds / 60, 1), "progress": round(training.progress, 3)}
                line |= {"samples_per_second": round(training.samples / training.seconds, 2)}
                if training.steps % (args.report * args.validate_every) == 0:
                    line["validation"] = training.validate()
                print(json.dumps(line), file=log, flush=True)
                print(json.dumps(line), flush=True)
                sums.clear()
                counts.clear()
                if time.monotonic() - saved > args.save_every:
                    training.save()
                    saved = time.monotonic()
        training.save()
        if training.progress >= 1:
            print(json.dumps({"end": training.validate(), "samples": training.samples}), file=log, flush=True)


def arguments(line: list[str] | None = None) -> argparse.Namespace:
    """The command line; ends the process with a reason where what it asks for cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "pause", "resume"])
    parser.add_argument("--run", required=True)
    parser.add_argument("--shards")
    parser.add_argument("--val")
    parser.add_argument("--val-shards", type=int, default=10)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--hours", type=float, default=2.0, help="of training time")
    budget.add_argument("--samples", type=int, default=0, help="budget in samples instead of hours")
    parser.add_argument("--batch", type=float, default=16, help="in samples of 256²: larger crops, fewer of them")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--readers", type=int, default=1, help="processes that read shards")
    parser.add_argument("--reuse", type=int, default=0, help="delete a shard that was read so often (0: keep all)")
    parser.add_argument(
        "--weights",
        default="{}",
        help='how often a domain, a kind or a kind of a domain is taken: {"document": 2, "face.authentic": 1.5}',
    )
    parser.add_argument("--report", type=int, default=50, help="steps")
    parser.add_argument("--validate-every", type=int, default=10, help="reports")
    parser.add_argument("--save-every", type=float, default=300.0, help="seconds")
    parser.add_argument("--pause-poll", type=float, default=1.0, help="seconds between looks at the pause file")
    parser.add_argument("--anomaly-from", type=float, default=0.7, help="share of the run without anomaly enhancement")
    parser.add_argument("--heads-until", type=float, default=0.0, help="share of the run that trains only the heads")
    parser.add_argument(
        "--gate-from", type=float, default=0.4, help="share of the run in which the gate's label decides, not the gate"
    )
    parser.add_argument(
        "--freeze-early", action="store_true", help="keep the pretrained network up to stride 8 as it is"
    )
    parser.add_argument("--init", help="checkpoint whose averaged weights to start from; the optimiser starts anew")
    parser.add_argument(
        "--renew", nargs="+", default=[], help="parts of the network that start anew although --init is given: decoder"
    )
    parser.add_argument("--bf16", action="store_true", help="mixed precision on a CPU; on a GPU it is always on")
    parser.add_argument("--pretrained", help="the encoder's weights, where their package is not installed")
    parser.add_argument("--config", default="{}", help="JSON of omni_iml.model.Config")
    args = parser.parse_args(line)
    if args.what == "start":
        if not args.shards or not args.val:
            parser.error("start needs --shards and --val")
        if args.anomaly_from < args.heads_until:
            parser.error("--anomaly-from must not be below --heads-until: anomaly enhancement needs the pyramid")
        if args.samples < 0 or args.hours <= 0:
            parser.error("the budget must be above 0")
    return args


def main() -> None:
    """Command line; see the module's docstring."""
    args = arguments()
    pause = pathlib.Path(args.run) / "PAUSE"
    if args.what == "pause":
        pause.touch()
    elif args.what == "resume":
        pause.unlink(missing_ok=True)
    else:
        try:
            start(args)
        except (FileNotFoundError, ValueError) as error:
            sys.exit(f"train: {error}")


if __name__ == "__main__":
    main()
