"""Trains and measures variants of Omni-IML, and a plain model beside them, at an equal and small budget.

python -m ablate crops   --out SMALL --shards DIR [--side 128]          (smaller crops, for a budget of CPU cores)
python -m ablate train   --out runs/ablation --shards DIR --val DIR --samples 20000 [--only rgb,fused] [train's options]
python -m ablate measure --out runs/ablation --val DIR [--set DIR …] [--limit N]
python -m ablate table   --out runs/ablation
python -m ablate weights --out runs/ablation --to DIR [--only …]     (averaged weights in fp16, to bring away)

Every variant sees the same number of samples of the same shards in the same order. `train` goes on where it was cut
off and ends with a checkpoint when asked to (`timeout 570 python -m ablate train …`). `measure` chooses each variant's
threshold on one half of the validation samples and measures on the other half, and on whole images of the sets; what
was measured is not measured again. `table` writes table.md: figures with paired bootstrap intervals, what the gate
chooses in each domain and after resizing, and the gate against the better of the two modalities.
"""

import argparse
import json
import pathlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

import train
from comparison.fpn import PlainFPN
from evaluate import spread
from omni_iml.conditions import under
from omni_iml.inference import Decoded, analyse, decode
from omni_iml.losses import final_losses
from omni_iml.metrics import auc_of_counts, f1_by_threshold, histogram_counts, mean_interval
from omni_iml.model import DOMAINS, Config, OmniIML
from omni_iml.serving import Serving
from omni_iml.shards import Batch, read
from pack.parcels import averaged_only

# Tile, overlap and gate as they are served; no whole-image view, which is an inference policy and not an architecture.
PIPELINE = {"tile": 768, "tile_step": 64, "overlap": 128, "view": {"weights": [0.0] * 4}, "gate_tiles": 4}
NEVER = "2"
RESIZED = "resize75"
# The gate's own choice, and both modalities forced upon the same network.
CHOICES = {"gate": -1, "rgb": 0, "fused": 1}


class PlainTraining(train.Training):
    """The same training of the plain model: no coarse masks, no gate, no boxes."""

    def build(self) -> nn.Module:
        """See Training."""
        return PlainFPN()

    def losses(self, sample: Batch, p: float) -> dict[str, Tensor]:
        """See Training."""
        mask, qtable, jpeg, domain = (
            part.to(self.device) for part in (sample.mask, sample.qtable, sample.jpeg, sample.domain)
        )
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            early = self.early(sample.pixels) if self.early else None
            out = self.model(sample.pixels.to(self.device).float(), qtable, jpeg, early=early)
            return final_losses(out, mask, domain)


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    title: str
    config: dict = field(default_factory=dict)
    anomaly: bool = True
    training: type[train.Training] = train.Training

    def network(self) -> nn.Module:
        """Untrained."""
        return PlainFPN() if self.training is PlainTraining else OmniIML(Config(**self.config))


VARIANTS = {
    "full": Variant("Omni-IML as released: gated, dynamic, all of the below"),
    "paper": Variant("the paper's own configuration", {"high_pass": False, "correlation": False}),
    "rgb": Variant("RGB only", {"modality": "rgb"}),
    "fused": Variant("always fused", {"modality": "fused"}),
    "static": Variant("fixed weights in the decoder", {"dynamic": False}),
    "no-anomaly": Variant("without anomaly enhancement", anomaly=False),
    "no-high-pass": Variant("without high-pass filters", {"high_pass": False}),
    "no-correlation": Variant("without self-correlation", {"correlation": False}),
    "plain-fpn": Variant("comparison: plain encoder-decoder (FPN)", training=PlainTraining),
}


def train_variants(args: argparse.Namespace, rest: list[str]) -> None:
    """Trains the wanted variants in turn; stops where one was cut off."""
    for name in args.only:
        variant, run = VARIANTS[name], args.out / name
        line = ["start", "--run", str(run), "--shards", args.shards, "--val", args.val]
        line += ["--samples", str(args.samples), "--config", json.dumps(variant.config)]
        line += ["--anomaly-from", args.anomaly_from if variant.anomaly else NEVER, *rest]
        checkpoint = run / "checkpoint.pt"
        if checkpoint.exists() and progress(checkpoint) >= args.samples:
            continue
        print(f"== {name}: {variant.title}", flush=True)
        train.start(train.arguments(line), variant.training)
        if progress(checkpoint) < args.samples:
            print(f"{name} was cut off: the same command goes on", flush=True)
            return


