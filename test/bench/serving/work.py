"""The work of one job in Python: what the runner does, for servers of other makes.

Download the image from object storage and check its digest, decode on the stored grid, cut tiles at multiples of 8,
let the gate of a few tiles choose one modality, run the same ONNX file by onnxruntime, blend with raised cosines, mix
in the view of the whole image, lower echoes, encode map and mask as PNG, upload both. Written with NumPy, OpenCV,
Pillow, httpx as somebody who builds such a service would write it: transfers on the event loop, the model in `threads`
threads. `bench:serving` checks that the maps agree.
"""

import asyncio
import hashlib
import io
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import onnxruntime as ort
from PIL import Image

STRIDE, LEAST_SIDE, BLOCK, THRESHOLD = 32, 64, 8, 0.5
GATE_DECIDES, USE_RGB, USE_FUSED = -1, 0, 1


def round_up(value: int, multiple: int) -> int:
    """The next multiple that is not less than `value`."""
    return math.ceil(value / multiple) * multiple


def tiles_along(length: int, tile: int, step: int, overlap: int) -> tuple[int, list[int]]:
    """Side and origins of as few tiles as possible along a side, as small as that allows, evenly on the block grid."""
    if length <= tile:
        return min(tile, round_up(length, STRIDE)), [0]
    count = math.ceil((length - overlap) / (tile - overlap))
    side = min(tile, round_up(math.ceil((length + (count - 1) * overlap) / count), step))
    last = round_up(length - side, BLOCK)
    return side, [i * last // (count - 1) // BLOCK * BLOCK for i in range(count)]


def windows(starts: list[int], tile: int, overlap: int) -> list[np.ndarray]:
    """For each origin the weights along the tile, float32 [tile]; at every coordinate they sum to 1."""
    index = np.arange(tile)
    raw = []
    for i in range(len(starts)):
        from_start = index if i > 0 else np.full(tile, overlap)
        from_end = index[::-1] if i < len(starts) - 1 else np.full(tile, overlap)
        nearest = np.minimum(from_start, from_end)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (nearest + 0.5) / overlap)
        raw.append(np.where(nearest >= overlap, 1.0, ramp).astype(np.float32))
    sums = np.zeros(starts[-1] + tile, np.float32)
    for start, window in zip(starts, raw, strict=True):
        sums[start : start + tile] += window
    return [window / sums[start : start + tile] for start, window in zip(starts, raw, strict=True)]


