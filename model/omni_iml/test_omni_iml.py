import io
import itertools
import json
import math
import pathlib

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch.nn import functional

from omni_iml import inference, metrics, shards
from omni_iml.anomaly import AnomalyEnhancement, box_iou, roi_align
from omni_iml.branches import fused_on_demand, nodes_of
from omni_iml.decoder import DynamicFilter
from omni_iml.encoder import EfficientNetLite2, HighPass
from omni_iml.frequency import FrequencyHead, dct_kernels
from omni_iml.losses import GATE_MARGIN, RGB_ADVANTAGE, coarse_losses, head_losses, mask_loss
from omni_iml.matching import RADIUS, SelfCorrelation
from omni_iml.model import Config, OmniIML
from omni_iml.serving import INPUTS, OUTPUTS, Serving, example, export_onnx

RELEASE = pathlib.Path(__file__).parents[1] / "release"


def scene(side: int = 128, seed: int = 0) -> np.ndarray:
    """A smooth picture with some texture, uint8 [side, side, 3]."""
    rng = np.random.default_rng(seed)
    base = cv2.resize(rng.uniform(40, 215, (6, 6, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(base + rng.normal(0, 4, base.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> OmniIML:
    torch.manual_seed(0)
    model = OmniIML()
    model.network.load_pretrained()
    return model.eval()


def test_dct_kernels_are_the_orthonormal_dct():
    block = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    ours = torch.nn.functional.conv2d(torch.from_numpy(block)[None, None], dct_kernels())[0, :, 0, 0].reshape(8, 8)
    assert np.allclose(ours, cv2.dct(block), atol=1e-5)


def test_decoded_pixels_give_the_files_coefficients_back():
    encoded = io.BytesIO()
    Image.fromarray(scene()).save(encoded, "JPEG", quality=75)
    encoded.seek(0)
    table, pixels = (lambda image: (image.quantization[0], np.asarray(image)))(Image.open(encoded))
    head = FrequencyHead()
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float()
    luma = (tensor * head.luma).sum(1, keepdim=True) - 128
    raw = torch.nn.functional.conv2d(luma, head.dct, stride=8) / torch.tensor(table).float()[None, :, None, None]
    near = ((raw - raw.round()).abs() < 0.25).float().mean()
    assert near > 0.98
    found = head.magnitudes(tensor, torch.tensor(table).float()[None])
    assert torch.equal(found, found.round())
    assert (found - raw.abs()).abs().max() < 0.511


def test_high_pass_sees_nothing_in_a_flat_image_or_its_border():
    layer = HighPass(8).eval()
    flat = torch.full((1, 3, 32, 32), 200.0)
    residual = torch.nn.functional.conv2d(
        torch.nn.functional.pad(flat, (2, 2, 2, 2), mode="replicate"), layer.kernels, groups=3
    )
    assert 4 * residual.abs().max() < 1e-3  # the kernels are quarters


def test_mixed_precision_leaves_coefficients_and_residuals_alone():
    pixels = torch.from_numpy(scene().transpose(2, 0, 1).copy())[None].float()
    table, head, layer = torch.full((1, 64), 5.0), FrequencyHead(), HighPass(8).eval()
    seen = {}
    layer.layers.register_forward_pre_hook(lambda _, inputs: seen.setdefault(len(seen), inputs[0]))
    exact = head.magnitudes(pixels, table)
    layer(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = head.magnitudes(pixels, table)
        layer(pixels)
    assert torch.equal(exact, mixed)
    assert torch.equal(seen[0], seen[1])


def test_stem_pads_as_tensorflow_does():
    network = EfficientNetLite2()
    network.load_pretrained()
    x = torch.randn(1, 3, 64, 64)
    # SAME padding of an even side at stride 2 adds one pixel, at the end only.
    expected = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), network._conv_stem.weight, stride=2)
    assert torch.allclose(network._conv_stem(x), expected, atol=1e-5)


def test_dynamic_filter_equals_mixing_the_kernels_themselves():
    torch.manual_seed(2)
    layer = DynamicFilter(6, dilation=2, dynamic=True).eval()
    x, overall = torch.randn(2, 6, 12, 12), torch.randn(2, 6)
    weight = layer.choose(torch.cat([x.mean((2, 3)), overall], 1)).sigmoid()
    kernels = layer.bank.weight.reshape(6, 4, 1, 3, 3)
    mixed = torch.cat(
        [
            torch.nn.functional.conv2d(
                x[i : i + 1], (kernels * weight[i][None, :, None, None, None]).sum(1), padding=2, dilation=2, groups=6
            )
            for i in range(2)
        ]
    )
    expected = x + layer.point(torch.nn.functional.relu6(layer.norm(mixed)))
    assert torch.allclose(layer(x, overall), expected, atol=1e-5)


def test_self_correlation_sees_both_places_of_a_copy():
    torch.manual_seed(3)
    key = torch.randn(1, 32, 28, 28)
    key[:, :, 14:22, 12:20] = key[:, :, 2:10, 2:10]
    likeness, closely, *_, pointing_back, far, _ = SelfCorrelation.match(key)[0]
    apart = torch.ones(14, 14, dtype=torch.bool)
    for place in (slice(1, 5), slice(1, 5)), (slice(7, 11), slice(6, 10)):
        assert likeness[place].min() > 0.999 and pointing_back[place].min() == 1
        assert far[place].unique() == (12 - 4) / 16
        assert closely[place][1:3, 1:3].min() == 1
        apart[place] = False
    assert likeness[apart].max() < 0.9 and closely[apart].mean() < 0.1


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 12), (26, 10)])
def test_self_correlation_finds_the_likest_place_out_of_reach(height: int, width: int):
    key = torch.nn.functional.normalize(
        torch.randn(2, 8, height, width, generator=torch.Generator().manual_seed(1)), dim=1
    )
    likeness = SelfCorrelation.match(key)[:, 0]
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            near = 2 * (((row - y).abs() <= RADIUS) & ((column - x).abs() <= RADIUS))
            alike = (key[:, :, y, x, None, None] * key).sum(1) - near
            assert torch.allclose(likeness[:, y // 2, x // 2], alike.amax((1, 2)), atol=1e-5)


def test_self_correlation_does_not_look_next_door():
    torch.manual_seed(4)
    key = torch.randn(1, 32, 12, 12)
    key[:, :, :, 1::2] = key[:, :, :, ::2]
    likeness, *_, far, _ = SelfCorrelation.match(key)[0]
    assert (far >= 0).all()
    assert likeness.max() < 0.9


def test_self_correlation_says_nothing_of_what_is_alike_everywhere():
    blank = torch.randn(1, 32, 1, 1) + 1e-5 * torch.randn(1, 32, 28, 28)
    _, *agreeing, pointing_back, far, _ = SelfCorrelation.match(blank)[0]
    assert max(seen.max() for seen in (*agreeing, pointing_back, far)) < 0.01


def test_keys_tell_a_place_from_others_after_saving(model):
    picture = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (128, 128, 3)).astype(np.uint8), (0, 0), 2)
    _, file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])
    both = np.stack([picture, cv2.imdecode(file, cv2.IMREAD_COLOR)]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        early = model.vision.early(torch.from_numpy(both).float())
        found = torch.nn.functional.normalize(model.correlation.keys(*early), dim=1).flatten(2)
    most_like = (found[0].T @ found[1]).argmax(1)
    assert (most_like == torch.arange(256)).float().mean() > 0.9


def test_gate_choice_is_hard_and_can_be_overridden(model):
    pixels, qtable, jpeg, _ = example(64)
    x, q, j = pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float()
    with torch.no_grad():
        forced = [model(x, q, j, torch.full((2,), choice)).mask for choice in (0, 1)]
        free = model(x, q, j)
    assert not torch.allclose(forced[0], forced[1])
    for i in range(2):
        assert torch.allclose(free.mask[i], forced[int(free.gate[i] > 0)][i], atol=1e-5)


def test_paper_configuration_can_be_built():
    plain = OmniIML(Config(high_pass=False, correlation=False)).eval()
    pixels, qtable, jpeg, _ = example(64)
    with torch.no_grad():
        out = plain(pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float())
    assert out.mask.shape == (2, 1, 16, 24)


def test_four_equal_values_a_place_are_the_coarser_mask(model):
    coarser = OmniIML().eval()
    finer = OmniIML(Config(mask_stride=2)).eval()
    state = model.state_dict()
    predict = {name: value for name, value in state.items() if name.startswith("decoder.predict")}
    coarser.load_state_dict(state | {name: value[:1] for name, value in predict.items()})
    finer.load_state_dict(state | {name: torch.cat([value[:1]] * 4) for name, value in predict.items()})
    pixels, qtable, jpeg, choice = example(64)
    with torch.no_grad():
        seen = [one(pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float()).mask for one in (coarser, finer)]
        assert torch.allclose(functional.avg_pool2d(seen[1], 2), seen[0], atol=1e-4)
        served = [Serving(one)(pixels, qtable, jpeg, choice)[0] for one in (coarser, finer)]
    assert served[0].shape == served[1].shape == pixels.shape[:3]


def test_mask_loss_is_small_for_the_truth_and_large_for_its_opposite():
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, 4:9, 4:9] = 1
    good, bad = (mask * 2 - 1) * 8, (1 - mask * 2) * 8
    assert (mask_loss(good, mask) < 0.02).all()
    assert (mask_loss(bad, mask) > 1).all()


