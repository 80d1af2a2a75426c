"""Exports a checkpoint as a release: model/release/omni-iml.onnx and its manifest.

python -m export --checkpoint CKPT --version 0.1.0 [--shift S] [--policy policy.json] [--figures figures.json]

`--shift` and `policy.json` (`pipeline`, `thresholds`, `score`) come from calibrate.py; what is not given is taken from
POLICY below.
"""

import argparse
import hashlib
import json
import pathlib

import torch

from omni_iml.model import Config, OmniIML
from omni_iml.serving import INPUTS, OUTPUTS, export_onnx

OPSET = 18
POLICY = {
    "pipeline": {
        "tile": 768,
        "tile_step": 64,
        "overlap": 128,
        "view": {
            "size": 384,
            "weights": [0.4, 0.2, 0.4, 0.2],  # by domain
            "enlarged": {"up_to": 576, "factor": 1.5, "size": 768},
        },
        "gate_tiles": 4,
    },
    "thresholds": {"pixel": 0.5, "tampered": 0.6, "clear": 0.4, "region_area_fraction": 0.0005},
    "score": {"features": ["q99", "network"], "weights": [4.0, 1.0], "bias": -2.0},
}
TRAINING_DATA = (
    "Forged on the fly from pristine public images (natural, document, face, scene text); see model/README.md for the "
    "sets and their licences. One sample in seven was forged by others (Lalonde-Efros). No evaluation set was used."
)


def load(path: str) -> tuple[OmniIML, dict]:
    """The model of a checkpoint with its averaged weights, and what the checkpoint says of its training."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model = OmniIML(Config(**checkpoint["config"]))
    model.load_state_dict(checkpoint["ema"])
    return model.eval(), checkpoint["progress"]


def release(version: str, sha256: str, policy: dict, interpretation: dict | None) -> str:
    """Names models, pipeline and thresholds together: what may change a result changes it."""
    keyed = [sha256, policy]
    if interpretation:
        keyed.append([interpretation["model"]["sha256"], interpretation["thresholds"]])
    return f"{version}-{hashlib.sha256(json.dumps(keyed, sort_keys=True).encode()).hexdigest()[:12]}"


def manifest(onnx: pathlib.Path, version: str, policy: dict, training: dict, figures: dict) -> dict:
    """What edge and runner read; `release` changes with the weights, the pipeline and the thresholds."""
    sha256 = hashlib.sha256(onnx.read_bytes()).hexdigest()
    # The interpretation module is exported by itself (interpretation/export.py): a new localization keeps it.
    written = onnx.parent / "manifest.json"
    kept = json.loads(written.read_text()).get("interpretation") if written.exists() else None
    section = {"interpretation": kept} if kept else {}
    return {
        "name": "omni-iml",
        "version": version,
        "release": release(version, sha256, policy, kept),
        "precision": "fp32",
        "licence": "Apache-2.0",
        "model": {"file": onnx.name, "sha256": sha256, "bytes": onnx.stat().st_size, "opset": OPSET},
        "inputs": [{"name": name, "type": kind, "shape": shape} for name, (kind, shape) in INPUTS.items()],
        "outputs": [{"name": name, "type": kind, "shape": shape} for name, (kind, shape) in OUTPUTS.items()],
        **policy,
        **section,
        "training": {"data": TRAINING_DATA, **training},
        "figures": figures,
    }


def rewrite(path: pathlib.Path, written: dict, version: str) -> None:
    """Saves a manifest of which the policy was changed, with a new version and release, and prints its name."""
    policy = {name: written[name] for name in POLICY}
    named = release(version, written["model"]["sha256"], policy, written.get("interpretation"))
    path.write_text(json.dumps(written | {"version": version, "release": named}, indent=2) + "\n")
    print(f"release {named}")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--shift", type=float, default=0.0, help="added to the mask's logits")
    parser.add_argument("--policy")
    parser.add_argument("--figures")
    parser.add_argument("--out", default="release")
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model, training = load(args.checkpoint)
    onnx = out / "omni-iml.onnx"
    export_onnx(model, str(onnx), OPSET, args.shift)
    policy = POLICY | (json.loads(pathlib.Path(args.policy).read_text()) if args.policy else {})
    figures = json.loads(pathlib.Path(args.figures).read_text()) if args.figures else {}
    written = manifest(onnx, args.version, policy, training | {"map_shift": args.shift}, figures)
    (out / "manifest.json").write_text(json.dumps(written, indent=2) + "\n")
    print(f"{onnx} {onnx.stat().st_size / 1e6:.1f} MB, release {written['release']}")


if __name__ == "__main__":
    main()
