"""Evidence of many regions with what is true of them, computed once and kept: what the head learns from.

    python -m interpretation.dataset --shards SHARDS --out ROWS --localizer release/omni-iml.onnx --predicted 0.25

Of every forged sample its true regions, some of them blurred out of shape; of authentic ones regions of other samples'
shape; and, of a share of the samples, what the localization network itself finds, right or wrong. ROWS is a folder of
parts; a stopped run goes on where it was.
"""

import argparse
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime
import torch

from interpretation.annotation import artifacts, instances_of, traced
from interpretation.causes import Deeds
from interpretation.forged import samples
from interpretation.network import Evidence
from interpretation.views import Shown, show
from interpretation.vocabulary import DOMAINS, KIND_OF, KINDS, TITLES
from omni_iml.inference import Session

PART = 64  # samples a part
MOST = 1  # regions of a sample, largest first
AUTHENTIC = 0.4  # of the authentic samples that are taken: they teach only what is no manipulation
LEAST_AREA = 60  # px of a region
BENT = 0.4  # of true regions whose outline is blurred out of shape
HIT, MISS = 0.5, 0.1  # share of a predicted region that is manipulated: from HIT on a true one, below MISS a false one
ORIGINS = ("true", "bent", "predicted", "elsewhere")


@dataclass
class Row:
    """One region. kind is −1 and titles are zeros where nothing was manipulated."""

    shown: Shown
    kind: int
    titles: np.ndarray
    confirmed: bool
    domain: int
    origin: int
    sample: int


def evidence_graph(threads: int = 1) -> onnxruntime.InferenceSession:
    """`Evidence` by onnxruntime: a third of PyTorch's time on a CPU."""
    path = pathlib.Path(f"/tmp/omni-iml-evidence-{time.time_ns()}.onnx")
    shapes = (torch.zeros(1, 3, 192, 192, 3, dtype=torch.uint8), torch.zeros(1, 3, 192, 192, dtype=torch.uint8))
    names = ["views", "masks", "facts"]
    torch.onnx.export(
        Evidence().eval(),
        (*shapes, torch.zeros(1, 11)),
        str(path),
        input_names=names,
        output_names=["evidence"],
        dynamic_axes={name: {0: "N"} for name in [*names, "evidence"]},
        dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options)
    path.unlink()
    return session


