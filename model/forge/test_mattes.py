import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from . import mattes
from .pool import Pool
from .regions import object_mask


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    """A network that takes what is red for the foreground: of the input (x - 128) / 256 the first channel, doubled."""
    size = [1, 1, mattes.SIDE, mattes.SIDE]
    nodes = [
        helper.make_node("Split", ["input"], ["red", "green", "blue"], axis=1, num_outputs=3),
        helper.make_node("Add", ["red", "red"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, mattes.SIDE, mattes.SIDE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, size)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def picture(*discs: tuple[int, int, int, int]) -> np.ndarray:
    """Discs (x, y, radius, red) on black."""
    pixels = np.zeros((240, 320, 3), np.uint8)
    for x, y, radius, red in discs:
        cv2.circle(pixels, (x, y), radius, (red, 40, 40), -1)
    return pixels


def pool_of(folder: Path, pictures: dict[str, np.ndarray]) -> Pool:
    rows = ["dest,domain,set,width,height"]
    for name, pixels in pictures.items():
        path = folder / "natural" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append(f"natural/{name}.png,natural,imagenet-samples,{pixels.shape[1]},{pixels.shape[0]}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return Pool(folder, "all")


def test_forgers_cut_out_what_the_network_is_sure_of(tmp_path: Path, session: onnxruntime.InferenceSession) -> None:
    pictures = {
        "two": picture((80, 120, 40, 255), (230, 90, 30, 255)),
        "faint": picture((160, 120, 50, 200)),
        "all": picture((160, 120, 300, 255)),
        "speck": picture((160, 120, 6, 255)),
    }
    pool = pool_of(tmp_path, pictures)
    assert mattes.annotate(session, pool, 3) == (3, 1)
    assert mattes.annotate(session, pool) == (1, 0)  # those that have a file are left alone
    assert mattes.annotate(session, pool) == (0, 0)
    photo = Pool(tmp_path, "all").load(pool.records[0])
    assert photo.segments is not None
    for label, (name, x, y, radius) in enumerate([("larger", 80, 120, 40), ("smaller", 230, 90, 30)], 1):
        rows, columns = np.nonzero(photo.segments == label)
        assert abs(columns.mean() - x) < 1 and abs(rows.mean() - y) < 1, name
        assert len(rows) == pytest.approx(np.pi * radius**2, rel=0.05)
    rng = np.random.default_rng(0)
    cut = [object_mask(rng, photo) for _ in range(20)]
    exact = [mask for mask in cut if mask is not None and set(np.unique(photo.segments[mask])) <= {1, 2}]
    assert len(exact) > 14
    empty = Pool(tmp_path, "all").load(pool.records[1])
    assert empty.segments is not None and not empty.segments.any()


def test_weights_are_put_together_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "aa").write_bytes(b"first")
    (folder / "bb").write_bytes(b"second")
    pieces = [{"hash": "aa"}, {"hash": "bb"}]
    (folder / "resources.json").write_text(json.dumps({"/models/small": {"chunks": pieces}}))
    assert mattes.weights(tmp_path) == b"firstsecond"
