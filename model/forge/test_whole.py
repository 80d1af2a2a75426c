from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .pool import Pool
from .sample import DOMAINS
from .testing import texture
from .whole import File, Studio, composed, draw_area, shift_completed, uneven_alpha, write_set

COUNTS = {"natural": 7, "document": 3, "face": 3, "scene_text": 3}


@pytest.fixture(scope="module")
def folder(pool_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set, forged from both splits: the made-up pool is small."""
    made = tmp_path_factory.mktemp("whole")
    write_set(Studio(Pool(pool_folder, "all"), 5), made, COUNTS)
    return made


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_set_has_images_and_masks_of_one_size_in_every_domain(folder: Path) -> None:
    for row in rows(folder):
        with Image.open(folder / row["dest"]) as image:
            assert image.size == (int(row["width"]), int(row["height"]))
            assert 180 <= max(image.size) <= 1600
        assert (row["label"] == "1") == row["dest"].startswith("tampered/") == bool(row["mask"])
        if row["mask"]:
            with Image.open(folder / row["mask"]) as mask:
                assert mask.size == (int(row["width"]), int(row["height"]))
                assert 0 < np.mean(np.asarray(mask) > 127) < 0.7
    assert {row["domain"] for row in rows(folder)} == set(DOMAINS)
    for domain, count in COUNTS.items():
        assert sum(row["domain"] == domain for row in rows(folder)) >= count


def test_a_third_is_authentic_and_shares_its_background_with_forged_ones(folder: Path) -> None:
    labels = [row["label"] for row in rows(folder)]
    assert labels.count("0") * 3 >= len(labels)
    for row in rows(folder):
        if row["label"] == "1":
            stem = row["dest"].split("/")[1].split("_fake")[0]
            twin = [other for other in rows(folder) if other["dest"].startswith(f"authentic/{stem}_orig.")]
            assert len(twin) == 1 and twin[0]["original_path"] == row["original_path"]


def test_the_same_seed_gives_the_same_files_and_a_stopped_run_goes_on(
    folder: Path, pool_folder: Path, tmp_path: Path
) -> None:
    studio = Studio(Pool(pool_folder, "all"), 5)
    write_set(studio, tmp_path, COUNTS | {"natural": 3})
    write_set(studio, tmp_path, COUNTS)
    assert sorted(row["dest"] for row in rows(tmp_path)) == sorted(row["dest"] for row in rows(folder))
    for row in rows(folder):
        assert (tmp_path / row["dest"]).read_bytes() == (folder / row["dest"]).read_bytes()


def test_areas_are_those_of_real_manipulations() -> None:
    rng = np.random.default_rng(1)
    areas = [draw_area(rng) for _ in range(3000)]
    assert 0.045 < np.median(areas) < 0.06


def test_an_edge_is_wider_here_than_there() -> None:
    mask = np.zeros((200, 200), bool)
    mask[:, 100:] = True
    alphas = [uneven_alpha(np.random.default_rng(seed), mask) for seed in range(8)]
    widths = np.stack([((alpha > 0.05) & (alpha < 0.95)).sum(axis=1) for alpha in alphas])
    assert (widths.max(axis=1) > widths.min(axis=1) + 1).any() and widths.min() <= 1 and 4 <= widths.max() < 40


@pytest.mark.parametrize("seed", range(6))
def test_what_is_composed_stays_inside_its_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame, patch = texture(rng, 160, 200), texture(rng, 60, 80)
    solid = np.zeros((60, 80), bool)
    solid[8:52, 10:70] = True
    pixels, mask = composed(rng, frame, patch, solid, (50, 40))
    changed = np.abs(pixels.astype(int) - frame).max(axis=2) > 8
    near = np.zeros_like(mask)
    near[40 + 8 - 7 : 40 + 52 + 7, 50 + 10 - 7 : 50 + 70 + 7] = True
    assert not changed[~near].any()
    assert changed[mask].mean() > 0.5


def test_a_hole_is_filled_from_outside_it() -> None:
    rng = np.random.default_rng(7)
    frame = texture(rng, 160, 200)
    mask = np.zeros((160, 200), bool)
    mask[60:90, 80:120] = True
    marked = frame.copy()
    marked[mask] = (255, 0, 255)
    filled = shift_completed(rng, marked, mask)
    assert np.array_equal(filled[~mask], frame[~mask])
    assert (np.abs(filled[mask].astype(int) - (255, 0, 255)).max(axis=1) > 20).mean() > 0.95


def test_files_are_what_they_say() -> None:
    pixels = texture(np.random.default_rng(2), 64, 64)
    assert np.array_equal(File("PNG").reread(pixels), pixels)
    assert len(File("JPEG", 60).written(pixels)) < len(File("JPEG", 95).written(pixels))
