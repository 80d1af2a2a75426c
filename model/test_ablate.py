import json
import pathlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import ablate
import evaluate
from comparison.fpn import PlainFPN
from omni_iml.conditions import CONDITIONS, under
from omni_iml.inference import Decoded
from omni_iml.metrics import mean_interval
from omni_iml.model import OmniIML
from omni_iml.serving import example
from omni_iml.shards import read
from test_train import shard


@pytest.fixture
def shards(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for seed in range(2):
        shard(folder / f"shard-1-{seed}.npz", 128, 4, seed)
    return folder


@pytest.fixture
def image_set(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three images with and one without a manipulation."""
    folder = tmp_path / "made"
    folder.mkdir()
    lines = ["dest,label,mask,domain,set,kind"]
    for i in range(4):
        pixels = np.random.default_rng(i).integers(60, 120, (96, 160, 3)).astype(np.uint8)
        mask = np.zeros((96, 160), np.uint8)
        if i:
            cv2.rectangle(mask, (30, 20), (70, 60), 255, -1)
        Image.fromarray(pixels + mask[:, :, None] // 3).save(folder / f"{i}.jpg", quality=90)
        Image.fromarray(mask).save(folder / f"{i}.png")
        lines.append(f"{i}.jpg,{int(i > 0)},{f'{i}.png' if i else ''},document,made,splice")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_variants_are_trained_measured_and_compared(tmp_path, shards, image_set, capsys):
    out, weights = tmp_path / "out", tmp_path / "encoder.pt"
    torch.manual_seed(0)
    torch.save(OmniIML().network.state_dict(), weights)
    only = ["--out", str(out), "--only", "full,rgb,plain-fpn"]
    given = [*only, "--shards", str(shards), "--val", str(shards), "--samples", "4", "--anomaly-from", "0"]
    given += ["--batch", "0.5", "--threads", "1", "--pretrained", str(weights), "--report", "1", "--val-shards", "1"]
    ablate.main(["train", *given])
    ablate.main(["measure", *only, "--val", str(shards), "--set", str(image_set), "--limit", "3"])
    first = (out / "full" / "checkpoint.pt").stat().st_mtime_ns
    capsys.readouterr()
    # What is trained and measured stays so.
    ablate.main(["train", *given])
    ablate.main(["measure", *only, "--val", str(shards), "--set", str(image_set), "--limit", "3"])
    told = capsys.readouterr().out
    assert "== full" not in told
    assert "measured" not in told
    assert (out / "full" / "checkpoint.pt").stat().st_mtime_ns == first
    ablate.main(["weights", *only, "--to", str(tmp_path / "away")])
    away = tmp_path / "away" / "rgb.pt"
    assert away.stat().st_size < 10 << 20
    assert torch.load(away, weights_only=True)["config"]["modality"] == "rgb"
    text = (out / "table.md").read_text()
    assert "full, rgb, plain-fpn: 4 samples" in text
    for title in ("**validation**", "**made**", "comparison: plain encoder-decoder", "F1 less the better one, forced"):
        assert title in text
    rows = json.loads((out / "full" / "figures.json").read_text())["rows"]
    # One half of 8 samples is measured; of the set 3 images, each as is by three choices and once resized.
    assert {key: len(of) for key, of in rows.items() if key.startswith("validation")} == {
        f"validation|{key}": 4 for key in ("as-is|gate", "as-is|rgb", "as-is|fused", "resize75|gate")
    }
    assert len(rows["made|resize75|gate"]) == 3
    assert [row["fused"] for row in rows["validation|as-is|gate"]] == [
        row["fused"] for row in rows["validation|as-is|rgb"]
    ]


def test_tables_pair_images_and_take_the_better_modality_of_a_domain(tmp_path):
    def rows(f1: list[float], fused: bool = True) -> list[dict]:
        domains = ["natural", "natural", "document", "document"]
        return [
            {"domain": d, "fused": fused, "forged": True, "f1": v, "best_f1": v, "auc": None if v == 0 else 0.5 + v / 2}
            for d, v in zip(domains, f1, strict=True)
        ]

    figures = {
        "full": {
            "samples": 10,
            "rows": {
                "s|as-is|gate": rows([0.5, 0.5, 0.5, 0.5]),
                "s|as-is|rgb": rows([0.4, 0.4, 0.1, 0.1]),
                "s|as-is|fused": rows([0.1, 0.1, 0.7, 0.7]),
                "s|resize75|gate": rows([0.5, 0.5, 0.5, 0.5], False),
            },
        },
        "static": {"samples": 10, "rows": {"s|as-is|gate": rows([0.3, 0.3, 0.3, 0.0])}},
    }
    for name, content in figures.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "figures.json").write_text(json.dumps(content))
    ablate.main(["table", "--out", str(tmp_path)])
    lines = (tmp_path / "table.md").read_text().splitlines()
    static = next(line for line in lines if "static" in line and line.startswith("|"))
    assert "-0.275 [" in static
    natural = next(line for line in lines if line.startswith("| natural"))
    document = next(line for line in lines if line.startswith("| document"))
    assert "| 2 | 100% | 0% | +0.100 [0.100, 0.100] | – |" in natural
    assert "-0.200 [-0.200, -0.200]" in document


def test_threshold_is_the_best_of_the_mean_not_of_an_image():
    positive, negative = np.zeros((2, 256), int), np.zeros((2, 256), int)
    positive[0, 200], negative[0, 100] = 10, 90
    positive[1, 120], negative[1, 60] = 10, 90
    seen = [ablate.Seen("natural", p, n, False) for p, n in zip(positive, negative, strict=True)]
    assert 101 <= ablate.best_threshold(seen) <= 120


def test_the_plain_model_is_as_large_as_omni_iml_and_is_served_alike():
    torch.manual_seed(0)
    plain, ours = PlainFPN().eval(), OmniIML()
    sizes = [sum(value.numel() for value in model.parameters()) for model in (plain, ours)]
    assert 0.9 < sizes[0] / sizes[1] < 1.15
    found = ablate.TorchSession(plain, torch.device("cpu")).run(*(part.numpy() for part in example(64, 2)[:3]), -1)
    assert found["probability"].shape == (2, 64, 96)
    assert (found["gate"] < 0.5).all()


def test_conditions_change_size_and_table_and_leave_the_mask_in_place():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 128, 3)).astype(np.uint8)
    mask = np.zeros((64, 128), bool)
    mask[16:48, 32:96] = True
    image = Decoded(pixels, np.full(64, 3, np.int32), True)
    for name, condition in CONDITIONS.items():
        changed, turned = under(image, mask, name)
        assert changed.pixels.shape[:2] == turned.shape
        assert turned.mean() == pytest.approx(0.25, abs=0.02)
        if condition is None:
            assert changed is image
        else:
            assert changed.pixels.shape[0] == 64 * condition.scale
            assert changed.jpeg == (condition.quality is not None)
            assert (changed.qtable == 1).all() != changed.jpeg
    assert under(image, None, "jpeg70")[1] is None


def test_a_part_of_a_set_is_spread_over_it(image_set):
    assert [entry["dest"] for entry in evaluate.spread(image_set, 2)] == ["0.jpg", "2.jpg"]
    assert next(evaluate.spread(image_set))["mask"] is None


def test_interval_is_as_wide_as_theory_has_it():
    middle, low, high = mean_interval(np.arange(100) % 2)
    assert middle == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.012)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.012)


def test_crops_show_what_was_done(tmp_path, shards):
    ablate.main(["crops", "--out", str(tmp_path / "small"), "--shards", str(shards), "--side", "64"])
    whole, small = (read(folder / "shard-1-0.npz") for folder in (shards, tmp_path / "small"))
    assert small["pixels"].shape[1:] == (64, 64, 3)
    assert 0 < len(small["jpeg"]) <= len(whole["jpeg"])
    for pixels, mask in zip(small["pixels"], small["mask"], strict=True):
        assert not mask.any() or 0.005 < mask.astype(bool).mean() < 0.95
        found = [
            (np.array_equal(whole["pixels"][i, y : y + 64, x : x + 64], pixels), i, y, x)
            for i in range(len(whole["jpeg"]))
            for y in range(0, 65, 16)
            for x in range(0, 65, 16)
        ]
        same, i, y, x = max(found)
        assert same
        assert np.array_equal(whole["mask"][i, y : y + 64, x : x + 64], mask)
