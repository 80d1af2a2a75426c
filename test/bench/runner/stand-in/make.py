"""Makes `stand-in.onnx`: a model with the inputs and outputs of the release that answers at once.

Run from the repository's root: python test/bench/runner/stand-in/make.py

Its map is the red channel, its scores are constants. What a bench measures with it is everything but the network.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
INPUTS = {
    "pixels": (TensorProto.UINT8, ["N", "H", "W", 3]),
    "qtable": (TensorProto.INT32, ["N", 64]),
    "jpeg": (TensorProto.UINT8, ["N"]),
    "modality_override": (TensorProto.INT8, ["N"]),
}
OUTPUTS = {
    "probability": (TensorProto.UINT8, ["N", "H", "W"]),
    "score": (TensorProto.FLOAT, ["N"]),
    "gate": (TensorProto.FLOAT, ["N"]),
    "domain": (TensorProto.FLOAT, ["N", 4]),
}


def stand_in() -> onnx.ModelProto:
    """The model."""
    constants = {
        "zero": np.array(0, np.int64),
        "four": np.array([4], np.int64),
        "half": np.array([0.5], np.float32),
        "certain": np.array([0.9], np.float32),
        "quarters": np.full((1, 4), 0.25, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["pixels", "zero"], ["probability"], axis=3),
        helper.make_node("Shape", ["jpeg"], ["count"]),
        helper.make_node("Expand", ["half", "count"], ["score"]),
        helper.make_node("Expand", ["certain", "count"], ["gate"]),
        helper.make_node("Concat", ["count", "four"], ["by_domain"], axis=0),
        helper.make_node("Expand", ["quarters", "by_domain"], ["domain"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stand_in",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in INPUTS.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in OUTPUTS.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    Path(__file__).with_name("stand-in.onnx").write_bytes(stand_in().SerializeToString())