class Localiser:
    """One ONNX session and the release's pipeline."""

    def __init__(self, release: Path, threads: int) -> None:
        manifest = json.loads((release / "manifest.json").read_text())
        self.pipeline = manifest["pipeline"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # As in the runner: threads that spin take the cores from everything else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = str(release / manifest["model"]["file"])
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(
        self, pixels: np.ndarray, qtable: np.ndarray, jpeg: int, override: int
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Map uint8 [H,W], gate and domain [4] of one tile, uint8 [H,W,3]."""
        probability, gate, domain = self.session.run(
            ["probability", "gate", "domain"],
            {
                "pixels": pixels[None],
                "qtable": qtable[None],
                "jpeg": np.array([jpeg], np.uint8),
                "modality_override": np.array([override], np.int8),
            },
        )
        return probability[0], float(gate[0]), domain[0]

    def locate(self, image: Image.Image) -> np.ndarray:
        """The image's map, uint8 [H,W]."""
        table = getattr(image, "quantization", None)
        jpeg = int(table is not None and image.mode in ("RGB", "L"))
        qtable = np.array(table[0] if jpeg else [1] * 64, np.int32)
        rgb = np.asarray(image.convert("RGB"))
        height, width = rgb.shape[:2]
        tile, step, overlap = (self.pipeline[name] for name in ("tile", "tile_step", "overlap"))
        side_x, columns = tiles_along(width, tile, step, overlap)
        side_y, rows = tiles_along(height, tile, step, overlap)
        bottom, right = rows[-1] + side_y - height, columns[-1] + side_x - width
        padded = np.pad(rgb, ((0, max(0, bottom)), (0, max(0, right)), (0, 0)), mode="edge")
        places = [(y, x) for y in rows for x in columns]

        def cut(index: int) -> np.ndarray:
            y, x = places[index]
            return np.ascontiguousarray(padded[y : y + side_y, x : x + side_x])

        taken = min(self.pipeline["gate_tiles"], len(places))
        deciding = [int((i + 0.5) * len(places) / taken) for i in range(taken)]
        first = {i: self.run(cut(i), qtable, jpeg, GATE_DECIDES) for i in deciding}
        fused = sum(gate for _, gate, _ in first.values()) / taken > 0.5
        override = USE_FUSED if fused else USE_RGB
        across, down = windows(columns, side_x, overlap), windows(rows, side_y, overlap)
        total = np.zeros(padded.shape[:2], np.float32)
        for i, (y, x) in enumerate(places):
            reusable = i in first and (first[i][1] > 0.5) == fused
            found = first[i][0] if reusable else self.run(cut(i), qtable, jpeg, override)[0]
            weight = down[i // len(columns)][:, None] * across[i % len(columns)][None]
            total[y : y + side_y, x : x + side_x] += found * weight
        domain = np.mean([one for _, _, one in first.values()], axis=0)
        levels = self.with_view(total[:height, :width], rgb, float(domain @ self.pipeline["view"]["weights"]))
        return without_echoes(levels, self.pipeline.get("least_prominence", 0.0))

    def with_view(self, total: np.ndarray, rgb: np.ndarray, weight: float) -> np.ndarray:
        """The tiles' map with the view of the whole image mixed in, rounded: uint8 [H,W]."""
        height, width = total.shape
        view = self.pipeline["view"]
        if any(view["weights"]):
            longest, enlarged = max(width, height), view["enlarged"]
            scale = min(1.0, view["size"] / longest)
            if longest <= enlarged["up_to"]:
                scale = min(enlarged["factor"], enlarged["size"] / longest)
            across, down = (max(LEAST_SIDE, int(side * scale / STRIDE + 0.5) * STRIDE) for side in (width, height))
            # libvips, which the runner has, enlarges by cubic interpolation whatever the kernel that it shrinks with.
            kernel = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
            shown = np.asarray(Image.fromarray(rgb).resize((across, down), kernel))
            turn = slice(None, None, -1 if view.get("mirrored") else 1)
            turned = np.ascontiguousarray(shown[:, turn])
            found = np.ascontiguousarray(self.run(turned, np.ones(64, np.int32), 0, USE_RGB)[0][:, turn])
            # Between the four nearest values, whichever of the two is the larger.
            to = (across / width, 0, 0, 0, down / height, 0)
            stretched = Image.fromarray(found).transform(
                (width, height), Image.Transform.AFFINE, to, Image.Resampling.BILINEAR
            )
            mixed = logit(total) * (1 - weight) + logit(np.asarray(stretched, np.float32)) * weight
            total = 255 / (1 + np.exp(-mixed))
        return np.floor(total + 0.5).astype(np.uint8)

    def analyse(self, data: bytes) -> dict[str, bytes]:
        """Map and mask of an image file as PNG files."""
        probability = self.locate(Image.open(io.BytesIO(data)))
        mask = np.where(probability >= math.ceil(THRESHOLD * 255), 255, 0).astype(np.uint8)
        return {"probability": encoded(probability), "mask": encoded(mask)}


def logit(levels: np.ndarray) -> np.ndarray:
    """Of levels 0 to 255; 0 and 255 stand for what rounds to them."""
    bounded = np.clip(levels, 0.25, 254.75)
    return np.log(bounded / (255 - bounded))


def without_echoes(levels: np.ndarray, least: float) -> np.ndarray:
    """Connected parts from one half on whose mean logit is below `least` of the largest such mean, lowered to 127."""
    reacts = levels >= 128
    if least <= 0 or not reacts.any():
        return levels
    count, parts = cv2.connectedComponents(reacts.astype(np.uint8), connectivity=8)
    sums = np.bincount(parts[reacts], logit(levels[reacts]), count)
    means = sums / np.maximum(np.bincount(parts[reacts], minlength=count), 1)
    return np.where(reacts & (means < least * means.max())[parts], np.uint8(127), levels)


def encoded(grey: np.ndarray) -> bytes:
    """An 8-bit grey PNG."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", compress_level=6)
    return file.getvalue()


class Worker:
    """Jobs from presigned URL to presigned URLs; made where an event loop runs."""

    def __init__(self) -> None:
        threads = int(os.environ["BENCH_THREADS"])
        self.localiser = Localiser(Path(os.environ["BENCH_RELEASE"]), threads)
        # As many as there are cores: more sessions at once only take turns.
        self.pool = ThreadPoolExecutor(threads)
        self.client = httpx.AsyncClient(timeout=60)

    async def do(self, input_url: str, sha256: str, outputs: dict[str, str]) -> dict[str, str]:
        """Downloads, checks, localises and uploads; the digests of what was uploaded.

        Raises ValueError where the image is not the one that was meant, httpx.HTTPError where storage does not answer.
        """
        answer = await self.client.get(input_url)
        data = answer.raise_for_status().content
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("the image has another digest")
        loop = asyncio.get_running_loop()
        files = await loop.run_in_executor(self.pool, self.localiser.analyse, data)

        async def upload(name: str) -> None:
            answer = await self.client.put(outputs[name], content=files[name], headers={"content-type": "image/png"})
            answer.raise_for_status()

        await asyncio.gather(*(upload(name) for name in files))
        return {name: hashlib.sha256(file).hexdigest() for name, file in files.items()}
