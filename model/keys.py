"""Learns by what self-correlation knows a place again: `python -m keys --pool POOL --out omni_iml/matching.npz`.

Two views of the same photograph are shifted, in part turned, scaled, brightened or blurred, and each saved. Among all
places of the second one, each place of the first has to find its own: a contrastive loss, whose hardest negatives are
the photograph's own windows, leaves and bricks. The 3×3 convolution that learns it starts from the principal components
of the frozen encoder's features. Takes about six minutes on one core.
"""

import argparse
import csv
import math
import pathlib

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.frozen import FrozenEarly
from omni_iml.model import OmniIML

SIDE = 256
CELL = 8
REACH = 20  # px that the second view is shifted by at most
TEMPERATURE = 0.07
TOO_NEAR = 2.0  # cells around the true place that are neither right nor wrong
RATE = 1e-3
PAIRS_A_STEP = 4
OTHER_DOMAINS = 6  # of documents, faces and street scenes one in so many: copies are made in photographs


class Views:
    """Pairs of views of pool images, and the affine map [2, 3] from the first one's pixels to the second's."""

    def __init__(self, pool: pathlib.Path, seed: int):
        self.folder = pool
        self.rng = np.random.default_rng(seed)
        with open(pool / "index.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.names = [row["dest"] for row in rows if row["domain"] == "natural"]
        self.names += [row["dest"] for row in rows if row["domain"] != "natural"][::OTHER_DOMAINS]

    def image(self) -> np.ndarray | None:
        """An image of the pool at a random scale, uint8 [H, W, 3] BGR; None where it is too small."""
        rng = self.rng
        image = cv2.imread(str(self.folder / self.names[rng.integers(len(self.names))]))
        if image is None:
            return None
        factor = rng.choice([1, 0.75, 0.5, 0.35]) if min(image.shape[:2]) > 800 else rng.choice([1, 1, 0.8])
        if factor < 1:
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return image if min(image.shape[:2]) >= SIDE + 80 else None

    def pair(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Two views uint8 [SIDE, SIDE, 3] RGB and the map between them."""
        rng, half = self.rng, SIDE // 2
        while True:
            image = self.image()
            if image is None:
                continue
            x = rng.integers(half + 40, image.shape[1] - half - 39)
            y = rng.integers(half + 40, image.shape[0] - half - 39)
            first = image[y - half : y + half, x - half : x + half]
            if first.std() >= 12:
                break
        angle = rng.normal(0, 8) if rng.random() < 0.35 else 0.0
        scale = float(np.exp(rng.normal(0, 0.1))) if rng.random() < 0.35 else 1.0
        turn = cv2.getRotationMatrix2D((float(x), float(y)), angle, scale)
        turn[:, 2] += (half, half) - np.array([x, y]) + rng.integers(-REACH, REACH + 1, 2)
        exact = angle == 0 and scale == 1
        second = cv2.warpAffine(
            image,
            turn,
            (SIDE, SIDE),
            flags=cv2.INTER_NEAREST if exact else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        between = turn.copy()
        between[:, 2] += turn[:, :2] @ np.array([x - half, y - half])
        if rng.random() < 0.3:
            changed = second * rng.uniform(0.92, 1.08) + rng.uniform(-8, 8)
            second = np.clip(changed, 0, 255).astype(np.uint8)
        if rng.random() < 0.15:
            second = cv2.GaussianBlur(second, (0, 0), rng.uniform(0.4, 1.0))
        quality = rng.uniform(60, 100) if rng.random() < 0.75 else None
        if quality:
            other = quality if rng.random() < 0.5 else rng.uniform(60, 100)
            first, second = saved(first, quality), saved(second, other)
        return first[:, :, ::-1], second[:, :, ::-1], between


def saved(image: np.ndarray, quality: float) -> np.ndarray:
    """The image as a JPEG file shows it."""
    _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.imdecode(file, cv2.IMREAD_COLOR)


def targets(between: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Where each place of the first view's coarse grid [P] lies among the second's cells: (index, inside, too near)."""
    side = SIDE // CELL
    row, column = np.mgrid[:side, :side]
    centre = np.stack([column[::2, ::2].ravel(), row[::2, ::2].ravel()], 1) * CELL + (CELL - 1) / 2
    cell = (centre @ between[:, :2].T + between[:, 2] - (CELL - 1) / 2) / CELL
    nearest = np.round(cell).astype(int)
    inside = ((nearest >= 1) & (nearest <= side - 2)).all(1)
    index = np.clip(nearest[:, 1] * side + nearest[:, 0], 0, side * side - 1)
    apart = np.maximum(np.abs(column.ravel() - cell[:, :1]), np.abs(row.ravel() - cell[:, 1:]))
    near = apart < TOO_NEAR
    near[np.arange(len(index)), index] = False
    return torch.from_numpy(index), torch.from_numpy(inside), torch.from_numpy(near)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = OmniIML()
    model.network.load_pretrained()
    early = FrozenEarly(model.eval().vision, 1)
    views = Views(args.pool, args.seed)

    def features(image: np.ndarray) -> Tensor:
        quarter, eighth = early(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None])
        return torch.cat([functional.avg_pool2d(quarter, 2), eighth], 1)

    seen = torch.cat([features(views.pair()[0]) for _ in range(150)])
    mean, deviation = seen.mean((0, 2, 3)), seen.std((0, 2, 3))

    def normal(image: np.ndarray) -> Tensor:
        return (features(image) - mean[:, None, None]) / deviation[:, None, None]

    patches = functional.unfold((seen - mean[:, None, None]) / deviation[:, None, None], 3, padding=1)
    patches = patches.permute(0, 2, 1).reshape(-1, patches.shape[1])
    patches = patches - patches.mean(0)
    variance, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
    variance, axes = variance.flip(0)[: args.width], axes.flip(1)[:, : args.width]
    key = nn.Conv2d(len(mean), args.width, 3, padding=1)
    with torch.no_grad():
        key.weight.copy_((axes / (variance.sqrt() + 0.1)).T.reshape(key.weight.shape))
        key.bias.zero_()
    optimiser = torch.optim.AdamW(key.parameters(), lr=RATE, weight_decay=1e-4)
    steps = args.pairs // PAIRS_A_STEP
    found: list[float] = []
    for step in range(steps):
        losses = []
        for _ in range(PAIRS_A_STEP):
            first, second, between = views.pair()
            index, inside, near = targets(between)
            query = functional.normalize(key(normal(first))[0], dim=0)[:, ::2, ::2].flatten(1)
            similarity = query.T @ functional.normalize(key(normal(second))[0], dim=0).flatten(1) / TEMPERATURE
            similarity = similarity.masked_fill(near, -1e4)[inside]
            losses.append(functional.cross_entropy(similarity, index[inside]))
            found.append(float((similarity.argmax(1) == index[inside]).float().mean()))
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 20) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()
        if step % 100 == 99:
            print(f"{(step + 1) * PAIRS_A_STEP} pairs: {np.mean(found[-400:]):.3f} of the places found", flush=True)
    arrays = {"mean": mean, "deviation": deviation, **key.state_dict()}
    np.savez(args.out, **{name: value.numpy() for name, value in arrays.items()})


if __name__ == "__main__":
    main()