def test_gate_learns_to_fuse_unless_rgb_is_clearly_better():
    logits = torch.zeros(1, 1, 4, 4)
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    # The loss of an empty mask at logit x is softplus(x).
    rgb = float(functional.softplus(torch.tensor(0.0)))

    def gate_loss(fused: float, gate: float) -> float:
        logit = math.log(math.expm1(fused))
        losses = coarse_losses(logits, logits + logit, mask)
        return float(head_losses(*losses, torch.tensor([gate]))["gate"])

    assert gate_loss(rgb, 3.0) < 0.1 < 1 < gate_loss(rgb, -3.0)
    assert gate_loss(rgb + RGB_ADVANTAGE / 2, 3.0) < 0.1
    assert gate_loss(rgb + RGB_ADVANTAGE * 2, -3.0) < 0.1 < 1 < gate_loss(rgb + RGB_ADVANTAGE * 2, 3.0)
    assert gate_loss(rgb + RGB_ADVANTAGE + GATE_MARGIN / 2, 3.0) == 0


def test_roi_align_reads_the_box_it_is_given():
    features = torch.zeros(1, 1, 8, 8)
    features[0, 0, 2:4, 4:6] = 1
    inside = roi_align(features, torch.tensor([[32.0, 16.0, 48.0, 32.0]]), torch.tensor([0]), 8)
    outside = roi_align(features, torch.tensor([[0.0, 40.0, 16.0, 60.0]]), torch.tensor([0]), 8)
    assert inside[0, 0, 2, 2] == 1
    assert outside.abs().max() == 0


