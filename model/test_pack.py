import io
import shutil
import time

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from forge.lettering import STYLES, font_files
from forge.pool import Pool
from omni_iml.model import OmniIML
from pack.__main__ import arguments
from pack.device import Forgers, follow, keep, work
from pack.light_pool import DOMAIN_BYTES, GRID, SIDE, cut, light_pool
from pack.parcels import averaged_only, join, receive, saved, split, write_parcels

needs_jpegtran = pytest.mark.skipif(shutil.which("jpegtran") is None, reason="needs jpegtran (libjpeg-turbo-progs)")


@needs_jpegtran
def test_a_crop_is_lossless_and_keeps_what_lies_in_it(tmp_path):
    rng = np.random.default_rng(1)
    large = cv2.resize(rng.uniform(0, 255, (60, 80, 3)).astype(np.float32), (1400, 1100)).astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "a.jpg", quality=80)
    Image.fromarray(large).save(tmp_path / "b.png")
    # A word far to the right and below, and one that no crop with it can hold.
    (tmp_path / "a.csv").write_text("1200,900,1260,900,1260,930,1200,930,TOTAL\n0,0,40,0,40,20,0,20,far\n")
    (tmp_path / "index.csv").write_text(
        "dest,domain,set,width,height\na.jpg,scene_text,s,1400,1100\nb.png,natural,t,1400,1100\n"
    )
    pool = Pool(tmp_path, "all")
    whole = np.asarray(Image.open(tmp_path / "a.jpg"))
    for record in pool.records:
        crop = cut(pool, record)
        assert max(crop.record.width, crop.record.height) <= SIDE
        part = Image.open(io.BytesIO(crop.files[record.dest]))
        pixels = np.asarray(part)
        if record.dest == "b.png":
            assert part.format == "WEBP"
            assert any((large[y : y + 600, x : x + 600] == pixels[:600, :600]).all() for y, x in corners(1100, 1400))
            continue
        assert part.quantization == Image.open(tmp_path / "a.jpg").quantization
        box = np.array(crop.files["a.csv"].decode().split(",")[:8], float).reshape(4, 2)
        left, top = (int(v) for v in np.array([1200, 900]) - box[0])
        assert left % GRID == 0
        assert top % GRID == 0
        # Chroma is interpolated across the border of a crop: its outermost pixels may differ, nothing else may.
        inner = (slice(4, -4), slice(4, -4))
        original = whole[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        assert (original[inner] == pixels[inner]).all()
        assert b"far" not in crop.files["a.csv"]


def corners(height: int, width: int):
    """All corners on the grid that a crop may have."""
    return [(y, x) for y in range(0, height - 600, GRID) for x in range(0, width - 600, GRID)]


@needs_jpegtran
def test_parcels_hold_a_pool_of_all_domains_and_no_more_than_they_may(pool_folder, tmp_path):
    limit = 3 << 20
    crops = list(light_pool(pool_folder, limit))
    by_domain = {name: sum(c.size for c in crops if c.record.domain == name) for name in DOMAIN_BYTES}
    assert all(0 < spent <= DOMAIN_BYTES[name] * limit for name, spent in by_domain.items())
    assert {crop.record.domain for crop in crops[:12]} == set(DOMAIN_BYTES)
    parcels = write_parcels(pool_folder, None, tmp_path / "parcels", 3, 16)
    assert len(parcels) > 1
    assert all(parcel.path.stat().st_size <= 16 << 20 for parcel in parcels)
    home = tmp_path / "home"
    found = [receive(parcel.path, home) for parcel in parcels]
    assert found[-1] == len(crops)
    assert found[0] < found[-1]
    pool = Pool(home / "pool", "all")
    for record in pool.records:
        photo = pool.load(record)
        assert (photo.width, photo.height) == (record.width, record.height)
    assert any(len(pool.load(record).landmarks) for record in pool.records if record.domain == "face")
    assert any(pool.load(record).words for record in pool.records if record.domain == "document")
    assert {path.name for path in (home / "fonts").iterdir()} == {name for name in STYLES if font_files(name)}


@needs_jpegtran
def test_what_others_forged_travels_among_the_crops(pool_folder, tmp_path):
    forged = tmp_path / "others"
    forged.mkdir()
    rows = ["dest,mask,set"]
    for number in range(6):
        Image.new("RGB", (300, 256), (40 * number, 0, 0)).save(forged / f"{number}.jpg")
        Image.new("L", (300, 256), 255).save(forged / f"{number}.png")
        rows.append(f"{number}.jpg,{number}.png,{'le-splice' if number else 'another'}")
    (forged / "index.csv").write_text("\n".join(rows))
    parcels = write_parcels(pool_folder, None, tmp_path / "parcels", 3, 15, forged)
    assert sum(len(parcel.pictures) for parcel in parcels) == 5
    assert not parcels[0].pictures or parcels[0].crops
    home = tmp_path / "home"
    for parcel in parcels:
        receive(parcel.path, home)
    came = (home / "forged" / "index.csv").read_text().splitlines()
    assert sorted(came[1:]) == rows[2:]
    for name in (name for row in came[1:] for name in row.split(",")[:2]):
        assert (home / "forged" / name).read_bytes() == (forged / name).read_bytes()
    options = arguments(["work", "--home", str(home), "--minutes", "1"])
    groups = Forgers(options)
    assert "forge.others" in groups.of_others(1000)
    assert "forge.write" in groups.of_group(0.1)


def test_work_starts_one_driver_however_often_it_is_asked(tmp_path, capsys):
    (tmp_path / "driver.pid").write_text("1\n")
    work(arguments(["work", "--home", str(tmp_path), "--spent-by", str(time.time() + 900)]))
    assert "a driver was started" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="too few"):
        work(arguments(["work", "--home", str(tmp_path / "new"), "--spent-by", str(time.time() + 100)]))


