import pytest
import torch

from average import average
from omni_iml.model import Config


def checkpoint(config: Config, value: float) -> dict:
    """One weight, one counter."""
    ema = {"weight": torch.tensor([value, -value]), "count": torch.tensor(int(value))}
    return {"config": config.as_dict(), "ema": ema, "progress": {"samples": int(value)}, "optimiser": {}}


def test_weights_are_averaged_and_the_rest_is_the_last_ones():
    made = average([checkpoint(Config(), 1.0), checkpoint(Config(), 4.0)])
    assert made["ema"]["weight"].tolist() == [2.5, -2.5]
    assert made["ema"]["count"] == 4
    assert made["progress"] == {"samples": 4, "averaged": 2}


def test_networks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="configuration"):
        average([checkpoint(Config(dynamic=False), 1.0), checkpoint(Config(), 4.0)])
