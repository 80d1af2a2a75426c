"""Exports a trained head with its evidence as release/interpretation.onnx and as a section of release/manifest.json.

    python -m interpretation.export --head head.pt --figures figures.json --version 0.1.0 [--out release]

`figures.json` is what evaluate.py wrote; calibration and thresholds come from it. Checks the graph against PyTorch.
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch

from export import release
from interpretation import views
from interpretation.network import Evidence, Interpreter
from interpretation.train import load
from interpretation.vocabulary import KINDS, TITLES

OPSET = 18
LARGEST = 8_000_000  # bytes
INPUTS = {
    "views": ("uint8", ["N", 3, views.SIDE, views.SIDE, 3]),
    "masks": ("uint8", ["N", 3, views.SIDE, views.SIDE]),
    "facts": ("float32", ["N", len(views.FACTS)]),
}
OUTPUTS = {
    "kind": ("float32", ["N", len(KINDS)]),
    "artifacts": ("float32", ["N", len(TITLES)]),
    "confirmed": ("float32", ["N"]),
}
KIND_FROM, CONFIRMED_FROM = 0.4, 0.5  # below: no kind is named; more likely a false alarm


def example(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs of the right types, with a region in each view."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (count, 3, views.SIDE, views.SIDE, 3), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(count, 3, views.SIDE, views.SIDE, dtype=torch.uint8)
    masks[:, :, 60:120, 50:140] = 255
    facts = torch.tensor([[0.1, 0.4, 0.3, 0.8, 640, 480, 1, 0.9, 0.05, 0.03, 0.02]]).repeat(count, 1)
    return pictures, masks, facts


def export_onnx(interpreter: Interpreter, path: pathlib.Path) -> None:
    """Writes the graph, fp32, N dynamic."""
    names = [*INPUTS, *OUTPUTS]
    torch.onnx.export(
        interpreter.eval(),
        example(),
        str(path),
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_axes={name: {0: "N"} for name in names},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))


def difference(interpreter: Interpreter, path: pathlib.Path) -> float:
    """Largest difference of any output between PyTorch and onnxruntime, over batches of 1 and 3."""
    session, worst = onnxruntime.InferenceSession(path), 0.0
    for count in (1, 3):
        feed = example(count)
        with torch.no_grad():
            wanted = interpreter(*feed)
        found = session.run(list(OUTPUTS), {name: one.numpy() for name, one in zip(INPUTS, feed, strict=True)})
        worst = max([worst, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, wanted, strict=True))])
    return worst


def section(path: pathlib.Path, version: str, figures: dict) -> dict:
    """The manifest's section; see README.md."""
    kept = ("training", "true_masks", "predicted_masks", "confirmed_auc")
    return {
        "version": version,
        "model": {
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
            "opset": OPSET,
        },
        "side": views.SIDE,
        "views": list(views.VIEWS),
        "facts": list(views.FACTS),
        "kinds": list(KINDS),
        "artifacts": list(TITLES),
        "thresholds": {"kind": KIND_FROM, "confirmed": CONFIRMED_FROM, "artifacts": figures["thresholds"]},
        "calibration": figures["calibration"],
        "figures": {name: figures[name] for name in kept},
    }


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=pathlib.Path, required=True)
    parser.add_argument("--figures", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("release"))
    args = parser.parse_args()
    heads, calibration, _ = load(args.head)
    interpreter = Interpreter(Evidence(), heads, calibration)
    path = args.out / "interpretation.onnx"
    export_onnx(interpreter, path)
    worst = difference(interpreter, path)
    if worst > 1e-3 or path.stat().st_size > LARGEST:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, differs from PyTorch by {worst:.1e}")
    file = args.out / "manifest.json"
    manifest = json.loads(file.read_text())
    part = section(path, args.version, json.loads(args.figures.read_text()))
    policy = {name: manifest[name] for name in ("pipeline", "thresholds", "score")}
    manifest["release"] = release(manifest["version"], manifest["model"]["sha256"], policy, part)
    ordered = {name: value for name, value in manifest.items() if name not in ("interpretation", "training", "figures")}
    tail = {name: manifest[name] for name in ("training", "figures")}
    file.write_text(json.dumps(ordered | {"interpretation": part} | tail, indent=2) + "\n")
    print(f"{path} {path.stat().st_size / 1e6:.2f} MB, differs by {worst:.1e}; release {manifest['release']}")


if __name__ == "__main__":
    main()