def bent(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A region as a coarse map would draw it: blurred, grown or shrunk, in steps of four pixels; bool, same shape."""
    height, width = region.shape
    coarse = cv2.resize(
        region.astype(np.float32), (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA
    )
    sigma = max(0.5, float(rng.uniform(0.01, 0.04)) * np.sqrt(region.sum()))
    noise = cv2.GaussianBlur(rng.standard_normal(coarse.shape).astype(np.float32), (0, 0), sigma)
    coarse = cv2.GaussianBlur(coarse, (0, 0), sigma) + noise * sigma * float(rng.uniform(0, 0.8))
    found = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) > rng.uniform(0.25, 0.6)
    parts = [part for part in instances_of(found) if (part & region).any()]
    return parts[0] if parts and parts[0].sum() >= LEAST_AREA else region


class Regions:
    """Draws the rows of a sample."""

    def __init__(self, localizer: Session | None, predicted: float, seed: int, bent: float = BENT):
        self.localizer = localizer
        self.predicted = predicted
        self.bent = bent
        self.rng = np.random.default_rng(seed)
        self.shapes: list[np.ndarray] = []

    def domain(self, index: int) -> np.ndarray:
        """Domain probabilities as uncertain as the localization network's, where it is not asked."""
        other = self.rng.dirichlet(np.full(4, 0.5))
        share = float(self.rng.beta(1, 6))
        return (1 - share) * np.eye(4)[index] + share * other

    def rows(self, number: int, sample: dict) -> Iterator[Row]:
        """All rows of one sample."""
        mask, index = sample["mask"].astype(bool), int(sample["domain"])
        found, domain = None, None
        if self.localizer and self.rng.random() < self.predicted:
            out = self.localizer(sample["pixels"], sample["qtable"], bool(sample["jpeg"]))
            found, domain = out["probability"].astype(np.float32) / 255, out["domain"]
        for region in instances_of(mask)[:MOST]:
            self.shapes = [*self.shapes[-40:], region]
            seen, origin = region, 0
            if self.rng.random() < self.bent:
                seen, origin = bent(region, self.rng), 1
            certainty = float(self.rng.uniform(0.5, 0.97)) if found is None else float(found[seen].mean())
            yield self.row(
                number, sample, seen, region, certainty, self.domain(index) if domain is None else domain, origin
            )
        if not mask.any() and self.shapes:
            shape = self.shapes[self.rng.integers(len(self.shapes))]
            if shape.shape == mask.shape:
                seen = bent(shape, self.rng) if self.rng.random() < 0.6 else shape
                certainty = float(self.rng.uniform(0.5, 0.97))
                yield self.row(number, sample, seen, None, certainty, self.domain(index), 3)
        if found is None:
            return
        for region in instances_of(found >= 0.5)[:MOST]:
            share = float(mask[region].mean())
            if region.sum() < LEAST_AREA or MISS <= share < HIT:
                continue
            # Titles are those of the true region that was mostly found.
            true = max(instances_of(mask), key=lambda one: int((one & region).sum()), default=None) if share else None
            true = true if share >= HIT else None
            yield self.row(number, sample, region, true, float(found[region].mean()), domain, 2)

    def row(
        self,
        number: int,
        sample: dict,
        seen: np.ndarray,
        true: np.ndarray | None,
        certainty: float,
        domain: np.ndarray,
        origin: int,
    ) -> Row:
        """The row of a region `seen` that is `true` (bool masks), or nothing where that is None."""
        made, pixels = sample["made"], np.ascontiguousarray(sample["pixels"])
        titles, kind = np.zeros(len(TITLES), np.uint8), -1
        if true is not None:
            deeds = Deeds.of(made)
            found = artifacts(made["domain"], deeds.kind, *traced(deeds, pixels, true, sample["mask"].astype(bool)))
            titles[[TITLES.index(title) for title in found]] = 1
            kind = KINDS.index(KIND_OF[deeds.kind])
        shown = show(pixels, seen, certainty, bool(sample["jpeg"]), domain)
        return Row(shown, kind, titles, true is not None, DOMAINS.index(made["domain"]), origin, number)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--localizer", help="ONNX of the localization network, for predicted regions")
    parser.add_argument("--predicted", type=float, default=0.25, help="share of the samples that it is run on")
    parser.add_argument("--bent", type=float, default=BENT, help="share of true regions that are blurred out of shape")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=10**9)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    graph = evidence_graph()
    regions = Regions(Session(args.localizer, 1) if args.localizer else None, args.predicted, args.seed, args.bent)
    rows: list[dict] = []
    last: tuple = ()
    for number, sample in samples(args.shards, args.seed):
        if number >= args.samples:
            break
        part = args.out / f"part-{number // PART:05d}.npz"
        if part.exists():
            continue
        regions.rng = np.random.default_rng([args.seed, number])
        # The second rendering of a composite teaches little that the first has not.
        composite = (sample["made"]["source"], sample["made"]["operations"])
        again, last = composite == last, composite
        authentic = sample["made"]["kind"] == "authentic"
        skipped = regions.rng.random() > AUTHENTIC if authentic else again
        for row in [] if skipped else regions.rows(number, sample):
            shown = {"views": row.shown.views[None], "masks": row.shown.masks[None], "facts": row.shown.facts[None]}
            rows.append(
                {
                    "evidence": graph.run(None, shown)[0][0].astype(np.float16),
                    "kind": np.int8(row.kind),
                    "titles": row.titles,
                    "confirmed": np.uint8(row.confirmed),
                    "domain": np.uint8(row.domain),
                    "origin": np.uint8(row.origin),
                    "sample": np.int32(row.sample),
                }
            )
        if number % PART == PART - 1 and rows:
            temporary = part.with_suffix(".tmp")
            with open(temporary, "wb") as file:
                np.savez(file, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
            temporary.rename(part)
            print(f"{part.name}: {len(rows)} regions, {time.process_time():.0f} s of CPU", flush=True)
            rows = []


if __name__ == "__main__":
    main()
