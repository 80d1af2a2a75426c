from __future__ import annotations

import numpy as np
import pytest

from .histories import (
    Afterlife,
    Life,
    Save,
    SaveBook,
    decode,
    draw_afterlife,
    draw_life,
    encode,
    scaled_tables,
)
from .testing import texture
from .write import write_shard


@pytest.fixture
def pixels() -> np.ndarray:
    return texture(np.random.default_rng(1), 96, 128)


@pytest.mark.parametrize("quality", [50, 75, 90, 98])
def test_scaled_tables_are_libjpegs(pixels: np.ndarray, quality: int) -> None:
    _, table, is_jpeg = decode(encode(pixels, Save("JPEG", quality)))
    assert is_jpeg and table.tolist() == scaled_tables(quality)[0].tolist()


def test_own_tables_are_written_in_natural_order(pixels: np.ndarray) -> None:
    luma = tuple(range(1, 65))
    _, table, _ = decode(encode(pixels, Save("JPEG", 0, 0, luma, luma)))
    assert tuple(table) == luma


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_other_formats_have_a_table_of_ones(pixels: np.ndarray, format: str) -> None:
    decoded, table, is_jpeg = decode(encode(pixels, Save(format, 80)))
    assert not is_jpeg and (table == 1).all() and decoded.shape == pixels.shape
    assert format != "PNG" or np.array_equal(decoded, pixels)


def test_life_cuts_what_it_says(pixels: np.ndarray) -> None:
    life = Life(0.0, 0.0, 0, ((0, 0, Save("JPEG", 80)), (3, 5, Save("JPEG", 90))))
    assert life.margin == (3, 5)
    assert life.live(pixels).shape == (91, 125, 3)


def test_an_aligned_cut_keeps_the_first_grid(pixels: np.ndarray) -> None:
    """Double compression on the same grid: saving again at the same quality hardly changes anything."""
    table = Save("JPEG", 75, 0)
    once = decode(encode(pixels, table))[0]
    empty = np.zeros(once.shape[:2], bool)

    def error(dx: int) -> float:
        after = Afterlife(1.0, 3, "", 0.0, ((dx, dx, table),))
        file, _ = after.live(once, empty, 64, 64)
        return float(np.abs(decode(file)[0].astype(int) - once[dx : dx + 64, dx : dx + 64]).mean())

    assert error(8) < 0.5 * error(3)


def test_afterlife_stays_inside_its_room() -> None:
    rng, book = np.random.default_rng(2), SaveBook([])
    for _ in range(300):
        room_x, room_y = int(rng.integers(0, 40)), int(rng.integers(0, 40))
        after = draw_afterlife(rng, book, room_x, room_y)
        assert sum(step[0] for step in after.steps) <= room_x
        assert sum(step[1] for step in after.steps) <= room_y


def test_most_backgrounds_were_saved_before() -> None:
    rng, book = np.random.default_rng(3), SaveBook([])
    lives = [draw_life(rng, book) for _ in range(500)]
    assert np.mean([bool(life.steps) for life in lives]) > 0.7


def test_shards_hold_what_the_trainer_reads(forger, tmp_path) -> None:
    path = tmp_path / "shard-1-00000.npz"
    samples = forger.shard(1, 0, 3)
    write_shard(path, samples)
    shard = np.load(path)
    assert shard["pixels"].shape == (3, 256, 256, 3) and shard["pixels"].dtype == np.uint8
    assert shard["mask"].dtype == np.uint8 and set(np.unique(shard["mask"])) <= {0, 1}
    assert shard["qtable"].shape == (3, 64) and shard["qtable"].dtype == np.uint16
    assert shard["kind"].tolist() == [sample.kind for sample in samples]
    assert list(tmp_path.iterdir()) == [path]