def smaller(args: argparse.Namespace) -> None:
    """Writes each shard's samples cut to args.side² pixels, where the most of the mask's outline is.

    Cuts lie on multiples of 16: blocks of a JPEG, chroma's too, stay where they were. A manipulated sample whose
    outline is nowhere to be seen is left out.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for path in sorted(pathlib.Path(args.shards).glob("shard-*.npz")):
        arrays = read(path)
        span = arrays["pixels"].shape[1] - args.side
        if span < 0:
            continue
        kept = []
        for i, mask in enumerate(arrays["mask"].astype(bool)):
            places = [tuple(16 * rng.integers(0, span // 16 + 1, 2)) for _ in range(8)]
            shares = [mask[y : y + args.side, x : x + args.side].mean() for y, x in places]
            best = int(np.argmin(np.abs(np.array(shares) - 0.3)))
            if not mask.any() or 0.005 < shares[best] < 0.95:
                kept.append((i, *places[best]))
        if kept:
            small = {name: values[[i for i, _, _ in kept]] for name, values in arrays.items()}
            for name in ("pixels", "mask"):
                small[name] = np.stack([arrays[name][i, y : y + args.side, x : x + args.side] for i, y, x in kept])
            np.savez(args.out / path.name, **small)


def progress(checkpoint: pathlib.Path) -> int:
    """Samples that a checkpoint has seen."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["progress"]["samples"]


def bring(args: argparse.Namespace) -> None:
    """Writes what `measure` reads: each trained variant's weights, to be copied to OUT/NAME/checkpoint.pt elsewhere."""
    args.to.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        checkpoint = args.out / name / "checkpoint.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            torch.save(averaged_only(state), args.to / f"{name}.pt")


class TorchSession:
    """A network as inference.analyse calls it; `choice` −1 leaves the modality to the caller."""

    def __init__(self, network: nn.Module, device: torch.device, choice: int = -1):
        self.graph = Serving(network).to(device)
        self.device = device
        self.choice = choice

    def run(self, pixels: np.ndarray, qtable: np.ndarray, jpeg: np.ndarray, override: int) -> dict[str, np.ndarray]:
        """A batch uint8 [N, H, W, 3], [N, 64], [N]; the graph's outputs."""
        override = override if self.choice < 0 else self.choice
        inputs = (
            torch.from_numpy(np.ascontiguousarray(pixels)),
            torch.from_numpy(qtable.astype(np.int32)),
            torch.from_numpy(jpeg.astype(np.uint8)),
            torch.full((len(pixels),), override, dtype=torch.int8),
        )
        with torch.no_grad():
            found = self.graph(*(part.to(self.device) for part in inputs))
        return dict(
            zip(("probability", "score", "gate", "domain"), (part.cpu().numpy() for part in found), strict=True)
        )

    def __call__(self, pixels: np.ndarray, qtable: np.ndarray, jpeg: bool, override: int = -1) -> dict[str, np.ndarray]:
        """See inference.Session."""
        found = self.run(pixels[None], qtable[None], np.array([jpeg]), override)
        return {name: value[0] for name, value in found.items()}


@dataclass
class Seen:
    """One image measured: level counts inside and outside its mask, and what the gate chose."""

    domain: str
    positive: np.ndarray
    negative: np.ndarray
    fused: bool

    def row(self, threshold: int) -> dict:
        """Its figures at a threshold of 0…255."""
        row = {"domain": self.domain, "fused": self.fused, "forged": bool(self.positive.sum())}
        if row["forged"]:
            f1 = f1_by_threshold(self.positive, self.negative)
            area = auc_of_counts(self.positive, self.negative)
            row |= {"f1": float(f1[threshold]), "best_f1": float(f1[1:].max())}
            row |= {"auc": None if np.isnan(area) else area}
        return row


def crops(folder: pathlib.Path, condition: str) -> Iterator[dict[str, np.ndarray]]:
    """Batches of the validation shards' samples under a condition."""
    for path in sorted(folder.glob("shard-*.npz")):
        arrays = read(path)
        for start in range(0, len(arrays["jpeg"]), 16):
            part = {name: value[start : start + 16] for name, value in arrays.items()}
            if condition != "as-is":
                changed = [
                    under(Decoded(pixels, table, bool(jpeg)), mask.astype(bool), condition)
                    for pixels, table, jpeg, mask in zip(
                        part["pixels"], part["qtable"], part["jpeg"], part["mask"], strict=True
                    )
                ]
                images, masks = zip(*changed, strict=True)
                part |= {"pixels": np.stack([image.pixels for image in images]), "mask": np.stack(masks)}
                part |= {"qtable": np.stack([image.qtable for image in images])}
                part |= {"jpeg": np.array([image.jpeg for image in images])}
            yield part


