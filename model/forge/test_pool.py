from __future__ import annotations

from pathlib import Path

import numpy as np

from .pool import Photo, Pool, Record, cut_window


def test_splits_are_disjoint_and_fixed(pool_folder: Path) -> None:
    train = {record.dest for record in Pool(pool_folder, "train").records}
    val = {record.dest for record in Pool(pool_folder, "val").records}
    everything = {record.dest for record in Pool(pool_folder, "all").records}
    assert not train & val and train | val == everything


def test_about_five_in_a_hundred_are_for_validation() -> None:
    records = [Record(f"natural/x/{number}.jpg", "natural", "x", 300, 300) for number in range(4000)]
    assert 0.035 < np.mean([record.is_validation for record in records]) < 0.065


def test_draw_respects_size(pool_folder: Path) -> None:
    pool = Pool(pool_folder, "all")
    rng = np.random.default_rng(0)
    for _ in range(50):
        record = pool.draw(rng, "natural", 320)
        assert min(record.width, record.height) >= 320


def test_annotations_follow_the_window() -> None:
    pixels = np.zeros((200, 400, 3), np.uint8)
    quad = np.array([[100, 50], [140, 50], [140, 70], [100, 70]], np.float32)
    pixels[50:70, 100:140] = 255
    photo = Photo("k", "document", "s", pixels, quads=quad[None], words=("word",))
    window = cut_window(photo, 80, 40, 60, 40, 0.5)
    assert window.words == ("word",)
    x0, y0 = window.quads[0].min(axis=0)
    x1, y1 = window.quads[0].max(axis=0)
    assert (x0, y0, x1, y1) == (10, 5, 30, 15)
    assert window.pixels[6:14, 11:29].min() == 255 and window.pixels[:4].max() == 0
    moved = window.moved(window.pixels[2:, 3:], 3, 2)
    assert moved.quads[0].min(axis=0).tolist() == [7, 3]
    whole = pixels[..., 0] > 0
    assert np.array_equal(moved.part_of(whole), moved.pixels[..., 0] >= 128)