def test_following_ends_before_the_machine_is_taken_away(tmp_path, capsys):
    begun = time.monotonic()
    assert follow(tmp_path, tmp_path / "out", 600, time.time() + 41) == 0
    assert time.monotonic() - begun < 30
    assert "at work" in capsys.readouterr().out


def test_weights_come_back_in_pieces_and_start_a_run(tmp_path):
    torch.manual_seed(0)
    model = OmniIML()
    checkpoint = {"config": model.config.as_dict(), "ema": model.state_dict(), "progress": {"samples": 7}, "model": 1}
    content = saved(averaged_only(checkpoint))
    # The encoder has two names in the state and is written once: two bytes a parameter and little more.
    assert len(content) < 2.2 * sum(value.numel() for value in model.parameters())
    pieces = split(content, tmp_path / "out", "ema.pt", 3_000_000)
    assert all(piece.stat().st_size <= 3_000_000 for piece in pieces)
    back = join(tmp_path / "out", "ema.pt", tmp_path / "ema.pt")
    again = OmniIML()
    again.load_state_dict(back["ema"])
    for name, value in model.state_dict().items():
        assert torch.allclose(value, again.state_dict()[name], rtol=1e-3, atol=1e-6), name
    assert back["progress"] == {"samples": 7}


def test_weights_beyond_fp16_are_refused():
    state = {"config": {}, "ema": {"norm.running_var": torch.tensor([1e6])}, "progress": {}}
    with pytest.raises(ValueError, match="does not fit"):
        averaged_only(state)


def test_the_first_shards_of_256_px_are_kept_for_the_ablation(tmp_path):
    # Groups take turns in the sizes of the first half: 256, 256, 384, 384.
    ready = [tmp_path / "shard-others-1011-00000.npz"]
    ready += [tmp_path / f"shard-{1000 + group}-{i:05d}.npz" for group in range(5) for i in range(2)]
    for path in ready:
        path.write_bytes(b"x")
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    keep(ready, fixed, 5)
    for path in ready:
        path.unlink()
    keep([], fixed, 5)
    kept = sorted(path.name for path in fixed.iterdir())
    assert kept == [f"shard-{1000 + group}-{i:05d}.npz" for group, i in ((0, 0), (0, 1), (1, 0), (1, 1), (4, 0))]


def test_following_brings_out_what_there_is_and_hands_on_a_failure(tmp_path, capsys):
    home, out = tmp_path / "home", tmp_path / "out"
    (home / "run").mkdir(parents=True)
    (home / "driver.log").write_text("RuntimeError: forging failed\n")
    assert follow(home, out, 0.1) == 0
    assert "at work" in capsys.readouterr().out
    model = OmniIML()
    torch.save(
        {"config": model.config.as_dict(), "ema": model.state_dict(), "progress": {"samples": 3}},
        home / "run" / "checkpoint.pt",
    )
    (home / "done").write_text("1\n")
    assert follow(home, out, 60) == 1
    told = capsys.readouterr().out
    assert 'brought: {"samples": 3} ema.pt.00' in told
    assert "forging failed" in told
    assert sum(path.stat().st_size for path in out.iterdir()) < 16 << 20
