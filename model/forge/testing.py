"""A small made-up pool, so that the tests need no data; set FORGE_POOL to run them on a real one."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from .page import render_page
from .pool import FACE_LANDMARKS, Pool
from .sample import Forger


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Something like a photograph: coloured noise of many scales with hard-edged shapes on it."""
    pixels = np.zeros((height, width, 3), np.float32)
    for sigma in (1, 4, 16, 48):
        pixels += (
            cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), sigma) * sigma * 9
        )
    pixels += rng.uniform(60, 190, 3).astype(np.float32)
    for _ in range(12):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(10, 90)), int(rng.integers(10, 90)))
        cv2.ellipse(pixels, centre, axes, float(rng.uniform(0, 180)), 0, 360, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def _write_boxes(path: Path, quads: np.ndarray, words: tuple[str, ...]) -> None:
    lines = [
        ",".join(str(round(float(value))) for value in quad.reshape(-1)) + "," + word
        for quad, word in zip(quads, words, strict=True)
    ]
    path.write_text("\n".join(lines), "utf-8")


@pytest.fixture(scope="session")
def pool_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pool with all four domains."""
    if os.environ.get("FORGE_POOL"):
        return Path(os.environ["FORGE_POOL"])
    folder = tmp_path_factory.mktemp("pool")
    rng = np.random.default_rng(5)
    rows = []

    def add(dest: str, domain: str, name: str, pixels: np.ndarray) -> Path:
        path = folder / dest
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
        rows.append([dest, domain, name, pixels.shape[1], pixels.shape[0]])
        return path

    for number in range(40):
        side = rng.integers(300, 620, 2)
        add(f"natural/made/{number:03d}.jpg", "natural", "imagenet-samples", texture(rng, int(side[0]), int(side[1])))
    for number in range(8):
        page = render_page(rng)
        path = add(f"document/made/{number:03d}.jpg", "document", "pages", page.pixels)
        _write_boxes(path.with_suffix(".csv"), page.quads, page.words)
        page = render_page(rng)
        path = add(f"scene_text/made/{number:03d}.jpg", "scene_text", "signs", page.pixels)
        _write_boxes(path.with_suffix(".txt"), page.quads, page.words)
    with open(FACE_LANDMARKS, newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[:8]:
            extent = np.array(row[1:], float).reshape(-1, 2).max(axis=0).astype(int) + 150
            add(row[0], "face", "caltech-faces", texture(rng, int(extent[1]), int(extent[0])))
    with open(folder / "index.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["dest", "domain", "set", "width", "height"])
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def forger(pool_folder: Path) -> Forger:
    """Of both splits: the made-up pool is small."""
    return Forger(Pool(pool_folder, "all"), 256)
