"""A released graph as a checkpoint again: training goes on from what is in git, whatever became of the run behind it.

python -m restore --onnx release/omni-iml.onnx --shards DIR --out runs/released.pt

The export folds batch norms into the convolutions before them. Here each pair is taken apart again: the convolution
keeps the folded weights but for their size, and the norm gets the mean and variance that its input has on forged
samples, with the scale and offset that undo them. The function is the same, and in training the norms do their work
again. Each channel's weights get the size that they would have been initialised with: a step of the optimiser is as
large whatever a weight's size, and folded weights are small (0.8.0's run went further than it should for that).
"""

import argparse
import itertools
import json
import pathlib
from dataclasses import replace

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from omni_iml.branches import initializers_of, nodes_of
from omni_iml.model import Config, OmniIML
from omni_iml.serving import example
from omni_iml.shards import Batch, Stream

Pair = tuple[nn.Conv2d, nn.BatchNorm2d]
INITIAL_SIZE = 2**0.5  # of a channel's weights by He's initialisation, whatever their number
BATCHES = 40  # enough for a norm's statistics
LEAST_SIZE = 1e-3  # below that a channel is dead, and stays so


def folded_pairs(model: OmniIML) -> list[Pair]:
    """Convolutions with a batch norm right behind them, in the order in which a forward pass meets them."""
    pairs: list[Pair] = []
    last: list[nn.Module] = [nn.Identity()]

    def met(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.BatchNorm2d) and isinstance(last[0], nn.Conv2d):
            pairs.append((last[0], module))
        last[0] = module

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(met) for module in leaves]
    pixels, qtable, jpeg, _ = example(64)
    with torch.no_grad():
        model(pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float())
    for handle in handles:
        handle.remove()
    # What a dynamic filter mixes lies between its bank and its norm: that norm is a node of its own in the graph.
    mixed = {id(layer.norm) for layer in model.decoder.filters}
    return [pair for pair in pairs if id(pair[1]) not in mixed]


def mask_stride(path: str) -> int:
    """A graph's mask stride in pixels: how many values its last convolution gives for each place of 4 px."""
    graph = onnx.load(path).graph
    values = next(one.dims[0] for one in initializers_of(graph) if one.name == "model.decoder.predict.bias")
    return {1: 4, 4: 2}[values]


def load_graph(model: OmniIML, path: str) -> list[Pair]:
    """Puts a graph's weights into the network; folded norms get the scale 1 and the folded offset, and are returned.

    Raises ValueError where the graph is not of this configuration.
    """
    graph = onnx.load(path).graph
    values = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in initializers_of(graph)}
    own = model.state_dict()
    named = {name.removeprefix("model."): value for name, value in values.items() if name.startswith("model.")}
    named = {name: value for name, value in named.items() if name in own}
    pairs = folded_pairs(model)
    folded = [
        [values[name] for name in node.input[1:]]
        for node in nodes_of(graph)
        if node.op_type == "Conv" and node.input[1].startswith("onnx::")
    ]
    shapes = [[tuple(value.shape) for value in one] for one in folded]
    if shapes != [[tuple(conv.weight.shape), (norm.num_features,)] for conv, norm in pairs]:
        raise ValueError(f"{path}: the graph is not of configuration {model.config.as_dict()}")
    model.load_state_dict(named, strict=False)
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(pairs, folded, strict=True):
            conv.weight.copy_(weight)
            empty(norm)
            norm.bias.copy_(bias)
    return pairs


@torch.no_grad()
def fold(pairs: list[Pair]) -> None:
    """Puts norms into the convolutions before them, as the export does; what is left of a norm is its offset."""
    for conv, norm in pairs:
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.sub_(norm.running_mean * scale)
        conv.weight.mul_(scale[:, None, None, None])
        if conv.bias is not None:
            norm.bias.add_(conv.bias * scale)
            conv.bias.zero_()
        empty(norm)


@torch.no_grad()
def empty(norm: nn.BatchNorm2d) -> None:
    """Makes a norm do nothing but add its offset."""
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)


def forged(shards: str, count: int) -> list[Batch]:
    """So many batches of a folder of shards, the same ones every time."""
    return list(itertools.islice(Stream(shards, 16, seed=0).batches(), count))


@torch.no_grad()
def unfold(model: OmniIML, pairs: list[Pair], batches: list[Batch]) -> None:
    """Gives folded norms the statistics of their inputs on `batches`, and the scale and offset that undo them."""
    sums: dict[nn.BatchNorm2d, list[Tensor]] = {norm: [] for _, norm in pairs}
    convolutions = {norm: conv for conv, norm in pairs}

    def gather(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        x = inputs[0].double()
        sums[norm].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

    handles = [norm.register_forward_pre_hook(gather) for _, norm in pairs]
    for one in batches:
        model(one.pixels.float(), one.qtable, one.jpeg)
    for handle in handles:
        handle.remove()
    for norm, of in sums.items():
        mean, square = torch.stack(of).mean(0)
        variance = (square - mean.square()).clamp(min=0)
        offset = norm.bias.double() + mean
        weight = convolutions[norm].weight
        larger = INITIAL_SIZE / weight.double().flatten(1).norm(dim=1).clamp(min=LEAST_SIZE)
        weight.mul_(larger[:, None, None, None].to(weight.dtype))
        norm.running_mean.copy_(mean * larger)
        norm.running_var.copy_(variance * larger.square())
        norm.weight.copy_((variance * larger.square() + norm.eps).sqrt() / larger)
        norm.bias.copy_(offset)


def finer(model: OmniIML) -> OmniIML:
    """The same network with a mask of stride 2: where it had one value, four that begin as equal ones."""
    state = model.state_dict()
    for name in ("decoder.predict.weight", "decoder.predict.bias"):
        state[name] = state[name].repeat_interleave(4, 0)
    other = OmniIML(replace(model.config, mask_stride=2)).eval()
    other.load_state_dict(state)
    return other


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--config", default="{}", help="JSON of omni_iml.model.Config")
    parser.add_argument("--shards", required=True, help="forged samples for the norms' statistics")
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--finer", action="store_true", help="with a mask of stride 2, where the release has 4")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    model = OmniIML(Config(**({"mask_stride": mask_stride(args.onnx)} | json.loads(args.config)))).eval()
    pairs = load_graph(model, args.onnx)
    unfold(model, pairs, forged(args.shards, args.batches))
    if args.finer and model.mask_stride == 4:
        model = finer(model)
    manifest = json.loads(pathlib.Path(args.onnx).with_name("manifest.json").read_text())
    progress = {name: value for name, value in manifest["training"].items() if name not in ("data", "map_shift")}
    torch.save({"config": model.config.as_dict(), "ema": model.state_dict(), "progress": progress}, args.out)
    print(f"{args.out}: {manifest['name']} {manifest['version']}, {len(pairs)} norms unfolded")


if __name__ == "__main__":
    main()