def test_anomaly_enhancement_sends_gradients_into_the_pyramid():
    torch.manual_seed(3)
    enhancement = AnomalyEnhancement(8)
    pyramid = [torch.randn(2, 8, 16, 16, requires_grad=True), torch.randn(2, 8, 8, 8, requires_grad=True)]
    loss = enhancement(pyramid, [torch.tensor([[8.0, 8.0, 60.0, 72.0]]), torch.zeros(0, 4)])
    loss.backward()
    assert torch.isfinite(loss)
    assert all(level.grad.abs().sum() > 0 for level in pyramid)
    assert box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]]))[0, 0] == pytest.approx(1 / 3)


def test_augmenting_turns_mask_and_table_with_the_pixels():
    arrays = {
        "pixels": np.stack([scene(64, seed) for seed in range(2)]),
        "mask": np.stack([scene(64, seed)[:, :, 0] > 128 for seed in range(2)]),
        "qtable": np.tile(np.arange(1, 65), (2, 1)),
        "jpeg": np.ones(2),
    }
    head = FrequencyHead()

    def energy(sample: dict) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(sample["pixels"].transpose(0, 3, 1, 2))).float()
        table = torch.from_numpy(np.ascontiguousarray(sample["qtable"])).float()
        return head.magnitudes(pixels, table).sum()

    for seed in range(12):
        turned = shards.augment(arrays, np.random.default_rng(seed))
        assert ((turned["pixels"][:, :, :, 0] > 128) == turned["mask"]).all()
        assert energy(turned) == pytest.approx(float(energy(arrays)), rel=1e-3)


def test_pixel_figures_by_hand():
    probability = np.array([[255, 200], [100, 0]], np.uint8)
    mask = np.array([[True, False], [True, False]])
    found = metrics.pixel_figures(probability, mask)
    assert found["f1"] == pytest.approx(0.5)
    assert found["iou"] == pytest.approx(1 / 3)
    assert found["best_f1"] == pytest.approx(0.8)
    assert found["auc"] == pytest.approx(0.75)
    assert metrics.auc(np.array([0.1, 0.5, 0.5]), np.array([False, True, False])) == pytest.approx(0.75)
    assert metrics.true_positive_rate(np.array([0.9, 0.2, 0.1, 0.3]), np.array([1, 1, 0, 0])) == pytest.approx(0.5)