def on_crops(session: TorchSession, folder: pathlib.Path, condition: str) -> list[Seen]:
    """The validation samples, in order."""
    seen = []
    for part in crops(folder, condition):
        found = session.run(part["pixels"], part["qtable"], part["jpeg"], -1)
        for i, domain in enumerate(part["domain"]):
            counts = histogram_counts(found["probability"][i], part["mask"][i])
            seen.append(Seen(DOMAINS[int(domain)], *counts, bool(found["gate"][i] > 0.5)))
    return seen


def on_images(session: TorchSession, folder: pathlib.Path, condition: str, limit: int) -> list[Seen]:
    """Whole images of a set, in order."""
    seen = []
    for entry in spread(folder, limit):
        image, mask = under(decode(str(folder / entry["dest"])), entry["mask"], condition)
        found = analyse(session, image, PIPELINE)
        probability = np.round(found.tiles * 255).astype(np.uint8)
        truth = np.zeros(probability.shape, bool) if mask is None else mask
        seen.append(Seen(entry["domain"], *histogram_counts(probability, truth), found.gate > 0.5))
    return seen


def best_threshold(seen: list[Seen]) -> int:
    """The threshold of 1…255 at which the mean F1 of the forged samples is highest."""
    curves = [f1_by_threshold(one.positive, one.negative) for one in seen if one.positive.any()]
    return 1 + int(np.mean(curves, 0)[1:].argmax())


def measure(args: argparse.Namespace) -> None:
    """Figures of every trained variant that has none yet, into figures.json of its run."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name in args.only:
        checkpoint, out = args.out / name / "checkpoint.pt", args.out / name / "figures.json"
        if not checkpoint.exists():
            continue
        known = json.loads(out.read_text()) if out.exists() else {"rows": {}}
        network = VARIANTS[name].network()
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["ema"])
        network.to(device, memory_format=torch.channels_last).eval()
        sources: dict[str, Callable[[TorchSession, str], list[Seen]]] = {}
        if args.val:
            sources["validation"] = lambda session, condition: on_crops(session, pathlib.Path(args.val), condition)
        for folder in map(pathlib.Path, args.set):
            sources[folder.name] = lambda session, condition, folder=folder: on_images(
                session, folder, condition, args.limit
            )
        # The gate is looked at in the full model alone: forced to either modality, and on resized samples.
        looked_at = name == "full"
        for source, look in sources.items():
            for condition, choice in [("as-is", choice) for choice in (CHOICES if looked_at else ["gate"])] + (
                [(RESIZED, "gate")] if looked_at else []
            ):
                key = f"{source}|{condition}|{choice}"
                if key in known["rows"]:
                    continue
                seen = look(TorchSession(network, device, CHOICES[choice]), condition)
                if source == "validation":
                    if key == "validation|as-is|gate":
                        known["threshold"] = best_threshold(seen[::2])
                    seen = seen[1::2]
                if "threshold" not in known:
                    raise SystemExit("ablate: measure on validation shards first: they give the threshold")
                known["rows"][key] = [one.row(known["threshold"]) for one in seen]
                known["samples"] = state["progress"]["samples"]
                out.write_text(json.dumps(known))
                print(f"{name}, {key}: {len(seen)} measured", flush=True)


def forged(rows: list[dict], figure: str, domain: str | None) -> np.ndarray:
    """One figure of every forged image, in order, NaN where it has none; of one domain or all."""
    chosen = [row[figure] for row in rows if row["forged"] and domain in (None, row["domain"])]
    return np.array([np.nan if value is None else value for value in chosen], float)


def interval(values: np.ndarray, signed: bool = False) -> str:
    """Mean and interval as text."""
    values = values[~np.isnan(values)]
    if not len(values):
        return "–"
    middle, low, high = mean_interval(values)
    return f"{middle:{'+' if signed else ''}.3f} [{low:.3f}, {high:.3f}]"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures_table(figures: dict[str, dict], source: str) -> str:
    """Variants by domain: F1 at the variant's own threshold, AUC, and the paired differences from the full one."""
    key = f"{source}|as-is|gate"
    measured_ = {name: one["rows"][key] for name, one in figures.items() if key in one["rows"]}
    reference = measured_.get("full")
    names = [domain for domain in DOMAINS if any(len(forged(rows, "f1", domain)) for rows in measured_.values())]
    lines = []
    for name, rows in measured_.items():
        cells = [
            f"{name}: {VARIANTS[name].title}",
            interval(forged(rows, "f1", None)),
            interval(forged(rows, "auc", None)),
        ]
        same = reference is not None and name != "full"
        cells += [
            interval(forged(rows, f, None) - forged(reference, f, None), True) if same else "" for f in ("f1", "auc")
        ]
        lines.append(cells + [f"{np.nanmean(forged(rows, 'f1', domain)):.3f}" for domain in names])
    head = ["variant", "F1", "AUC", "F1 against full", "AUC against full", *(f"F1 {name}" for name in names)]
    return markdown(head, lines)


