"""Dynamic Weight Decoder: a feature pyramid, filters whose weights depend on the sample, and the final mask."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.layers import ConvNorm


def enlarge(x: Tensor, times: int) -> Tensor:
    """Bilinear, [N, C, h, w] to [N, C, times·h, times·w]; onnxruntime is faster with factors than with sizes."""
    return functional.interpolate(x, scale_factor=float(times), mode="bilinear", align_corners=False)


class DynamicFilter(nn.Module):
    """Depthwise 3×3 convolution whose kernel is mixed per sample from four, then 1×1, residual.

    A = σ(FC(V_c, V_g)), kernel = Σ A_i·W_i. Convolution is linear in its kernel, so one static convolution C→4C whose
    outputs are mixed by A gives the same result and exports with a dynamic batch. With `dynamic` False A is 1/4.
    """

    KERNELS = 4

    def __init__(self, width: int, dilation: int, dynamic: bool):
        super().__init__()
        self.width = width
        self.bank = nn.Conv2d(
            width, width * self.KERNELS, 3, padding=dilation, dilation=dilation, groups=width, bias=False
        )
        self.choose = nn.Linear(2 * width, self.KERNELS) if dynamic else None
        self.norm = nn.BatchNorm2d(width)
        self.point = ConvNorm(width, width, 1)

    def forward(self, x: Tensor, overall: Tensor) -> Tensor:
        """Features [N, C, h, w] and global vector V_g [N, C]; [N, C, h, w]."""
        n, _, h, w = x.shape
        banks = self.bank(x).reshape(n, self.width, self.KERNELS, h, w)
        if self.choose is None:
            mixed = banks.mean(2)
        else:
            weight = self.choose(torch.cat([x.mean((2, 3)), overall], 1)).sigmoid()
            mixed = (banks * weight[:, None, :, None, None]).sum(2)
        return x + self.point(functional.relu6(self.norm(mixed)))


class Decoder(nn.Module):
    """Pyramid of strides 4, 8, 16, 32 to mask logits at stride 4 or, four values a place, at stride 2.

    Its 3×3 convolutions are dense: beside the encoder's depthwise ones they cost little time, and a separable decoder
    of the same width found less than a plain dense one.
    """

    def __init__(self, widths: tuple[int, ...], width: int, dynamic: bool, stride: int):
        super().__init__()
        self.lateral = nn.ModuleList(ConvNorm(cin, width, 1, act=False) for cin in widths)
        self.smooth = nn.ModuleList(ConvNorm(width, width, 3) for _ in widths)
        self.gather = ConvNorm(width * (len(widths) - 1), width, 1)
        self.filters = nn.ModuleList(DynamicFilter(width, dilation, dynamic) for dilation in (1, 3, 6))
        self.refine = ConvNorm(width, width, 3)
        self.finer = 4 // stride
        self.predict = nn.Conv2d(width, self.finer**2, 1)

    def pyramid(
        self, quarter: Tensor, eighth: Tensor, sixteenth: Tensor, last: Tensor, repeated: Tensor | None
    ) -> list[Tensor]:
        """Encoder features at strides 4, 8, 16, 32, fused top-down: F1…F4, each [N, width, ·, ·].

        `repeated` [N, width, H/16, W/16] is what self-correlation says, where there is one.
        """
        found = (quarter, eighth, sixteenth, last)
        levels = [lateral(x) for lateral, x in zip(self.lateral, found, strict=True)]
        if repeated is not None:
            levels[2] = levels[2] + repeated
        for i in (2, 1, 0):
            levels[i] = levels[i] + enlarge(levels[i + 1], 2)
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]

    def forward(self, pyramid: list[Tensor]) -> tuple[Tensor, Tensor]:
        """F1…F4; mask logits [N, 1, H/stride, W/stride] and decoder features [N, width, H/8, W/8]."""
        quarter, eighth, *deeper = pyramid
        x = self.gather(torch.cat([eighth, *(enlarge(level, 2 ** (i + 1)) for i, level in enumerate(deeper))], 1))
        overall = quarter.mean((2, 3))
        for layer in self.filters:
            x = layer(x, overall)
        logits = self.predict(self.refine(quarter + enlarge(x, 2)))
        return functional.pixel_shuffle(logits, self.finer), x
