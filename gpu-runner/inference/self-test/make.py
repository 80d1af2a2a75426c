"""Makes what the start-up self-test of a device needs; the files are committed.

Run from the repository's root: python gpu-runner/inference/self-test/make.py

`convolution.onnx` is one 3x3 convolution, fp32, x [1,64,32,32] and w [64,64,3,3] to y [1,64,32,32], both given at run
time. Nothing else is in the graph, so nothing else can differ. `tile.jpg` is 256x256 pixels of the bundled forged photo.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper
from PIL import Image

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "test" / "samples" / "balloon-forged.jpg"
OPSET = 18


def convolution() -> onnx.ModelProto:
    """The model of one convolution."""
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"x": [1, 64, 32, 32], "w": [64, 64, 3, 3], "y": [1, 64, 32, 32]}.items()
    }
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "convolution", [values["x"], values["w"]], [values["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    (HERE / "convolution.onnx").write_bytes(convolution().SerializeToString())
    with Image.open(SAMPLE) as photo:
        photo.crop((320, 208, 576, 464)).save(HERE / "tile.jpg", quality=88)
