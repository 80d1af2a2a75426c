import json
import pathlib

import numpy as np
import pytest
import torch

from interpretation import evaluate, views
from interpretation.export import INPUTS, OUTPUTS, difference, example, export_onnx, section
from interpretation.network import Calibration, Evidence, Head, Interpreter
from interpretation.train import Rows, calibrate, load, logits, loss, save, train
from interpretation.vocabulary import KINDS, TITLES

RELEASE = pathlib.Path(__file__).parent.parent / "release"


@pytest.fixture(scope="module")
def evidence():
    torch.manual_seed(0)
    return Evidence(pretrained=False).eval()


def measured(evidence, pixels, region):
    shown = views.show(pixels, region, 0.8, True, np.array([1.0, 0, 0, 0]))
    batch = [torch.from_numpy(part[None]) for part in (shown.views, shown.masks, shown.facts)]
    return evidence(*batch)[0]


def textured(rng, height=300, width=340):
    return np.clip(rng.normal(128, 40, (height, width, 3)), 0, 255).astype(np.uint8)


def test_views_follow_the_contract():
    pixels = np.zeros((500, 700, 3), np.uint8)
    pixels[..., 0] = np.arange(700) // 4
    region = np.zeros((500, 700), bool)
    region[200:240, 300:360] = True
    assert views.close_up_box((300, 200, 360, 240), 700, 500) == (285, 175, 375, 265)
    assert views.close_up_box((300, 200, 310, 210), 700, 500) == (273, 173, 337, 237)
    assert views.close_up_box((0, 0, 600, 400), 700, 500) == (0, 0, 700, 500)
    assert views.detail_origin(region, (300, 200, 360, 240)) == (232, 120)
    shown = views.show(pixels, region, 0.7, True, np.array([0.9, 0.1, 0, 0]))
    assert shown.views.shape == (3, 192, 192, 3) and shown.masks.shape == (3, 192, 192)
    assert np.array_equal(shown.views[2], pixels[120:312, 232:424])
    assert shown.facts.tolist() == pytest.approx([2400 / 350000, 60 / 700, 0.08, 0.7, 700, 500, 1, 0.9, 0.1, 0, 0])
    large = np.zeros_like(region)
    large[100:400, 120:650] = True
    assert views.detail_origin(large, (120, 100, 650, 400)) == (24, 152)


def test_a_small_image_repeats_its_border():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype=np.uint8)
    region = np.zeros((60, 40), bool)
    region[50:, 30:] = True
    shown = views.show(pixels, region, 0.7, False, np.eye(4)[0])
    assert np.array_equal(shown.views[2][:60, :40], pixels)
    assert (shown.views[2][60:, 39] == pixels[59, 39]).all() and shown.masks[2][60:].max() == 0


def test_evidence_is_finite_for_any_region(evidence):
    pixels = textured(np.random.default_rng(0))
    for rows, columns in ((slice(0, 1), slice(0, 1)), (slice(None), slice(None)), (slice(40, 60), slice(3, 300))):
        region = np.zeros(pixels.shape[:2], bool)
        region[rows, columns] = True
        assert torch.isfinite(measured(evidence, pixels, region)).all()


def test_copies_are_found_and_nothing_else_is(evidence):
    pixels = textured(np.random.default_rng(0), 192, 192)
    pixels = np.repeat(np.repeat(pixels[:48, :48], 4, 0), 4, 1)
    region = np.zeros((192, 192), bool)
    region[20:84, 20:84] = True

    def agreeing(image):
        shown = views.show(image, region, 0.8, True, np.eye(4)[0])
        whole = torch.from_numpy(shown.views[:1]).permute(0, 3, 1, 2).float()
        return evidence.copies(whole, torch.from_numpy(shown.masks[None, :1]).float() / 255)[0]

    copied, mirrored = pixels.copy(), pixels.copy()
    copied[20:84, 20:84] = pixels[100:164, 110:174]
    mirrored[20:84, 20:84] = pixels[100:164, 110:174][:, ::-1]
    names = {"agreeing": 2, "agreeing mirrored": 9}
    assert agreeing(copied)[names["agreeing"]] > 0.7
    assert agreeing(mirrored)[names["agreeing mirrored"]] > 0.7
    assert agreeing(pixels)[names["agreeing"]] < 0.3 and agreeing(pixels)[names["agreeing mirrored"]] < 0.3


