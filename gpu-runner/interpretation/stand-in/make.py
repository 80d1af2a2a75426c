"""Writes interpretation.onnx: the contract of model/interpretation/README.md with arithmetic in the network's place.

    python gpu-runner/interpretation/stand-in/make.py

What it says follows from what it is shown, so that a test can tell views, masks, facts and rows apart:
`confirmed` is the share of the close-up's mask, `kind` the share of kinds 0 and 1 (one less the domain natural and
the rest), `artifacts` are the eleven facts clipped to 0…1 and, as the twelfth, the mean of the detail's red.
"""

from pathlib import Path

from onnx import TensorProto, checker, helper, save

constants = [
    helper.make_tensor("one", TensorProto.INT64, [1], [1]),
    helper.make_tensor("two", TensorProto.INT64, [1], [2]),
    helper.make_tensor("three", TensorProto.INT64, [1], [3]),
    helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    helper.make_tensor("natural", TensorProto.INT64, [1], [7]),
    helper.make_tensor("after_natural", TensorProto.INT64, [1], [8]),
    helper.make_tensor("view_axis", TensorProto.INT64, [1], [1]),
    helper.make_tensor("channel_axis", TensorProto.INT64, [1], [4]),
    helper.make_tensor("all_of_mask", TensorProto.INT64, [3], [1, 2, 3]),
    helper.make_tensor("all_of_view", TensorProto.INT64, [4], [1, 2, 3, 4]),
    helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
    helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
    helper.make_tensor("everything", TensorProto.FLOAT, [], [1.0]),
    helper.make_tensor("kinds_left", TensorProto.INT64, [4], [0, 0, 0, 9]),
]
nodes = [
    helper.make_node("Slice", ["masks", "one", "two", "view_axis"], ["close_up"]),
    helper.make_node("Cast", ["close_up"], ["close_up_float"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMean", ["close_up_float", "all_of_mask"], ["close_up_mean"], keepdims=0),
    helper.make_node("Div", ["close_up_mean", "white"], ["confirmed"]),
    helper.make_node("Slice", ["views", "two", "three", "view_axis"], ["detail"]),
    helper.make_node("Slice", ["detail", "first", "one", "channel_axis"], ["red"]),
    helper.make_node("Cast", ["red"], ["red_float"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMean", ["red_float", "all_of_view"], ["red_mean"], keepdims=0),
    helper.make_node("Div", ["red_mean", "white"], ["red_share"]),
    helper.make_node("Unsqueeze", ["red_share", "one"], ["red_column"]),
    helper.make_node("Clip", ["facts", "nothing", "everything"], ["clipped"]),
    helper.make_node("Concat", ["clipped", "red_column"], ["artifacts"], axis=1),
    helper.make_node("Slice", ["facts", "natural", "after_natural", "one"], ["natural_share"]),
    helper.make_node("Sub", ["everything", "natural_share"], ["other_share"]),
    helper.make_node("Concat", ["other_share", "natural_share"], ["two_kinds"], axis=1),
    helper.make_node("Pad", ["two_kinds", "kinds_left"], ["kind"]),
]
graph = helper.make_graph(
    nodes,
    "stand-in",
    [
        helper.make_tensor_value_info("views", TensorProto.UINT8, ["N", 3, 192, 192, 3]),
        helper.make_tensor_value_info("masks", TensorProto.UINT8, ["N", 3, 192, 192]),
        helper.make_tensor_value_info("facts", TensorProto.FLOAT, ["N", 11]),
    ],
    [
        helper.make_tensor_value_info("kind", TensorProto.FLOAT, ["N", 11]),
        helper.make_tensor_value_info("artifacts", TensorProto.FLOAT, ["N", 12]),
        helper.make_tensor_value_info("confirmed", TensorProto.FLOAT, ["N"]),
    ],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
checker.check_model(model)
save(model, Path(__file__).parent / "interpretation.onnx")
