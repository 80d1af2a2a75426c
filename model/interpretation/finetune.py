"""Exports annotated images as conversations that vision-language models are fine-tuned on; see FINETUNE.md.

    python -m interpretation.finetune --shards SHARDS --out DATA [--samples 20000] [--held-out 0.02]
    python -m interpretation.finetune --records annotations.jsonl --images DIR --masks DIR --out DATA

Writes DATA/images/*.png (lossless: the traces are in the pixels), DATA/train.jsonl and DATA/held-out.jsonl (one
conversation a line: `messages` and `images`, as ms-swift and LLaMA-Factory read them), and DATA/dataset_info.json for
the latter.
"""

import argparse
import json
import pathlib
import re
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from . import prompts
from .annotate import SUFFIXES, read
from .annotation import annotate
from .forged import samples


def conversation(record: dict, image: str, marked: str) -> dict:
    """One line of training: both pictures and the question, and the record's answer."""
    boxes = [instance["position"]["absolute"]["bbox"] for instance in record["instances"]]
    answer = {
        "manipulation": record["manipulation"] or "unknown",
        "instances": [
            {
                "id": f"r{number}",
                "content": instance["content"],
                "relative": re.sub(r"\bi(\d+)\b", r"r\1", instance["position"]["relative"] or "") or None,
                "artifacts": instance["artifacts"],
            }
            for number, instance in enumerate(record["instances"], 1)
        ],
    }
    asked = prompts.question(record["image"]["width"], record["image"]["height"], boxes)
    return {
        "messages": [
            {"role": "system", "content": prompts.SERVED},
            {"role": "user", "content": f"<image><image>{asked}"},
            {"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)},
        ],
        "images": [image, marked],
    }


def from_shards(folders: list[pathlib.Path]) -> Iterator[tuple[str, dict, np.ndarray, np.ndarray]]:
    """(group, record, pixels, mask) of forged samples; a group's samples show the same photo."""
    for number, sample in samples(folders, 0):
        mask, made = sample["mask"].astype(bool), sample["made"]
        if mask.any():
            name = f"{number:07d}"
            yield made["source"], annotate(made, sample["pixels"], mask, name), sample["pixels"], mask


def from_records(
    file: pathlib.Path, images: pathlib.Path, masks: pathlib.Path
) -> Iterator[tuple[str, dict, np.ndarray, np.ndarray]]:
    """The same from a file of records and the images they are about."""
    there = {path.name: path for path in images.iterdir() if path.suffix.lower() in SUFFIXES}
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        path = there[record["image"]["name"]]
        pixels, regions = read(path, masks / f"{path.stem}.png")
        if record["instances"] and regions:
            yield path.name, record, pixels, np.any(regions, axis=0)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--shards", type=pathlib.Path, nargs="+")
    source.add_argument("--records", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path)
    parser.add_argument("--masks", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=int, default=10**9)
    parser.add_argument("--held-out", type=float, default=0.02, help="share of the photos")
    args = parser.parse_args()
    if args.records and not (args.images and args.masks):
        parser.error("--records needs --images and --masks")
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    found = from_shards(args.shards) if args.shards else from_records(args.records, args.images, args.masks)
    counts = {"train": 0, "held-out": 0}
    files = {part: open(args.out / f"{part}.jsonl", "w", encoding="utf-8") for part in counts}
    for group, record, pixels, mask in found:
        if sum(counts.values()) == args.samples:
            break
        # By photo: two samples of one photo never lie on both sides.
        part = "held-out" if zlib.crc32(group.encode()) / 2**32 < args.held_out else "train"
        stem = pathlib.PurePath(record["image"]["name"]).stem
        names = [f"images/{stem}.png", f"images/{stem}-reference.png"]
        for name, picture in zip(names, (pixels, prompts.reference(pixels, mask)), strict=True):
            Image.fromarray(picture).save(args.out / name)
        files[part].write(json.dumps(conversation(record, *names), ensure_ascii=False) + "\n")
        counts[part] += 1
    for file in files.values():
        file.close()
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    info = {
        f"omni-273k-{part}": {
            "file_name": f"{part}.jsonl",
            "formatting": "sharegpt",
            "columns": columns,
            "tags": tags | {"system_tag": "system"},
        }
        for part in counts
    }
    (args.out / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n")
    print(f"{counts['train']} conversations to train on, {counts['held-out']} held out")


if __name__ == "__main__":
    main()
