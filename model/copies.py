"""How much more the map believes of what was copied inside the image: chosen on whole validation images.

ls WHOLE/*/natural_* | node ../gpu-runner/evidence/copy-move/list.ts > copies.jsonl    (the search is the runner's)
python -m copies --copies copies.jsonl --set WHOLE --release release --version 0.12.0

Of two places that show the same down to their grain one was pasted, and the network reacts more to that, but often too
little. By how much its logits are raised, from which difference on it is told from its original, and from which logit
on the network sees anything of it: what gives the forged images with such places the highest F1 at 0.5, less what of
the authentic ones is flagged; of settings that come close, the one that changes the fewest authentic images and asks
the network for most. It is written into the manifest as `pipeline.copies`, with a new version and release; all else
stays.
"""

import argparse
import csv
import json
import pathlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product, repeat

import numpy as np
from PIL import Image

from export import rewrite
from omni_iml.inference import Session, above_floor, analyse, decode, prominent, raised
from omni_iml.metrics import pixel_figures

RAISES = (2.0, 3.0, 4.0, 5.0)
LEAST_DIFFERENCES = (0.25, 0.5, 1.0)
LEAST_LOGITS = (-9.0, -3.0, -2.0, -1.0)
# Of F1 of a forged image: below, settings are told apart by chance.
GAIN = 0.005
NOTHING = {"raise": 0.0, "least_difference": 0.0, "least_logit": 0.0}


@dataclass
class Shown:
    """An image in which places show the same."""

    levels: np.ndarray  # uint8 [H, W], tiles and view mixed
    mask: np.ndarray | None  # bool [H, W], None where authentic
    copies: list[dict]

    def worth(self, policy: dict, pipeline: dict) -> tuple[float, bool]:
        """F1 at 0.5 of a forged image, of an authentic one the flagged share of its area; and whether it is changed."""
        levels = raised(self.levels, self.copies, policy)
        changed = not np.array_equal(levels, self.levels)
        found = prominent(above_floor(levels, pipeline["relative_floor"]), pipeline["least_prominence"])
        return float((found >= 128).mean()) if self.mask is None else pixel_figures(found, self.mask)["f1"], changed


def choose(shown: list[Shown], pipeline: dict) -> dict:
    """The policy; prints what each is worth."""
    forged = np.array([one.mask is not None for one in shown])
    settings = [
        {"raise": by, "least_difference": difference, "least_logit": least}
        for by, difference, least in product(RAISES, LEAST_DIFFERENCES, LEAST_LOGITS)
    ]
    worth, changed = [], []
    for policy in [NOTHING, *settings]:
        with ThreadPoolExecutor() as threads:
            figures, raises = np.array(list(threads.map(Shown.worth, shown, repeat(policy), repeat(pipeline)))).T
        count, flagged, touched = (~forged).sum(), figures[~forged].sum(), int(raises[~forged].sum())
        print(
            f"{policy}: F1 of {forged.sum()} forged images {figures[forged].mean():.4f}; of {count} authentic ones "
            f"{touched} changed, {flagged / max(1, count):.4f} of their area flagged",
            flush=True,
        )
        worth.append((figures[forged].sum() - figures[~forged].sum()) / forged.sum())
        changed.append(touched)
    close = [i for i in range(1, len(worth)) if worth[i] >= max(worth) - GAIN]
    return settings[min(close, key=lambda i: (changed[i], -settings[i - 1]["least_logit"], -worth[i])) - 1]


def examine(session: Session, folder: pathlib.Path, found: list[dict], pipeline: dict) -> list[Shown]:
    """Runs the images of a set in which copies were found. Raises ValueError where one is not in the set's index."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = {row["dest"]: row for row in csv.DictReader(file)}
    shown = []
    for one in found:
        if not one["copies"]:
            continue
        name = "/".join(one["file"].split("/")[-2:])
        if name not in rows:
            raise ValueError(f"{one['file']} is not in the set's index")
        mask = None
        if rows[name]["label"] == "1":
            with Image.open(folder / rows[name]["mask"]) as image:
                mask = np.asarray(image.convert("L")) > 127
        plain = replace(analyse(session, decode(one["file"]), pipeline), relative_floor=0.0, least_prominence=0.0)
        shown.append(Shown(np.round(plain.blended() * 255).astype(np.uint8), mask, one["copies"]))
    return shown


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--set", type=pathlib.Path, required=True)
    parser.add_argument("--release", type=pathlib.Path, required=True, help="folder of the graph and its manifest")
    parser.add_argument("--version", required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    found = [json.loads(line) for path in args.copies for line in path.read_text().splitlines()]
    written = args.release / "manifest.json"
    manifest = json.loads(written.read_text())
    session = Session(str(args.release / manifest["model"]["file"]), args.threads)
    shown = examine(session, args.set, found, manifest["pipeline"])
    chosen = choose(shown, manifest["pipeline"])
    print(f"of {len(found)} images, {len(shown)} show the same place twice; chosen: {chosen}")
    manifest["pipeline"]["copies"] = chosen
    rewrite(written, manifest, args.version)


if __name__ == "__main__":
    main()
