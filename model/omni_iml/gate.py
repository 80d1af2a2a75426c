"""Fusion of the two heads and the modal gate between them."""

import torch
from torch import Tensor, nn

from omni_iml.layers import ConvNorm, SeparableConv


class Fusion(nn.Module):
    """F_rgb and F_freq to F_fused, all [N, ·, H/8, W/8]."""

    def __init__(self, rgb: int, frequency: int):
        super().__init__()
        self.layers = nn.Sequential(ConvNorm(rgb + frequency, rgb, 3), ConvNorm(rgb, rgb, 1, act=False))

    def forward(self, rgb: Tensor, frequency: Tensor) -> Tensor:
        """Residual on F_rgb, so that the pretrained backbone keeps meeting features it knows."""
        return rgb + self.layers(torch.cat([rgb, frequency], 1))


class CoarseMask(nn.Sequential):
    """Auxiliary head: features [N, width, h, w] to coarse mask logits [N, 1, h, w]."""

    def __init__(self, width: int):
        super().__init__(SeparableConv(width, 32), SeparableConv(32, 32, dilation=2), nn.Conv2d(32, 1, 1))


class ModalGate(nn.Module):
    """Binary classifier on [F_rgb, F_fused, P_rgb, P_fused]: the logit [N] of passing F_fused on."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(ConvNorm(2 * width + 2, 32, 3, 2), ConvNorm(32, 32, 3, 2))
        self.classify = nn.Linear(64, 1)

    def forward(self, rgb: Tensor, fused: Tensor, coarse_rgb: Tensor, coarse_fused: Tensor) -> Tensor:
        """Features [N, width, h, w] and coarse probabilities [N, 1, h, w]; detached: choosing must not shape them."""
        x = torch.cat([rgb, fused, coarse_rgb.sigmoid(), coarse_fused.sigmoid()], 1).detach()
        x = self.layers(x)
        return self.classify(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, 0]
