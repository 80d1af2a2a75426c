"""Convolution blocks shared by the heads, the decoder and the backbone."""

import torch
from torch import Tensor, nn


def full_precision(x: Tensor) -> torch.autocast:
    """A context in which mixed precision is off for `x`'s device: bf16 has 8 bits, and some steps need every one."""
    return torch.autocast(x.device.type, enabled=False)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and (unless `act` is False) ReLU6. [N, cin, H, W] to [N, cout, ceil(H/stride), …]."""

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: bool = True,
    ):
        pad = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(cin, cout, kernel, stride, pad, dilation, groups, bias=False),
            nn.BatchNorm2d(cout),
        ]
        if act:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class SeparableConv(nn.Sequential):
    """Depthwise 3×3, then pointwise: [N, cin, H, W] to [N, cout, H/stride, W/stride]."""

    def __init__(self, cin: int, cout: int, stride: int = 1, dilation: int = 1, act: bool = True):
        super().__init__(
            ConvNorm(cin, cin, 3, stride, dilation, groups=cin),
            ConvNorm(cin, cout, 1, act=act),
        )


class DilatedResidual(nn.Module):
    """x + BN(1×1(ReLU6(BN(3×3 dilated(x))))): widens the view without losing block resolution."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.spatial = ConvNorm(width, width, 3, dilation=dilation)
        self.point = ConvNorm(width, width, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, H, W] to the same shape."""
        return x + self.point(self.spatial(x))