def test_tiles_lie_where_the_runner_puts_them():
    for group in json.loads((RELEASE / "parity" / "tiles.json").read_text()):
        for case in group["sides"]:
            expected = (case["side"], case["origins"])
            assert inference.tiles_along(case["length"], group["pipeline"]) == expected, case["length"]


def test_tiles_cover_any_side_on_the_block_grid_and_overlap_as_planned():
    for tile, step, overlap in ((768, 64, 64), (512, 64, 128), (736, 64, 96), (128, 32, 32)):
        for length in range(1, 4000):
            side, places = inference.tiles_along(length, {"tile": tile, "tile_step": step, "overlap": overlap})
            assert side % 32 == 0 and side <= tile
            assert places[0] == 0 and all(place % 8 == 0 for place in places)
            assert places[-1] + side >= length
            assert all(overlap <= a + side - b < side for a, b in itertools.pairwise(places))
            assert len(places) == 1 or (len(places) - 1) * (tile - overlap) + overlap < length


@pytest.mark.parametrize("size", [(40, 150), (129, 97), (181, 260), (224, 300)])
def test_the_blend_leaves_no_holes_and_no_seams(size):
    """A model that answers with its own input gives the image back, whatever the overlaps are."""
    image = inference.Decoded(scene(300)[: size[0], : size[1]].copy(), np.ones(64, np.int32), False)

    def mirror(pixels: np.ndarray, qtable: np.ndarray, jpeg: bool, override: int = -1) -> dict[str, np.ndarray]:
        scores = {"score": np.float32(0.5), "gate": np.float32(1), "domain": np.full(4, 0.25)}
        return scores | {"probability": pixels[..., 0]}

    pipeline = {"tile": 128, "tile_step": 32, "overlap": 32, "view": {"weights": [0.0] * 4}, "gate_tiles": 4}
    found = inference.analyse(mirror, image, pipeline)
    assert np.abs(found.tiles * 255 - image.pixels[..., 0]).max() < 1e-3


VIEW = {"size": 96, "weights": [0.5] * 4, "enlarged": {"up_to": 64, "factor": 1.5, "size": 80}}


@pytest.mark.parametrize(
    ("size", "shown"), [((20, 40), (64, 64)), ((64, 64), (96, 96)), ((65, 40), (64, 64)), ((400, 300), (96, 64))]
)
def test_the_view_shows_small_images_enlarged_and_others_shrunk(size, shown):
    image = inference.Decoded(scene(400)[: size[0], : size[1]].copy(), np.ones(64, np.int32), False)
    seen = []

    def blank(pixels: np.ndarray, qtable: np.ndarray, jpeg: bool, override: int = -1) -> dict[str, np.ndarray]:
        seen.append(pixels.shape[:2])
        scores = {"score": np.float32(0.5), "gate": np.float32(1), "domain": np.full(4, 0.25)}
        return scores | {"probability": np.zeros(pixels.shape[:2], np.uint8)}

    pipeline = {"tile": 512, "tile_step": 32, "overlap": 32, "view": VIEW, "gate_tiles": 4}
    inference.analyse(blank, image, pipeline)
    assert seen[-1] == shown


def test_a_mirrored_view_is_turned_back():
    pixels = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    shown = []

    def mirror(pixels: np.ndarray, qtable: np.ndarray, jpeg: bool, override: int = -1) -> dict[str, np.ndarray]:
        shown.append(pixels)
        return {"score": np.float32(0.5), "probability": pixels[..., 0]}

    straight, turned = (inference.whole(mirror, pixels, 1.0, mirrored)[0] for mirrored in (False, True))
    assert np.array_equal(shown[0], shown[1][:, ::-1]) and shown[1][0, 0, 0] > 200
    assert np.array_equal(straight, turned)


