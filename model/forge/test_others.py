from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omni_iml.shards import read

from . import others
from .histories import SaveBook


def picture(path: Path, width: int = 341, height: int = 256) -> Path:
    rng = np.random.default_rng(4)
    Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(path, quality=98)
    return path


@pytest.fixture()
def sets(tmp_path: Path) -> tuple[Path, Path]:
    forged, pool = tmp_path / "forged", tmp_path / "pool"
    for folder in (forged, pool):
        folder.mkdir()
    mask = np.zeros((256, 341), np.uint8)
    mask[60:180, 100:240] = 255
    rows = ["dest,mask,set"]
    for number in range(4):
        picture(forged / f"{number}.jpg")
        Image.fromarray(mask).save(forged / f"{number}.png")
        rows.append(f"{number}.jpg,{number}.png,{'le-splice' if number else 'another'}")
    (forged / "index.csv").write_text("\n".join(rows))
    picture(pool / "real.jpg")
    (pool / "index.csv").write_text("dest,domain,set,width,height\nreal.jpg,natural,le-real,341,256\n")
    return forged, pool


def test_forged_and_untouched_pictures_become_shards(sets, tmp_path, monkeypatch) -> None:
    forged, pool = sets
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", f"others --forged {forged} --pool {pool} --out {out} --renditions 3".split())
    others.main()
    arrays = read(next(out.glob("shard-others-*.npz")))
    assert arrays["pixels"].shape == (12, 256, 256, 3)
    areas = arrays["mask"].mean((1, 2))
    assert (arrays["kind"][areas == 0] == "authentic").all() and (areas == 0).sum() == 3
    assert (arrays["kind"][areas > 0] == "splice").all() and (areas[areas > 0] > 0.15).all()


def test_a_mask_that_covers_nearly_all_is_left_out(sets) -> None:
    forged, _ = sets
    Image.fromarray(np.full((256, 341), 255, np.uint8)).save(forged / "1.png")
    assert others.sample(np.random.default_rng(0), SaveBook([]), forged / "1.jpg", forged / "1.png") is None


def test_pictures_smaller_than_a_crop_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="smaller than 256"):
        others.cropped(np.random.default_rng(0), picture(tmp_path / "s.jpg", 200, 200), None)


def test_no_more_are_made_than_asked_for(sets, tmp_path, monkeypatch, capsys) -> None:
    forged, pool = sets
    line = f"others --forged {forged} --pool {pool} --out {tmp_path / 'few'} --renditions 9 --samples 5"
    monkeypatch.setattr("sys.argv", line.split())
    others.main()
    assert "5 samples" in capsys.readouterr().out
    assert sum(len(read(path)["jpeg"]) for path in (tmp_path / "few").glob("*.npz")) == 5
