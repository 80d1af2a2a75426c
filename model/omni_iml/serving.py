"""The graph that is served: exactly the model contract of the product (see ARCHITECTURE.md), around an OmniIML."""

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.branches import fused_on_demand
from omni_iml.model import OmniIML

INPUTS = {
    "pixels": ("uint8", ["N", "H", "W", 3]),
    "qtable": ("int32", ["N", 64]),
    "jpeg": ("uint8", ["N"]),
    "modality_override": ("int8", ["N"]),
}
OUTPUTS = {
    "probability": ("uint8", ["N", "H", "W"]),
    "score": ("float32", ["N"]),
    "gate": ("float32", ["N"]),
    "domain": ("float32", ["N", 4]),
}


def delivered_map(logits: Tensor, stride: int, shift: float = 0.0) -> Tensor:
    """Mask logits [N, 1, H/stride, W/stride], moved by `shift`, as the map that is delivered: uint8 [N, H, W]."""
    mask = functional.interpolate(logits, scale_factor=float(stride), mode="bilinear", align_corners=False)
    return torch.round((mask[:, 0] + shift).sigmoid() * 255).to(torch.uint8)


class Serving(nn.Module):
    """Casts, normalises, runs, upsamples, quantizes: the graph does all arithmetic on pixels.

    `shift` is added to the mask's logits, so that 0.5 is the threshold that validation found best (calibrate.py).
    """

    def __init__(self, model: OmniIML, shift: float = 0.0):
        super().__init__()
        self.model = model.eval()
        self.shift = shift

    def forward(
        self, pixels: Tensor, qtable: Tensor, jpeg: Tensor, modality_override: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs and outputs as in INPUTS and OUTPUTS; `gate` is the probability of the fused modality.

        In the exported graph `gate` is 0 where every image of the batch forces the other one (branches.py).
        """
        out = self.model(
            pixels.permute(0, 3, 1, 2).float(), qtable.float(), jpeg.float(), modality_override.to(torch.int32)
        )
        mask = delivered_map(out.mask, self.model.mask_stride, self.shift)
        return mask, out.score.sigmoid(), out.gate.sigmoid(), out.domain.softmax(1)


def example(side: int = 256, batch: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs of the right types, for tracing."""
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randint(0, 256, (batch, side, side + 32, 3), dtype=torch.uint8, generator=generator),
        torch.randint(1, 40, (batch, 64), dtype=torch.int32, generator=generator),
        torch.ones(batch, dtype=torch.uint8),
        torch.full((batch,), -1, dtype=torch.int8),
    )


def export_onnx(model: OmniIML, path: str, opset: int = 18, shift: float = 0.0) -> None:
    """Writes the serving graph as one fp32 ONNX file with N, H and W dynamic."""
    torch.onnx.export(
        Serving(model, shift),
        example(),
        path,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_axes={
            "pixels": {0: "N", 1: "H", 2: "W"},
            "qtable": {0: "N"},
            "jpeg": {0: "N"},
            "modality_override": {0: "N"},
            "probability": {0: "N", 1: "H", 2: "W"},
            "score": {0: "N"},
            "gate": {0: "N"},
            "domain": {0: "N"},
        },
        opset_version=opset,
        dynamo=False,
    )
    if model.config.modality == "gated":
        onnx.save(fused_on_demand(onnx.load(path)), path)
