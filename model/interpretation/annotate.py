"""Annotates manipulated images after Omni-273k by a vision-language model, in the three steps of the paper.

    python -m interpretation.annotate --images DIR --masks DIR --domain natural --out annotations.jsonl \\
        --url http://127.0.0.1:8000/v1 --model Qwen2.5-VL-7B-Instruct [--price-in 0.2 --price-out 0.6] --yes

(1) find the instances, (2) describe the artifacts of each, (3) have the model check its own answer and drop what fails.
First says how many questions and about how many tokens that takes, and what they cost at the prices given (per million
tokens); asks them only with --yes. The mask of DIR/a.jpg is MASKS/a.png, not zero where manipulated. A line is written
for each image once it is complete: stopped, the same command goes on where it was. Images that fail are listed in
OUT.failed.jsonl and tried again by the next run. The key, if any, comes from OMNI_IML_VLM_KEY.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import threading

import numpy as np
from jsonschema import ValidationError, validate
from PIL import Image

from . import prompts
from .annotation import SCHEMA, instances_of, place
from .endpoint import Endpoint, EndpointError, picture, words
from .validate import problems
from .views import close_up_box
from .vocabulary import DOMAINS, KINDS

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
LONGEST = 1024  # px of a picture as it is sent
CHARACTERS_A_TOKEN, PIXELS_A_TOKEN, ANSWER_TOKENS = 4, 28 * 28, 220  # Qwen2.5-VL: one token for 28×28 pixels
NONSENSE = 2  # answers against the schema that are asked again


def pairs(images: pathlib.Path, masks: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Images with their masks, by name; raises FileNotFoundError for an image without one."""
    found = []
    for image in sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES):
        mask = masks / f"{image.stem}.png"
        if not mask.is_file():
            raise FileNotFoundError(f"{image} has no mask {mask}")
        found.append((image, mask))
    return found


