import copy

import pytest
import torch

from average import average, with_statistics
from omni_iml.model import Config, OmniIML
from omni_iml.serving import example
from restore import folded_pairs
from test_restore import untrained
from test_train import shard


def checkpoint(model: OmniIML, samples: int = 1) -> dict:
    """As a run leaves it."""
    progress = {"samples": samples}
    return {"config": model.config.as_dict(), "ema": model.state_dict(), "progress": progress, "optimiser": {}}


def logits(state: dict) -> torch.Tensor:
    """What a checkpoint's network says of an example."""
    model = OmniIML(Config(**state["config"])).eval()
    model.load_state_dict(state["ema"])
    pixels, qtable, jpeg, _ = example(64)
    with torch.no_grad():
        return model(pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float()).mask


def test_weights_are_averaged_and_the_rest_is_the_last_ones():
    first, second = untrained(1), untrained(2)
    made = average([checkpoint(first, 1), checkpoint(second, 4)])
    name = next(f"{name}.weight" for name, part in first.named_modules() if isinstance(part, torch.nn.Linear))
    mean = (first.state_dict()[name] + second.state_dict()[name]) / 2
    assert torch.allclose(made["ema"][name], mean)
    assert made["progress"] == {"samples": 4, "averaged": 2}


def test_the_mean_of_one_function_with_weights_of_two_sizes_is_that_function():
    model = untrained(1)
    larger = copy.deepcopy(model)
    with torch.no_grad():
        for conv, norm in folded_pairs(larger):
            conv.weight.mul_(3)
            norm.running_mean.mul_(3)
            norm.running_var.add_(norm.eps).mul_(9).sub_(norm.eps)
            if conv.bias is not None:
                conv.bias.mul_(3)
    wanted = logits(checkpoint(model))
    assert torch.allclose(logits(checkpoint(larger)), wanted, atol=1e-3)
    assert torch.allclose(logits(average([checkpoint(model), checkpoint(larger)])), wanted, atol=1e-3)


def test_with_statistics_it_is_the_same_function(tmp_path):
    shard(tmp_path / "shard-1-00000.npz", 64, 16, 0)
    mean = average([checkpoint(untrained(1)), checkpoint(untrained(1))])
    assert torch.allclose(logits(with_statistics(mean, str(tmp_path))), logits(mean), atol=1e-3)


def test_networks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="configuration"):
        average([checkpoint(OmniIML(Config(dynamic=False))), checkpoint(OmniIML())])
