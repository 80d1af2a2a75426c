"""A plain encoder-decoder: EfficientNet-Lite2 and a feature pyramid (Lin et al. 2017, as a segmentation head).

It sees RGB alone and has no gate, no dynamic weights, no high-pass filters and no self-correlation. Its width makes it
as large as Omni-IML.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.decoder import enlarge
from omni_iml.encoder import ENDS, WIDTHS, EfficientNetLite2, VisionHead
from omni_iml.layers import ConvNorm
from omni_iml.model import DOMAINS, Output


class PlainFPN(nn.Module):
    """Takes and gives what OmniIML does, so that training, serving and measuring are the same code."""

    mask_stride = 4

    def __init__(self, width: int = 128):
        super().__init__()
        self.network = EfficientNetLite2()
        self.vision = VisionHead(self.network, high_pass=False)
        self.lateral = nn.ModuleList(nn.Conv2d(cin, width, 1) for cin in WIDTHS)
        self.smooth = nn.ModuleList(ConvNorm(width, width, 3) for _ in WIDTHS)
        self.predict = nn.Sequential(ConvNorm(width, 64, 3), nn.Conv2d(64, 1, 1))
        self.score = nn.Sequential(nn.Linear(2 * width + 2, 64), nn.ReLU(), nn.Linear(64, 1))
        self.domain = nn.Linear(WIDTHS[3], len(DOMAINS))

    def forward(
        self,
        pixels: Tensor,
        qtable: Tensor,
        jpeg: Tensor,
        choice: Tensor | None = None,
        early: tuple[Tensor, Tensor] | None = None,
    ) -> Output:
        """Pixels [N, 3, H, W] in 0…255 (multiples of 32); table, flag and choice are ignored; the gate says RGB."""
        quarter, eighth = self.vision(pixels, early)
        sixteenth = self.network.blocks(eighth, ENDS[1], ENDS[2])
        last = self.network.blocks(sixteenth, ENDS[2], ENDS[3])
        levels = [layer(x) for layer, x in zip(self.lateral, (quarter, eighth, sixteenth, last), strict=True)]
        for i in (2, 1, 0):
            levels[i] = levels[i] + enlarge(levels[i + 1], 2)
        levels = [layer(level) for layer, level in zip(self.smooth, levels, strict=True)]
        merged = torch.stack([enlarge(level, 2**i) for i, level in enumerate(levels)]).sum(0)
        mask = self.predict(merged)
        pooled = functional.avg_pool2d(mask, 4)
        summary = torch.cat([merged.mean((2, 3)), merged.amax((2, 3)), pooled.amax((2, 3)), mask.mean((2, 3))], 1)
        coarse = functional.avg_pool2d(mask, 2)
        # Any tensor of one value a sample that the inputs decide: the exported graph must keep all of them.
        none = 0 * (qtable.mean(1) + jpeg) - 1
        return Output(mask, coarse, coarse, none, self.score(summary)[:, 0], self.domain(last.mean((2, 3))), levels)