def made_up(count=400, width=30, seed=0):
    """Rows whose kind and first title can be read off the evidence."""
    generator = torch.Generator().manual_seed(seed)
    evidence = torch.randn(count, width, generator=generator)
    kind = evidence[:, :3].argmax(1)
    kind[::5] = -1
    titles = torch.zeros(count, len(TITLES))
    titles[:, 0] = (evidence[:, 5].abs() > 0.8).float() * (kind >= 0)
    titles[:, 1] = (torch.rand(count, generator=generator) > 0.5).float() * (kind >= 0)
    evidence[:, 6] += 2 * (kind >= 0)
    domain = torch.zeros(count, dtype=torch.int64)
    return Rows(evidence, kind, titles, (kind >= 0).float(), domain, torch.zeros_like(domain), torch.arange(count))


def test_the_head_learns_what_can_be_learnt(tmp_path):
    rows, held_out = made_up(800), made_up(400, seed=1)
    head = train(rows, 0, epochs=25)
    assert loss(head, held_out) < loss(train(rows, 0, epochs=1), held_out)
    calibration = calibrate([head], held_out.part(held_out.sample % 2 == 0))
    save(tmp_path / "head.pt", [head], calibration, {"regions": 800})
    result = evaluate.measure(tmp_path / "head.pt", held_out, rows)
    assert result["true_masks"]["kind_accuracy"] > 0.7
    by_title = result["true_masks"]["by_title"]
    assert by_title["edge"]["ap"] > by_title["edge"]["frequency"] + 0.2
    assert abs(by_title["lighting"]["ap"] - by_title["lighting"]["frequency"]) < 0.15
    assert result["confirmed_auc"]["all"] > 0.85
    evaluate.show(result)
    heads, again, _ = load(tmp_path / "head.pt")
    with torch.no_grad():
        one, other = calibration(*logits([head], held_out)), again(*logits(heads, held_out))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_average_precision_earns_nothing_from_ties():
    positive = np.array([True, False, False, False])
    assert evaluate.average_precision(positive, np.zeros(4)) == 0.25
    assert evaluate.average_precision(positive, np.array([1.0, 0, 0, 0])) == 1
    assert evaluate.average_precision(positive, np.array([0.5, 0.5, 0, 0])) == 0.5
    assert evaluate.auc(np.array([True, False]), np.array([1.0, 1.0])) == 0.5


def test_the_graph_is_the_network(evidence, tmp_path):
    interpreter = Interpreter(evidence, [Head(evidence(*example()).shape[1])] * 2, Calibration()).eval()
    path = tmp_path / "interpretation.onnx"
    export_onnx(interpreter, path)
    assert difference(interpreter, path) < 1e-4
    kind, artifacts, confirmed = interpreter(*example())
    assert kind.sum(1).tolist() == pytest.approx([1, 1]) and artifacts.shape == (2, 12) and confirmed.shape == (2,)
    figures = {"thresholds": {}, "calibration": {}, "training": {}, "true_masks": {}, "predicted_masks": {}}
    part = section(path, "0.0.1", figures | {"confirmed_auc": {}})
    assert part["kinds"] == list(KINDS) and part["model"]["bytes"] < 8_000_000


@pytest.mark.skipif(not (RELEASE / "interpretation.onnx").exists(), reason="not released yet")
def test_the_release_keeps_the_contract():
    import hashlib

    import onnxruntime

    part = json.loads((RELEASE / "manifest.json").read_text())["interpretation"]
    path = RELEASE / part["model"]["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == part["model"]["sha256"]
    assert path.stat().st_size == part["model"]["bytes"] <= 8_000_000
    assert (part["kinds"], part["artifacts"], part["facts"]) == (list(KINDS), list(TITLES), list(views.FACTS))
    assert set(part["thresholds"]["artifacts"]) == set(TITLES)
    session = onnxruntime.InferenceSession(path)
    assert {one.name: one.shape[1:] for one in session.get_inputs()} == {
        name: shape[1:] for name, (_, shape) in INPUTS.items()
    }
    found = session.run(list(OUTPUTS), {name: one.numpy() for name, one in zip(INPUTS, example(), strict=True)})
    assert found[0].sum(1) == pytest.approx([1, 1], abs=1e-5)
