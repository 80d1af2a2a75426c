import itertools
import json
import pathlib

import numpy as np
import pytest
import torch

import restore
from omni_iml.inference import Session
from omni_iml.model import Config, OmniIML
from omni_iml.serving import example, export_onnx
from omni_iml.shards import Stream
from test_train import shard


def untrained(seed: int, config: Config | None = None) -> OmniIML:
    """An untrained network whose norms have seen something."""
    torch.manual_seed(seed)
    model = OmniIML(config).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.bias.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module", params=[4, 2])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A release of an untrained network of one mask stride, with forged samples beside it."""
    folder = tmp_path_factory.mktemp("release")
    export_onnx(untrained(3, Config(mask_stride=request.param)), str(folder / "omni-iml.onnx"), shift=0.5)
    manifest = {"name": "omni-iml", "version": "9", "training": {"data": "none", "samples": 7, "map_shift": 0.5}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for seed in range(2):
        shard(folder / f"shard-1-{seed:05d}.npz", 64, 16, seed)
    return folder


def test_a_release_becomes_the_same_network_again(released, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv",
        f"restore --onnx {released}/omni-iml.onnx --shards {released} --batches 4 --out {tmp_path}/back.pt".split(),
    )
    restore.main()
    checkpoint = torch.load(tmp_path / "back.pt", weights_only=True)
    assert checkpoint["progress"] == {"samples": 7}
    model = OmniIML(Config(**checkpoint["config"])).eval()
    model.load_state_dict(checkpoint["ema"])
    export_onnx(model, str(tmp_path / "again.onnx"), shift=0.5)
    pixels, qtable, _, _ = (part.numpy()[0] for part in example(64))
    first, second = (Session(str(path)) for path in (released / "omni-iml.onnx", tmp_path / "again.onnx"))
    for override in (0, 1):
        one, other = (session(pixels, qtable, True, override) for session in (first, second))
        assert np.abs(one["probability"].astype(int) - other["probability"]).max() <= 1
        assert abs(one["score"] - other["score"]) < 1e-4
        assert abs(one["gate"] - other["gate"]) < 1e-4


def test_a_finer_mask_begins_as_the_coarser_one():
    model = untrained(3, Config(mask_stride=4))
    other = restore.finer(model)
    pixels, qtable, jpeg, _ = example(64)
    seen = (pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float())
    with torch.no_grad():
        coarse, fine = model(*seen), other(*seen)
    assert fine.mask.shape[-1] == 2 * coarse.mask.shape[-1]
    # What the decoder corrects is the same; the coarse mask below it is drawn more smoothly.
    assert torch.allclose(torch.nn.functional.avg_pool2d(fine.mask, 2), coarse.mask, atol=0.3)
    assert torch.equal(coarse.coarse_fused, fine.coarse_fused)


def test_norms_get_the_statistics_of_what_they_see(released):
    path = str(released / "omni-iml.onnx")
    model = OmniIML(Config(mask_stride=restore.mask_stride(path))).eval()
    pairs = restore.load_graph(model, path)
    batches = list(itertools.islice(Stream(str(released), 4, seed=0).batches(), 2))
    restore.unfold(model, pairs, batches)
    conv, norm = pairs[len(pairs) // 2]
    seen = []
    conv.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    with torch.no_grad():
        for one in batches:
            model(one.pixels.float(), one.qtable, one.jpeg)
    assert torch.allclose(torch.cat(seen).mean((0, 2, 3)), norm.running_mean, atol=1e-4)
    assert torch.allclose(torch.cat(seen).var((0, 2, 3), correction=0), norm.running_var, rtol=1e-3, atol=1e-5)


def test_a_graph_of_another_configuration_is_refused(released):
    with pytest.raises(ValueError, match="not of configuration"):
        restore.load_graph(OmniIML(Config(correlation=False)), str(released / "omni-iml.onnx"))
