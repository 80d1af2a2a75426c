"""What the gate chooses, and what that is worth: `python -m gate_figures --onnx release/omni-iml.onnx --pool POOL`.

For each domain `--count` samples are forged from validation photographs, as they are and after resizing, and the graph
runs as the gate wants and with either modality forced. Prints how often the fused features pass, F1 at 0.5 of the
forged samples each way, and the paired difference between the gate and the better one (95 % bootstrap interval).
"""

import argparse
import itertools
import multiprocessing
import pathlib

import numpy as np

from forge.pool import Pool
from forge.sample import DOMAINS, Forger, Sample
from omni_iml.conditions import under
from omni_iml.inference import Decoded, Session
from omni_iml.metrics import mean_interval, pixel_figures

SHOWN = ("as-is", "resize75")
A_SHARD = 63
SIDES = 32  # of the graph: what a condition leaves is cut to multiples


def measured(session: Session, sample: Sample, condition: str) -> tuple[bool, list[float] | None]:
    """Whether the gate passes fused features, and the F1 of the gate, RGB and fused; None of an authentic sample."""
    image, mask = under(Decoded(sample.pixels, sample.qtable, sample.jpeg), sample.mask, condition)
    height, width = (side // SIDES * SIDES for side in mask.shape)
    pixels, mask = np.ascontiguousarray(image.pixels[:height, :width]), mask[:height, :width]
    found = {way: session(pixels, image.qtable, image.jpeg, way) for way in ((-1, 0, 1) if mask.any() else (-1,))}
    fused = bool(found[-1]["gate"] > 0.5)
    if not mask.any():
        return fused, None
    return fused, [pixel_figures(found[way]["probability"], mask)["f1"] for way in (-1, 0, 1)]


def domain_lines(task: tuple[argparse.Namespace, str]) -> list[str]:
    """The table's lines of one domain."""
    args, domain = task
    forger, session = Forger(Pool(args.pool, "val")), Session(args.onnx, 1)
    shards = (forger.shard(args.seed, index, A_SHARD, domain) for index in itertools.count())
    samples = list(itertools.islice(itertools.chain.from_iterable(shards), args.count))
    lines = []
    for condition in SHOWN:
        rows = [measured(session, sample, condition) for sample in samples]
        chosen = np.mean([fused for fused, _ in rows])
        f1 = np.array([figures for _, figures in rows if figures is not None])
        gate, rgb, fused = f1.mean(0)
        against = "RGB" if rgb > fused else "fused"
        mean, low, high = mean_interval(f1[:, 0] - f1[:, 1 if rgb > fused else 2])
        lines.append(
            f"| {domain} | {condition} | {len(rows)} | {chosen:.0%} | {len(f1)} | {gate:.3f} | {rgb:.3f} | {fused:.3f} "
            f"| {against} {mean:+.3f} [{low:+.3f}, {high:+.3f}] |"
        )
    return lines


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--pool", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=500, help="samples a domain")
    parser.add_argument("--seed", type=int, default=970)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print("| domain | condition | samples | fused | forged | F1: gate | RGB | fused | gate against the better |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with multiprocessing.Pool(args.workers) as workers:
        for lines in workers.imap(domain_lines, [(args, domain) for domain in DOMAINS], chunksize=1):
            print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
