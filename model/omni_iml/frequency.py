"""Frequency perception head: the JPEG's own DCT coefficients, recovered from the decoded pixels, at block level.

A decoded JPEG, transformed again on its own grid and divided by its own table, gives the file's coefficients back
(99 % within a quarter step at quality ≤ 75), so the graph needs only pixels and table and training cannot differ from
serving. The input encoding follows DTD (Qu et al. 2023), |c| clipped to 0…20 and embedded; here a block is a position.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.layers import ConvNorm, DilatedResidual, full_precision

CLIP = 20
EMBEDDING = 4
# In images that are no JPEGs many coefficients are exact multiples of 1/8, and at a half the last bit of a convolution
# decides: PyTorch and onnxruntime then disagree. So the border lies a little beside the half.
ROUND_UP_FROM = 1 - 0.49


def dct_kernels() -> Tensor:
    """The 64 two-dimensional DCT-II basis functions of JPEG, [64, 1, 8, 8], natural (row-major) order."""
    basis = torch.tensor(
        [
            [math.sqrt((1 if u == 0 else 2) / 8) * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)]
            for u in range(8)
        ],
        dtype=torch.float64,
    )
    return torch.einsum("uy,vx->uvyx", basis, basis).reshape(64, 1, 8, 8).float()


class FrequencyHead(nn.Module):
    """Pixels and quantization table to block features [N, width, H/8, W/8]."""

    def __init__(self, width: int = 64, dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 2)):
        super().__init__()
        self.register_buffer("dct", dct_kernels(), persistent=False)
        self.register_buffer("luma", torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1), persistent=False)
        self.embed = nn.Embedding(CLIP + 1, EMBEDDING)
        self.mix = ConvNorm(64 * EMBEDDING, width, 1)
        self.spatial = ConvNorm(width, width, 3)
        # A coefficient means something else under another table; the flag tells a table of ones from quality 100.
        self.table = nn.Sequential(nn.Linear(65, 64), nn.ReLU(), nn.Linear(64, width))
        self.layers = nn.Sequential(*(DilatedResidual(width, dilation) for dilation in dilations))

    def magnitudes(self, pixels: Tensor, qtable: Tensor) -> Tensor:
        """What the quantized DCT coefficients of the luma are without their sign.

        Pixels [N, 3, H, W] in 0…255, table [N, 64]; [N, 64, H/8, W/8].
        """
        with full_precision(pixels):
            luma = functional.conv2d(pixels, self.luma) - 128
            scaled = functional.conv2d(luma, self.dct, stride=8) / qtable[:, :, None, None]
            return torch.floor(scaled.abs() + ROUND_UP_FROM)

    def forward(self, pixels: Tensor, qtable: Tensor, jpeg: Tensor) -> Tensor:
        """Pixels [N, 3, H, W] in 0…255, table [N, 64] ≥ 1, flag [N] in {0, 1}; [N, width, H/8, W/8]."""
        index = self.magnitudes(pixels, qtable).clamp(max=CLIP).long()
        n, _, h, w = index.shape
        x = self.embed(index).permute(0, 1, 4, 2, 3).reshape(n, 64 * EMBEDDING, h, w)
        known = torch.cat([torch.log2(qtable) / 8, jpeg[:, None]], 1)
        x = self.spatial(self.mix(x)) * (1 + self.table(known))[:, :, None, None]
        return self.layers(x)
