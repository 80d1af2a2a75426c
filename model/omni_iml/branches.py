"""The fused modality as a branch of the served graph: where nobody asks for it, its heads do not run.

The frequency head, the fusion, its coarse mask and the gate are a fifth of the network. The runner looks at every image
once more as a whole, by its colours alone (no lattice survives resampling), and there all of that would be thrown away.
"""

from collections.abc import Iterator

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

# A logit whose sigmoid is 0 to the ninth digit.
NEVER = -20.0


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes in the order in which they run, those of branches in the place of their branch."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes_of(attribute.g)


def initializers_of(graph: GraphProto) -> Iterator[TensorProto]:
    """All constants, those of branches included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from initializers_of(attribute.g)


def own_ancestors(graph: GraphProto, tensors: set[str]) -> list[int]:
    """Where in the graph the nodes are that run for nothing but these tensors, rising."""
    consumers: dict[str, set[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            consumers.setdefault(name, set()).add(index)
    wanted, found = set(tensors), set()
    delivered = {output.name for output in graph.output}
    for index, node in reversed(list(enumerate(graph.node))):
        if wanted.isdisjoint(node.output):
            continue
        if all(name in tensors or (name not in delivered and consumers[name] <= found) for name in node.output):
            found.add(index)
            wanted.update(node.input)
    return sorted(found)


def fused_on_demand(model: ModelProto) -> ModelProto:
    """The same graph, in which the fused modality's heads run unless every image of the batch forces the other one.

    Results are the same but for `gate`, which is then 0. Raises ValueError where the graph does not choose a modality.
    """
    graph = model.graph
    choices = [node for node in graph.node if node.op_type == "Where" and node.name.startswith("/model/Where")]
    producers = {name: node for node in graph.node for name in node.output}
    gate = producers.get("gate")
    if len(choices) != 2 or gate is None or gate.op_type != "Sigmoid":
        raise ValueError("the graph has no choice of a modality, or more than one")
    (_, fused, rgb), (_, coarse_fused, coarse_rgb) = (node.input for node in choices)
    instead = {fused: rgb, coarse_fused: coarse_rgb, gate.input[0]: None}
    places = own_ancestors(graph, set(instead))
    moved = [graph.node[place] for place in places]
    before = [node for place, node in enumerate(graph.node) if place < places[-1] and place not in places]
    after = list(graph.node[places[-1] + 1 :])
    inside, outside = ({name for node in nodes for name in node.input} for nodes in (moved, before + after))
    own = [one for one in graph.initializer if one.name in inside and one.name not in outside]

    condition = [
        helper.make_node("Cast", ["modality_override"], ["asked"], to=TensorProto.INT32),
        helper.make_node("Abs", ["asked"], ["asked_any_way"]),
        helper.make_node("ReduceMax", ["asked_any_way"], ["asked_at_all"], keepdims=0),
        helper.make_node("Cast", ["asked_at_all"], ["fused_wanted"], to=TensorProto.BOOL),
    ]
    branch = helper.make_node(
        "If",
        ["fused_wanted"],
        list(instead),
        name="fused_if_wanted",
        then_branch=helper.make_graph(renamed(moved, "then_", instead), "fused", [], outputs("then_", instead), own),
        else_branch=helper.make_graph(otherwise(instead), "rgb_alone", [], outputs("else_", instead)),
    )
    rest = [one for one in graph.initializer if one.name not in inside or one.name in outside]
    del graph.node[:], graph.initializer[:]
    graph.node.extend([*condition, *before, branch, *after])
    graph.initializer.extend(rest)
    onnx.checker.check_model(model)
    return model


def renamed(nodes: list[NodeProto], prefix: str, tensors: dict[str, str | None]) -> list[NodeProto]:
    """Copies of nodes for a branch, whose outputs cannot have the names that they have outside."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        for names in (copy.input, copy.output):
            names[:] = [prefix + name if name in tensors else name for name in names]
        copies.append(copy)
    return copies


def otherwise(instead: dict[str, str | None]) -> list[NodeProto]:
    """What stands in for each tensor where it is not computed: another one, or for the gate a logit that says never."""
    never = helper.make_tensor("never", TensorProto.FLOAT, [1], [NEVER])
    nodes = [
        helper.make_node("Cast", ["modality_override"], ["zeros"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["never"], value=never),
    ]
    for name, other in instead.items():
        stand_in = helper.make_node("Identity", [other], ["else_" + name]) if other else None
        nodes.append(stand_in or helper.make_node("Add", ["zeros", "never"], ["else_" + name]))
    return nodes


def outputs(prefix: str, tensors: dict[str, str | None]) -> list[onnx.ValueInfoProto]:
    """A branch's outputs: floats of any shape."""
    return [helper.make_tensor_value_info(prefix + name, TensorProto.FLOAT, None) for name in tensors]