def test_tiles_and_view_are_mixed_by_their_logits():
    tiles, view = np.array([[0.9, 0.5, 0.0, 1.0]], np.float32), np.array([[0.1, 0.9, 0.0, 1.0]], np.float32)

    def blended(weight: float) -> np.ndarray:
        return inference.Found(tiles, view, np.zeros(1), 0.0, 1.0, np.zeros(4), weight).blended()[0]

    # Half way between the logits of .5 and .9 is that of .75; what both are sure of stays.
    assert blended(0.5) == pytest.approx([0.5, 0.75, 0.0, 1.0], abs=0.003)
    assert blended(0.0) == pytest.approx(tiles[0], abs=0.003)


def test_a_map_is_lowered_by_a_share_of_its_strongest_parts_logit():
    levels = np.full((4, 13), 10, np.uint8)
    levels[:2, :2], levels[:3, 6:11], levels[3, 12] = 250, 200, 127
    lowered = inference.above_floor(levels, 0.5)
    # The logit of 250 of 255 is 3.91: 250 is left with half of it, 200 with less than nothing.
    expected = inference.shifted(levels, -0.5 * np.log(250 / 5))
    assert np.array_equal(lowered, expected)
    assert lowered[0, 0] == round(255 / (1 + (5 / 250) ** 0.5)) and lowered[0, 6] < 128
    assert np.array_equal(inference.above_floor(levels, 0.0), levels)
    nothing = np.full((3, 3), 127, np.uint8)
    assert np.array_equal(inference.above_floor(nothing, 0.5), nothing)


def test_what_reacts_far_less_than_the_strongest_part_is_lowered():
    levels = np.full((4, 13), 10, np.uint8)
    levels[:2, :2], levels[:2, 6:8], levels[0, 12], levels[1, 11:], levels[1, 4] = 250, 200, 140, 140, 127
    levels[3, 5:8] = [200, 250, 200]
    kept = inference.prominent(levels, 0.3)
    expected = levels.copy()
    expected[levels == 140] = 127
    assert np.array_equal(kept, expected)
    assert set(np.unique(inference.prominent(levels, 0.9))) == {10, 127, 250}
    assert np.array_equal(inference.prominent(levels, 0.0), levels)
    nothing = np.full((3, 3), 127, np.uint8)
    assert np.array_equal(inference.prominent(nothing, 0.5), nothing)


def test_the_view_weighs_as_much_as_the_domain_says():
    weights = {"weights": [0.4, 0.1, 0.5, 0.2]}
    assert inference.view_weight(np.array([0.0, 1.0, 0.0, 0.0]), weights) == pytest.approx(0.1)
    assert inference.view_weight(np.array([0.5, 0.0, 0.0, 0.5]), weights) == pytest.approx(0.3)


def test_exported_graph_agrees_with_pytorch_at_any_batch_and_size(model, tmp_path):
    path = tmp_path / "model.onnx"
    export_onnx(model, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for side, count, choices in ((96, 1, [1]), (160, 3, [-1, -1, 1]), (96, 2, [0, 1]), (96, 2, [0, 0])):
        pixels, qtable, jpeg, override = example(side, count)
        override[:] = torch.tensor(choices)
        found = session.run(None, dict(zip(INPUTS, (t.numpy() for t in (pixels, qtable, jpeg, override)), strict=True)))
        with torch.no_grad():
            expected = [t.numpy() for t in Serving(model)(pixels, qtable, jpeg, override)]
        if not any(choices):
            expected[list(OUTPUTS).index("gate")][:] = 0
        assert np.abs(found[0].astype(int) - expected[0]).max() <= 1
        for ours, theirs in zip(found[1:], expected[1:], strict=True):
            assert np.allclose(ours, theirs, atol=1e-4)


def test_the_fused_heads_of_an_exported_graph_run_where_they_are_wanted(model, tmp_path):
    path = tmp_path / "model.onnx"
    export_onnx(model, str(path))
    graph = onnx.load(path).graph
    (branch,) = [node for node in graph.node if node.op_type == "If"]
    fused = {attribute.name: attribute.g for attribute in branch.attribute}["then_branch"]
    heads = ("/model/frequency/", "/model/fusion/", "/model/coarse_fused/", "/model/gate/")
    assert not [node.name for node in graph.node if node.op_type == "Conv" and node.name.startswith(heads)]
    inside = [node.name for node in fused.node if node.op_type == "Conv"]
    assert all(any(name.startswith(head) for name in inside) for head in heads)
    assert len(list(nodes_of(graph))) > len(graph.node) + len(fused.node)
    without = onnx.load(path)
    del without.graph.node[:]
    with pytest.raises(ValueError, match="modality"):
        fused_on_demand(without)