def gate_table(figures: dict[str, dict], source: str) -> str:
    """By domain: what the gate chooses, as is and resized; and its F1 less the better of the two modalities'.

    "Forced": the same network made to take one modality. "Trained": the variants that know only one.
    """
    full = figures["full"]["rows"]
    own = full[f"{source}|as-is|gate"]
    alone = {
        "forced": [full[f"{source}|as-is|{choice}"] for choice in ("rgb", "fused")],
        "trained": [
            figures[name]["rows"][f"{source}|as-is|gate"]
            for name in ("rgb", "fused")
            if f"{source}|as-is|gate" in figures.get(name, {"rows": {}})["rows"]
        ],
    }
    lines = []
    for domain in [*DOMAINS, None]:
        chosen = [
            [row["fused"] for row in full.get(f"{source}|{condition}|gate", []) if domain in (None, row["domain"])]
            for condition in ("as-is", RESIZED)
        ]
        if not chosen[0]:
            continue
        line = [domain or "all", str(len(chosen[0])), *(f"{np.mean(c):.0%}" if c else "–" for c in chosen)]
        for rivals in alone.values():
            f1 = [forged(rows, "f1", domain) for rows in rivals]
            better = max(f1, key=np.nanmean) if f1 and len(f1[0]) else None
            line.append("–" if better is None else interval(forged(own, "f1", domain) - better, True))
        lines.append(line)
    head = ["domain", "images", "fused chosen", "fused chosen after resizing"]
    return markdown([*head, "F1 less the better one, forced", "F1 less the better one, trained"], lines)


def table(args: argparse.Namespace) -> str:
    """All tables of what was measured, as Markdown."""
    figures = {}
    for name in VARIANTS:
        path = args.out / name / "figures.json"
        if path.exists():
            figures[name] = json.loads(path.read_text())
    if not figures:
        raise SystemExit(f"ablate: nothing was measured in {args.out}")
    seen = defaultdict(list)
    for name, one in figures.items():
        seen[one["samples"]].append(name)
    budget = "; ".join(f"{', '.join(names)}: {samples} samples" for samples, names in sorted(seen.items()))
    parts = [f"Budget: {budget}. F1 at each variant's own threshold, 95 % paired bootstrap intervals."]
    for source in dict.fromkeys(key.split("|")[0] for one in figures.values() for key in one["rows"]):
        parts += [f"**{source}**", figures_table(figures, source)]
        if f"{source}|as-is|fused" in figures.get("full", {"rows": {}})["rows"]:
            parts.append(gate_table(figures, source))
    return "\n\n".join(parts) + "\n"


def variants(text: str) -> list[str]:
    """Names of variants, separated by commas; raises ArgumentTypeError at an unknown one."""
    names = text.split(",")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown variants {', '.join(unknown)}; there are {', '.join(VARIANTS)}")
    return names


def main(line: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["crops", "train", "measure", "table", "weights"])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", type=variants, default=list(VARIANTS), help="names of variants, with commas")
    parser.add_argument("--shards")
    parser.add_argument("--val")
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--anomaly-from", default="0.5")
    parser.add_argument("--set", action="append", default=[], help="image set to measure on; may be repeated")
    parser.add_argument("--to", type=pathlib.Path, help="where `weights` writes NAME.pt")
    parser.add_argument("--side", type=int, default=128, help="of `crops`, in pixels, a multiple of 16")
    parser.add_argument("--limit", type=int, default=0, help="images of a set, at equal distances (0: all)")
    args, rest = parser.parse_known_args(line)
    if args.what == "train":
        if not args.shards or not args.val:
            parser.error("train needs --shards and --val")
        train_variants(args, rest)
        return
    if rest:
        parser.error(f"unknown arguments {' '.join(rest)}")
    if args.what == "crops":
        if not args.shards or args.side % 16:
            parser.error("crops needs --shards and a side that is a multiple of 16")
        smaller(args)
        return
    if args.what == "weights":
        if not args.to:
            parser.error("weights needs --to")
        bring(args)
        return
    if args.what == "measure":
        measure(args)
    text = table(args)
    (args.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