def read(image: pathlib.Path, mask: pathlib.Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pixels uint8 [H,W,3] and the masks of the instances, largest first. Raises ValueError where sizes differ."""
    with Image.open(image) as file:
        pixels = np.asarray(file.convert("RGB"))
    with Image.open(mask) as file:
        region = np.asarray(file.convert("L")) > 0
    if region.shape != pixels.shape[:2]:
        raise ValueError(f"{mask} is {region.shape[1]}×{region.shape[0]}, {image} {pixels.shape[1]}×{pixels.shape[0]}")
    return pixels, instances_of(region)


def picture_tokens(width: int, height: int) -> int:
    """About what one picture costs once it is shrunk to LONGEST."""
    scale = min(1.0, LONGEST / max(width, height))
    return int(width * scale * height * scale / PIXELS_A_TOKEN) + 1


def estimate(work: list[tuple[pathlib.Path, pathlib.Path]]) -> tuple[int, int, int]:
    """Questions, tokens in, tokens out, about; opens the masks only."""
    questions, tokens_in = 0, 0
    text = len(prompts.SYSTEM + prompts.describe(1, "x" * 60)) // CHARACTERS_A_TOKEN
    for _, mask in work:
        with Image.open(mask) as file:
            region = np.asarray(file.convert("L")) > 0
        height, width = region.shape
        one, count = picture_tokens(width, height), len(instances_of(region))
        questions += 1 + 2 * count
        tokens_in += (2 * one + text) + 2 * count * (3 * one + text)
    return questions, tokens_in, questions * ANSWER_TOKENS


def asked(endpoint: Endpoint, parts: list[dict], schema: dict) -> dict:
    """An answer that keeps to the schema; asks again NONSENSE times, then raises EndpointError."""
    for attempt in range(NONSENSE + 1):
        try:
            answer = endpoint.ask(prompts.SYSTEM, parts, schema)
            validate(answer, schema)
            return answer
        except (ValidationError, EndpointError) as error:
            if attempt == NONSENSE or "refused" in str(error):
                reason = error.message if isinstance(error, ValidationError) else str(error)
                raise EndpointError(f"no useful answer: {reason}") from error
    raise AssertionError("unreachable")


def annotate(endpoint: Endpoint, name: str, domain: str, pixels: np.ndarray, regions: list[np.ndarray]) -> dict:
    """The record of one manipulated image, by three steps. Raises EndpointError."""
    height, width = pixels.shape[:2]
    mask = np.any(regions, axis=0)
    marked = prompts.reference(pixels, mask)
    both = [picture(pixels, LONGEST), picture(marked, LONGEST)]
    boxes = [[int(v) for v in _box(region)] for region in regions]
    found = asked(endpoint, [*both, words(prompts.find(width, height, boxes))], prompts.FOUND)
    told = {instance["id"]: instance for instance in found["instances"]}
    instances, dropped = [], 0
    for number, box in enumerate(boxes, 1):
        one = told.get(f"i{number}")
        if one is None:
            dropped += 1
            continue
        left, top, right, bottom = close_up_box(tuple(box), width, height)
        close = picture(np.ascontiguousarray(pixels[top:bottom, left:right]), LONGEST)
        parts = [*both, close]
        claims = asked(endpoint, [*parts, words(prompts.describe(number, one["content"]))], prompts.DESCRIBED)
        claims = list({claim["title"]: claim for claim in claims["artifacts"]}.values())
        checked = asked(endpoint, [*parts, words(prompts.verify(number, one["content"], claims))], prompts.VERIFIED)
        visible = {claim["title"] for claim in checked["claims"] if claim["visible"]}
        kept = [claim for claim in claims if claim["title"] in visible]
        dropped += len(claims) - len(kept)
        if not checked["content_is_right"]:
            dropped += 1
            continue
        instances.append(
            {
                "id": f"i{number}",
                "content": one["content"],
                "position": {
                    "absolute": {"bbox": box, "place": place(box, width, height)},
                    "relative": one["relative"],
                },
                "area_fraction": float(regions[number - 1].mean()),
                "artifacts": kept,
            }
        )
    return {
        "schema": SCHEMA,
        "image": {"name": name, "width": width, "height": height},
        "domain": domain,
        "manipulation": found["manipulation"] if found["manipulation"] in KINDS else None,
        "instances": instances,
        "annotator": {"type": "model", "name": endpoint.model, "dropped": dropped},
    }


def _box(region: np.ndarray) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def written(out: pathlib.Path) -> set[str]:
    """Names of the images that are annotated already; a last line cut off by a crash is taken off the file."""
    if not out.exists():
        return set()
    data = out.read_bytes()
    if data and not data.endswith(b"\n"):
        out.write_bytes(data[: data.rfind(b"\n") + 1])
    return {json.loads(line)["image"]["name"] for line in out.read_text(encoding="utf-8").splitlines() if line.strip()}


def run(endpoint: Endpoint, work: list, domain: str, out: pathlib.Path, at_once: int = 4) -> tuple[int, int]:
    """Annotates the images, `at_once` at a time; how many were written and how many failed."""
    lock, counts, failures = threading.Lock(), [0, 0], out.with_suffix(out.suffix + ".failed.jsonl")
    failures.unlink(missing_ok=True)

    def one(image: pathlib.Path, mask: pathlib.Path) -> None:
        try:
            record = annotate(endpoint, image.name, domain, *read(image, mask))
            wrong = [*problems(record)]
            if wrong:
                raise EndpointError(f"the record is not valid: {wrong[0]}")
            path, line, index = out, record, 0
        except (EndpointError, ValueError, OSError) as error:
            path, line, index = failures, {"image": image.name, "reason": str(error)}, 1
        with lock, open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            counts[index] += 1

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for future in [pool.submit(one, *pair) for pair in work]:
            future.result()
    return counts[0], counts[1]


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--masks", type=pathlib.Path, required=True)
    parser.add_argument("--domain", choices=DOMAINS, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--url", required=True, help="base URL of the endpoint, ending in /v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--price-in", type=float, default=0.0, help="per million tokens")
    parser.add_argument("--price-out", type=float, default=0.0, help="per million tokens")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--yes", action="store_true", help="ask, having seen the estimate")
    args = parser.parse_args()
    every = pairs(args.images, args.masks)
    done = written(args.out)
    work = [pair for pair in every if pair[0].name not in done]
    questions, tokens_in, tokens_out = estimate(work)
    cost = (tokens_in * args.price_in + tokens_out * args.price_out) / 1e6
    print(
        f"{len(work)} of {len(every)} images to annotate: {questions} questions, about {tokens_in:,} tokens in and "
        f"{tokens_out:,} out" + (f", about {cost:.2f} at these prices" if cost else "")
    )
    if not args.yes:
        print("Nothing was asked yet; the same command with --yes asks.")
        return
    endpoint = Endpoint(args.url, args.model, os.environ.get("OMNI_IML_VLM_KEY", ""))
    count, failed = run(endpoint, work, args.domain, args.out, args.at_once)
    print(f"{count} annotated, {failed} failed; used {endpoint.tokens_in:,} tokens in, {endpoint.tokens_out:,} out")
    if failed:
        sys.exit(f"see {args.out}.failed.jsonl; the same command tries them again")


if __name__ == "__main__":
    main()
