"""Holds PyTorch and onnxruntime-node together.

python -m parity check  --checkpoint CKPT --onnx release/omni-iml.onnx --images DIR [--limit 40]
python -m parity record --checkpoint CKPT --onnx release/omni-iml.onnx --images ../test/samples --out release/parity

`check` runs real images through both and fails where they differ by more than the bounds below. `record` writes
PyTorch's outputs on images that may be published, against which gpu-runner/inference/parity.test.ts holds the released
file without PyTorch or the checkpoint.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

from export import load
from omni_iml.inference import Decoded, decode
from omni_iml.serving import OUTPUTS, Serving

RUNNER = pathlib.Path(__file__).parent.parent / "gpu-runner" / "inference" / "tensors.ts"
NODE = pathlib.Path(__file__).parent.parent / "node_modules" / ".bin" / "node"
SIDE = 512
# Bounds of the model contract.
GATE_MARGIN = 0.05
WITHIN_ONE = 0.999
WORST = 8
SCORE = 1e-3


def middle(image: Decoded) -> tuple[int, int, np.ndarray]:
    """Left, top and pixels of the image's middle: at most SIDE pixels a side, multiples of 32, on the block grid."""
    height, width = image.pixels.shape[:2]
    h, w = (min(SIDE, side // 32 * 32) for side in (height, width))
    top, left = ((whole - part) // 16 * 8 for whole, part in ((height, h), (width, w)))
    return left, top, image.pixels[top : top + h, left : left + w].copy()


def torch_outputs(serving: Serving, pixels: np.ndarray, image: Decoded) -> dict[str, np.ndarray]:
    """What PyTorch says of one crop."""
    with torch.no_grad():
        found = serving(
            torch.from_numpy(pixels)[None],
            torch.from_numpy(image.qtable)[None],
            torch.tensor([int(image.jpeg)], dtype=torch.uint8),
            torch.tensor([-1], dtype=torch.int8),
        )
    return dict(zip(OUTPUTS, (t[0].numpy() for t in found), strict=True))


def node_outputs(onnx: str, pixels: np.ndarray, image: Decoded) -> dict[str, np.ndarray]:
    """What onnxruntime-node says of the same crop."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "pixels": pixels,
            "qtable": image.qtable.astype("<i4"),
            "jpeg": np.array([image.jpeg], np.uint8),
            "override": np.array([-1], np.int8),
        }
        command = [str(NODE), str(RUNNER), "--model", onnx, "--shape", f"1,{pixels.shape[0]},{pixels.shape[1]}"]
        for name, value in given.items():
            (pathlib.Path(folder) / name).write_bytes(value.tobytes())
            command += [f"--{name}", f"{folder}/{name}"]
        subprocess.run([*command, "--out", folder], check=True)
        shapes = {
            "probability": ("u1", pixels.shape[:2]),
            "score": ("<f4", ()),
            "gate": ("<f4", ()),
            "domain": ("<f4", (4,)),
        }
        return {
            name: np.fromfile(f"{folder}/{name}.bin", kind).reshape(shape) for name, (kind, shape) in shapes.items()
        }


def compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict:
    """Differences of one crop, and whether they are within the bounds."""
    difference = np.abs(ours["probability"].astype(int) - theirs["probability"])
    same_gate = bool((ours["gate"] > 0.5) == (theirs["gate"] > 0.5)) or abs(float(ours["gate"]) - 0.5) <= GATE_MARGIN
    row = {
        "same_gate": same_gate,
        "within_one": float((difference <= 1).mean()),
        "worst": int(difference.max()),
        "score": float(abs(ours["score"] - theirs["score"])),
    }
    row["fits"] = same_gate and row["within_one"] >= WITHIN_ONE and row["worst"] <= WORST and row["score"] <= SCORE
    return row


def released_shift(onnx: str) -> float:
    """What the export added to the mask's logits, from the manifest beside the ONNX file."""
    return json.loads((pathlib.Path(onnx).parent / "manifest.json").read_text())["training"]["map_shift"]


def check(args: argparse.Namespace) -> None:
    """Compares on real images and exits 1 where a bound is broken."""
    serving = Serving(load(args.checkpoint)[0], released_shift(args.onnx))
    kinds = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in pathlib.Path(args.images).rglob("*") if path.suffix.lower() in kinds)
    rows = []
    for path in paths[:: max(1, len(paths) // args.limit)][: args.limit]:
        image = decode(str(path))
        _, _, pixels = middle(image)
        row = compare(torch_outputs(serving, pixels, image), node_outputs(args.onnx, pixels, image))
        rows.append(row)
        if not row["fits"]:
            print(path, row)
    print(
        f"{len(rows)} images: gate agrees on {sum(row['same_gate'] for row in rows)}, "
        f"least share of pixels within 1/255 {min(row['within_one'] for row in rows):.5f}, "
        f"worst pixel {max(row['worst'] for row in rows)}/255, largest score difference "
        f"{max(row['score'] for row in rows):.1e}"
    )
    sys.exit(0 if all(row["fits"] for row in rows) else 1)


def record(args: argparse.Namespace) -> None:
    """Writes PyTorch's outputs: a grey PNG per image, and parity.json."""
    serving = Serving(load(args.checkpoint)[0], released_shift(args.onnx))
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for path in sorted(pathlib.Path(args.images).glob("*.jpg")):
        image = decode(str(path))
        left, top, pixels = middle(image)
        found = torch_outputs(serving, pixels, image)
        Image.fromarray(found["probability"]).save(out / f"{path.stem}.png")
        numbers = {name: found[name].astype(float).round(6).tolist() for name in ("score", "gate", "domain")}
        h, w = pixels.shape[:2]
        written[path.name] = {"left": left, "top": top, "width": w, "height": h, **numbers}
    (out / "parity.json").write_text(json.dumps(written, indent=2) + "\n")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "record"])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--onnx", default="release/omni-iml.onnx")
    parser.add_argument("--images", required=True)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--out", default="release/parity")
    args = parser.parse_args()
    (check if args.what == "check" else record)(args)


if __name__ == "__main__":
    main()
